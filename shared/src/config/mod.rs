//! Configuration: one struct a concern; the doc of each field names its variable.

pub mod vars;

pub use vars::{ConfigError, Vars};
