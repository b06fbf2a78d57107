//! Who is calling: bearer tokens (RFC 6750) and what makes them good (RFC 8725). The user comes from here and nowhere else (S20).

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::request::Request;
use crate::{
    config::{AuthConfig, AuthMode, auth::RequiredClaim},
    domain::{Timestamp, UserId, assertion::ASSERTION_TYPE},
    ports::{Clock, SignatureAlgorithm, VerificationKey, VerificationKeys},
};

/// How far the issuer's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);

/// A longer token is refused unread. API Gateway passes at most 10,240 bytes of headers.
const MAX_TOKEN_BYTES: usize = 8192;

/// Why it is not known who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There are no credentials.
    #[error("no credentials")]
    Missing,
    /// There is a token, and its time is over.
    #[error("the token has expired")]
    Expired,
    /// There are credentials, and they are no good: why, as half a sentence about the token. It is for the log, and for the client in
    /// development alone.
    #[error("invalid credentials: {0}")]
    Invalid(&'static str),
    /// The keys that tell good credentials from bad ones cannot be reached.
    #[error("the source of token keys is unavailable")]
    KeysUnavailable,
}

/// Who is calling, as a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The user.
    pub user: UserId,
    /// The end user's address (S13), where a claim is configured for it and holds one.
    pub address: Option<IpAddr>,
}

/// Tells who is calling.
pub struct Authenticator<K> {
    check: Check<K>,
    config: AuthConfig,
    clock: Arc<dyn Clock>,
}

/// Who checks tokens, and with what. It pins the algorithm (S19).
enum Check<K> {
    Hs256(DecodingKey),
    Jwks(K),
    /// Nobody here: the host has checked the token, and says what its claims are.
    Host,
}

impl<K: VerificationKeys> Authenticator<K> {
    /// An authenticator as `config` wants it; `keys` makes the source of keys for the mode that needs one.
    pub fn new(config: &AuthConfig, keys: impl FnOnce(&Url) -> K, clock: Arc<dyn Clock>) -> Self {
        let check = match &config.mode {
            AuthMode::Hs256 { secret } => Check::Hs256(DecodingKey::from_secret(secret.expose_secret().as_bytes())),
            AuthMode::Jwks { url } => Check::Jwks(keys(url)),
            AuthMode::Gateway => Check::Host,
        };
        Self { check, config: config.clone(), clock }
    }

    /// Fetches what is needed to check tokens, if it has to be fetched: for the init phase.
    pub async fn warm_up(&self) {
        if let Check::Jwks(keys) = &self.check {
            keys.warm_up().await;
        }
    }

