//! Configuration: one struct a concern; the doc of each field names its variable.

pub mod app;
pub mod auth;
pub mod dotenv;
mod limits;
pub mod sms;
pub mod vars;

pub use app::{AppConfig, Environment};
pub use auth::{AuthConfig, AuthMode};
pub use sms::SmsConfig;
pub use vars::{ConfigError, Vars};

use crate::domain::Policy;

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
    /// Reads and judges all settings.
    ///
    /// # Errors
    /// The first setting that is wrong or missing.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let app = AppConfig::from_vars(vars)?;
        let auth = AuthConfig::from_vars(vars, app.environment)?;
        Ok(Self { app, auth, policy: limits::policy(vars)? })
    }
}
