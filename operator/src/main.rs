//! The operator's command: everything is in the library, so that tests can run it.

use std::{io, process::ExitCode};

use two_factor::app::Parts;
use two_factor_operator::{Invocation, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let invocation = Invocation {
        arguments: std::env::args_os().skip(1).collect(),
        environment: environment.collect(),
        parts: Parts::default(),
    };
    run(invocation, &mut io::stdout(), &mut io::stderr()).await.into()
}
