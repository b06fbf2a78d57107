//! `make bench-server`: what the server outside Lambda takes on: requests a second, how long they take, its processor time and memory.
//!
//! The release binary runs as a process of its own, with a store on the same machine: the embedded database, or one that answers at
//! once with what the database once said. The clients share the machine, too: what tells most is the processor time of the server alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that cannot be made has to stop"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts and sizes here are far below what a double holds exactly"
)]

mod accounts;
mod client;
mod process;
mod store;

use std::{
    env,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use accounts::Account;
use client::{Client, Request};
use process::Process;
use serde_json::{Value, json};
use store::Store;

/// How many clients ask at a time, each on a connection of its own.
const CLIENTS: [usize; 4] = [1, 8, 64, 256];

/// How long each case is measured, in seconds.
const DEFAULT_SECONDS: u64 = 3;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    /// GET setup: one read.
    Status,
    /// A wrong code at verify: a read, and a write that counts it.
    WrongCode,
    /// A code is sent, and comes back: two requests, with two reads and two writes.
    SignIn,
}

impl Case {
    const ALL: [Self; 3] = [Self::Status, Self::WrongCode, Self::SignIn];

    const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::WrongCode => "a wrong code",
            Self::SignIn => "a sign-in",
        }
    }

    /// How many accounts are needed, and how often one of them serves before a limit is reached.
    const fn accounts(self) -> (usize, usize) {
        match self {
            Self::Status => (1, usize::MAX),
            Self::WrongCode => (500, accounts::ATTEMPTS),
            Self::SignIn => (30, accounts::SENDS),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let binary = env::args_os().nth(1).map_or_else(|| PathBuf::from("target/release/two-factor-server"), PathBuf::from);
    let seconds = env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_SECONDS);
    let heads = ["", "a second", "median", "p99", "a CPU second", "memory"];
    println!("{:36} {:>9} {:>11} {:>11} {:>13} {:>10}", heads[0], heads[1], heads[2], heads[3], heads[4], heads[5]);
    for mut store in [Store::that_answers_at_once(&binary).await, Store::embedded().await] {
        let server = Process::start(&binary, store.endpoint()).await;
        println!("{}: ready {:.0} ms after its start, {:.1} MB at rest", store.name(), ms(server.ready_after), server.memory());
        for case in Case::ALL {
            for clients in CLIENTS {
                let measured = measure(&server, &mut store, case, clients, Duration::from_secs(seconds)).await;
                let per = |time: Duration| measured.times.len() as f64 / time.as_secs_f64();
                println!(
                    "{:36} {:>9.0} {:>8.2} ms {:>8.2} ms {:>13.0} {:>7.1} MB",
                    format!("  {}, {clients} at a time", case.name()),
                    per(measured.total),
                    ms(measured.at(0.5)),
                    ms(measured.at(0.99)),
                    per(measured.processor),
                    server.memory(),
                );
            }
        }
        let peak = server.peak_memory();
        println!("{}: {peak:.1} MB at its peak; ended {:.0} ms after SIGTERM", store.name(), ms(server.stop().await));
    }
    ExitCode::SUCCESS
}

/// What was measured of a case.
struct Measured {
    /// How long each took, the shortest first.
    times: Vec<Duration>,
    /// How long all of them took together.
    total: Duration,
    /// The processor time of the server.
    processor: Duration,
}

impl Measured {
    /// The time that this share of them stayed below.
    fn at(&self, share: f64) -> Duration {
        self.times[((self.times.len() as f64 * share) as usize).min(self.times.len() - 1)]
    }
}

async fn measure(server: &Process, store: &mut Store, case: Case, clients: usize, time: Duration) -> Measured {
    let (accounts, uses) = case.accounts();
    let each = accounts.div_ceil(clients);
    let mut prepared = Vec::new();
    for _ in 0..clients {
        let mut client = Client::connect(server.address).await;
        let mut accounts = Vec::new();
        for _ in 0..each {
            accounts.push(store.account(server, &mut client, case == Case::WrongCode).await);
        }
        prepared.push((client, accounts));
    }
    let uses = if store.has_limits() { uses } else { usize::MAX };
    let (before, started) = (server.processor_time(), Instant::now());
    let running: Vec<_> = prepared
        .into_iter()
        .map(|(mut client, accounts)| {
            tokio::spawn(async move {
                let mut times = Vec::new();
                for account in &accounts {
                    for _ in 0..uses {
                        if started.elapsed() >= time {
                            return times;
                        }
                        let begun = Instant::now();
                        run(case, account, &mut client).await;
                        times.push(begun.elapsed());
                    }
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in running {
        times.extend(client.await.unwrap());
    }
    let (total, processor) = (started.elapsed(), server.processor_time().saturating_sub(before));
    times.sort_unstable();
    Measured { times, total, processor }
}

async fn run(case: Case, account: &Account, client: &mut Client) {
    match case {
        Case::Status => {
            let status = client.send(&Request::new("GET", "setup", &account.token, &Value::Null)).await;
            assert_eq!(status["enabled"], true, "{status}");
        }
        Case::WrongCode => {
            let refused = client.send(&account.verify(&account.wrong_code())).await;
            assert_eq!(refused["code"], "invalid_code", "{refused}");
        }
        Case::SignIn => {
            let sent = client.send(&Request::new("POST", "send-sms", &account.token, &json!({"purpose": "sign_in"}))).await;
            // The store at once forgets the new code, and goes on with the one that it knows.
            let code = if account.is_fixed { account.code.clone() } else { accounts::code_in(&sent) };
            let verified = client.send(&account.verify(&code)).await;
            assert_eq!(verified["verified"], true, "{verified}");
        }
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
