//! What the program is asked to do.

use std::{ffi::OsString, path::PathBuf};

use lexopt::{
    Arg::{Long, Short, Value},
    Parser, ValueExt as _,
};
use two_factor::domain::UserId;

/// The help text.
pub(crate) const USAGE: &str = "\
doctor checks a deployment of the two-factor service and helps its users.

usage: doctor [--env-file FILE] [--verbose] COMMAND

  check                  look at settings, secret, table, token keys and SMS providers; sends nothing, changes nothing
  send-test +12015550123 send one test message, through the providers in their order; it costs what a message costs
  user show ID           where a user stands: number (masked), codes, wrong guesses, locks, sends
  user unlock ID         lift the locks and forget the wrong guesses; a disabled factor stays disabled
  user reset ID          remove the factor, for a user who has neither phone nor backup codes; tells the old number
  audit ID [--limit N]   the user's audit trail, the latest N records (20), newest last
  token --sub ID         a token for a user; in development only

  --env-file FILE        read settings from FILE (default: .env, if there is one); environment variables win
  -v, --verbose          show the service's own log, on the standard error output

Settings are those of the service (TABLE_NAME, SECRET_ID, AUTH_MODE, ...). AWS credentials and region are taken from the
environment, or else from the AWS CLI (`aws configure export-credentials`), which knows AWS_PROFILE, single sign-on and roles.
Unlocking and resetting leave audit records that name OPERATOR, or else the user of this machine.

exit codes: 0 all is well, 1 something is wrong, 2 wrong arguments";

/// How many records of a trail are shown, unless the operator says.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1000;

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
    Check,
    SendTest { to: String },
    User { user: UserId, act: UserAct },
    Audit { user: UserId, limit: usize },
    Token { user: UserId },
}

/// What to do about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserAct {
    Show,
    Unlock,
    Reset,
}

impl Arguments {
    pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Self, UsageError> {
        let mut parser = Parser::from_args(arguments);
        let (mut words, mut env_file, mut verbose) = (Vec::new(), None, false);
        let (mut limit, mut sub, mut help) = (None, None, false);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => help = true,
                Short('v') | Long("verbose") => verbose = true,
                Long("env-file") => env_file = Some(PathBuf::from(parser.value()?)),
                Long("limit") => limit = Some(parser.value()?.parse::<usize>()?),
                Long("sub") => sub = Some(parser.value()?.string()?),
                Value(word) => words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let action = if help { Action::Help } else { action(&words, limit, sub.as_deref())? };
        Ok(Self { action, env_file, verbose })
    }
}

fn action(words: &[&str], limit: Option<usize>, sub: Option<&str>) -> Result<Action, UsageError> {
    let wrong = |problem: &str| Err(UsageError(problem.to_owned()));
    if limit.is_some() && words.first() != Some(&"audit") {
        return wrong("--limit is for audit");
    }
    if sub.is_some() && words.first() != Some(&"token") {
        return wrong("--sub is for token");
    }
    match *words {
        [] => wrong("no command"),
        ["help"] => Ok(Action::Help),
        ["check"] => Ok(Action::Check),
        ["send-test", to] => Ok(Action::SendTest { to: to.to_owned() }),
        ["send-test", ..] => wrong("send-test takes one phone number, such as +12015550123"),
        ["user", "show", id] => Ok(Action::User { user: user(id)?, act: UserAct::Show }),
        ["user", "unlock", id] => Ok(Action::User { user: user(id)?, act: UserAct::Unlock }),
        ["user", "reset", id] => Ok(Action::User { user: user(id)?, act: UserAct::Reset }),
        ["user", ..] => wrong("user takes show, unlock or reset, and one user's ID"),
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

fn user(id: &str) -> Result<UserId, UsageError> {
    UserId::parse(id).map_err(|_| UsageError(format!("a user's ID has 1 to {} characters", UserId::MAX_CHARS)))
}
