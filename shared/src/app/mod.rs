//! The composition root: the one file that knows every part, and puts the service together in the init phase.

mod credentials;
mod exchange;
mod lambda;

use std::{sync::Arc, time::Duration};

use aws_sdk_secretsmanager::Client as SecretsManager;
use futures_util::future::join;
use secrecy::ExposeSecret;

pub use credentials::AwsCredentials;
pub use exchange::Exchange;
pub use lambda::{prepare_phone_numbers, run};

use crate::{
    adapters::{
        assertion_keys::AssertionKeys,
        aws::{Aws, AwsService},
        dynamodb::{self, DynamoStore},
        http as http_client,
        jwks::JwksKeys,
        secrets::{CachedSecret, Secret, SecretsManagerSource, read_plain},
        sms::{Failover, FailoverSettings, Transports},
        system::{SystemClock, SystemRandom},
    },
    api::Authenticator,
    config::{
        Config, ConfigError, ConfigErrors, Environment, SmsConfig, Vars,
        auth::takes_token_secret,
        secret_id::SecretId,
        settings::{ALL, AUTH_JWT_SECRET, SECRET_ID, Setting, TOKEN_SECRET_ID},
        sms::ProviderConfig,
        test_numbers::judge_end,
        unread::unread_names,
    },
    domain::{Provider, price},
    observability::{
        Observer, log,
        metrics::{self, CloudWatch, Metrics, Recorder},
    },
    ports::{Clock, Random, SecretError, SecretErrorKind, SecretSource},
    use_cases::{Rules, Service},
};
use credentials::ProviderCredentials;

/// How long a start waits for the connections that its first request will use.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long a request may take where the host says nothing: a function's 28 seconds (`Timeout` in template.yaml) less one (S25).
const REQUEST_TIME: Duration = Duration::from_secs(27);

/// What the service is given by its host: Lambda, another server, or a test that brings its own clock.
#[derive(Clone)]
pub struct Parts {
    /// Says what time it is.
    pub clock: Arc<dyn Clock>,
    /// Says what time it is for tokens, which others make: a clock that is moved does not make them too old.
    pub token_clock: Arc<dyn Clock>,
    /// Draws codes.
    pub random: Arc<dyn Random>,
    /// The credentials of calls to AWS.
    pub credentials: AwsCredentials,
    /// The store of the secret, where `SECRET_ID` names one outside Secrets Manager; `None` for Secrets Manager, or for no secret where
    /// that is unset.
    pub secret: Option<Arc<dyn SecretSource>>,
    /// How long a request may take that comes without a deadline of its own.
    pub request_time: Duration,
    /// How long one try of a call to storage may take.
    pub store_try_timeout: Duration,
    /// Where metrics go; `None` for CloudWatch, through standard output, in the namespace of `METRICS_NAMESPACE`, or nowhere where
    /// that is unset.
    pub metrics: Option<Arc<dyn Recorder>>,
    /// Who sees each request as it ends; mostly nobody.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            token_clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            credentials: AwsCredentials::default(),
            secret: None,
            request_time: REQUEST_TIME,
            store_try_timeout: dynamodb::TRY_TIMEOUT,
            metrics: None,
            observer: None,
        }
    }
}

/// Why the service does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Settings are missing or wrong: a line for each.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The store of a secret does not answer: trying again may help, without anybody changing a setting.
    #[error("{variable}: {error}")]
    SecretUnavailable {
        /// The setting that names it.
        variable: &'static str,
        /// What is wrong with it.
        error: SecretError,
    },
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.into())
    }
}

impl StartError {
    /// Whether trying again may help, without anybody changing a setting.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::SecretUnavailable { .. })
    }
}

/// Sends text messages through the configured providers.
pub type Sender = Failover<Arc<dyn Clock>>;

/// The service with the parts that it has in production.
pub type TwoFactor = Service<DynamoStore, Sender>;

/// The service, ready to answer.
pub struct App {
    /// The use cases.
    pub service: TwoFactor,
    /// The configured providers, in the order in which they are asked.
    pub providers: Vec<Provider>,
    environment: Environment,
    authenticator: Authenticator<JwksKeys>,
    assertion_keys: Option<AssertionKeys>,
    metrics: Option<Metrics>,
    observer: Option<Arc<dyn Observer>>,
    request_time: Duration,
}

impl App {
    /// Reads the settings and the secret, and opens the connections that requests will use.
    ///
    /// # Errors
    /// With every setting that is missing or wrong; or when the secret cannot be used.
    pub async fn start(vars: Vars) -> Result<Self, StartError> {
        Self::start_with(vars, Parts::default()).await
    }

