//! The program: serves until it is asked to stop; `healthcheck` asks one that runs on this machine whether it is alive.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use crate::{admin::HEALTHZ, lifecycle::Listening, settings::Settings};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use two_factor::{
    app::{Parts, prepare_phone_numbers},
    config::{Vars, vars::process_environment},
    observability::log,
};

const USAGE: &str = "\
usage: two-factor-server [healthcheck]

  Without a command it serves the three endpoints on PORT, and probes and metrics on ADMIN_PORT, until SIGTERM.

  healthcheck    ends with 0 if the server on this machine is alive";

/// How long `healthcheck` waits for each step.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Does what `arguments`, which follow the program's name, say; with this process's environment and signals.
pub async fn run(arguments: &[String]) -> ExitCode {
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve().await,
        ["healthcheck"] => healthcheck(),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), String> {
    let variables = process_environment();
    // A wrong level is reported with every other setting that is wrong.
    let _ = log::start(&Vars::new(variables.clone()), log::Format::Json);
    prepare_phone_numbers();
    let (ask, stop) = mpsc::channel(2);
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let signals = signal(kind).map_err(logged)?;
        tokio::spawn(pass_on(signals, ask.clone()));
    }
    let listening = Listening::start(variables).await.map_err(logged)?;
    listening.run(Parts::default(), stop).await.map_err(logged)
}

async fn pass_on(mut signals: Signal, ask: mpsc::Sender<()>) {
    while signals.recv().await.is_some() && ask.send(()).await.is_ok() {}
}

/// What is wrong, after the log has it, a line each.
fn logged(failure: impl std::fmt::Display) -> String {
    let text = failure.to_string();
    for line in text.lines() {
        tracing::error!("{line}");
    }
    text
}

fn healthcheck() -> Result<(), String> {
    let settings = Settings::from_vars(&Vars::from_process()).map_err(|errors| errors.to_string())?;
    let address = settings.bind.filter(|address| !address.is_unspecified()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = SocketAddr::new(address, settings.admin_port);
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, HEALTHCHECK_TIMEOUT)?;
        stream.set_read_timeout(Some(HEALTHCHECK_TIMEOUT))?;
        write!(stream, "GET {HEALTHZ} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    match ask() {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => Ok(()),
        Ok(answer) => Err(format!("{address}: {}", answer.lines().next().unwrap_or_default())),
        Err(error) => Err(format!("{address}: {error}")),
    }
}
