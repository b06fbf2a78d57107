//! What the program is asked to do.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use lexopt::{
    Arg::{Long, Short, Value},
    Parser, ValueExt as _,
};
use two_factor::domain::UserId;

use crate::import::Mode;

/// The help text.
pub(crate) const USAGE: &str = "\
doctor checks a deployment of the two-factor service and helps its users.

usage: doctor [--env-file FILE] [--verbose] COMMAND

  check [--wait SECONDS] look at settings, secrets, table, token keys and SMS providers; sends nothing, changes nothing.
                         Waits for what AWS is not done with yet, such as a table that is being made (60)
  table create           make the table where no template does, with expiry, recovery and protection; --wait as above
  settings               every setting of the deployment, and where it came from; what is secret stays hidden
  send-test +12015550123 send one test message, through the providers in their order; it costs what a message costs
  user show ID           where a user stands: number (masked), codes, failed attempts, locks, sends
  user unlock ID         lift the locks and forget the failed attempts; a disabled factor stays disabled
  user reset ID --yes    remove the factor, for a user who has neither phone nor backup codes; tells the old number
  user erase ID --yes    the same, and take numbers, addresses and user agents out of the audit trail, whose events stay
  import [FILE] [--yes]  make numbers that another service verified the factors of users who have none here. Takes lines such as
                         {\"user\": \"alice\", \"phone_number\": \"+12015550123\"} from FILE, or from what is piped in. Sends nothing.
                         A line that cannot be used stops all of them; --skip leaves such lines out instead
  audit ID [--limit N]   the user's audit trail, the latest N records (20), newest last
  token --sub ID         a token for a user; in development only

  --env-file FILE        read settings from FILE (default: .env, if there is one); environment variables win
  -v, --verbose          show the service's own log, on the standard error output

Without --yes, reset and erase show the account and what they would do, and import (or --dry-run) says it of each line.

Settings are those of the service (TABLE_NAME, SECRET_ID, AUTH_MODE, ...). AWS credentials, region and endpoints are taken as
every AWS tool takes them: from the environment, or else from AWS_PROFILE, single sign-on and roles included.
What is done to a user leaves audit records that name OPERATOR, or else the user of this machine.

exit codes: 0 all is well, 1 something is wrong, 2 wrong arguments";

/// How many records of a trail are shown, unless the operator says.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1000;

/// How long a check waits for AWS, unless the operator says; a restored table takes longer than any default could.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);
const MAX_WAIT: Duration = Duration::from_hours(24);

/// The arguments do not make sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(String);

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// Everything that the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) action: Action,
    pub(crate) env_file: Option<PathBuf>,
    pub(crate) verbose: bool,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Help,
    Check { wait: Duration },
    CreateTable { wait: Duration },
    Settings,
    SendTest { to: String },
    User { user: UserId, act: UserAct },
    Import { file: Option<PathBuf>, mode: Mode },
    Audit { user: UserId, limit: usize },
    Token { user: UserId },
}

/// What to do about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserAct {
    Show,
    Unlock,
    Reset { confirmed: bool },
    Erase { confirmed: bool },
}

/// What follows a command.
#[derive(Default)]
struct Options {
    limit: Option<usize>,
    sub: Option<String>,
    wait: Option<u64>,
    yes: bool,
    dry_run: bool,
    skip: bool,
}

impl Arguments {
    pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Self, UsageError> {
        let mut parser = Parser::from_args(arguments);
        let (mut words, mut env_file, mut verbose) = (Vec::new(), None, false);
        let (mut options, mut help) = (Options::default(), false);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => help = true,
                Short('v') | Long("verbose") => verbose = true,
                Long("env-file") => env_file = Some(PathBuf::from(parser.value()?)),
                Long("limit") => options.limit = Some(parser.value()?.parse::<usize>()?),
                Long("sub") => options.sub = Some(parser.value()?.string()?),
                Long("wait") => options.wait = Some(parser.value()?.parse::<u64>()?),
                Long("yes") => options.yes = true,
                Long("dry-run") => options.dry_run = true,
                Long("skip") => options.skip = true,
                Value(word) => words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let action = if help { Action::Help } else { action(&words, &options)? };
        Ok(Self { action, env_file, verbose })
    }
}

