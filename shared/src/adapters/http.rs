//! The HTTP client for SMS providers and token keys, and the opening of connections before they are needed.

use std::time::Duration;

use reqwest::{Client, Response, redirect, retry};
use rustls::ClientConfig;

use super::roots;
use crate::config::{ConfigError, Vars};

/// How long connecting, TLS included, may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a request to a provider may take in all, its answer included.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a connection to a provider is kept for the next request. A send that meets a connection which the other side is just
/// closing has an unknown outcome and may not be repeated (S12), so it is kept for less time than any peer keeps it. No provider
/// says how long that is. The shortest default of a server in wide use is 5 s (Apache httpd, Node.js); AWS's load balancers take 60 s.
pub(super) const SENDING_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The client for every host that is not AWS: no redirects, no retries, no proxy from the environment, HTTP/1.1.
///
/// # Errors
/// When `EXTRA_CA_FILE` is of no use.
pub fn public_client(vars: &Vars) -> Result<Client, ConfigError> {
    build(roots::public_tls(vars)?, SENDING_IDLE_TIMEOUT, Some(TOTAL_TIMEOUT))
}

/// A client that never does more than it is asked to: what to repeat, and where else to go, is decided by the caller.
pub(super) fn build(tls: ClientConfig, idle: Duration, total: Option<Duration>) -> Result<Client, ConfigError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("two-factor/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(idle);
    match total {
        Some(total) => builder.timeout(total),
        None => builder,
    }
    .build()
    .map_err(|error| ConfigError::new("TLS", error))
}

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than any answer that makes sense.
    #[error("the answer is too long")]
    TooLong,
    /// The connection broke, or the time was over.
    #[error(transparent)]
    Lost(#[from] reqwest::Error),
}

/// The whole body of an answer, of at most `limit` bytes, so that no peer can fill our memory.
///
/// # Errors
/// See [`BodyError`].
pub async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > limit - body.len() {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Opens a connection to each of `urls` at once and leaves it in the pool of `client`, for the first request to find.
///
/// Meant for a function's init phase, where the processor is not throttled: a TLS handshake in the first request would be
/// paid at the function's own share of it. Takes at most `limit`. A host that cannot be reached is not an error here: the
/// request that needs it will say so.
pub async fn open_connections(client: &Client, urls: &[String], limit: Duration) {
    let opening = urls.iter().map(|url| async move {
        // A connection returns to the pool only when its answer has been read, whatever it says.
        if let Ok(response) = client.get(url).send().await {
            drop(response.bytes().await);
        }
    });
    drop(tokio::time::timeout(limit, futures_util::future::join_all(opening)).await);
}
