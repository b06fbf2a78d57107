//! The local stack in one piece: database, inbox, service and server, each started on what the one before it gave.

use std::{io, net::Ipv4Addr, sync::Arc};

use tokio::net::TcpListener;
use two_factor::{
    adapters::{
        development_token::TokenMint,
        dynamodb::{
            client,
            table::{TableError, ensure_table},
        },
    },
    app::{App, Parts, StartError, judge_settings},
    config::{Config, ConfigError, ConfigErrors, Environment, Vars},
};

use two_factor_aws::NoCredentials;
use two_factor_server::settings::refuse_gateway_mode;

use crate::{
    assertion_key,
    aws::sign_in,
    clock::MovableClock,
    database::{EmbeddedDatabase, sdk_config},
    lab::{self, Lab, Sight, Table},
    messages::Messages,
    server::{LocalServer, Options},
    settings::{Settings, USUAL_PORT},
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
    /// The server does not know where it listens.
    #[error("PORT: {0}")]
    Address(io::Error),
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
pub struct Stack {
    /// The three functions behind one port.
    pub server: LocalServer,
    /// Where its text messages go.
    pub messages: Messages,
    /// The embedded database; `None` if the settings name another one.
    pub database: Option<EmbeddedDatabase>,
    /// Whether there is a page at `/`.
    pub has_page: bool,
    /// The usual port, where somebody else has it and the server took another one.
    pub taken_port: Option<u16>,
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
        let (listener, taken_port) = listen(settings.port).await?;
        let credentials = sign_in(&mut settings).await?.credentials;
        let database = start_database(&mut settings).await?;
        let clock = Arc::new(MovableClock::default());
        let sight = Sight::new(&clock);
        let inbox = if settings.sms_inbox {
            let sight = sight.clone();
            let received = move |message: &ReceivedMessage| {
                sight.receive(message);
                announce(message);
            };
            Some(Arc::new(start_inbox(&mut settings, received).await?))
        } else {
            None
        };
        let development = Environment::of(&settings.vars())? == Environment::Development;
        if development {
            let address = listener.local_addr().map_err(StackError::Address)?;
            assertion_key::set_defaults(&mut settings, &format!("http://{address}"));
        }
        let vars = settings.vars();
        let secret = two_factor_secrets::source(&vars)?;
        let mint = TokenMint::new(&Config::from_vars(&vars)?.auth);
        let table = database.as_ref().map(|database| disposable(database, &vars)).transpose()?;
        let parts = Parts { clock, credentials, secret, observer: Some(Arc::new(sight.clone())), ..Parts::default() };
        let app = Arc::new(App::start_with(vars, parts).await?);
        let messages = match inbox.clone() {
            Some(inbox) => Messages::Inbox(inbox),
            None if !app.providers.is_empty() => Messages::Providers(app.providers.clone()),
            None if development => Messages::Answers,
            None => Messages::Nowhere,
        };
        // Whatever a page does costs nothing then.
        let any_origin = development && matches!(messages, Messages::Answers | Messages::Inbox(_));
        let parts = lab::Parts {
            app: Arc::clone(&app),
            messages: messages.clone(),
            mint,
            is_development: development,
            moves_clock: any_origin,
        };
        let lab = Arc::new(Lab::new(sight, parts, table.filter(|_| any_origin)));
        let server = LocalServer::start(listener, app, Options { any_origin, lab: Some(lab) }).map_err(StackError::Address)?;
        Ok(Self { server, messages, database, has_page: development, taken_port })
    }
}

/// How many ports are tried, from the usual one on.
const PORTS_TRIED: u16 = 100;

/// Listens on `port`, or else on the usual one or the next that is free; and names the usual one, where that is taken.
async fn listen(port: Option<u16>) -> Result<(TcpListener, Option<u16>), StackError> {
    let bind =
        async |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| StackError::Port { port, error });
    if let Some(port) = port {
        return Ok((bind(port).await?, None));
    }
    for port in USUAL_PORT..USUAL_PORT + PORTS_TRIED {
        match bind(port).await {
            Err(StackError::Port { error, .. }) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return Ok((bound?, (port != USUAL_PORT).then_some(USUAL_PORT))),
        }
    }
    Ok((bind(USUAL_PORT).await?, None))
}

/// The table of `database`, which may be thrown away.
fn disposable(database: &EmbeddedDatabase, vars: &Vars) -> Result<Table, StackError> {
    let name = vars.get("TABLE_NAME").unwrap_or_default().to_owned();
    Ok(Table { client: client(&sdk_config(&database.endpoint())?), name })
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
