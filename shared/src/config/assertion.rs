//! What results are signed with, for others to check.

use std::time::Duration;

use secrecy::SecretString;

use super::{
    auth::{AuthConfig, AuthMode},
    reader::Reader,
    settings::{
        ASSERTION_AUDIENCE, ASSERTION_KEY, ASSERTION_KEY_NEXT, ASSERTION_KEY_PREVIOUS, ASSERTION_TTL_SECONDS, AUTH_AUDIENCE,
        AUTH_ISSUER, AUTH_JWKS_URL, PUBLIC_URL,
    },
    url::BaseUrl,
};

/// The path that the API is at, below `PUBLIC_URL`.
const API_PATH: &str = "/api/v1/auth/2fa";

/// How assertions are made.
#[derive(Clone, Debug)]
pub struct AssertionConfig {
    /// `PUBLIC_URL` and the path of the API: whose assertions they are, and where their keys are found.
    pub issuer: String,
    /// `ASSERTION_AUDIENCE`: whom they are for.
    pub audience: Vec<String>,
    /// `ASSERTION_TTL_SECONDS`: how long they are good.
    pub ttl: Duration,
    /// `ASSERTION_KEY`: what signs them.
    pub key: SecretString,
    /// `ASSERTION_KEY_NEXT`: what will sign them, published ahead.
    pub next: Option<SecretString>,
    /// `ASSERTION_KEY_PREVIOUS`: what signed them before.
    pub previous: Option<SecretString>,
}

impl AssertionConfig {
    /// `None` where there is no key; the outer `None` if something is wrong, which the reader remembers then.
    #[expect(clippy::option_option, reason = "wrong, missing and there are three cases")]
    pub(super) fn read(reader: &mut Reader<'_>, auth: Option<&AuthConfig>) -> Option<Option<Self>> {
        let ttl = reader.seconds(&ASSERTION_TTL_SECONDS);
        let public_url = reader.text(&PUBLIC_URL).is_some().then(|| reader.parse(&PUBLIC_URL, BaseUrl::parse));
        let (next, previous) = (reader.secret(&ASSERTION_KEY_NEXT), reader.secret(&ASSERTION_KEY_PREVIOUS));
        let Some(key) = reader.secret(&ASSERTION_KEY) else {
            for (setting, is_set) in [(&ASSERTION_KEY_NEXT, next.is_some()), (&ASSERTION_KEY_PREVIOUS, previous.is_some())] {
                if is_set {
                    reader.wrong(setting, format_args!("is of no use without {}", ASSERTION_KEY.name));
                }
            }
            return Some(None);
        };
        let needs = |reader: &mut Reader<'_>, setting| {
            reader.wrong(setting, format_args!("is required with {}", ASSERTION_KEY.name));
        };
        if public_url.is_none() {
            needs(reader, &PUBLIC_URL);
        }
        let audience = reader.text(&ASSERTION_AUDIENCE).map(|list| list.split(',').map(|one| one.trim().to_owned()).collect());
        let audience: Vec<String> = audience.unwrap_or_default();
        if audience.is_empty() {
            needs(reader, &ASSERTION_AUDIENCE);
        } else if audience.iter().any(String::is_empty) {
            reader.wrong(&ASSERTION_AUDIENCE, "must be names with commas between them");
        }
        let issuer = format!("{}{API_PATH}", public_url??.as_str());
        refuse_own_tokens(reader, auth?, &issuer, &audience);
        Some(Some(Self { issuer, audience, ttl, key, next, previous }))
    }
}

/// An assertion must never be taken for the token that gets one (S27).
fn refuse_own_tokens(reader: &mut Reader<'_>, auth: &AuthConfig, issuer: &str, audience: &[String]) {
    if auth.issuer.as_deref().is_some_and(|trusted| trusted.trim_end_matches('/') == issuer) {
        reader.wrong(&AUTH_ISSUER, "must not be this service itself: what it signs is no token to call it with");
    }
    if let AuthMode::Jwks { url } = &auth.mode
        && url.as_str().starts_with(issuer)
    {
        reader.wrong(&AUTH_JWKS_URL, "must not be this service itself: what it signs is no token to call it with");
    }
    if auth.audience.as_ref().is_some_and(|trusted| audience.contains(trusted)) {
        reader.wrong(
            &ASSERTION_AUDIENCE,
            format_args!("must not have {} in it: tokens and assertions are told apart by it", AUTH_AUDIENCE.name),
        );
    }
}
