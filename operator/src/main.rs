//! The operator's command: everything is in the library, so that tests can run it.

use std::{io, process::ExitCode};

use two_factor::{app::Parts, config::vars::process_environment};
use two_factor_operator::{Invocation, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let invocation = Invocation {
        arguments: std::env::args_os().skip(1).collect(),
        environment: process_environment(),
        parts: Parts::default(),
    };
    run(invocation, &mut io::stdout(), &mut io::stderr()).await.into()
}
