//! Region, credentials and endpoints as every AWS tool takes them where a person runs it: from the environment, or else from the
//! profile in use, single sign-on and roles included.
//!
//! No function depends on this package: Lambda gives them all of it in the environment
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>).

use std::{collections::BTreeMap, error::Error, path::PathBuf};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::ServiceConfigKey;
use two_factor::{
    adapters::aws::{Aws, AwsService},
    app::AwsCredentials,
    config::{ConfigError, Vars},
};

/// What helps where there are no credentials.
pub const SIGN_IN: &str = "set AWS_PROFILE and sign in (`aws sso login`), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

/// The variable that says where all services are.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// What a person's AWS configuration says beyond the variables.
#[derive(Clone, Debug)]
pub struct PersonalAws {
    /// The credentials. Those of a profile refresh for as long as the person is signed in.
    pub credentials: AwsCredentials,
    /// Region and endpoints of the profile, as the variables that would say the same. None of them was set.
    pub variables: BTreeMap<String, String>,
    /// The name of the profile, for messages; `None` where the variables hold the credentials themselves.
    pub profile: Option<String>,
}

/// There are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no AWS credentials: {reason}; {SIGN_IN}")]
pub struct NoCredentials {
    /// Why.
    pub reason: String,
}

/// What the configuration of the person at this machine says beyond these variables, and why there are no credentials, if so.
///
/// # Errors
/// When a file of certificates is of no use.
pub async fn personal(variables: &BTreeMap<String, String>) -> Result<(PersonalAws, Option<NoCredentials>), ConfigError> {
    let vars = Vars::new(variables.clone());
    let has_keys = vars.get("AWS_ACCESS_KEY_ID").is_some();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client(variables)?)
        .profile_files(profile_files(&vars));
    // aws-config reads the process's environment alone. A file of settings is told to it.
    if let Some(profile) = vars.get("AWS_PROFILE") {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region(&vars) {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if has_keys {
        loader = loader.no_credentials();
    }
    let config = loader.load().await;
    let (credentials, missing) = match config.credentials_provider() {
        None => (AwsCredentials::Environment, None),
        Some(provider) => {
            let missing = provider.provide_credentials().await.err().map(|error| NoCredentials::because(&error));
            (AwsCredentials::Provided(provider), missing)
        }
    };
    let profile = (!has_keys).then(|| vars.get("AWS_PROFILE").unwrap_or("default").to_owned());
    Ok((PersonalAws { credentials, variables: added_variables(&vars, &config), profile }, missing))
}

impl PersonalAws {
    /// The credentials as they are now, as the variables that a program started from here reads. Those that are variables already
    /// are left out.
    ///
    /// # Errors
    /// When there are none.
    pub async fn credentials_as_variables(&self) -> Result<BTreeMap<String, String>, NoCredentials> {
        let AwsCredentials::Provided(provider) = &self.credentials else { return Ok(BTreeMap::new()) };
        let credentials = provider.provide_credentials().await.map_err(|error| NoCredentials::because(&error))?;
        let variables = [
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key()),
            ("AWS_SESSION_TOKEN", credentials.session_token().unwrap_or_default()),
        ];
        Ok(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl NoCredentials {
    /// All that an error says, its causes too, in one line.
    fn because(error: &CredentialsError) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        Self { reason: reason.split_whitespace().collect::<Vec<_>>().join(" ") }
    }
}

fn region(vars: &Vars) -> Option<&str> {
    vars.get("AWS_REGION").or_else(|| vars.get("AWS_DEFAULT_REGION"))
}

/// The HTTP client that the service's own calls to AWS are made with: one TLS stack, which trusts the same certificates.
fn http_client(variables: &BTreeMap<String, String>) -> Result<SharedHttpClient, ConfigError> {
    let mut variables = variables.clone();
    if region(&Vars::new(variables.clone())).is_none() {
        variables.insert("AWS_REGION".to_owned(), "us-east-1".to_owned());
    }
    let nobody = Credentials::new("nobody", "nobody", None, None, "nobody");
    let aws = Aws::with_credentials(&Vars::new(variables), SharedCredentialsProvider::new(nobody))?;
    aws.config().http_client().ok_or_else(|| ConfigError::new("TLS", "has no client"))
}

/// The files that hold profiles: those that the variables name, or else those in the usual places.
fn profile_files(vars: &Vars) -> EnvConfigFiles {
    let named = |variable| vars.get(variable).map(PathBuf::from).filter(|file| file.exists());
    let builder = EnvConfigFiles::builder();
    let builder = match named("AWS_CONFIG_FILE") {
        Some(file) => builder.with_file(EnvConfigFileKind::Config, file),
        None => builder.include_default_config_file(true),
    };
    match named("AWS_SHARED_CREDENTIALS_FILE") {
        Some(file) => builder.with_file(EnvConfigFileKind::Credentials, file),
        None => builder.include_default_credentials_file(true),
    }
    .build()
}

/// What `config` has and the variables do not, as variables. An endpoint for all services that is a variable wins over a profile's
/// endpoint for one (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
fn added_variables(vars: &Vars, config: &SdkConfig) -> BTreeMap<String, String> {
    let mut added = BTreeMap::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|_| vars.get(name).is_none()) {
            added.insert(name.to_owned(), value);
        }
    };
    if region(vars).is_none() {
        add("AWS_REGION", config.region().map(ToString::to_string));
    }
    add("AWS_USE_FIPS_ENDPOINT", config.use_fips().filter(|on| *on).map(|on| on.to_string()));
    add("AWS_USE_DUALSTACK_ENDPOINT", config.use_dual_stack().filter(|on| *on).map(|on| on.to_string()));
    let ignored = vars.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if vars.get(ENDPOINT).is_some() || ignored {
        return added;
    }
    add(ENDPOINT, config.endpoint_url().map(str::to_owned));
    let services = [AwsService::DynamoDb, AwsService::SecretsManager, AwsService::Sns, AwsService::EndUserMessaging];
    for service in services {
        // A profile says `secrets_manager`
        // (<https://docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html>), and aws-runtime looks for `secrets-manager`.
        let id = service.id().replace(' ', "_");
        let key = ServiceConfigKey::builder().env(ENDPOINT).profile("endpoint_url").service_id(&id).build();
        let endpoint = key.ok().and_then(|key| config.service_config()?.load_config(key));
        // What the profile has for all services is no news about this one.
        add(&service.endpoint_variable(), endpoint.filter(|endpoint| Some(endpoint.as_str()) != config.endpoint_url()));
    }
    added
}
