//! The Lambda function `any`.

use std::process::ExitCode;

use two_factor::app;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    app::prepare_phone_numbers();
    app::run(any::handle).await
}
