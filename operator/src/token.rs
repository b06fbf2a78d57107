//! `doctor token`: a token as the users' identity provider would issue it, in development only.

use std::io::Write;

use two_factor::{
    adapters::development_token::{MintError, TOKEN_LIFE, TokenMint},
    config::{Config, Environment, Vars},
    domain::UserId,
    ports::Clock,
};

use crate::{Ending, Failure};

/// Prints a token for `user`.
pub(crate) fn run(vars: &Vars, user: &UserId, clock: &dyn Clock, out: &mut dyn Write) -> Result<Ending, Failure> {
    if Environment::of(vars)? == Environment::Production {
        let reason = "tokens are made in development only, and this is production; ask whoever issues the users' tokens";
        return Err(Failure::Told(reason.to_owned()));
    }
    let told = |error: MintError| Failure::Told(error.to_string());
    let mint = TokenMint::new(&Config::from_vars(vars)?.auth).map_err(told)?;
    writeln!(out, "{}", mint.mint(user.as_str(), clock.now(), TOKEN_LIFE).map_err(told)?)?;
    Ok(Ending::Success)
}