fn action(words: &[&str], options: &Options) -> Result<Action, UsageError> {
    let wrong = |problem: &str| Err(UsageError(problem.to_owned()));
    let Options { limit, sub, wait, yes, dry_run, skip } = options;
    let command = words.first().copied().unwrap_or_default();
    if limit.is_some() && command != "audit" {
        return wrong("--limit is for audit");
    }
    if sub.is_some() && command != "token" {
        return wrong("--sub is for token");
    }
    if wait.is_some() && !matches!(command, "check" | "table") {
        return wrong("--wait is for check and table create");
    }
    if *yes && !matches!(words, ["user", "reset" | "erase", _] | ["import", ..]) {
        return wrong("--yes is for import, user reset and user erase");
    }
    if (*dry_run || *skip) && command != "import" {
        return wrong("--dry-run and --skip are for import");
    }
    if *yes && *dry_run {
        return wrong("--yes and --dry-run exclude each other");
    }
    match *words {
        [] => wrong("no command"),
        ["help"] => Ok(Action::Help),
        ["check"] => Ok(Action::Check { wait: patience(*wait)? }),
        ["table", "create"] => Ok(Action::CreateTable { wait: patience(*wait)? }),
        ["table", ..] => wrong("table takes create; its name is TABLE_NAME"),
        ["settings"] => Ok(Action::Settings),
        ["settings", ..] => wrong("settings takes no argument"),
        ["send-test", to] => Ok(Action::SendTest { to: to.to_owned() }),
        ["send-test", ..] => wrong("send-test takes one phone number, such as +12015550123"),
        ["user", "show", id] => Ok(Action::User { user: user(id)?, act: UserAct::Show }),
        ["user", "unlock", id] => Ok(Action::User { user: user(id)?, act: UserAct::Unlock }),
        ["user", "reset", id] => Ok(Action::User { user: user(id)?, act: UserAct::Reset { confirmed: *yes } }),
        ["user", "erase", id] => Ok(Action::User { user: user(id)?, act: UserAct::Erase { confirmed: *yes } }),
        ["user", ..] => wrong("user takes show, unlock, reset or erase, and one user's ID"),
        ["import", ref files @ ..] if files.len() <= 1 => {
            let file = files.first().filter(|file| **file != "-").map(PathBuf::from);
            Ok(Action::Import { file, mode: Mode { confirmed: *yes, skips: *skip } })
        }
        ["import", ..] => wrong("import takes one file, or what is piped in"),
        ["audit", id] => match limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(Action::Audit { user: user(id)?, limit }),
            _ => Err(UsageError(format!("--limit is a number from 1 to {MAX_LIMIT}"))),
        },
        ["audit", ..] => wrong("audit takes one user's ID"),
        ["token"] => match sub {
            Some(id) => Ok(Action::Token { user: user(id)? }),
            None => wrong("token needs --sub ID"),
        },
        ["token", ..] => wrong("token takes --sub ID and nothing else"),
        ["check", ..] => wrong("check takes no argument"),
        [command, ..] => Err(UsageError(format!("there is no command {command:?}"))),
    }
}

fn patience(seconds: Option<u64>) -> Result<Duration, UsageError> {
    let wait = seconds.map_or(DEFAULT_WAIT, Duration::from_secs);
    let most = MAX_WAIT.as_secs();
    if wait <= MAX_WAIT { Ok(wait) } else { Err(UsageError(format!("--wait is a number from 0 to {most}"))) }
}

fn user(id: &str) -> Result<UserId, UsageError> {
    UserId::parse(id).map_err(|_| UsageError(format!("a user's ID has 1 to {} characters", UserId::MAX_CHARS)))
}
