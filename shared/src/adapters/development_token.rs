//! Development tokens: what a caller's identity provider would issue, signed with the secret that the service checks with. For the
//! programs of a developer and an operator; no function makes tokens.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use crate::{
    config::{AuthConfig, AuthMode},
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
    /// A mint for the service that checks tokens so.
    ///
    /// # Errors
    /// When it checks them with keys that only their issuer has.
    pub fn new(config: &AuthConfig) -> Result<Self, MintError> {
        match &config.mode {
            AuthMode::Hs256 { secret } => Ok(Self {
                secret: secret.clone(),
                user_claim: config.user_claim.clone(),
                issuer: config.issuer.clone(),
                audience: config.audience.clone(),
            }),
            AuthMode::Jwks { .. } | AuthMode::Gateway => Err(MintError::NotOurs),
        }
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
