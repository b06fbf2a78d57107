//! The one program of the container: two programs that have nearly everything in common are half as large as one.
//!
//! Called `doctor`, it is the operator's commands; called anything else, `two-factor-server`.

use std::{env, ffi::OsString, io, path::Path, process::ExitCode};

use tokio::runtime::Builder;

fn main() -> io::Result<ExitCode> {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    if Path::new(&name).file_name() == Some("doctor".as_ref()) {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        return Ok(runtime.block_on(two_factor_operator::program::run(arguments.collect())));
    }
    let arguments: Vec<_> = arguments.map(OsString::into_string).map(Result::unwrap_or_default).collect();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(two_factor_server::program::run(&arguments)))
}
