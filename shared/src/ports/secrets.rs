//! Where the one secret of a deployment is kept: credentials and keys that are in no environment variable.

use std::borrow::Cow;

use secrecy::SecretString;

use super::BoxFuture;

/// Reads a secret from the store that keeps it, anew each time it is asked. There is one implementation for each kind of store; caching
/// is written once, over this trait.
pub trait SecretSource: Send + Sync {
    /// The secret's name in its store. Messages show it: a name is not secret.
    fn name(&self) -> &str;

    /// Reads the secret's text as it is now. Ends within seconds, even where the store does not answer.
    fn read(&self) -> BoxFuture<'_, Result<SecretString, SecretError>>;
}

/// Why a secret cannot be used. Names the secret and what to do, and repeats nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret {secret:?} {problem}: {remedy}")]
pub struct SecretError {
    /// The secret's name.
    pub secret: String,
    /// What kind of trouble it is.
    pub kind: SecretErrorKind,
    /// What is wrong, to be read after the secret's name.
    pub problem: Cow<'static, str>,
    /// What an operator may do about it.
    pub remedy: Cow<'static, str>,
}

/// What to do about a secret that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretErrorKind {
    /// There is no such secret (any more): its name is wrong, or it has to be made.
    NotFound,
    /// It may not be read: a right is missing.
    NotPermitted,
    /// It is not a JSON object of strings: its text has to be mended.
    Malformed,
    /// Its store does not answer: trying again may help.
    Unavailable,
}