    /// The same with parts that another host brings.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(vars: Vars, parts: Parts) -> Result<Self, StartError> {
        let Parts { clock, token_clock, random, credentials, secret, request_time, store_try_timeout, metrics, observer } = parts;
        let (aws, http) = open_clients(&vars, credentials, secret.is_some())?;
        let in_secrets_manager = |setting: &Setting| {
            let source = SecretsManagerSource::new(SecretsManager::new(aws.config()), setting.get(&vars)?);
            Some(Arc::new(source) as Arc<dyn SecretSource>)
        };
        let secret = secret.or_else(|| in_secrets_manager(&SECRET_ID));
        let secret = secret.map(|source| Arc::new(CachedSecret::new(source, Arc::clone(&clock))));
        let token_secret = takes_token_secret(&vars).then(|| in_secrets_manager(&TOKEN_SECRET_ID)).flatten();
        // The secrets and the first connection do not wait for each other: where CPU is cheap, in init, the handshakes overlap.
        let secrets = read_secrets(&vars, secret.as_deref(), token_secret.as_deref());
        let (secrets, ()) = join(secrets, aws.open_connections(&[AwsService::DynamoDb], CONNECT_TIMEOUT)).await;
        let vars = vars.with_secret(secrets?);
        warn_of_unread_names(&vars);
        let (Config { app, auth, assertion, policy, test_numbers }, sms_config) = read_settings(&vars)?;
        if let Some(numbers) = &test_numbers {
            judge_end(numbers, clock.now())?;
            let until = numbers.until().to_rfc3339();
            tracing::warn!(
                count = numbers.count(),
                until,
                "numbers for tests are set: their codes are given, and no message leaves"
            );
        }
        let assertion_keys = assertion.as_ref().map(AssertionKeys::new).transpose()?;
        let development = app.environment == Environment::Development;
        if sms_config.providers.is_empty() {
            let consequence = if development { "codes are shown in answers" } else { "no code can be sent" };
            tracing::warn!("SMS is not configured: {consequence}");
        }
        let keys = |url: &reqwest::Url| JwksKeys::new(http.clone(), url.clone(), Arc::clone(&token_clock));
        let authenticator = Authenticator::new(&auth, keys, Arc::clone(&token_clock));
        join(authenticator.warm_up(), open_provider_connections(&sms_config, &aws, &http)).await;

        let price = |country, provider| price::estimate(country, provider).amount().0;
        let cloud_watch =
            || Some(Arc::new(CloudWatch::from_vars(&vars, Arc::new(metrics::to_standard_output))?) as Arc<dyn Recorder>);
        let recorder = metrics.or_else(cloud_watch);
        let metrics = recorder.map(|recorder| Metrics::new(price, app.allowed_countries.clone(), recorder));
        let transports = Transports { http, aws: aws.sending().clone() };
        let credentials = Arc::new(ProviderCredentials { vars, secret });
        let settings = FailoverSettings::new(development);
        let sms = Failover::new(&sms_config, transports, credentials, Arc::clone(&clock), settings);
        let store = DynamoStore::new(&dynamodb::client(aws.config()), app.table_name, app.pepper.clone());
        let store = store.with_try_timeout(store_try_timeout);
        let rules =
            Rules { pepper: app.pepper, policy, allowed_countries: app.allowed_countries, template: app.messages, test_numbers };
        let service = Service::new(store, sms, clock, random, rules);
        let providers = sms_config.providers.iter().map(ProviderConfig::provider).collect();
        Ok(Self {
            service,
            providers,
            environment: app.environment,
            authenticator,
            assertion_keys,
            metrics,
            observer,
            request_time,
        })
    }
}

/// The clients that the secrets are read with, and `SECRET_ID`'s unless the host has `its_own`. Where there are none, no secret can be
/// read; what else is wrong is told all the same.
fn open_clients(vars: &Vars, credentials: AwsCredentials, its_own: bool) -> Result<(Aws, reqwest::Client), ConfigErrors> {
    let mut errors = ConfigErrors::default();
    for setting in [SECRET_ID, TOKEN_SECRET_ID].iter().filter(|setting| !its_own || **setting != SECRET_ID) {
        errors.keep(SecretId::must_be_in_secrets_manager(setting, vars));
    }
    let aws = errors.keep(credentials.open(vars));
    let http = errors.keep(http_client::public_client(vars));
    if !errors.is_empty() {
        errors.keep(judge_without_secret(vars));
    }
    errors.finish(aws.zip(http))
}

