//! `make bench-cold`: what a cold start costs, for each release binary, with everything outside behind TLS.
//!
//! Starts the binary as Lambda does and plays the runtime API; behind TLS stand the embedded database, a Secrets Manager and a
//! Twilio that keep to loopback. Every measured request is a whole one: `setup` and `send-sms` send a text message, `verify`
//! enables the factor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that cannot be made has to stop"
)]
#![expect(clippy::cast_precision_loss, reason = "counts and sizes here are far below what a double holds exactly")]

mod cloud;
mod function;
mod runtime_api;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{self, ExitCode, Stdio},
    time::Duration,
};

use cloud::Cloud;
use function::Binary;

const FUNCTIONS: [&str; 3] = ["setup", "send-sms", "verify"];

/// Cold starts of each binary, and invocations that follow the first one of a start.
const DEFAULT_STARTS: usize = 20;
const WARM: usize = 15;

/// Warm invocations that instructions are counted over.
const COUNTED: usize = 10;

/// What each column is meant to stay below.
const AIMS: &str = "6.00 MB       15.0 ms        5.00 ms        1.00 ms       12.0 MB";

#[tokio::main]
async fn main() -> ExitCode {
    let folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let folders = if folders.is_empty() { vec![PathBuf::from("target/lambda")] } else { folders };
    let binaries: Vec<Binary> =
        folders.iter().flat_map(|folder| FUNCTIONS.into_iter().filter_map(|name| Binary::find(folder, name))).collect();
    if binaries.is_empty() {
        println!("no release binaries in {folders:?}: `make build` makes them");
        return ExitCode::FAILURE;
    }
    let mut cloud = Cloud::start().await;
    let helpers: BTreeMap<_, _> =
        FUNCTIONS.into_iter().filter_map(|name| Some((name, Binary::find(folders.first()?, name)?))).collect();

    println!(
        "{:32} {:>9} {:>13} {:>14} {:>14} {:>13}   instructions (million)",
        "", "size", "exec to poll", "first", "warm", "peak RSS"
    );
    println!(
        "{:32} {:>9} {:>13} {:>14} {:>14} {:>13}   {:>7} {:>7} {:>7}",
        "", "", "median (min)", "median (wait)", "median (wait)", "", "start", "first", "warm"
    );
    let mut measured: Vec<Measurements> = binaries.iter().map(|_| Measurements::default()).collect();
    // Start by start and not binary by binary, so that what disturbs the machine disturbs all of them.
    let starts = env::var("STARTS").ok().and_then(|starts| starts.parse().ok()).unwrap_or(DEFAULT_STARTS);
    for _ in 0..starts {
        for (binary, measurements) in binaries.iter().zip(&mut measured) {
            cloud.measure(binary, &helpers, measurements).await;
        }
    }
    let count = env::var_os("CALLGRIND").is_none_or(|value| value != "0") && has_valgrind();
    for (binary, measurements) in binaries.iter().zip(&mut measured) {
        let counts = if count { Some(cloud.count(binary, &helpers).await) } else { None };
        println!("{}", measurements.line(binary, counts));
    }
    println!("{:32} {AIMS}", "aim");
    println!("{starts} starts each, {WARM} warm invocations a start; wait: the part spent waiting for the stubs behind TLS.");
    ExitCode::SUCCESS
}

fn has_valgrind() -> bool {
    process::Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What was measured of one binary: starts, and invocations with the part of them spent waiting.
#[derive(Debug, Default)]
struct Measurements {
    starts: Vec<Duration>,
    first: Vec<(Duration, Duration)>,
    warm: Vec<(Duration, Duration)>,
    peak: f64,
}

impl Measurements {
    fn line(&mut self, binary: &Binary, counts: Option<[f64; 3]>) -> String {
        let size = fs::metadata(&binary.path).map(|file| file.len()).unwrap_or_default();
        let fastest = self.starts.iter().min().copied().unwrap_or_default();
        let start = format!("{:.1} ({:.1}) ms", milliseconds(median(self.starts.clone())), milliseconds(fastest));
        let invocation = |both: &[(Duration, Duration)]| {
            let total = median(both.iter().map(|(total, _)| *total).collect());
            let waited = median(both.iter().map(|(_, waited)| *waited).collect());
            format!("{:.2} ({:.2}) ms", milliseconds(total), milliseconds(waited))
        };
        let counts = counts.map_or_else(String::new, |[start, first, warm]| format!("{start:7.2} {first:7.2} {warm:7.2}"));
        format!(
            "{:32} {:>6.2} MB {start:>13} {:>14} {:>14} {:>10.1} MB   {counts}",
            format!("{} {}", binary.function, shortened(&binary.path)),
            size as f64 / 1e6,
            invocation(&self.first),
            invocation(&self.warm),
            self.peak / 1e6,
        )
    }
}

/// The end of a path, which tells binaries apart.
fn shortened(path: &Path) -> String {
    let text = path.display().to_string();
    text.chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect()
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
