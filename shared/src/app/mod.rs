//! The composition root: the one file that knows every part, and puts the service together in the init phase.

use std::{process::ExitCode, sync::Arc, time::Duration};

use aws_sdk_secretsmanager::Client as SecretsManager;
use futures_util::future::join;
use tokio::sync::OnceCell;

use crate::{
    adapters::{
        aws::{Aws, AwsService},
        dynamodb::{self, DynamoStore},
        http as http_client,
        jwks::JwksKeys,
        secrets::{SecretError, SecretSource},
        sms::{BoxFuture, CredentialSource, Failover, FailoverSettings, Transports, prices},
        system::{SystemClock, SystemRandom},
    },
    api::{
        Authenticator, gateway_event,
        problem::Problem,
        request::Request,
        response::{self, Response},
    },
    config::{Config, ConfigError, Environment, SmsConfig, Vars, sms::ProviderConfig},
    domain::{AllowedCountries, PhoneNumber, Timestamp, UserId},
    observability::{
        log,
        metrics::{Metrics, RequestMetrics},
    },
    ports::{Clock, Random},
    use_cases::{Caller, Failure, Granted, RequestStats, Service},
};

/// The most time that a start spends on opening connections that its first request will use.
const CONNECTING: Duration = Duration::from_millis(1500);

/// The most time that a send may take over all providers, so that a function of 28 seconds still stores what became of it, even
/// where storage takes all the time that it is given.
const SENDING: Duration = Duration::from_secs(10);

/// Where time and randomness come from. Tests bring their own clock.
#[derive(Clone)]
pub struct Parts {
    /// Says what time it is.
    pub clock: Arc<dyn Clock>,
    /// Draws codes.
    pub random: Arc<dyn Random>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }
}

/// Why the service does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The secret cannot be read now; trying again may help.
    #[error("SECRET_ID: Secrets Manager is unavailable")]
    SecretUnavailable,
}

impl From<SecretError> for StartError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Wrong(error) => Self::Config(error),
            SecretError::Unavailable => Self::SecretUnavailable,
        }
    }
}

/// The service with the parts that it has in production.
pub type TwoFactor = Service<DynamoStore, Failover<Arc<dyn Clock>>>;

/// The service, ready to answer.
pub struct App {
    /// What can be done.
    pub service: TwoFactor,
    /// Where numbers may be enrolled.
    pub allowed_countries: AllowedCountries,
    authenticator: Authenticator<JwksKeys>,
    metrics: Option<Metrics>,
}

impl App {
    /// Reads the settings and the secret, and opens the connections that requests will use.
    ///
    /// # Errors
    /// When a setting is missing or wrong, or the secret cannot be read.
    pub async fn start(vars: Vars) -> Result<Self, StartError> {
        Self::start_with(vars, Parts::default()).await
    }

    /// The same with other sources of time and randomness.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(vars: Vars, parts: Parts) -> Result<Self, StartError> {
        let Parts { clock, random } = parts;
        let aws = Aws::from_environment(&vars)?;
        let http = http_client::public_client(&vars)?;
        let secret = vars.get("SECRET_ID").map(|id| {
            let client = SecretsManager::new(aws.config());
            Arc::new(SecretSource::new(client, id, Arc::clone(&clock)))
        });
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

        let metrics = Metrics::from_vars(&vars, |country, provider| Some(prices::estimate(country, provider)?.0));
        let transports = Transports { http, aws: aws.config().clone() };
        let credentials = Arc::new(Credentials { vars, secret });
        let settings = FailoverSettings::new(SENDING, development);
        let sms = Failover::new(&sms_config, transports, credentials, Arc::clone(&clock), settings);
        let store = DynamoStore::new(dynamodb::client(aws.config()), app.table_name, app.pepper.clone());
        let service = Service { store, sms, clock, random, pepper: app.pepper, policy, template: app.messages };
        Ok(Self { service, authenticator, allowed_countries: app.allowed_countries, metrics })
    }

    /// Begins to answer `request` for the function of this name.
    pub fn exchange<'a>(&'a self, function: &'static str, request: &'a Request) -> Exchange<'a> {
        let started = self.service.clock.now();
        Exchange { app: self, function, request, started, user: None, stats: RequestStats::default() }
    }
}

async fn with_secret(vars: Vars, secret: Option<&SecretSource>) -> Result<Vars, StartError> {
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

/// The providers' credentials, read anew from the secret when one of them is not taken any more.
struct Credentials {
    vars: Vars,
    secret: Option<Arc<SecretSource>>,
}

impl CredentialSource for Credentials {
    fn reload(&self) -> BoxFuture<'_, Option<SmsConfig>> {
        Box::pin(async {
            let secret = self.secret.as_ref()?.refresh().await.ok()??;
            let config = SmsConfig::from_vars(&self.vars.clone().with_secret(secret));
            config
                .inspect_err(|error| tracing::error!(%error, "the secret was changed to something that is no configuration"))
                .ok()
        })
    }
}

