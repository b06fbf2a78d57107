//! The secret: one file a store, and what is common to all of them, reading it seldom and as a JSON object of strings.

pub mod cached;
pub mod secrets_manager;

pub use cached::{CachedSecret, Secret};
pub use secrets_manager::SecretsManagerSource;
