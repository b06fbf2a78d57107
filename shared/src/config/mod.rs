//! Configuration: one struct a concern, read through the one table of settings.

pub mod app;
pub mod auth;
pub mod dotenv;
pub mod environment;
mod limits;
mod reader;
pub mod secret_id;
pub mod sender;
pub mod settings;
pub mod sms;
pub mod unread;
pub mod url;
pub mod vars;

pub use app::AppConfig;
pub use auth::{AuthConfig, AuthMode};
pub use environment::Environment;
pub use sms::SmsConfig;
pub use vars::{ConfigError, ConfigErrors, Vars};

use crate::domain::Policy;
use reader::Reader;

/// Every setting that all functions share.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the service is and where its things are.
    pub app: AppConfig,
    /// Who is calling.
    pub auth: AuthConfig,
    /// The limits.
    pub policy: Policy,
}

impl Config {
    /// Reads and judges all settings but those of the SMS providers ([`SmsConfig`]).
    ///
    /// # Errors
    /// Every setting that is wrong or missing.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(vars);
        let environment = reader.note(Environment::of(vars));
        let app = AppConfig::read(&mut reader, environment);
        let auth = AuthConfig::read(&mut reader, environment);
        let policy = limits::policy(&mut reader);
        reader.finish(app.zip(auth).map(|(app, auth)| Self { app, auth, policy }))
    }
}
