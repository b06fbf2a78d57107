//! What the tests run on: emulators of what surrounds the service.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set up its tools, or finds something else than it expects, has to stop"
)]

pub mod captured_log;
pub mod clock;
pub mod dynamodb_proxy;
pub mod gateway;
pub mod imports;
pub mod logs_insights;
pub mod openapi;
pub mod rie;
pub mod running_stack;
pub mod service;
pub mod template;
pub mod tls_front;
pub mod tokens;

/// How many rounds a race is run: `TEST_ROUNDS` where it is set (`make test-races`), `few` where it is not.
pub fn rounds(few: usize) -> usize {
    std::env::var("TEST_ROUNDS").map_or(few, |rounds| rounds.parse().expect("TEST_ROUNDS is a number"))
}
