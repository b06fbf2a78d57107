//! From start to end: listens, becomes ready once the service has started and the table has answered, and ends when it is asked to,
//! without losing a request.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use two_factor::{
    app::{App, Parts, StartError, judge_settings},
    config::{
        ConfigError, ConfigErrors, Vars,
        settings::{ADMIN_PORT, PORT, Setting},
    },
    observability::metrics::Recorder,
};
use two_factor_aws::personal;

use crate::{
    admin::{Admin, Stage},
    connections::Server,
    endpoints::Endpoints,
    metrics::Prometheus,
    settings::Settings,
};

/// How long the requests that are under way have to end, once no new ones are taken.
const END_WITHIN: Duration = Duration::from_secs(30);

/// How long one question to the table may take while the server is not ready.
const TABLE_PATIENCE: Duration = Duration::from_secs(3);

/// How long the start waits before it tries again what did not work: first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// Why the server does not run: a line for each thing that somebody has to do something about.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Settings are wrong or missing.
    #[error("{0}")]
    Settings(#[from] ConfigErrors),
    /// A port is taken, or may not be used.
    #[error("{setting}: cannot listen on port {port}: {error}")]
    Port {
        /// The setting of the port.
        setting: &'static str,
        /// The port.
        port: u16,
        /// What the system says.
        error: io::Error,
    },
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Settings(error.into())
    }
}

/// A server that listens and has not started yet.
pub struct Listening {
    variables: BTreeMap<String, String>,
    settings: Settings,
    endpoints: Arc<Endpoints>,
    metrics: Arc<Prometheus>,
    admin: Arc<Admin>,
    server: Server,
    admin_server: Server,
}

impl Listening {
    /// Listens on the ports that these variables name. Requests get 503 until [`Listening::run`] has started the service.
    ///
    /// # Errors
    /// With every setting that is wrong, as far as that is known before secrets are read; or when a port is taken.
    pub async fn start(variables: BTreeMap<String, String>) -> Result<Self, Failure> {
        let vars = Vars::new(variables.clone());
        let mut errors = ConfigErrors::default();
        let settings = errors.keep(Settings::from_vars(&vars));
        errors.keep(judge_settings(&vars));
        errors.keep(two_factor_secrets::source(&vars).map(drop));
        let settings = errors.finish(settings)?;
        let endpoints = Arc::new(Endpoints::new(settings.trusted_proxies.clone(), settings.max_in_flight));
        let metrics = Arc::new(Prometheus::default());
        let admin = Arc::new(Admin::new(Arc::clone(&endpoints), Arc::clone(&metrics)));
        let server = listen(&settings, &PORT, settings.port, Arc::clone(&endpoints).router()).await?;
        let admin_server = listen(&settings, &ADMIN_PORT, settings.admin_port, Arc::clone(&admin).router()).await?;
        Ok(Self { variables, settings, endpoints, metrics, admin, server, admin_server })
    }

    /// Where clients call.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where probes and metrics are.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin_server.address()
    }

    /// Starts the service with these parts, in which the server puts credentials and metrics of its own, and serves until it is to stop.
    /// Then it is not ready any more, takes requests for another `DRAIN_SECONDS`, since load balancers go on sending for a while, takes
    /// no more, and waits for those under way. Each message of `stop` asks for that, and so does its end; a second one ends the wait for
    /// load balancers, and there is none where it was not ready yet.
    ///
    /// # Errors
    /// When the secret shows that settings are wrong or missing.
    pub async fn run(self, parts: Parts, mut stop: mpsc::Receiver<()>) -> Result<(), Failure> {
        let was_ready = tokio::select! {
            started = self.become_ready(parts) => started.map(|()| true)?,
            _ = stop.recv() => false,
        };
        if was_ready {
            tracing::info!(address = %self.address(), "ready");
            stop.recv().await;
        }
        self.admin.set(Stage::Stopping);
        self.endpoints.end_connections();
        if was_ready {
            tracing::info!(seconds = self.settings.drain.as_secs(), "stopping: not ready, and taking requests for a while");
            tokio::select! {
                () = sleep(self.settings.drain) => {}
                _ = stop.recv() => {}
            }
        }
        let ended = tokio::time::timeout(END_WITHIN, async {
            self.server.stop(END_WITHIN).await;
            self.endpoints.all_answered().await;
        });
        if ended.await.is_ok() {
            tracing::info!("stopped");
        } else {
            tracing::warn!("stopped before all requests were answered");
        }
        Ok(())
    }

    /// Tries what needs time until it works; what needs somebody is an error.
    async fn become_ready(&self, parts: Parts) -> Result<(), ConfigErrors> {
        let mut pause = FIRST_PAUSE;
        let app = loop {
            let reason = match self.start_app(parts.clone()).await {
                Ok(app) => break app,
                Err(NotStarted::ForGood(errors)) => return Err(errors),
                Err(NotStarted::Yet(reason)) => reason,
            };
            self.wait(reason, &mut pause).await;
        };
        let app = Arc::new(app);
        self.endpoints.open(Arc::clone(&app));
        let unanswered = "the table has not answered yet";
        self.admin.set(Stage::Starting(unanswered.to_owned()));
        pause = FIRST_PAUSE;
        while app.check_storage(TABLE_PATIENCE).await.is_err() {
            self.wait(unanswered.to_owned(), &mut pause).await;
        }
        self.admin.set(Stage::Ready);
        Ok(())
    }

    async fn wait(&self, reason: String, pause: &mut Duration) {
        tracing::warn!(seconds = pause.as_secs_f64(), "not ready: {reason}; trying again");
        self.admin.set(Stage::Starting(reason));
        sleep(*pause).await;
        *pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }

    async fn start_app(&self, mut parts: Parts) -> Result<App, NotStarted> {
        let (aws, missing) = personal(&self.variables).await?;
        if let Some(missing) = missing {
            return Err(NotStarted::Yet(missing.to_string()));
        }
        let mut variables = self.variables.clone();
        variables.extend(aws.variables);
        parts.credentials = aws.credentials;
        parts.secret = two_factor_secrets::source(&Vars::new(variables.clone()))?;
        parts.metrics = Some(Arc::clone(&self.metrics) as Arc<dyn Recorder>);
        App::start_with(Vars::new(variables), parts).await.map_err(|error| match error {
            StartError::Config(errors) => NotStarted::ForGood(errors),
            StartError::SecretUnavailable { .. } => NotStarted::Yet(error.to_string()),
        })
    }
}

/// Why the service has not started.
enum NotStarted {
    /// Trying again may help.
    Yet(String),
    /// It does not.
    ForGood(ConfigErrors),
}

impl From<ConfigError> for NotStarted {
    fn from(error: ConfigError) -> Self {
        Self::ForGood(error.into())
    }
}

async fn listen(settings: &Settings, setting: &Setting, port: u16, router: axum::Router) -> Result<Server, Failure> {
    let failed = |error| Failure::Port { setting: setting.name, port, error };
    Server::start(settings.listen(port).await.map_err(failed)?, router).map_err(failed)
}