/// What the secrets say, as settings. The secret that is the token secret alone wins over the other one.
async fn read_secrets(
    vars: &Vars,
    secret: Option<&CachedSecret>,
    token_secret: Option<&dyn SecretSource>,
) -> Result<Secret, StartError> {
    let secret = async {
        match secret {
            Some(secret) => secret.load().await.map_err(|error| (SECRET_ID, error)),
            None => Ok(Secret::new()),
        }
    };
    let token_secret = async {
        match token_secret {
            Some(source) => read_plain(source).await.map(Some).map_err(|error| (TOKEN_SECRET_ID, error)),
            None => Ok(None),
        }
    };
    match join(secret, token_secret).await {
        (Ok(mut secret), Ok(token_secret)) => {
            secret.extend(token_secret.map(|text| (AUTH_JWT_SECRET.name.to_owned(), text.expose_secret().to_owned())));
            Ok(secret)
        }
        (secret, token_secret) => Err(without_secrets(vars, [secret.err(), token_secret.err()].into_iter().flatten().collect())),
    }
}

/// Why the service does not start without these secrets. It tries again where nothing but time is needed.
fn without_secrets(vars: &Vars, unusable: Vec<(Setting, SecretError)>) -> StartError {
    let settings = judge_without_secret(vars);
    let needs_time = |(_, error): &(Setting, SecretError)| error.kind == SecretErrorKind::Unavailable;
    let only_time = settings.is_ok() && unusable.iter().all(needs_time);
    let mut errors = ConfigErrors::default();
    for (setting, error) in unusable {
        if only_time {
            return StartError::SecretUnavailable { variable: setting.name, error };
        }
        errors.keep(Err::<(), _>(setting.error(error)));
    }
    errors.keep(settings);
    errors.into()
}

/// Judges the settings as far as that is possible before the secrets are read.
///
/// # Errors
/// With every setting that is wrong; and with what is missing, where there is no secret that could have it. Names that nothing reads are
/// warned of then: what is missing may be misspelled. Where nothing is wrong, the start does that.
pub fn judge_settings(vars: &Vars) -> Result<(), ConfigErrors> {
    let has_secret = SECRET_ID.get(vars).is_some() || TOKEN_SECRET_ID.get(vars).is_some();
    let judged = if has_secret { judge_without_secret(vars) } else { read_settings(vars).map(drop) };
    judged.inspect_err(|_| warn_of_unread_names(vars))
}

fn warn_of_unread_names(vars: &Vars) {
    for unread in unread_names(vars) {
        tracing::warn!("{unread}");
    }
}

/// Judges the settings as far as it can be done without the secret: what may be in there is not missing yet.
fn judge_without_secret(vars: &Vars) -> Result<(), ConfigErrors> {
    let is_known = |error: &ConfigError| {
        let may_be_in_secret = ALL.iter().any(|setting| setting.name == error.variable && setting.may_be_in_secret());
        !may_be_in_secret || vars.get(&error.variable).is_some()
    };
    let mut errors = ConfigErrors::default();
    for error in read_settings(vars).err().into_iter().flatten().filter(is_known) {
        errors.keep(Err::<(), _>(error));
    }
    errors.finish(Some(()))
}

/// Every setting of the service.
///
/// # Errors
/// With every setting that is missing or wrong.
pub fn read_settings(vars: &Vars) -> Result<(Config, SmsConfig), ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let config = errors.keep(Config::from_vars(vars));
    let sms = errors.keep(SmsConfig::from_vars(vars));
    errors.keep(log::judge(vars));
    errors.finish(config.zip(sms))
}

async fn open_provider_connections(config: &SmsConfig, aws: &Aws, http: &reqwest::Client) {
    let (mut services, mut urls) = (Vec::new(), Vec::new());
    // A second provider is asked too seldom to be worth a handshake at every start.
    match config.providers.first() {
        None => {}
        Some(ProviderConfig::Sns(_)) => services.push(AwsService::Sns),
        Some(ProviderConfig::AwsSms(_)) => services.push(AwsService::EndUserMessaging),
        Some(ProviderConfig::Twilio(config)) => urls.push(config.base_url.as_str().to_owned()),
        Some(ProviderConfig::Vonage(config)) => urls.push(config.base_url.as_str().to_owned()),
        Some(ProviderConfig::MessageBird(config)) => urls.push(config.base_url.as_str().to_owned()),
        Some(ProviderConfig::Plivo(config)) => urls.push(config.base_url.as_str().to_owned()),
    }
    join(aws.open_connections(&services, CONNECT_TIMEOUT), http_client::open_connections(http, &urls, CONNECT_TIMEOUT)).await;
}
