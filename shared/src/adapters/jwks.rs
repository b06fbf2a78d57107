//! The token issuer's public keys, from `AUTH_JWKS_URL` (RFC 7517), cached.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::http::{BodyError, read_body};
use crate::{
    domain::Timestamp,
    ports::{Clock, KeysUnavailable, SignatureAlgorithm, VerificationKey, VerificationKeys},
};

/// The minimum time between two fetches, however many unknown keys are asked for.
const REFETCH_INTERVAL: Duration = Duration::from_secs(60);

/// The minimum time between two fetches while no keys are known at all, so that a start during an outage ends soon after it.
const FIRST_FETCH_INTERVAL: Duration = Duration::from_secs(1);

/// How long keys are used without looking whether the issuer has withdrawn one.
const MAX_AGE: Duration = Duration::from_secs(3600);

const TIMEOUT: Duration = Duration::from_secs(3);

/// A longer document is refused.
const MAX_DOCUMENT_BYTES: usize = 128 * 1024;

/// The keys at a URL. Fetched when first needed, again when a token names an unknown key, and once an hour; keys that are known
/// stay in use while the issuer cannot be reached.
pub struct JwksKeys {
    http: reqwest::Client,
    url: Url,
    clock: Arc<dyn Clock>,
    known: RwLock<Option<Known>>,
    /// Held while fetching, so that concurrent requests share one fetch.
    last_fetch: Mutex<Option<LastFetch>>,
    /// How many fetches have ended.
    fetches: AtomicU64,
}

#[derive(Clone)]
struct Known {
    keys: Arc<[NamedKey]>,
    fetched_at: Timestamp,
}

struct NamedKey {
    id: Option<String>,
    key: VerificationKey,
}

struct LastFetch {
    /// When it ended; when it began, while it is under way or if it was cut short.
    at: Timestamp,
    succeeded: bool,
}

impl JwksKeys {
    /// The keys at `url`, fetched with `http`, which should follow no redirects.
    pub fn new(http: reqwest::Client, url: Url, clock: Arc<dyn Clock>) -> Self {
        Self { http, url, clock, known: RwLock::new(None), last_fetch: Mutex::new(None), fetches: AtomicU64::new(0) }
    }

    /// Fetches the keys now, for an operator who wants to know whether that works. Returns how many of them are usable.
    ///
    /// # Errors
    /// When the URL does not answer, or answers with no usable key.
    pub async fn count(&self) -> Result<usize, FetchError> {
        Ok(self.fetch().await?.len())
    }

    /// What is known and young enough to be used without a look at the issuer.
    fn fresh(&self) -> Option<Known> {
        self.known().filter(|known| self.clock.now().since(known.fetched_at) < MAX_AGE)
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the keys, unless that was done too short a time ago; whether the issuer's word is fresh now.
    async fn refetch(&self, last: &mut Option<LastFetch>) -> bool {
        let now = self.clock.now();
        let interval = if self.known().is_some() { REFETCH_INTERVAL } else { FIRST_FETCH_INTERVAL };
        if let Some(last) = last
            && now.since(last.at) < interval
        {
            return last.succeeded;
        }
        // Noted before the fetch: one that is cut short counts too.
        *last = Some(LastFetch { at: now, succeeded: false });
        let succeeded = match self.fetch().await {
            Ok(keys) => {
                let known = Known { keys, fetched_at: now };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the token keys could not be fetched");
                false
            }
        };
        *last = Some(LastFetch { at: self.clock.now(), succeeded });
        self.fetches.fetch_add(1, Ordering::Release);
        succeeded
    }

    async fn fetch(&self) -> Result<Arc<[NamedKey]>, FetchError> {
        let response = self.http.get(self.url.clone()).timeout(TIMEOUT).send().await?.error_for_status()?;
        let document = read_body(response, MAX_DOCUMENT_BYTES).await.map_err(|error| match error {
            BodyError::TooLong => FetchError::TooLarge,
            BodyError::Lost(error) => FetchError::Http(error),
        })?;
        let document: Document = serde_json::from_slice(&document).map_err(|_| FetchError::NoKeySet)?;
        let keys: Arc<[NamedKey]> = document.keys.into_iter().filter_map(NamedKey::parse).collect();
        if keys.is_empty() { Err(FetchError::NoKeySet) } else { Ok(keys) }
    }
}

impl VerificationKeys for JwksKeys {
    async fn find(&self, id: Option<&str>, algorithm: SignatureAlgorithm) -> Result<Option<VerificationKey>, KeysUnavailable> {
        if let Some(key) = self.fresh().and_then(|known| known.find(id, algorithm)) {
            return Ok(Some(key));
        }
        let fetches = self.fetches.load(Ordering::Acquire);
        let mut last = self.last_fetch.lock().await;
        // A fetch that ended while this request waited is as good as one of its own, whatever came of it: a slow issuer that fails
        // is not asked again by each that waited.
        let shared = last.as_ref().filter(|_| self.fetches.load(Ordering::Acquire) != fetches).map(|last| last.succeeded);
        let is_fresh = match shared {
            Some(succeeded) => succeeded,
            None => self.refetch(&mut last).await,
        };
        match self.known().and_then(|known| known.find(id, algorithm)) {
            Some(key) => Ok(Some(key)),
            None if is_fresh => Ok(None),
            None => Err(KeysUnavailable),
        }
    }

