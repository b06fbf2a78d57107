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
        Vars,
        auth::takes_token_secret,
        settings::{AUTH_JWT_SECRET, SECRET_ID, Setting, TOKEN_SECRET_ID},
    },
    ports::{Clock, SecretError},
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

/// Reads every secret that the settings name; the one that wins over the others last.
pub(crate) async fn read(vars: &Vars, aws: &Aws, clock: &Arc<dyn Clock>) -> Vec<ReadSecret> {
    let source = |id: &str| Arc::new(SecretsManagerSource::new(Client::new(aws.config()), id));
    let mut read = Vec::new();
    if let Some(id) = SECRET_ID.get(vars) {
        let found = CachedSecret::new(source(id), Arc::clone(clock)).load().await;
        read.push(ReadSecret { setting: SECRET_ID, id: id.to_owned(), output: "SecretArn", found });
    }
    if let Some(id) = TOKEN_SECRET_ID.get(vars).filter(|_| takes_token_secret(vars)) {
        let found = read_plain(&*source(id)).await;
        let found = found.map(|text| Secret::from([(AUTH_JWT_SECRET.name.to_owned(), text.expose_secret().to_owned())]));
        read.push(ReadSecret { setting: TOKEN_SECRET_ID, id: id.to_owned(), output: "TokenSecretArn", found });
    }
    read
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
