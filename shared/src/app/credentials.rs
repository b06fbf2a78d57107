//! Credentials: those that AWS takes, and the SMS providers' own, which may be rotated while the process runs.

use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;

use crate::{
    adapters::{
        aws::Aws,
        secrets::CachedSecret,
        sms::{BoxFuture, CredentialSource},
    },
    config::{ConfigError, SmsConfig, Vars},
};

/// Where the credentials for AWS come from.
#[derive(Clone, Debug, Default)]
pub enum AwsCredentials {
    /// The variables that Lambda sets, which hold as long as the process lives.
    #[default]
    Environment,
    /// A source of the host's own, such as one that refreshes them. It is asked whenever a request is signed.
    Provided(SharedCredentialsProvider),
}

impl AwsCredentials {
    /// The base of the AWS clients, with these credentials.
    ///
    /// # Errors
    /// When the region or a variable of the credentials is missing, or a file of certificates is of no use.
    pub fn open(self, vars: &Vars) -> Result<Aws, ConfigError> {
        match self {
            Self::Environment => Aws::from_environment(vars),
            Self::Provided(provider) => Aws::with_credentials(vars, provider),
        }
    }
}

/// The providers' credentials, read anew from the secret when a provider refuses one of them.
pub(super) struct ProviderCredentials {
    pub(super) vars: Vars,
    pub(super) secret: Option<Arc<CachedSecret>>,
}

impl CredentialSource for ProviderCredentials {
    fn reload(&self) -> BoxFuture<'_, Option<SmsConfig>> {
        Box::pin(async {
            let secret = self.secret.as_ref()?.refresh().await.ok()??;
            let config = SmsConfig::from_vars(&self.vars.clone().with_secret(secret));
            config
                .inspect_err(|error| tracing::error!(%error, "the changed secret has wrong settings; those before stay in use"))
                .ok()
        })
    }
}
