//! The server as a process: how it starts and ends, and what it takes of the machine.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
};
use two_factor::{
    adapters::{
        development_token::{TOKEN_LIFE, TokenMint},
        system::SystemClock,
    },
    config::{Config, Vars},
    ports::Clock as _,
};

/// In which Linux tells processor time (`getconf CLK_TCK`).
const TICKS_A_SECOND: u64 = 100;

pub(crate) struct Process {
    child: Child,
    id: u32,
    mint: TokenMint,
    pub(crate) address: SocketAddr,
    /// How long after its start it was ready.
    pub(crate) ready_after: Duration,
}

impl Process {
    /// Starts it in development on the table of the store at `endpoint`, with limits as wide as they get, and waits until it is ready.
    pub(crate) async fn start(binary: &Path, endpoint: &str) -> Self {
        let (address, admin) = (free_address(), free_address());
        let variables = [
            ("APP_ENV", "development"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
            ("BIND", "127.0.0.1"),
            ("PORT", &address.port().to_string()),
            ("ADMIN_PORT", &admin.port().to_string()),
            ("DRAIN_SECONDS", "0"),
            ("CODE_TTL_SECONDS", "600"),
            ("CODE_MAX_ATTEMPTS", "10"),
            ("SMS_MAX_PER_WINDOW", "100"),
            ("SMS_MAX_PER_IP", "0"),
            ("SMS_COOLDOWN_SECONDS", "0"),
            ("LOCK_AFTER_FAILURES", "100"),
        ];
        let vars = Vars::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mint = TokenMint::new(&Config::from_vars(&vars).unwrap().auth).unwrap();
        let started = Instant::now();
        let mut command = Command::new(binary);
        command.env_clear().envs(variables).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        while !is_ready(admin).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { id: child.id().unwrap(), child, mint, address, ready_after: started.elapsed() }
    }

    /// A token of the user with this identifier.
    pub(crate) fn token(&self, user: &str) -> String {
        self.mint.mint(user, SystemClock.now(), TOKEN_LIFE).unwrap()
    }

    /// The processor time that it has used.
    pub(crate) fn processor_time(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap();
        // After the name, which may have spaces in it, utime and stime are the 12th and 13th field (proc(5)).
        let fields: Vec<_> = text.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
    }

    /// The memory that it has now, in megabytes.
    pub(crate) fn memory(&self) -> f64 {
        self.megabytes("VmRSS:")
    }

    /// The most memory that it had.
    pub(crate) fn peak_memory(&self) -> f64 {
        self.megabytes("VmHWM:")
    }

    fn megabytes(&self, name: &str) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
    }

    /// Asks it to end, and returns how long that took.
    pub(crate) async fn stop(mut self) -> Duration {
        let started = Instant::now();
        let asked = Command::new("kill").args(["-TERM", &self.id.to_string()]).status().await.unwrap();
        assert!(asked.success());
        assert!(self.child.wait().await.unwrap().success());
        started.elapsed()
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

async fn is_ready(admin: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(admin).await else { return false };
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200 ")
}
