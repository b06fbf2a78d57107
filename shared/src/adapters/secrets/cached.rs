//! A secret that is read once a cold start and again only where its values turn out to be outdated, whatever store it is in.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    domain::Timestamp,
    ports::{Clock, SecretError, SecretErrorKind, SecretSource},
};

/// The minimum time between two refreshes.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);

/// The secret's keys and values.
pub type Secret = BTreeMap<String, String>;

/// Reads a secret from its source, and keeps it.
pub struct CachedSecret {
    source: Arc<dyn SecretSource>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    secret: Option<Secret>,
    refreshed_at: Option<Timestamp>,
}

impl fmt::Debug for CachedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedSecret").field("name", &self.source.name()).finish_non_exhaustive()
    }
}

impl CachedSecret {
    /// The secret that `source` keeps; nothing is read yet.
    pub fn new(source: Arc<dyn SecretSource>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, state: Mutex::default() }
    }

    /// The secret as it was last read; the first time, it is read.
    ///
    /// # Errors
    /// See [`SecretError`]. Nothing is kept then, and the next call tries again.
    pub async fn load(&self) -> Result<Secret, SecretError> {
        let mut state = self.state.lock().await;
        if let Some(secret) = &state.secret {
            return Ok(secret.clone());
        }
        let secret = self.read().await?;
        state.secret = Some(secret.clone());
        Ok(secret)
    }

    /// Reads the secret again, to be called when a provider refused our credentials: they may have been rotated. Does nothing
    /// within five minutes of the last refresh. Returns the secret if it has changed.
    ///
    /// # Errors
    /// See [`SecretError`]. What was known before stays known.
    pub async fn refresh(&self) -> Result<Option<Secret>, SecretError> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if state.refreshed_at.is_some_and(|at| now.since(at) < REFRESH_INTERVAL) {
            return Ok(None);
        }
        state.refreshed_at = Some(now);
        let secret = self.read().await?;
        if state.secret.as_ref() == Some(&secret) {
            return Ok(None);
        }
        state.secret = Some(secret.clone());
        Ok(Some(secret))
    }

    async fn read(&self) -> Result<Secret, SecretError> {
        self.parse(&self.source.read().await?)
    }

    /// The keys and values of the text. An error names a key at most, never a value.
    fn parse(&self, text: &SecretString) -> Result<Secret, SecretError> {
        let malformed = |problem: Cow<'static, str>| SecretError {
            secret: self.source.name().to_owned(),
            kind: SecretErrorKind::Malformed,
            problem,
            remedy: "write it as {\"CODE_PEPPER\": \"…\", …}, each value in quotes".into(),
        };
        let Ok(Value::Object(object)) = serde_json::from_str(text.expose_secret()) else {
            return Err(malformed("is not a JSON object".into()));
        };
        let entry = |(key, value)| match value {
            Value::String(value) => Ok((key, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(malformed(format!("has a value that is not a string, under {key:?}").into()))
            }
        };
        object.into_iter().map(entry).collect()
    }
}
