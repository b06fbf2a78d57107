//! Configuration: one struct a concern; the doc of each field names its variable.

pub mod sms;
pub mod vars;

pub use sms::SmsConfig;
pub use vars::{ConfigError, Vars};
