//! The operator's command: everything is in the library, so that tests can run it.

use std::{io, process::ExitCode, time::Duration};

use two_factor::{app::Parts, config::vars::process_environment};
use two_factor_operator::{Invocation, run};

/// No request is under way for longer: `Timeout` in template.yaml, and a little for what was just sent to the table.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let invocation = Invocation {
        arguments: std::env::args_os().skip(1).collect(),
        environment: process_environment(),
        input: Box::new(io::stdin()),
        parts: Parts { request_time: FUNCTION_TIMEOUT, ..Parts::default() },
        look_again_after: Duration::from_secs(5),
    };
    run(invocation, &mut io::stdout(), &mut io::stderr()).await.into()
}
