//! What the tests run on: emulators of what surrounds the service.

pub mod rie;
