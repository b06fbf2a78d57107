//! The Lambda runtime interface emulator, which runs one function's binary as Lambda does, without a container.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How long the emulator may take to listen.
const START_WITHIN: Duration = Duration::from_secs(10);

/// A running emulator with one function in it. Both end when it is dropped.
#[derive(Debug)]
pub struct RuntimeEmulator {
    process: Child,
    address: SocketAddr,
}

impl RuntimeEmulator {
    /// Runs `bootstrap` in the emulator `rie`, with these variables and nothing else in its environment.
    ///
    /// # Errors
    /// When a program cannot be run, or the emulator does not listen in time.
    pub async fn start<'a>(
        rie: &Path,
        bootstrap: &Path,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> io::Result<Self> {
        let (runtime_api, address) = (free_address().await?, free_address().await?);
        let process = Command::new(rie)
            .args(["--log-level", "error", "--runtime-api-address", &runtime_api.to_string()])
            .args(["--runtime-interface-emulator-address", &address.to_string()])
            .arg(bootstrap)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let emulator = Self { process, address };
        let deadline = Instant::now() + START_WITHIN;
        while let Err(error) = TcpStream::connect(address).await {
            if Instant::now() > deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(emulator)
    }

    /// Sends an event to the function and returns what it answered.
    ///
    /// # Errors
    /// When the emulator breaks off, or answers something that is not JSON.
    pub async fn invoke(&self, event: &Value) -> io::Result<Value> {
        let event = event.to_string();
        let mut connection = TcpStream::connect(self.address).await?;
        // HTTP/1.0, so that the answer ends with the connection and comes in one piece.
        let head = format!(
            "POST /2015-03-31/functions/function/invocations HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            event.len()
        );
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(event.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for RuntimeEmulator {
    /// Asks it to end, which makes it end the function too: a killed emulator would leave that running.
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            drop(self.process.kill());
        }
        drop(self.process.wait());
    }
}

/// A port that was free a moment ago.
async fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()
}
