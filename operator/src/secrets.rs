//! The secrets of the deployment, read as the service reads them.

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use secrecy::ExposeSecret as _;
use two_factor::{
    adapters::{
        aws::Aws,
        secrets::{CachedSecret, Secret, SecretsManagerSource, read_plain},
    },
    config::{
        ConfigError, Vars,
        auth::takes_token_secret,
        secret_id::SecretId,
        settings::{AUTH_JWT_SECRET, SECRET_ID, Setting, TOKEN_SECRET_ID},
    },
    ports::{Clock, SecretError, SecretSource},
};

/// One secret, and what came of reading it.
pub(crate) struct ReadSecret {
    /// The setting that names it.
    pub(crate) setting: Setting,
    /// Its name.
    pub(crate) id: String,
    /// The output of the stack that is its name.
    pub(crate) output: &'static str,
    /// The settings in it.
    pub(crate) found: Result<Secret, SecretError>,
}

/// Reads every secret that the settings name; the one that wins over the others last. `None` where one of them is in AWS, and there is
/// no way there.
///
/// # Errors
/// When a name has none of the forms that it may have.
pub(crate) async fn read(vars: &Vars, aws: Option<&Aws>, clock: &Arc<dyn Clock>) -> Result<Option<Vec<ReadSecret>>, ConfigError> {
    SecretId::must_be_in_secrets_manager(&TOKEN_SECRET_ID, vars)?;
    let in_aws = |id: &str| {
        let source = aws.map(|aws| SecretsManagerSource::new(Client::new(aws.config()), id));
        source.map(|source| Arc::new(source) as Arc<dyn SecretSource>)
    };
    let mut read = Vec::new();
    if let Some(id) = SECRET_ID.get(vars) {
        let Some(source) = two_factor_secrets::source(vars)?.or_else(|| in_aws(id)) else { return Ok(None) };
        let found = CachedSecret::new(source, Arc::clone(clock)).load().await;
        read.push(ReadSecret { setting: SECRET_ID, id: id.to_owned(), output: "SecretArn", found });
    }
    if let Some(id) = TOKEN_SECRET_ID.get(vars).filter(|_| takes_token_secret(vars)) {
        let Some(source) = in_aws(id) else { return Ok(None) };
        let found = read_plain(&*source).await;
        let found = found.map(|text| Secret::from([(AUTH_JWT_SECRET.name.to_owned(), text.expose_secret().to_owned())]));
        read.push(ReadSecret { setting: TOKEN_SECRET_ID, id: id.to_owned(), output: "TokenSecretArn", found });
    }
    Ok(Some(read))
}

/// Whether the settings name any secret that is read.
pub(crate) fn are_named(vars: &Vars) -> bool {
    SECRET_ID.get(vars).is_some() || takes_token_secret(vars) && TOKEN_SECRET_ID.get(vars).is_some()
}

/// The settings with all that was read behind the environment.
pub(crate) fn behind(vars: Vars, read: &[ReadSecret]) -> Vars {
    let found = read.iter().filter_map(|secret| secret.found.as_ref().ok());
    vars.with_secret(found.flatten().map(|(key, value)| (key.clone(), value.clone())))
}
