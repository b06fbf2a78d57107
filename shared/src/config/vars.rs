//! Where settings come from: environment variables first, then the keys of the JSON secret. The white space around a value does
//! not count, and a blank value counts as none.

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

/// Everything that is wrong with the settings of one start, shown as one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors, in the order in which the settings were read.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// What was read; or `None`, and what is wrong with it is kept. The same error is kept once.
    pub fn keep<T>(&mut self, result: Result<T, impl Into<Self>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                for error in errors.into() {
                    if !self.0.contains(&error) {
                        self.0.push(error);
                    }
                }
                None
            }
        }
    }

    /// What was read, if nothing is wrong; where `value` is `None`, the reason was kept.
    ///
    /// # Errors
    /// What was kept.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            Some(_) | None => Err(self),
        }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The variables of this process. One whose name or value is not UTF-8 counts as unset.
pub fn process_environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// The settings, by name. An environment variable wins over a key of the secret.
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
        Self::new(process_environment())
    }

    /// The same environment with these keys of the JSON secret behind it.
    #[must_use]
    pub fn with_secret(mut self, secret: impl IntoIterator<Item = (String, String)>) -> Self {
        self.secret = secret.into_iter().collect();
        self
    }

    /// A variable, from the environment only.
    pub fn get(&self, name: &str) -> Option<&str> {
        value(&self.environment, name)
    }

    /// A secret setting: from the environment, or else from the secret.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).or_else(|| value(&self.secret, name)).map(SecretString::from)
    }

    /// A variable of type `T`; `None` where it is unset.
    ///
    /// # Errors
    /// When it is set to something that is not a `T`.
    pub fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, ConfigError>
    where
        T::Err: fmt::Display,
    {
        self.get(name).map(|value| value.parse().map_err(|error| ConfigError::new(name, error))).transpose()
    }

    /// The names of the environment variables that have a value.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        with_value(&self.environment)
    }

    /// The keys of the secret that have a value.
    pub(super) fn secret_keys(&self) -> impl Iterator<Item = &str> {
        with_value(&self.secret)
    }
}

fn value<'a>(values: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn with_value(values: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    values.iter().filter(|(_, value)| !value.trim().is_empty()).map(|(name, _)| name.as_str())
}

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vars([redacted])")
    }
}
