//! The one JSON secret that `SECRET_ID` names, from Secrets Manager: read once a cold start, never once a request.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use aws_sdk_secretsmanager::{
    Client,
    config::{Config, timeout::TimeoutConfig},
    error::{DisplayErrorContext, ProvideErrorMetadata},
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::aws::retries;
use crate::{config::ConfigError, domain::Timestamp, ports::Clock};

/// The least time between two refreshes.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);

/// One attempt, and all of them: a start that waits longer fails better early than late.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the secret is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager cannot be reached or does not answer in time: trying again may help.
    #[error("Secrets Manager is unavailable")]
    Unavailable,
    /// There is no such secret, it may not be read, or it is not a JSON object of strings: an operator has to act.
    #[error(transparent)]
    Wrong(#[from] ConfigError),
}

/// The secret's keys and values.
pub type Secret = BTreeMap<String, String>;

/// Reads the secret, and keeps it.
pub struct SecretSource {
    client: Client,
    id: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    secret: Option<Secret>,
    refreshed_at: Option<Timestamp>,
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSource").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SecretSource {
    /// The secret named `id` (`SECRET_ID`): a name or an ARN.
    pub fn new(client: Client, id: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self { client, id: id.into(), clock, state: Mutex::default() }
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
        let secret = self.fetch().await?;
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
        let secret = self.fetch().await?;
        if state.secret.as_ref() == Some(&secret) {
            return Ok(None);
        }
        state.secret = Some(secret.clone());
        Ok(Some(secret))
    }

    async fn fetch(&self) -> Result<Secret, SecretError> {
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(TOTAL_TIMEOUT).build();
        let patience = Config::builder().timeout_config(timeouts).retry_config(retries(2));
        let request = self.client.get_secret_value().secret_id(&self.id);
        let answer = request.customize().config_override(patience).send().await.map_err(|error| {
            tracing::error!(error = %DisplayErrorContext(&error), "the secret cannot be read");
            match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                Some("ResourceNotFoundException") => wrong("Secrets Manager has no such secret"),
                Some("AccessDeniedException") => wrong("this function may not read the secret"),
                Some("DecryptionFailure") => wrong("the secret cannot be decrypted: its key is disabled or may not be used"),
                Some("InvalidRequestException" | "InvalidParameterException" | "ValidationException") => {
                    wrong("the secret is marked for deletion, or this is no name of a secret")
                }
                _ => SecretError::Unavailable,
            }
        })?;
        parse(answer.secret_string().ok_or_else(|| wrong("the secret is binary; it must be a JSON object"))?)
    }
}

/// The secret's keys and values. An error names a key at most, never a value.
fn parse(text: &str) -> Result<Secret, SecretError> {
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return Err(wrong("the secret must be a JSON object"));
    };
    let entry = |(key, value)| match value {
        Value::String(value) => Ok((key, value)),
        _ => Err(wrong(format_args!("in the secret, the value of {key:?} must be a string"))),
    };
    object.into_iter().map(entry).collect()
}

fn wrong(problem: impl fmt::Display) -> SecretError {
    ConfigError::new("SECRET_ID", problem).into()
}
