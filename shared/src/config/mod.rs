//! Configuration: one struct a concern, read through the one table of settings.

pub mod app;
pub mod assertion;
pub mod auth;
pub mod dotenv;
pub mod environment;
mod limits;
mod reader;
pub mod secret_id;
pub mod sender;
pub mod settings;
pub mod sms;
pub mod test_numbers;
pub mod unread;
pub mod url;
pub mod vars;

pub use app::AppConfig;
pub use assertion::AssertionConfig;
pub use auth::{AuthConfig, AuthMode};
pub use environment::Environment;
pub use sms::SmsConfig;
pub use vars::{ConfigError, ConfigErrors, Vars};

use crate::domain::{Policy, TestNumbers};
use reader::Reader;

/// Every setting that all functions share.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the service is and where its things are.
    pub app: AppConfig,
    /// Who is calling.
    pub auth: AuthConfig,
    /// What results are signed with, for others to check; `None` where nothing is.
    pub assertion: Option<AssertionConfig>,
    /// The limits.
    pub policy: Policy,
    /// The numbers whose code is a given one; `None` where there are none.
    pub test_numbers: Option<TestNumbers>,
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
        let assertion = AssertionConfig::read(&mut reader, auth.as_ref());
        let policy = limits::policy(&mut reader);
        let test_numbers = test_numbers::read(&mut reader);
        let config = app.zip(auth).zip(assertion).zip(test_numbers);
        reader.finish(config.map(|(((app, auth), assertion), test_numbers)| Self { app, auth, assertion, policy, test_numbers }))
    }
}