/// One request and the answer to it.
pub struct Exchange<'a> {
    /// The request.
    pub request: &'a Request,
    app: &'a App,
    function: &'static str,
    started: Timestamp,
    user: Option<UserId>,
    /// What the request does, for its log line and its metrics.
    stats: RequestStats,
}

impl<'a> Exchange<'a> {
    /// Who asks.
    ///
    /// # Errors
    /// When the request has no credentials, or bad ones, or that cannot be told.
    pub async fn authenticate(&mut self) -> Result<Caller, Problem> {
        let user = self.app.authenticator.authenticate(self.request).await.map_err(|error| {
            tracing::info!(request_id = self.request.id(), %error, "the caller is not known");
            Problem::from(&error)
        })?;
        self.user = Some(user.clone());
        Ok(Caller { user, origin: self.request.origin() })
    }

    /// The phone number that this text stands for, if it may be enrolled.
    ///
    /// # Errors
    /// When it is none, or may not.
    pub fn phone_number(&self, text: &str) -> Result<PhoneNumber, Problem> {
        Ok(PhoneNumber::parse(text, &self.app.allowed_countries)?)
    }

    /// What can be done, and the stats to do it with.
    pub fn service(&mut self) -> (&'a TwoFactor, &mut RequestStats) {
        (&self.app.service, &mut self.stats)
    }

    /// The answer to a command.
    ///
    /// # Errors
    /// When it was not granted.
    pub fn answer(&self, result: Result<Granted, Failure>) -> Result<Response, Problem> {
        result.map(|granted| response::granted(&granted, self.request.id())).map_err(|failure| self.problem(failure))
    }

    /// The problem that a failure is to the client.
    pub fn problem(&self, failure: Failure) -> Problem {
        Problem::from_failure(failure, &self.app.service.policy)
    }

    /// Ends the exchange: logs it, once, and hands out the answer.
    pub fn end(self, result: Result<Response, Problem>) -> Response {
        let outcome = result.as_ref().err().map_or("success", Problem::code);
        let response = result.unwrap_or_else(|problem| problem.into_response(self.request.id()));
        let at = self.app.service.clock.now();
        let total = at.since(self.started);
        if let Some(metrics) = &self.app.metrics {
            metrics.emit(&RequestMetrics { function: self.function, total, stats: &self.stats, at });
        }
        log::log_request(&log::RequestSummary {
            request_id: self.request.id(),
            user: self.user.as_ref(),
            function: self.function,
            method: &self.request.method,
            outcome,
            status: response.status(),
            total,
            store: self.stats.store_time,
            sms: self.stats.sms_time,
        });
        response
    }
}

/// Loads the data that phone numbers are judged by, for the function that parses them: in the init phase, where CPU is cheap,
/// rather than while the first number waits.
pub fn prepare_phone_numbers() {
    PhoneNumber::warm_up();
}

/// Runs one function on Lambda until its environment ends: starts the service in the init phase and answers invocations with
/// `handle`. A wrong setting ends the process with a message that names it. A secret that cannot be read does not: invocations
/// are answered with 503 until it can be (S21).
pub async fn run(handle: impl AsyncFn(&App, Request) -> Response) -> ExitCode {
    let vars = Vars::from_process();
    let mut started = log::start(&vars).map_err(StartError::from);
    let app = OnceCell::new();
    let start = || Box::pin(App::start(vars.clone()));
    if started.is_ok() {
        started = app.get_or_try_init(start).await.map(|_| ());
    }
    if let Err(error @ StartError::Config(_)) = started {
        tracing::error!("{error}");
        return ExitCode::FAILURE;
    }
    let answer = async |request: Request| match app.get_or_try_init(start).await {
        // Boxed, so that what a request needs is not part of the future that the process starts with.
        Ok(app) => Box::pin(handle(app, request)).await,
        Err(error) => {
            tracing::error!(request_id = request.id(), "{error}");
            Problem::Unavailable.into_response(request.id())
        }
    };
    match gateway_event::run(answer).await {
        Ok(()) => ExitCode::SUCCESS,
        // SAM ends its emulator after each invocation, or with `start-api`, and the emulator takes the runtime API along. Lambda
        // never does that: it freezes the process and kills it.
        Err(error) if vars.get("AWS_SAM_LOCAL").is_some() => {
            tracing::info!(%error, "the emulator has ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(%error, "the runtime API cannot be reached");
            ExitCode::FAILURE
        }
    }
}