    async fn warm_up(&self) {
        let _ = self.find(None, SignatureAlgorithm::Rs256).await;
    }
}

impl Known {
    fn find(&self, id: Option<&str>, algorithm: SignatureAlgorithm) -> Option<VerificationKey> {
        let mut candidates =
            self.keys.iter().filter(|named| named.key.algorithm() == algorithm && (id.is_none() || named.id.as_deref() == id));
        let first = candidates.next()?;
        (id.is_some() || candidates.next().is_none()).then(|| first.key.clone())
    }
}

/// Why the keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL cannot be reached, or answers with an error.
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The answer is larger than any set of keys.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer is something else, or has no key that we could use.
    #[error("the answer is no set of usable keys")]
    NoKeySet,
}

/// A JWK set. Its keys are read one by one, so that one of a kind we do not know spoils none.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// A JWK (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Reads a JWK set, and tells how many of its keys are usable: what fuzzing reaches, in no other build.
#[cfg(fuzzing)]
pub fn usable_keys(document: &[u8]) -> usize {
    let document = serde_json::from_slice::<Document>(document);
    document.map_or(0, |document| document.keys.into_iter().filter_map(NamedKey::parse).count())
}

impl NamedKey {
    /// A key that is meant for verifying signatures, of a kind that we accept; its type, curve and algorithm must agree.
    fn parse(jwk: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !for_signatures {
            return None;
        }
        let (key, names) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => {
                let key = VerificationKey::Rsa { modulus: number(jwk.n.as_deref()?)?, exponent: number(jwk.e.as_deref()?)? };
                (key, &["RS256"] as &[&str])
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes_32(jwk.x.as_deref()?)?, bytes_32(jwk.y.as_deref()?)?);
                (VerificationKey::P256 { point: [&[4], x.as_slice(), y.as_slice()].concat() }, &["ES256"] as _)
            }
            // RFC 9864 has given EdDSA with this curve a name of its own.
            ("OKP", Some("Ed25519")) => {
                (VerificationKey::Ed25519 { point: bytes_32(jwk.x.as_deref()?)? }, &["EdDSA", "Ed25519"] as _)
            }
            _ => return None,
        };
        let strong = match &key {
            VerificationKey::Rsa { modulus, exponent } => {
                (2048..=8192).contains(&bits(modulus)) && (1..=8).contains(&exponent.len())
            }
            VerificationKey::P256 { .. } | VerificationKey::Ed25519 { .. } => true,
        };
        let agrees = jwk.alg.as_deref().is_none_or(|alg| names.contains(&alg));
        (strong && agrees).then_some(Self { id: jwk.kid, key })
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn bytes_32(text: &str) -> Option<Vec<u8>> {
    bytes(text).filter(|bytes| bytes.len() == 32)
}

/// A big-endian number without its leading zeros.
fn number(text: &str) -> Option<Vec<u8>> {
    Some(bytes(text)?.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
