//! The ports' implementations: everything that talks to a network, a clock or the operating system.

pub mod assertion_keys;
pub mod aws;
pub mod development_token;
pub mod dynamodb;
pub mod http;
pub mod jwks;
pub mod roots;
pub mod secrets;
pub mod sms;
pub mod system;
