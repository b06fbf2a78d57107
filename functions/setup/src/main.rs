//! The Lambda function `setup`.

use std::process::ExitCode;

use two_factor::domain::PhoneNumber;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // The only function that parses numbers: their data is loaded before the first one has to wait for it.
    PhoneNumber::warm_up();
    two_factor::app::run(setup::handle).await
}
