//! The program as a process of its own, and a table for it.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;
use two_factor::adapters::dynamodb::{client, table::ensure_table};
use two_factor_local::database::{EmbeddedDatabase, sdk_config};
use two_factor_tests::dynamodb_proxy::Proxy;

const PROGRAM: &str = env!("CARGO_BIN_EXE_two-factor-server");

/// Where a step that must come takes too long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running program, which does not outlive the test.
pub(crate) struct Program {
    child: Child,
    lines: mpsc::Receiver<Value>,
}

impl Program {
    /// Starts it with nothing in its environment but these.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.env_clear().envs(variables.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (said, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("each line is JSON: {line}"));
                if said.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines: heard }
    }

    /// Waits for a line of its log that begins like this.
    pub(crate) fn until_it_says(&self, beginning: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it never said {beginning:?}"));
            if line["message"].as_str().is_some_and(|message| message.starts_with(beginning)) {
                return line;
            }
        }
    }

    pub(crate) fn ask_to_stop(&self) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended, or else the test has failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A table, and what was called on it.
pub(crate) struct Table {
    pub(crate) proxy: Proxy,
    _database: EmbeddedDatabase,
}

impl Table {
    pub(crate) async fn start() -> Self {
        let database = EmbeddedDatabase::start(None, 0).unwrap();
        ensure_table(&client(&sdk_config(&database.endpoint()).unwrap()), "sms-2fa").await.unwrap();
        Self { proxy: Proxy::start(&database.endpoint()), _database: database }
    }
}

pub(crate) fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(PROGRAM).args(arguments).env_clear().envs(variables.iter().copied()).output().unwrap()
}
