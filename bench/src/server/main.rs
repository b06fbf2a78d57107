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

/// How long a client waits that was refused: less than it was told to, or nobody would be left to measure.
const PAUSE_OF_THE_REFUSED: Duration = Duration::from_millis(100);

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
    let binary = env::args_os().nth(1).map_or_else(|| PathBuf::from("target/server/two-factor-server"), PathBuf::from);
    let seconds = env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_SECONDS);
    let heads = ["", "a second", "median", "p99", "a CPU second", "memory", "refused"].map(str::to_owned);
    println!("{}", row(&heads));
    for mut store in [Store::that_answers_at_once(&binary).await, Store::embedded().await] {
        let server = Process::start(&binary, store.endpoint()).await;
        println!("{}: ready {:.0} ms after its start, {:.1} MB at rest", store.name(), ms(server.ready_after), server.memory());
        for case in Case::ALL {
            for clients in CLIENTS {
                let measured = measure(&server, &mut store, case, clients, Duration::from_secs(seconds)).await;
                let per = |time: Duration| measured.times.len() as f64 / time.as_secs_f64();
                let all = (measured.times.len() + measured.refused) as f64;
                let cells = [
                    format!("  {}, {clients} at a time", case.name()),
                    format!("{:.0}", per(measured.total)),
                    format!("{:.2} ms", ms(measured.at(0.5))),
                    format!("{:.2} ms", ms(measured.at(0.99))),
                    format!("{:.0}", per(measured.processor)),
                    format!("{:.1} MB", server.memory()),
                    format!("{:.1} %", measured.refused as f64 / all * 100.0),
                ];
                println!("{}", row(&cells));
            }
        }
        let peak = server.peak_memory();
        println!("{}: {peak:.1} MB at its peak; ended {:.0} ms after SIGTERM", store.name(), ms(server.stop().await));
    }
    ExitCode::SUCCESS
}

fn row(cells: &[String; 7]) -> String {
    let [name, a_second, median, p99, a_processor_second, memory, refused] = cells;
    format!("{name:36} {a_second:>9} {median:>11} {p99:>11} {a_processor_second:>13} {memory:>10} {refused:>8}")
}

/// What was measured of a case.
struct Measured {
    /// How long each that was answered took, the shortest first.
    times: Vec<Duration>,
    /// How many were told to come back, since enough others were under way.
    refused: usize,
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
                let (mut times, mut refused) = (Vec::new(), 0);
                for account in &accounts {
                    for _ in 0..uses {
                        if started.elapsed() >= time {
                            return (times, refused);
                        }
                        let begun = Instant::now();
                        if run(case, account, &mut client).await.is_ok() {
                            times.push(begun.elapsed());
                        } else {
                            refused += 1;
                            tokio::time::sleep(PAUSE_OF_THE_REFUSED).await;
                        }
                    }
                }
                (times, refused)
            })
        })
        .collect();
    let (mut times, mut refused) = (Vec::new(), 0);
    for client in running {
        let of_client = client.await.unwrap();
        times.extend(of_client.0);
        refused += of_client.1;
    }
    let (total, processor) = (started.elapsed(), server.processor_time().saturating_sub(before));
    times.sort_unstable();
    Measured { times, refused, total, processor }
}

/// The server had enough to do.
struct Refused;

fn answered(answer: Value) -> Result<Value, Refused> {
    if answer["code"] == "service_unavailable" { Err(Refused) } else { Ok(answer) }
}

async fn run(case: Case, account: &Account, client: &mut Client) -> Result<(), Refused> {
    match case {
        Case::Status => {
            let status = answered(client.send(&Request::new("GET", "setup", &account.token, &Value::Null)).await)?;
            assert_eq!(status["enabled"], true, "{status}");
        }
        Case::WrongCode => {
            let refused = answered(client.send(&account.verify(&account.wrong_code())).await)?;
            assert_eq!(refused["code"], "invalid_code", "{refused}");
        }
        Case::SignIn => {
            let request = Request::new("POST", "send-sms", &account.token, &json!({"purpose": "sign_in"}));
            let sent = answered(client.send(&request).await)?;
            // The store at once forgets the new code, and goes on with the one that it knows.
            let code = if account.is_fixed { account.code.clone() } else { accounts::code_in(&sent) };
            let verified = answered(client.send(&account.verify(&code)).await)?;
            assert_eq!(verified["verified"], true, "{verified}");
        }
    }
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
