//! Where settings come from: environment variables first, then the keys of the JSON secret.

use std::{collections::BTreeMap, fmt, str::FromStr};

use secrecy::SecretString;

/// A setting is missing or wrong. Names the variable, never repeats a secret value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    /// The variable to look at.
    pub variable: String,
    /// What is wrong with it, as a sentence for the operator.
    pub problem: String,
}

impl ConfigError {
    /// An error about `variable`.
    pub fn new(variable: &str, problem: impl fmt::Display) -> Self {
        Self { variable: variable.to_owned(), problem: problem.to_string() }
    }
}

/// The settings, by name. An environment variable wins over a key of the secret; an empty value counts as none.
#[derive(Clone, Default)]
pub struct Vars {
    environment: BTreeMap<String, String>,
    secret: BTreeMap<String, String>,
}

impl Vars {
    /// Settings from these environment variables.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { environment: environment.into_iter().collect(), secret: BTreeMap::new() }
    }

    /// Settings from the process's environment; a variable that is not UTF-8 counts as unset.
    pub fn from_process() -> Self {
        Self::new(super::dotenv::process_environment())
    }

    /// The same environment with these keys of the JSON secret behind it.
    #[must_use]
    pub fn with_secret(mut self, secret: impl IntoIterator<Item = (String, String)>) -> Self {
        self.secret = secret.into_iter().collect();
        self
    }

    /// A setting that is not secret: from the environment only.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A secret setting: from the environment, or else from the secret.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        let from_secret = || self.secret.get(name).map(String::as_str).filter(|value| !value.is_empty());
        self.get(name).or_else(from_secret).map(SecretString::from)
    }

    /// A setting of type `T`; `None` where it is unset.
    ///
    /// # Errors
    /// When it is set to something that is no `T`.
    pub fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, ConfigError>
    where
        T::Err: fmt::Display,
    {
        self.get(name).map(|value| value.trim().parse().map_err(|error| ConfigError::new(name, error))).transpose()
    }
}

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vars([redacted])")
    }
}
