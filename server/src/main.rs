//! The server as a program of its own: everything is in the library, which the container shares with the operator's commands.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    two_factor_server::program::run(&arguments).await
}