    /// The user that the request's token was issued to, and the address that the token names.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn authenticate(&self, request: &Request) -> Result<Authenticated, AuthError> {
        match &self.check {
            Check::Hs256(key) => {
                let claims = verified_claims(bearer_token(&request.headers)?, Algorithm::HS256, key)?;
                self.judge(&claims)
            }
            Check::Jwks(keys) => {
                let unverified_token = bearer_token(&request.headers)?;
                let header = decode_header(unverified_token).map_err(|_| AuthError::Invalid("it is not a JSON Web Token"))?;
                let (wanted, algorithm) = match header.alg {
                    Algorithm::RS256 => (SignatureAlgorithm::Rs256, Algorithm::RS256),
                    Algorithm::ES256 => (SignatureAlgorithm::Es256, Algorithm::ES256),
                    Algorithm::EdDSA => (SignatureAlgorithm::EdDsa, Algorithm::EdDSA),
                    _ => return Err(AuthError::Invalid("it is not signed with RS256, ES256 or EdDSA")),
                };
                let key = keys
                    .find(header.kid.as_deref(), wanted)
                    .await
                    .map_err(|_| AuthError::KeysUnavailable)?
                    .filter(|key| key.algorithm() == wanted)
                    .ok_or(AuthError::Invalid("the issuer has published no such key"))?;
                let claims = verified_claims(unverified_token, algorithm, &decoding_key(&key))?;
                self.judge(&claims)
            }
            Check::Host => self.judge(request.context.claims.as_ref().ok_or(AuthError::Missing)?),
        }
    }

    /// Who verified claims say is calling, if they hold now and for us.
    fn judge(&self, claims: &Map<String, Value>) -> Result<Authenticated, AuthError> {
        let AuthConfig { issuer, audience, user_claim, required_claims, address_claim, .. } = &self.config;
        self.check_time(claims)?;
        if let Some(issuer) = issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(AuthError::Invalid("it is of another issuer"));
        }
        if let Some(audience) = audience
            && !is_for(claims, audience)
        {
            return Err(AuthError::Invalid("it is for another audience"));
        }
        if !required_claims.iter().all(|claim| has(claims, claim)) {
            return Err(AuthError::Invalid("it lacks a claim that is required here, or has another value for it"));
        }
        let name = match claims.get(user_claim) {
            Some(Value::String(name)) => name.clone(),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                return Err(AuthError::Invalid("its user claim is neither a string nor an integer"));
            }
            None => return Err(AuthError::Invalid("it has no user claim")),
        };
        let user = UserId::parse(&name).map_err(|_| AuthError::Invalid("its user claim is empty or too long"))?;
        let address = address_claim.as_ref().and_then(|claim| claims.get(claim)?.as_str()?.trim().parse::<IpAddr>().ok());
        Ok(Authenticated { user, address: address.map(|address| address.to_canonical()) })
    }

    fn check_time(&self, claims: &Map<String, Value>) -> Result<(), AuthError> {
        let now = seconds(self.clock.now());
        // A `NumericDate`: seconds since the Unix epoch (RFC 7519, 2).
        let date = |name| match claims.get(name) {
            None => Ok(None),
            Some(date) => date.as_f64().map(Some).ok_or(AuthError::Invalid("one of its dates is not a number")),
        };
        let expiry = date("exp")?.ok_or(AuthError::Invalid("it has no expiry time"))?;
        if now >= expiry + LEEWAY.as_secs_f64() {
            return Err(AuthError::Expired);
        }
        match date("nbf")? {
            Some(start) if now < start - LEEWAY.as_secs_f64() => Err(AuthError::Invalid("it is not valid yet")),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether the token has the claim with its value: a string as it is, a number or a boolean as JSON writes it.
fn has(claims: &Map<String, Value>, required: &RequiredClaim) -> bool {
    let value = match claims.get(&required.name) {
        Some(Value::String(text)) => text.clone(),
        Some(scalar @ (Value::Number(_) | Value::Bool(_))) => scalar.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => return false,
    };
    value == required.value
}

/// Whether `audience` is among those that the token is for.
fn is_for(claims: &Map<String, Value>, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

/// The claims of a token whose signature is right. Times, issuer and audience are judged apart from this, by our clock and rules.
fn verified_claims(unverified_token: &str, algorithm: Algorithm, key: &DecodingKey) -> Result<Map<String, Value>, AuthError> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let token = decode::<Map<String, Value>>(unverified_token, key, &validation).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => AuthError::Invalid("it was signed with another key"),
        ErrorKind::InvalidAlgorithm => AuthError::Invalid("it is signed with another algorithm"),
        _ => AuthError::Invalid("it is not a JSON Web Token"),
    })?;
    if token.header.crit.is_some() {
        // We know of no extension, so a critical one makes the token invalid (RFC 7515, 4.1.11).
        return Err(AuthError::Invalid("it has a critical extension"));
    }
    if token.header.typ.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(ASSERTION_TYPE)) {
        // A result of this service, or of another one like it (S27).
        return Err(AuthError::Invalid("it is an assertion of a second factor, which is no token to call with"));
    }
    Ok(token.claims)
}

fn decoding_key(key: &VerificationKey) -> DecodingKey {
    match key {
        VerificationKey::Rsa { modulus, exponent } => DecodingKey::from_rsa_raw_components(modulus, exponent),
        VerificationKey::P256 { point } => DecodingKey::from_ec_der(point),
        VerificationKey::Ed25519 { point } => DecodingKey::from_ed_der(point),
    }
}

/// The token of the one `Authorization` header (RFC 6750, 2.1). Where there are several, the first one says what they are taken for, as
/// it does where a gateway has joined them.
fn bearer_token(headers: &HeaderMap) -> Result<&str, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::Missing)?;
    let value = value.to_str().map_err(|_| AuthError::Invalid("it is not a JSON Web Token"))?;
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(AuthError::Missing);
    }
    if values.next().is_some() {
        return Err(AuthError::Invalid("there are several Authorization headers"));
    }
    let is_token = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if token.len() > MAX_TOKEN_BYTES {
        return Err(AuthError::Invalid("it is too long"));
    }
    if !is_token {
        return Err(AuthError::Invalid("it is not a JSON Web Token"));
    }
    Ok(token)
}

fn seconds(instant: Timestamp) -> f64 {
    Duration::from_millis(instant.as_millis()).as_secs_f64()
}
