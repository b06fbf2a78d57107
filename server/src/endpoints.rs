//! The endpoints: an HTTP request becomes a request of the service, and its answer the response.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, header::CONNECTION, request::Parts},
    response::Response,
};
use http_body_util::BodyExt as _;
use rand::RngExt as _;
use tokio::sync::Semaphore;
use two_factor::{
    adapters::system::SystemRandom,
    api::{
        self,
        body::MAX_BODY_BYTES,
        problem::Problem,
        request::{HostContext, RequestBody},
    },
    app::App,
    ports::Random as _,
};

use crate::trusted_proxies::TrustedProxies;

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a body is read: far more than is accepted, so that a client that sends a little too much reads why.
const MAX_BYTES_READ: usize = 256 * 1024;

/// A longer request identifier of a proxy is not taken over.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// What answers requests: the service, once it has started, and what the server knows of where they come from.
pub struct Endpoints {
    app: OnceLock<Arc<App>>,
    trusted_proxies: TrustedProxies,
    in_flight: Arc<Semaphore>,
    max_in_flight: usize,
    /// Whether answers end their connections.
    is_ending: AtomicBool,
    /// Tells the request ids of this process from those of others.
    run: u64,
    requests: AtomicU64,
}

impl Endpoints {
    /// Endpoints that answer 503 until [`Endpoints::open`], and then as many requests at a time as `max_in_flight` says.
    pub fn new(trusted_proxies: TrustedProxies, max_in_flight: usize) -> Self {
        Self {
            app: OnceLock::new(),
            trusted_proxies,
            in_flight: Arc::new(Semaphore::new(max_in_flight)),
            max_in_flight,
            is_ending: AtomicBool::new(false),
            run: SystemRandom.rng().random(),
            requests: AtomicU64::new(0),
        }
    }

    /// From here on `app` answers.
    pub fn open(&self, app: Arc<App>) {
        // Only the first one counts.
        let _ = self.app.set(app);
    }

    /// How many requests are being answered.
    pub fn in_flight(&self) -> usize {
        self.max_in_flight.saturating_sub(self.in_flight.available_permits())
    }

    /// From here on each answer ends its connection, so that clients open their next one elsewhere.
    pub fn end_connections(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Returns when no request is being answered, those included whose client has left.
    pub async fn all_answered(&self) {
        // All slots free is what is waited for. It fails only where the semaphore is closed, which it never is.
        let all = u32::try_from(self.max_in_flight).unwrap_or(u32::MAX);
        drop(self.in_flight.acquire_many(all).await);
    }

    /// All paths.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(self)
    }

    /// The service's request of what has come from `peer`.
    async fn read(&self, parts: Parts, body: Body, peer: SocketAddr) -> api::Request {
        let address = self.trusted_proxies.source(peer.ip(), &parts.headers);
        let forwarded_id = || self.trusted_proxies.contains(peer.ip()).then(|| forwarded_id(&parts.headers)).flatten();
        let context = HostContext {
            request_id: forwarded_id().unwrap_or_else(|| self.next_id()),
            address: Some(address),
            // Before the body, since a client that takes its time over it takes its own.
            deadline: self.app.get().map(|app| app.deadline()),
            ..HostContext::default()
        };
        let body = tokio::time::timeout(BODY_TIMEOUT, read_body(body)).await.ok().flatten();
        api::Request {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body: body.map_or(RequestBody::Undecodable, RequestBody::Bytes),
            context,
        }
    }

    /// Answers one request. What it began goes on if the client leaves: a code that is stored is sent.
    async fn answer(&self, request: api::Request) -> api::Response {
        let id = request.id().to_owned();
        let Some(app) = self.app.get().map(Arc::clone) else { return Problem::Unavailable.into_response(&id) };
        let Ok(slot) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            return app.exchange("any", &request).end(Err(Problem::Unavailable));
        };
        let answered = tokio::spawn(async move {
            let response = any::route(&app, request).await;
            drop(slot);
            response
        });
        answered.await.unwrap_or_else(|error| {
            tracing::error!(request_id = id, %error, "a request was not answered");
            Problem::Unavailable.into_response(&id)
        })
    }

    fn next_id(&self) -> String {
        format!("{:016x}-{}", self.run, self.requests.fetch_add(1, Ordering::Relaxed))
    }
}

/// The identifier that a proxy has given the request, so that its log and ours name the same.
fn forwarded_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let is_identifier = (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    is_identifier.then(|| id.to_owned())
}

/// The body, or as much of it as tells that it is too long; `None` if it breaks off.
async fn read_body(mut body: Body) -> Option<Vec<u8>> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        kept.extend(data.iter().take(MAX_BODY_BYTES + 1 - kept.len()));
        read += data.len();
        if read > MAX_BYTES_READ {
            break;
        }
    }
    Some(kept)
}

async fn answer(
    State(endpoints): State<Arc<Endpoints>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let request = endpoints.read(parts, body, peer).await;
    let mut response = endpoints.answer(request).await.map(Body::from);
    if endpoints.is_ending.load(Ordering::Relaxed) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
