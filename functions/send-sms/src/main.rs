//! The Lambda function `send-sms`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    two_factor::app::run(send_sms::handle).await
}
