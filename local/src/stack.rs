//! The local stack in one piece: database, inbox, service and server, each started on what the one before it gave.

use std::{io, net::Ipv4Addr, sync::Arc};

use tokio::net::TcpListener;
use two_factor::{
    adapters::dynamodb::{
        client,
        table::{TableError, ensure_table},
    },
    app::{App, Parts, StartError, judge_settings},
    config::{Config, ConfigError, ConfigErrors, Environment},
    domain::Provider,
};

use two_factor_aws::NoCredentials;
use two_factor_server::settings::refuse_gateway_mode;

use crate::{
    assertion_key,
    aws::sign_in,
    clock::MovableClock,
    database::{EmbeddedDatabase, sdk_config},
    server::{LocalServer, Options},
    settings::Settings,
    sms_inbox::{ReceivedMessage, SmsInbox},
};

/// Why the stack does not run. One line for a person, who can do something about it.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A setting is wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// Settings of the service are wrong: a line for each.
    #[error("{0}")]
    Settings(#[from] ConfigErrors),
    /// AWS is used, and there are no credentials for it.
    #[error("{0}")]
    Aws(NoCredentials),
    /// The port is taken, or may not be used.
    #[error("PORT: cannot listen on port {port}: {error}")]
    Port {
        /// The port of the setting.
        port: u16,
        /// What the system says.
        error: io::Error,
    },
    /// The database does not start: its folder, its address or its port cannot be used.
    #[error("DATA_DIR, DATABASE_BIND or DATABASE_PORT: {0}")]
    Database(io::Error),
    /// The table cannot be made.
    #[error("TABLE_NAME: {0}")]
    Table(TableError),
    /// The inbox does not start.
    #[error("SMS_INBOX: cannot listen on this machine: {0}")]
    Inbox(io::Error),
    /// The service does not start.
    #[error("{0}")]
    App(#[from] StartError),
}

/// The running stack. It stops when it is dropped.
#[derive(Debug)]
pub struct Stack {
    /// The three functions behind one port.
    pub server: LocalServer,
    /// Where its text messages go.
    pub messages: Messages,
    /// The embedded database; `None` if the settings name another one.
    pub database: Option<EmbeddedDatabase>,
}

/// Where text messages go.
#[derive(Clone, Debug)]
pub enum Messages {
    /// Nowhere: in development, where no provider is configured, codes are in the answers.
    Answers,
    /// Nowhere: in production, where no provider is configured, no code can be sent.
    Nowhere,
    /// To the inbox that `SMS_INBOX` asks for.
    Inbox(Arc<SmsInbox>),
    /// To people, through these providers in their order; that costs money.
    Providers(Vec<Provider>),
}

impl Stack {
    /// Starts everything that the settings ask for; `announce` is called with each message that reaches the inbox.
    ///
    /// # Errors
    /// With the first part that does not start.
    pub async fn start(
        mut settings: Settings,
        announce: impl Fn(&ReceivedMessage) + Send + Sync + 'static,
    ) -> Result<Self, StackError> {
        let vars = settings.vars();
        // What is wrong is said before anything is started.
        refuse_gateway_mode(&vars)?;
        if settings.sms_inbox && vars.get("SECRET_ID").is_none() {
            // The inbox brings the settings of its provider.
            Config::from_vars(&vars)?;
        } else {
            judge_settings(&vars)?;
        }
        let port = settings.port;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| StackError::Port { port, error })?;
        let credentials = sign_in(&mut settings).await?.credentials;
        let database = start_database(&mut settings).await?;
        let inbox = if settings.sms_inbox { Some(Arc::new(start_inbox(&mut settings, announce).await?)) } else { None };
        let development = Environment::of(&settings.vars())? == Environment::Development;
        if development {
            let address = listener.local_addr().map_err(|error| StackError::Port { port, error })?;
            assertion_key::set_defaults(&mut settings, &format!("http://{address}"));
        }
        let vars = settings.vars();
        let secret = two_factor_secrets::source(&vars)?;
        let clock = Arc::new(MovableClock::default());
        let parts = Parts { clock: Arc::<MovableClock>::clone(&clock), credentials, secret, ..Parts::default() };
        let app = Arc::new(App::start_with(vars, parts).await?);
        let messages = match inbox.clone() {
            Some(inbox) => Messages::Inbox(inbox),
            None if !app.providers.is_empty() => Messages::Providers(app.providers.clone()),
            None if development => Messages::Answers,
            None => Messages::Nowhere,
        };
        // Whatever a page does costs nothing then.
        let any_origin = development && matches!(messages, Messages::Answers | Messages::Inbox(_));
        let options = Options { any_origin, inbox, clock: any_origin.then_some(clock) };
        let server = LocalServer::start(listener, app, options).map_err(|error| StackError::Port { port, error })?;
        Ok(Self { server, messages, database })
    }
}

/// Starts the embedded database with its table and points the settings at it, unless they name another DynamoDB.
///
/// # Errors
/// When the folder of `DATA_DIR` cannot be used, or the table cannot be made.
pub async fn start_database(settings: &mut Settings) -> Result<Option<EmbeddedDatabase>, StackError> {
    let vars = settings.vars();
    if vars.get("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| vars.get("AWS_ENDPOINT_URL")).is_some() {
        return Ok(None);
    }
    let address = (settings.database_bind, settings.database_port).into();
    let database = EmbeddedDatabase::start_at(settings.data_dir.as_deref(), address).map_err(StackError::Database)?;
    let endpoint = database.endpoint();
    let table = vars.get("TABLE_NAME").unwrap_or_default();
    ensure_table(&client(&sdk_config(&endpoint)?), table).await.map_err(StackError::Table)?;
    settings.set_default("AWS_ENDPOINT_URL_DYNAMODB", &endpoint);
    settings.set_default("AWS_REGION", "us-east-1");
    settings.set_default("AWS_ACCESS_KEY_ID", "local");
    settings.set_default("AWS_SECRET_ACCESS_KEY", "local");
    Ok(Some(database))
}

/// Starts the inbox and makes Twilio, at the inbox's address, the one provider.
async fn start_inbox(
    settings: &mut Settings,
    announce: impl Fn(&ReceivedMessage) + Send + Sync + 'static,
) -> Result<SmsInbox, StackError> {
    let inbox = SmsInbox::start(announce).await.map_err(StackError::Inbox)?;
    let twilio = [
        ("SMS_PROVIDERS", "twilio"),
        ("TWILIO_BASE_URL", &*inbox.url()),
        ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
        ("TWILIO_AUTH_TOKEN", "the-inbox-takes-any-token"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
    ];
    settings.variables.extend(twilio.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(inbox)
}
