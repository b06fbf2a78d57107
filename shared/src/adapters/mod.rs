//! The ports' implementations: everything that talks to a network, a clock or the operating system.

pub mod jwks;
pub mod secrets;
pub mod system;
