//! Whether bearer tokens can be checked.

use std::sync::Arc;

use two_factor::{
    adapters::jwks::{FetchError, JwksKeys},
    config::{AuthConfig, AuthMode},
    ports::Clock,
};

use super::{Finding, Problem, innermost};
use crate::output::counted;

pub(super) async fn check(config: &AuthConfig, http: &reqwest::Client, clock: &Arc<dyn Clock>) -> Finding {
    let restrictions = match (&config.issuer, &config.audience) {
        (None, None) => "any issuer, any audience",
        (Some(_), None) => "one issuer, any audience",
        (None, Some(_)) => "any issuer, one audience",
        (Some(_), Some(_)) => "one issuer, one audience",
    };
    let claim = &config.user_claim;
    match &config.mode {
        // The settings have been read: its length was judged there.
        AuthMode::Hs256 { .. } => Ok(format!("hs256, with a secret of 32 bytes or more; {restrictions}; the user is `{claim}`")),
        AuthMode::Gateway => Ok(format!("checked by API Gateway's authorizer; the user is `{claim}`")),
        AuthMode::Jwks { url } => match JwksKeys::new(http.clone(), url.clone(), Arc::clone(clock)).count().await {
            Ok(keys) => {
                let keys = counted(u64::try_from(keys).unwrap_or(u64::MAX), "usable key");
                Ok(format!("jwks, {keys} at {url}; {restrictions}; the user is `{claim}`"))
            }
            Err(error) => Err(unusable(url, &error)),
        },
    }
}

fn unusable(url: &reqwest::Url, error: &FetchError) -> Problem {
    match error {
        FetchError::Http(error) => {
            let why = error.status().map_or_else(|| innermost(error), |status| format!("it answers {status}"));
            Problem::new(format!("no keys from {url}: {why}"), "compare AUTH_JWKS_URL with the jwks_uri of the issuer's metadata")
        }
        FetchError::TooLarge | FetchError::NoKeySet => {
            let remedy = "the URL must answer with a JSON Web Key Set that has an RSA (2048 bits or more), P-256 or Ed25519 key for signatures";
            Problem::new(format!("no keys from {url}: {error}"), remedy)
        }
    }
}
