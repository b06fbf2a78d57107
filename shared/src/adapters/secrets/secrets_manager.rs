//! A secret in AWS Secrets Manager.

use std::time::Duration;

use aws_sdk_secretsmanager::{
    Client,
    config::{Config, timeout::TimeoutConfig},
    error::{DisplayErrorContext, ProvideErrorMetadata},
};
use secrecy::SecretString;

use crate::{
    adapters::aws::retries,
    ports::{BoxFuture, SecretError, SecretErrorKind, SecretSource},
};

/// One attempt, and all of them: a start that waits longer fails better early than late.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The secret of one name.
#[derive(Debug)]
pub struct SecretsManagerSource {
    client: Client,
    id: String,
}

impl SecretsManagerSource {
    /// The secret with this name or ARN.
    pub fn new(client: Client, id: impl Into<String>) -> Self {
        Self { client, id: id.into() }
    }

    async fn get(&self) -> Result<SecretString, SecretError> {
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(TOTAL_TIMEOUT).build();
        let time_limits = Config::builder().timeout_config(timeouts).retry_config(retries(2));
        let request = self.client.get_secret_value().secret_id(&self.id);
        let answer = request.customize().config_override(time_limits).send().await.map_err(|error| {
            tracing::error!(error = %DisplayErrorContext(&error), secret = self.id, "the secret cannot be read");
            let refusal = error.as_service_error().map(ProvideErrorMetadata::meta);
            self.error(refusal.and_then(|refusal| refusal.code()), refusal.and_then(|refusal| refusal.message()))
        })?;
        let binary = || SecretError {
            secret: self.id.clone(),
            kind: SecretErrorKind::Malformed,
            problem: "is binary".into(),
            remedy: "store it as text, a JSON object of strings".into(),
        };
        answer.secret_string.map(SecretString::from).ok_or_else(binary)
    }

    /// What the service's code for an error means; `None` if it gave none. Where one code has several causes, its message tells.
    fn error(&self, code: Option<&str>, message: Option<&str>) -> SecretError {
        let says = |part| message.is_some_and(|message| message.contains(part));
        let (kind, problem, remedy) = match code {
            Some("ResourceNotFoundException") if says("staging label") => (
                SecretErrorKind::NotFound,
                "has no current value",
                "put one into it, as the template does: a JSON object of strings, or the token secret alone",
            ),
            Some("ResourceNotFoundException") => (
                SecretErrorKind::NotFound,
                "is not in Secrets Manager",
                "compare the name with the one in the console, and AWS_REGION with the secret's region",
            ),
            Some("InvalidRequestException") => (
                SecretErrorKind::NotFound,
                "is marked for deletion",
                "take the mark off with `aws secretsmanager restore-secret --secret-id …`, before its days are over",
            ),
            Some("InvalidParameterException" | "ValidationException") => {
                (SecretErrorKind::NotFound, "is no name that a secret can have", "correct the name")
            }
            Some("DecryptionFailure" | "AccessDeniedException") if code == Some("DecryptionFailure") || says("KMS") => (
                SecretErrorKind::NotPermitted,
                "cannot be decrypted",
                "enable its KMS key, and allow kms:Decrypt with it to the role in use",
            ),
            Some("AccessDeniedException") => {
                (SecretErrorKind::NotPermitted, "may not be read", "allow secretsmanager:GetSecretValue on it to the role in use")
            }
            Some(
                "ExpiredTokenException"
                | "ExpiredToken"
                | "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "InvalidSignatureException"
                | "IncompleteSignature"
                | "MissingAuthenticationToken",
            ) => (
                SecretErrorKind::NotPermitted,
                "is not shown to these AWS credentials, which are wrong or have expired",
                "renew them (`aws sso login`), and see that the clock of this machine is right",
            ),
            _ => (
                SecretErrorKind::Unavailable,
                "cannot be read now, since Secrets Manager does not answer",
                "look at AWS_REGION, the credentials and the network; the log has the answer",
            ),
        };
        SecretError { secret: self.id.clone(), kind, problem: problem.into(), remedy: remedy.into() }
    }
}

impl SecretSource for SecretsManagerSource {
    fn name(&self) -> &str {
        &self.id
    }

    fn read(&self) -> BoxFuture<'_, Result<SecretString, SecretError>> {
        Box::pin(self.get())
    }
}
