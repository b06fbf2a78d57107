//! The Lambda function `verify`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    two_factor::app::run(verify::handle).await
}
