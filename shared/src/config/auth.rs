//! Who may call: how bearer tokens are checked.

use reqwest::Url;
use secrecy::SecretString;

use super::{
    environment::{Environment, OwnSecrets},
    reader::Reader,
    settings::{
        AUTH_ADDRESS_CLAIM, AUTH_AUDIENCE, AUTH_ISSUER, AUTH_JWKS_URL, AUTH_JWT_SECRET, AUTH_MODE, AUTH_REQUIRED_CLAIMS,
        AUTH_USER_CLAIM,
    },
    url::https_or_loopback,
    vars::Vars,
};

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
    /// `AUTH_REQUIRED_CLAIMS`: claims that a token must have, with the values that they must have.
    pub required_claims: Vec<RequiredClaim>,
    /// `AUTH_ADDRESS_CLAIM`: the claim that holds the end user's address (S13); `None` if the host's word counts.
    pub address_claim: Option<String>,
}

/// A claim that a token must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaim {
    /// The claim.
    pub name: String,
    /// Its value: a string as it is, a number or a boolean as JSON writes it.
    pub value: String,
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
    /// `None` if something was wrong, which the reader remembers then.
    pub(super) fn read(reader: &mut Reader<'_>, environment: Option<Environment>) -> Option<Self> {
        let owned = |text: &str| text.to_owned();
        let mode = mode(reader, environment);
        let issuer = reader.text(&AUTH_ISSUER).map(owned);
        let audience = reader.text(&AUTH_AUDIENCE).map(owned);
        let is_jwks = reader.text(&AUTH_MODE) == Some("jwks");
        if is_jwks && environment == Some(Environment::Production) && issuer.is_none() && audience.is_none() {
            let problem = "is required in production where AUTH_MODE is jwks, or else AUTH_ISSUER: an issuer's keys sign the tokens of \
                 all its applications";
            reader.wrong(&AUTH_AUDIENCE, problem);
        }
        Some(Self {
            issuer,
            audience,
            user_claim: reader.text(&AUTH_USER_CLAIM).unwrap_or_default().to_owned(),
            required_claims: reader.parse(&AUTH_REQUIRED_CLAIMS, required_claims).unwrap_or_default(),
            address_claim: reader.text(&AUTH_ADDRESS_CLAIM).map(owned),
            mode: mode?,
        })
    }
}

/// Whether tokens are checked with a secret that is shared with their issuer.
pub fn takes_token_secret(vars: &Vars) -> bool {
    AUTH_MODE.get(vars).or(AUTH_MODE.default) == Some("hs256")
}

fn mode(reader: &mut Reader<'_>, environment: Option<Environment>) -> Option<AuthMode> {
    match reader.text(&AUTH_MODE).unwrap_or_default() {
        "hs256" => {
            let secret = OwnSecrets::of(environment, reader).read(reader, &AUTH_JWT_SECRET);
            secret.map(|secret| AuthMode::Hs256 { secret })
        }
        "jwks" if reader.text(&AUTH_JWKS_URL).is_none() => {
            reader.wrong(&AUTH_JWKS_URL, "is required where AUTH_MODE is jwks");
            None
        }
        "jwks" => reader.parse(&AUTH_JWKS_URL, https_or_loopback).map(|url| AuthMode::Jwks { url }),
        "gateway" => Some(AuthMode::Gateway),
        _ => {
            reader.wrong(&AUTH_MODE, "must be hs256, jwks or gateway");
            None
        }
    }
}

fn required_claims(list: &str) -> Result<Vec<RequiredClaim>, &'static str> {
    let mut claims: Vec<RequiredClaim> = Vec::new();
    for pair in list.split(',') {
        let (name, value) = pair.split_once('=').unwrap_or_default();
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || value.is_empty() {
            return Err("must be name=value, with commas between several, such as token_type=access");
        }
        if claims.iter().any(|claim| claim.name == name) {
            return Err("names a claim twice, and no claim has two values");
        }
        claims.push(RequiredClaim { name: name.to_owned(), value: value.to_owned() });
    }
    Ok(claims)
}
