//! Development tokens: what a caller's identity provider would issue, signed with the secret that the service checks with.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use two_factor::{
    config::{Vars, auth::DEVELOPMENT_JWT_SECRET},
    domain::Timestamp,
};

/// How long the tokens of `make run` and `make token` live.
pub const TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why no token can be minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The service trusts somebody else's tokens.
    #[error("AUTH_MODE: tokens can be minted only in hs256 mode, where this service knows the secret")]
    NotOurs,
    /// There is no secret to sign with, and none is built in outside development.
    #[error("AUTH_JWT_SECRET: not set, and only APP_ENV=development has a built-in one")]
    NoSecret,
    /// The library refuses to sign.
    #[error("the token cannot be signed")]
    Unsigned,
}

/// Mints tokens that the service with the same settings accepts.
#[derive(Clone, Debug)]
pub struct TokenMint {
    secret: SecretString,
    user_claim: String,
    issuer: Option<String>,
    audience: Option<String>,
}

impl TokenMint {
    /// A mint for the service that these settings configure.
    ///
    /// # Errors
    /// When the service checks tokens with keys that are not known here.
    pub fn new(vars: &Vars) -> Result<Self, MintError> {
        if vars.get("AUTH_MODE").is_some_and(|mode| mode != "hs256") {
            return Err(MintError::NotOurs);
        }
        let development = || vars.get("APP_ENV").is_none_or(|env| env == "development");
        let built_in = || development().then(|| SecretString::from(DEVELOPMENT_JWT_SECRET));
        Ok(Self {
            secret: vars.secret("AUTH_JWT_SECRET").or_else(built_in).ok_or(MintError::NoSecret)?,
            user_claim: vars.get("AUTH_USER_CLAIM").unwrap_or("sub").to_owned(),
            issuer: vars.get("AUTH_ISSUER").map(str::to_owned),
            audience: vars.get("AUTH_AUDIENCE").map(str::to_owned),
        })
    }

    /// A token for `user`, valid from `now` for `life`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn mint(&self, user: &str, now: Timestamp, life: Duration) -> Result<String, MintError> {
        let seconds = |moment: Timestamp| Value::from(moment.as_millis() / 1000);
        let mut claims = Map::new();
        claims.insert("iat".to_owned(), seconds(now));
        claims.insert("exp".to_owned(), seconds(now.plus(life)));
        claims.insert(self.user_claim.clone(), user.into());
        if let Some(issuer) = &self.issuer {
            claims.insert("iss".to_owned(), issuer.as_str().into());
        }
        if let Some(audience) = &self.audience {
            claims.insert("aud".to_owned(), audience.as_str().into());
        }
        let key = EncodingKey::from_secret(self.secret.expose_secret().as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|_| MintError::Unsigned)
    }
}
