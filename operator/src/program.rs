//! The program: one command, with this process's environment, input and output.

use std::{ffi::OsString, io, process::ExitCode, time::Duration};

use two_factor::{app::Parts, config::vars::process_environment};

use crate::{Invocation, run as run_invocation};

/// No request is under way for longer: `Timeout` in template.yaml, and a little for what was just sent to the table.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Does what `arguments`, which follow the program's name, say.
pub async fn run(arguments: Vec<OsString>) -> ExitCode {
    let invocation = Invocation {
        arguments,
        environment: process_environment(),
        input: Box::new(io::stdin()),
        parts: Parts { request_time: FUNCTION_TIMEOUT, ..Parts::default() },
        look_again_after: Duration::from_secs(5),
    };
    run_invocation(invocation, &mut io::stdout(), &mut io::stderr()).await.into()
}
