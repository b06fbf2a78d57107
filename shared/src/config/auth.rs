//! Who may call: how bearer tokens are checked.

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{
    app::Environment,
    url::https_or_loopback,
    vars::{ConfigError, Vars},
};

/// The token secret of development: public, so worth nothing, and refused in production.
const DEVELOPMENT_JWT_SECRET: &str = "development-only-jwt-secret-0123456789abcdef";

/// The least length of an HS256 secret: as long as its output (RFC 7518, 3.2).
const MIN_JWT_SECRET_BYTES: usize = 32;

/// How bearer tokens are checked.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// `AUTH_MODE`, with what that mode needs.
    pub mode: AuthMode,
    /// `AUTH_ISSUER`: the `iss` that a token must have; `None` if any will do.
    pub issuer: Option<String>,
    /// `AUTH_AUDIENCE`: the `aud` that a token must have among its own; `None` if any will do.
    pub audience: Option<String>,
    /// `AUTH_USER_CLAIM`: the claim that names the user.
    pub user_claim: String,
}

/// Who checks tokens, and with what.
#[derive(Clone, Debug)]
pub enum AuthMode {
    /// `hs256`: this service, with a secret that it shares with the issuer.
    Hs256 {
        /// `AUTH_JWT_SECRET`
        secret: SecretString,
    },
    /// `jwks`: this service, with the issuer's public keys.
    Jwks {
        /// `AUTH_JWKS_URL`: https, or http on this machine.
        url: Url,
    },
    /// `gateway`: API Gateway's authorizer; claims are read from the request context.
    Gateway,
}

impl AuthConfig {
    pub(super) fn from_vars(vars: &Vars, environment: Environment) -> Result<Self, ConfigError> {
        let mode = match vars.get("AUTH_MODE").unwrap_or("hs256") {
            "hs256" => AuthMode::Hs256 { secret: jwt_secret(vars, environment)? },
            "jwks" => AuthMode::Jwks { url: jwks_url(vars)? },
            "gateway" => AuthMode::Gateway,
            _ => return Err(ConfigError::new("AUTH_MODE", "must be hs256, jwks or gateway")),
        };
        Ok(Self {
            mode,
            issuer: vars.get("AUTH_ISSUER").map(str::to_owned),
            audience: vars.get("AUTH_AUDIENCE").map(str::to_owned),
            user_claim: vars.get("AUTH_USER_CLAIM").unwrap_or("sub").to_owned(),
        })
    }
}

fn jwt_secret(vars: &Vars, environment: Environment) -> Result<SecretString, ConfigError> {
    let secret = environment.secret(vars, "AUTH_JWT_SECRET", DEVELOPMENT_JWT_SECRET)?;
    if secret.expose_secret().len() < MIN_JWT_SECRET_BYTES {
        return Err(ConfigError::new("AUTH_JWT_SECRET", format!("must have at least {MIN_JWT_SECRET_BYTES} bytes")));
    }
    Ok(secret)
}

fn jwks_url(vars: &Vars) -> Result<Url, ConfigError> {
    let wrong = |problem| ConfigError::new("AUTH_JWKS_URL", problem);
    let url = vars.get("AUTH_JWKS_URL").ok_or_else(|| wrong("is required where AUTH_MODE is jwks"))?;
    https_or_loopback(url).map_err(wrong)
}
