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
pub mod imports;
pub mod rie;
pub mod service;
pub mod template;
pub mod tls_front;
pub mod tokens;
