//! The composition root: the one file that knows every part, and puts the service together in the init phase.

mod credentials;
mod exchange;
mod lambda;

use std::{sync::Arc, time::Duration};

use aws_sdk_secretsmanager::Client as SecretsManager;
use futures_util::future::join;

pub use credentials::AwsCredentials;
pub use exchange::Exchange;
pub use lambda::{prepare_phone_numbers, run};

use crate::{
    adapters::{
        aws::{Aws, AwsService},
        dynamodb::{self, DynamoStore},
        http as http_client,
        jwks::JwksKeys,
        secrets::{CachedSecret, SecretsManagerSource},
        sms::{Failover, FailoverSettings, Transports},
        system::{SystemClock, SystemRandom},
    },
    api::Authenticator,
    config::{Config, ConfigError, Environment, SmsConfig, Vars, sms::ProviderConfig},
    domain::price,
    observability::metrics::Metrics,
    ports::{Clock, Random, SecretError, SecretErrorKind, SecretSource},
    use_cases::{Rules, Service},
};
use credentials::ProviderCredentials;

/// The most time that a start spends on opening connections that its first request will use.
const CONNECTING: Duration = Duration::from_millis(1500);

/// How long a request may take where the host says nothing: a function's 28 seconds (`Timeout` in template.yaml) less one (S25).
const REQUEST_TIME: Duration = Duration::from_secs(27);

/// What the service is given by its host: Lambda, another server, or a test that brings its own clock.
#[derive(Clone)]
pub struct Parts {
    /// Says what time it is.
    pub clock: Arc<dyn Clock>,
    /// Draws codes.
    pub random: Arc<dyn Random>,
    /// Whom AWS takes its calls for.
    pub credentials: AwsCredentials,
    /// Where the secret is; `None` for Secrets Manager, under the name in `SECRET_ID`, or for no secret where that is unset.
    pub secret: Option<Arc<dyn SecretSource>>,
    /// How long a request may take that comes without a deadline of its own.
    pub request_time: Duration,
    /// How long one try of a call to storage may take.
    pub store_try_timeout: Duration,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            credentials: AwsCredentials::default(),
            secret: None,
            request_time: REQUEST_TIME,
            store_try_timeout: dynamodb::TRY_TIMEOUT,
        }
    }
}

/// Why the service does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The secret cannot be used.
    #[error("SECRET_ID: {0}")]
    Secret(#[from] SecretError),
}

impl StartError {
    /// Whether trying again may help, without anybody changing a setting.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Secret(error) if error.kind == SecretErrorKind::Unavailable)
    }
}

/// Sends text messages through the configured providers.
pub type Sender = Failover<Arc<dyn Clock>>;

/// The service with the parts that it has in production.
pub type TwoFactor = Service<DynamoStore, Sender>;

/// The service, ready to answer.
pub struct App {
    /// What can be done.
    pub service: TwoFactor,
    authenticator: Authenticator<JwksKeys>,
    metrics: Option<Metrics>,
    request_time: Duration,
}

impl App {
    /// Reads the settings and the secret, and opens the connections that requests will use.
    ///
    /// # Errors
    /// When a setting is missing or wrong, or the secret cannot be read.
    pub async fn start(vars: Vars) -> Result<Self, StartError> {
        Self::start_with(vars, Parts::default()).await
    }

    /// The same with parts that another host brings.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(vars: Vars, parts: Parts) -> Result<Self, StartError> {
        let Parts { clock, random, credentials, secret, request_time, store_try_timeout } = parts;
        let aws = credentials.open(&vars)?;
        let http = http_client::public_client(&vars)?;
        let in_secrets_manager = || {
            let source = SecretsManagerSource::new(SecretsManager::new(aws.config()), vars.get("SECRET_ID")?);
            Some(Arc::new(source) as Arc<dyn SecretSource>)
        };
        let secret = secret.or_else(in_secrets_manager).map(|source| Arc::new(CachedSecret::new(source, Arc::clone(&clock))));
        // The secret and the first connection do not wait for each other: where CPU is cheap, in init, both handshakes overlap.
        let (vars, ()) =
            join(with_secret(vars, secret.as_deref()), aws.open_connections(&[AwsService::DynamoDb], CONNECTING)).await;
        let vars = vars?;

        let Config { app, auth, policy } = Config::from_vars(&vars)?;
        let sms_config = SmsConfig::from_vars(&vars)?;
        let development = app.environment == Environment::Development;
        if sms_config.providers.is_empty() {
            let consequence = if development { "codes are shown in answers" } else { "no code can be sent" };
            tracing::warn!("SMS is not configured: {consequence}");
        }
        let keys = |url: &reqwest::Url| JwksKeys::new(http.clone(), url.clone(), Arc::clone(&clock));
        let authenticator = Authenticator::new(&auth, keys, Arc::clone(&clock));
        join(authenticator.warm_up(), open_provider_connections(&sms_config, &aws, &http)).await;

        let metrics = Metrics::from_vars(&vars, |country, provider| price::estimate(country, provider).amount().0);
        let transports = Transports { http, aws: aws.sending().clone() };
        let credentials = Arc::new(ProviderCredentials { vars, secret });
        let settings = FailoverSettings::new(development);
        let sms = Failover::new(&sms_config, transports, credentials, Arc::clone(&clock), settings);
        let store = DynamoStore::new(&dynamodb::client(aws.config()), app.table_name, app.pepper.clone());
        let store = store.with_try_timeout(store_try_timeout);
        let rules = Rules { pepper: app.pepper, policy, allowed_countries: app.allowed_countries, template: app.messages };
        let service = Service::new(store, sms, clock, random, rules);
        Ok(Self { service, authenticator, metrics, request_time })
    }
}

async fn with_secret(vars: Vars, secret: Option<&CachedSecret>) -> Result<Vars, StartError> {
    match secret {
        Some(secret) => Ok(vars.with_secret(secret.load().await?)),
        None => Ok(vars),
    }
}

async fn open_provider_connections(config: &SmsConfig, aws: &Aws, http: &reqwest::Client) {
    let (mut services, mut urls) = (Vec::new(), Vec::new());
    // Whoever is asked second is asked too seldom to be worth a handshake at every start.
    match config.providers.first() {
        None => {}
        Some(ProviderConfig::Sns(_)) => services.push(AwsService::Sns),
        Some(ProviderConfig::AwsSms(_)) => services.push(AwsService::EndUserMessaging),
        Some(ProviderConfig::Twilio(config)) => urls.push(config.base_url.as_str().to_owned()),
        Some(ProviderConfig::Vonage(config)) => urls.push(config.base_url.as_str().to_owned()),
        Some(ProviderConfig::MessageBird(config)) => urls.push(config.base_url.as_str().to_owned()),
        Some(ProviderConfig::Plivo(config)) => urls.push(config.base_url.as_str().to_owned()),
    }
    join(aws.open_connections(&services, CONNECTING), http_client::open_connections(http, &urls, CONNECTING)).await;
}
