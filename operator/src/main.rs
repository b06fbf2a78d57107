//! The operator's commands as a program of their own: everything is in the library.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    two_factor_operator::program::run(std::env::args_os().skip(1).collect()).await
}
