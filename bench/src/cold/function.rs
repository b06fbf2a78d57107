//! A function as Lambda runs it: its release binary, a process of it, and how long what it does takes.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::runtime_api::{Moment, RuntimeApi};

/// Longer than anything here takes, under callgrind too.
const PATIENCE: Duration = Duration::from_secs(120);

/// A release binary.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) function: &'static str,
    pub(crate) path: PathBuf,
}

impl Binary {
    /// As `cargo lambda build` or as `cargo build --release` leaves it.
    pub(crate) fn find(folder: &Path, function: &'static str) -> Option<Self> {
        let candidates = [folder.join(function).join("bootstrap"), folder.join(function)];
        let path = candidates.into_iter().find(|path| path.is_file())?;
        Some(Self { function, path: path.canonicalize().ok()? })
    }
}

/// A running function.
pub(crate) struct Function {
    process: Child,
    api: RuntimeApi,
    /// How long it took from its start to its first poll.
    pub(crate) start: Duration,
}

impl Function {
    /// Starts it, under callgrind if there is a file for its report, and waits until it asks for an invocation.
    pub(crate) async fn start(binary: &Binary, environment: &BTreeMap<&'static str, String>, callgrind: Option<&Path>) -> Self {
        let mut api = RuntimeApi::start().await.expect("loopback has a free port");
        let mut command = match callgrind {
            None => Command::new(&binary.path),
            Some(out) => {
                let mut command = Command::new("valgrind");
                command
                    .args(["--quiet", "--tool=callgrind"])
                    .arg(format!("--callgrind-out-file={}", out.display()))
                    .arg(&binary.path);
                command
            }
        };
        command.env_clear().envs(environment).env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("AWS_LAMBDA_RUNTIME_API", api.address()).env("AWS_LAMBDA_FUNCTION_NAME", binary.function);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let begin = Instant::now();
        let process = command.spawn().expect("the binary can be started");
        let moment = timeout(PATIENCE, api.moment()).await;
        let Ok(Some(Moment::Polled(at))) = moment else { panic!("{binary:?} does not start: {moment:?}") };
        Self { process, api, start: at - begin }
    }

    /// How long an invocation takes, from when it is handed over until its answer is there, which must be 200.
    pub(crate) async fn invoke(&mut self, event: Value) -> Duration {
        self.api.push(event);
        let mut begin = None;
        loop {
            match timeout(PATIENCE, self.api.moment()).await {
                Ok(Some(Moment::Invoked(at))) => begin = Some(at),
                Ok(Some(Moment::Answered(at, answer))) => {
                    assert_eq!(answer.get("statusCode"), Some(&json!(200)), "{answer}");
                    // Done only when it asks for the next one: what it does in between is work too, but nobody waits for it.
                    let moment = timeout(PATIENCE, self.api.moment()).await;
                    assert!(matches!(moment, Ok(Some(Moment::Polled(_)))), "{moment:?}");
                    return at - begin.expect("an answer follows an invocation");
                }
                Ok(Some(Moment::Failed(report))) => panic!("the function reports a failure: {report}"),
                other => panic!("the invocation came to nothing: {other:?}"),
            }
        }
    }

    /// The most memory it has had resident, in bytes.
    pub(crate) fn peak_memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.process.id().expect("the process runs"));
        let status = fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or_default() * 1024.0
    }

    pub(crate) async fn stop(mut self) {
        // Asked, not killed: callgrind writes its report on the way out.
        let id = self.process.id().expect("the process runs").to_string();
        Command::new("kill").arg(id).status().await.expect("kill can be run");
        self.process.wait().await.expect("the process ends");
    }
}
