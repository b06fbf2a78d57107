//! The local stack's command: serve the service, serve the database beside another program, mint a token.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};
use two_factor::{
    adapters::{
        development_token::{MintError, TOKEN_LIFE, TokenMint},
        system::SystemClock,
    },
    config::{Config, ConfigError, ConfigErrors, Environment, Vars, vars::process_environment},
    domain::Timestamp,
    observability::log,
    ports::Clock as _,
};
use two_factor_local::{
    aws::sign_in,
    settings::Settings,
    sms_inbox::ReceivedMessage,
    stack::{Stack, StackError, start_database},
    welcome,
};

const USAGE: &str = "\
usage: two-factor-local [--development] COMMAND

  serve                      the service on PORT, on an embedded DynamoDB
  database [-- COMMAND …]    the embedded DynamoDB alone; ends with COMMAND, which gets its address
  token USER [EXPIRES]       a token for USER; EXPIRES in seconds since 1970 (default: in 30 days)

  --development              APP_ENV is development, unless the environment or .env says otherwise (default: production)";

/// What ends the program: one line for a person.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}\nAPP_ENV is not set, so this is production. --development makes it development, as `make run` does.")]
    ByDefault(ConfigError),
    #[error("{0}")]
    Settings(#[from] ConfigErrors),
    #[error("{0}")]
    Stack(StackError),
    #[error("{0}")]
    Mint(#[from] MintError),
    #[error("{USAGE}")]
    Usage,
    #[error("cannot run {0}: {1}")]
    Command(String, io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<StackError> for Failure {
    fn from(error: StackError) -> Self {
        match error {
            StackError::Config(error) => Self::Config(error),
            error => Self::Stack(error),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (default, arguments) = match *arguments {
        ["--development", ref rest @ ..] => (Environment::Development, rest),
        ref all => (Environment::Production, all),
    };
    let settings = Settings::read(process_environment(), Path::new(".env"), default)?;
    let by_default = settings.vars().get("APP_ENV").is_none();
    perform(arguments, settings).await.map_err(|failure| match failure {
        Failure::Config(error) if by_default => Failure::ByDefault(error),
        failure => failure,
    })
}

async fn perform(arguments: &[&str], settings: Settings) -> Result<ExitCode, Failure> {
    match *arguments {
        [] | ["serve"] => serve(settings).await,
        ["database"] => database(settings, &[]).await,
        ["database", "--", ref command @ ..] => database(settings, command).await,
        ["token", user] => token(&settings.vars(), user, SystemClock.now().plus(TOKEN_LIFE)),
        ["token", user, expires] => {
            let seconds: u32 = expires.parse().map_err(|_| Failure::Usage)?;
            token(&settings.vars(), user, Timestamp::from_millis(u64::from(seconds) * 1000))
        }
        _ => Err(Failure::Usage),
    }
}

async fn serve(settings: Settings) -> Result<ExitCode, Failure> {
    let vars = settings.vars();
    log::start(&vars, log::Format::Text)?;
    let token = mint(&vars, "alice", SystemClock.now().plus(TOKEN_LIFE));
    let stack = Stack::start(settings, announce).await?;
    say(&welcome::text(&stack, token.as_deref()))?;
    stop_signal().await?;
    say("stopping")?;
    stack.server.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Shows a text message that reached its phone. A terminal that is gone is no reason to stop.
fn announce(message: &ReceivedMessage) {
    if !message.is_delivered {
        return;
    }
    drop(say(&format!("\ntext message to {}:\n  {}\n", message.to(), message.body().replace('\n', "\n  "))));
}

async fn database(mut settings: Settings, command: &[&str]) -> Result<ExitCode, Failure> {
    let aws = sign_in(&mut settings).await?;
    let database = start_database(&mut settings).await?;
    // The functions know variables alone, which hold for hours: who is signed in for longer starts them again then.
    settings.variables.extend(aws.credentials_as_variables().await.map_err(StackError::Aws)?);
    let endpoint = settings.vars().get("AWS_ENDPOINT_URL_DYNAMODB").unwrap_or("the endpoint of AWS_ENDPOINT_URL").to_owned();
    let code = match command {
        [] => {
            say(&format!("DynamoDB for development: {endpoint}"))?;
            stop_signal().await?;
            ExitCode::SUCCESS
        }
        [program, arguments @ ..] => run_beside(program, arguments, &settings).await?,
    };
    drop(database);
    Ok(code)
}

/// Runs `program` with every setting in its environment until it ends, and sees to it that a request to stop reaches it once.
async fn run_beside(program: &str, arguments: &[&str], settings: &Settings) -> Result<ExitCode, Failure> {
    let failed = |error| Failure::Command(program.to_owned(), error);
    let mut child = Command::new(program).args(arguments).envs(&settings.variables).spawn().map_err(failed)?;
    let status = tokio::select! {
        status = child.wait() => status.map_err(failed)?,
        stop = stop_signal() => {
            // Ctrl-C has reached the program too, with the whole foreground group, and another signal would cut its cleaning up
            // short. A request to terminate is for this process alone, and is passed on.
            if let (Stop::Terminate, Some(id)) = (stop?, child.id()) {
                Command::new("kill").arg(id.to_string()).status().await.map_err(failed)?;
            }
            child.wait().await.map_err(failed)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn token(vars: &Vars, user: &str, expires: Timestamp) -> Result<ExitCode, Failure> {
    say(&mint(vars, user, expires)?)?;
    Ok(ExitCode::SUCCESS)
}

fn mint(vars: &Vars, user: &str, expires: Timestamp) -> Result<String, Failure> {
    let now = SystemClock.now();
    let mint = TokenMint::new(&Config::from_vars(vars)?.auth)?;
    Ok(mint.mint(user, now, expires.since(now))?)
}

/// How the program is asked to stop.
enum Stop {
    /// By Ctrl-C.
    Interrupt,
    /// By another program.
    Terminate,
}

async fn stop_signal() -> io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(Stop::Terminate),
        _ = interrupt.recv() => Ok(Stop::Interrupt),
    }
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}
