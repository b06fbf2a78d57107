//! Secrets: one file for each store, and what is common to all stores: reading seldom, as a JSON object of strings or as plain text.

pub mod cached;
pub mod plain;
pub mod secrets_manager;

pub use cached::{CachedSecret, Secret};
pub use plain::read_plain;
pub use secrets_manager::SecretsManagerSource;
