//! The operator's commands: check a deployment, send a test message, look at accounts and help their users.
//!
//! They run on the parts that the service runs on, with the settings that it runs with; what they change, they change through
//! its use cases, so that every change leaves its record. No function depends on this package.

mod arguments;
mod audit;
mod check;
mod create_table;
mod import;
mod output;
pub mod program;
mod report;
mod secrets;
mod send_test;
mod settings;
mod show_settings;
mod token;
mod user;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};

use two_factor::{
    app::{App, Parts, StartError},
    config::{ConfigError, ConfigErrors},
    domain::UserId,
    ports::Deadline,
};

use arguments::{Action, Arguments, USAGE, UsageError};
use output::printable;
use report::Patience;
use settings::Settings;

/// One call of the program.
pub struct Invocation {
    /// What follows the program's name.
    pub arguments: Vec<OsString>,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
    /// What is piped in: the lines of an import.
    pub input: Box<dyn Read>,
    /// The clock and the generator, and how long a request of the service may take: so long an erasure waits for those under way.
    pub parts: Parts,
    /// The time between two looks at what AWS is not done with yet.
    pub look_again_after: Duration,
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It did what it was asked to, and found nothing wrong.
    Success,
    /// It found something wrong, or could not do what it was asked to.
    Problem,
    /// It did not understand its arguments.
    Usage,
}

impl Ending {
    /// The exit code: 0, 1 or 2.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Problem => 1,
            Self::Usage => 2,
        }
    }

    const fn success_if(good: bool) -> Self {
        if good { Self::Success } else { Self::Problem }
    }
}

impl From<Ending> for std::process::ExitCode {
    fn from(ending: Ending) -> Self {
        ending.code().into()
    }
}

/// What ends a command early: one line for a person.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(#[from] UsageError),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Settings(#[from] ConfigErrors),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Told(String),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Runs one command: what it finds goes to `out`, why it cannot be run to `err`.
pub async fn run(invocation: Invocation, out: &mut dyn Write, err: &mut dyn Write) -> Ending {
    // Boxed: it holds a whole service.
    match Box::pin(perform(invocation, out)).await {
        Ok(ending) => ending,
        // Whoever reads the output has read enough, as `head` does.
        Err(Failure::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ending::Success,
        Err(failure) => {
            // There is nobody left to tell, if this fails too.
            let _ = writeln!(err, "doctor: {failure}");
            if matches!(failure, Failure::Usage(_)) {
                let _ = writeln!(err, "`doctor --help` lists the commands.");
                return Ending::Usage;
            }
            Ending::Problem
        }
    }
}

async fn perform(invocation: Invocation, out: &mut dyn Write) -> Result<Ending, Failure> {
    let Invocation { arguments, environment, input, parts, look_again_after } = invocation;
    let Arguments { action, env_file, verbose } = Arguments::parse(arguments)?;
    if action == Action::Help {
        writeln!(out, "{USAGE}")?;
        return Ok(Ending::Success);
    }
    if verbose {
        output::log_to_stderr();
    }
    let mut settings = Settings::read(environment, env_file.as_deref())?;
    if !matches!(action, Action::Token { .. }) {
        settings.find_credentials().await?;
    }
    match action {
        Action::Help => Ok(Ending::Success),
        Action::Check { wait } => check::run(&settings, &parts, Patience::new(wait, look_again_after), out).await,
        Action::CreateTable { wait } => create_table::run(&settings, Patience::new(wait, look_again_after), out).await,
        Action::Settings => show_settings::run(&settings, &parts, out).await,
        Action::SendTest { to } => {
            let caller = settings.caller(UserId::operator(), &*parts.random);
            send_test::run(&start(&settings, parts).await?, &caller, &to, out).await
        }
        Action::Token { user } => token::run(&settings.vars, &user, &*parts.clock, out),
        Action::Audit { user, limit } => {
            let caller = settings.caller(user, &*parts.random);
            audit::run(&start(&settings, parts).await?, &caller, limit, out).await
        }
        Action::Import { file, mode } => {
            let input = import::open(file.as_deref(), input)?;
            let random = Arc::clone(&parts.random);
            let app = start(&settings, parts).await?;
            import::run(&app, |user| settings.caller(user, &*random), input, mode, out).await
        }
        Action::User { user, act } => {
            let (caller, requests_take) = (settings.caller(user, &*parts.random), parts.request_time);
            user::run(&start(&settings, parts).await?, &caller, act, requests_take, out).await
        }
    }
}

/// How long one act may take.
fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// The service itself, with all its parts.
async fn start(settings: &Settings, parts: Parts) -> Result<App, Failure> {
    if let Some(missing) = &settings.no_credentials {
        return Err(Failure::Told(printable(&missing.to_string())));
    }
    let secret = two_factor_secrets::source(&settings.vars)?;
    Ok(App::start_with(settings.vars.clone(), Parts { credentials: settings.credentials.clone(), secret, ..parts }).await?)
}
