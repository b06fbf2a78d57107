//! Reads settings one after the other and remembers what is wrong, so that one start tells all of it.

use std::time::Duration;

use secrecy::SecretString;

use super::{
    settings::Setting,
    vars::{ConfigError, ConfigErrors, Vars},
};

/// Reads settings. What is wrong is remembered, and [`Reader::finish`] tells it.
pub(super) struct Reader<'a> {
    vars: &'a Vars,
    errors: ConfigErrors,
}

impl<'a> Reader<'a> {
    pub(super) fn new(vars: &'a Vars) -> Self {
        Self { vars, errors: ConfigErrors::default() }
    }

    /// A setting that may be unset, or its default.
    pub(super) fn text(&self, setting: &Setting) -> Option<&'a str> {
        setting.get(self.vars).or(setting.default)
    }

    /// A setting that may be in the secret too; `None` where it is unset.
    pub(super) fn secret(&self, setting: &Setting) -> Option<SecretString> {
        self.vars.secret(setting.name)
    }

    /// A variable that is not ours.
    pub(super) fn foreign(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name)
    }

    /// What `read` makes of a setting, or of its default; `None` where there is neither, or `read` says what is wrong.
    pub(super) fn parse<T, E>(&mut self, setting: &Setting, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T>
    where
        E: std::fmt::Display,
    {
        let value = self.text(setting)?;
        self.note(read(value).map_err(|problem| setting.error(problem)))
    }

    /// A number in the setting's range, or its default; 0 where it is wrong.
    pub(super) fn number(&mut self, setting: &Setting) -> u64 {
        self.note(setting.number(self.vars)).unwrap_or_default()
    }

    /// A count, of at most 65,535.
    pub(super) fn count(&mut self, setting: &Setting) -> u16 {
        u16::try_from(self.number(setting)).unwrap_or(u16::MAX)
    }

    /// A number of seconds.
    pub(super) fn seconds(&mut self, setting: &Setting) -> Duration {
        Duration::from_secs(self.number(setting))
    }

    /// Remembers an error.
    pub(super) fn note<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        self.errors.keep(result)
    }

    /// Remembers that a setting is wrong, or missing.
    pub(super) fn wrong(&mut self, setting: &Setting, problem: impl std::fmt::Display) {
        self.errors.keep(Err::<(), _>(setting.error(problem)));
    }

    /// What was read, if nothing is wrong. A value that is not there has been complained about.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        self.errors.finish(value)
    }
}
