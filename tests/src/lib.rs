//! What the tests run on: emulators of what surrounds the service.

pub mod clock;
pub mod dynamodb_proxy;
pub mod rie;
pub mod runtime_api;
pub mod service;
pub mod template;
pub mod tls_front;
pub mod tokens;
