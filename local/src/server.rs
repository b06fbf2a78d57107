//! The three functions behind one port of this machine, called as API Gateway calls them.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use futures_util::StreamExt as _;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use two_factor::{
    api::{
        gateway_event::{Event, Reply, invoke},
        route::Route,
    },
    app::App,
};

use crate::{
    gateway::{self, MAX_BODY},
    sms_inbox::SmsInbox,
    web_pages,
};

/// How long [`LocalServer::stop`] waits for the requests that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What the server does beside calling the functions.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether any web page may call: answers preflight requests and allows every origin. Otherwise pages of other origins are
    /// refused.
    pub any_origin: bool,
    /// The inbox whose text messages `GET /_inbox` shows.
    pub inbox: Option<Arc<SmsInbox>>,
}

/// The running server. It stops when it is dropped.
#[derive(Debug)]
pub struct LocalServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl LocalServer {
    /// Serves `app` on `listener` until [`LocalServer::stop`].
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, app: Arc<App>, options: Options) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let router = router(app, options).into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move {
            let until = async { drop(stopped.await) };
            // axum keeps accepting after a failed accept, and so never ends with an error.
            drop(axum::serve(listener, router).with_graceful_shutdown(until).await);
        });
        Ok(Self { address, stop, task })
    }

    /// The address it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is called, without a slash at the end: `http://127.0.0.1:3000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more requests and waits for those under way, a few seconds at most.
    pub async fn stop(self) {
        drop(self.stop);
        drop(tokio::time::timeout(STOP_WITHIN, self.task).await);
    }
}

struct Gateway {
    app: Arc<App>,
    any_origin: bool,
    /// Tells the request ids of this server from those of an earlier one on the same database.
    run: u64,
    requests: AtomicU64,
}

fn router(app: Arc<App>, options: Options) -> Router {
    let run = RandomState::new().hash_one("run");
    let gateway = Gateway { app, any_origin: options.any_origin, run, requests: AtomicU64::new(0) };
    let router = Router::new().fallback(call).with_state(Arc::new(gateway));
    let router = match options.inbox {
        Some(inbox) => router.route("/_inbox", get(async move || inbox.as_json())),
        None => router,
    };
    let router = if options.any_origin { router } else { router.layer(middleware::from_fn(refuse_other_origins)) };
    router.layer(middleware::from_fn(refuse_other_names))
}

/// Lets pass what calls this machine by a loopback name.
pub(crate) async fn refuse_other_names(request: Request, next: Next) -> Response {
    if web_pages::called_as(request.uri(), request.headers()).is_some_and(|called| web_pages::is_loopback(&called)) {
        return next.run(request).await;
    }
    let message = "This server answers to loopback names only, so that no web page reaches it under a name of its own: call it as \
                   http://localhost or http://127.0.0.1, with its port.";
    gateway_answer(StatusCode::MISDIRECTED_REQUEST, message)
}

/// Lets pass what no web page sends, and pages of this very server. The development secret is public, so that any page can make a
/// token, and not to read the answer is no hindrance to one that wants text messages to be sent.
async fn refuse_other_origins(request: Request, next: Next) -> Response {
    let called = web_pages::called_as(request.uri(), request.headers());
    if called.is_some_and(|called| !web_pages::is_from_another_origin(request.headers(), &called)) {
        return next.run(request).await;
    }
    let message = "Web pages of other origins may call in development only, and only where nothing is really sent: start the server \
                   with SMS_INBOX=1, or without an SMS provider.";
    gateway_answer(StatusCode::FORBIDDEN, message)
}

/// Calls the function of the path. The call goes on if the client leaves, as it does on Lambda.
async fn call(State(gateway): State<Arc<Gateway>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if gateway.any_origin && is_preflight(&parts) {
        return preflight(&parts.headers);
    }
    let cors = gateway.any_origin && parts.headers.contains_key(header::ORIGIN);
    let mut response = match body_up_to_the_limit(body).await {
        Some(body) => tokio::spawn(call_function(gateway, parts, body, peer)).await.unwrap_or_else(|_| failed_invocation()),
        None => gateway_answer(StatusCode::BAD_REQUEST, "Bad Request"),
    };
    if cors {
        allow_any_origin(response.headers_mut());
    }
    response
}

async fn call_function(gateway: Arc<Gateway>, parts: Parts, body: Bytes, peer: SocketAddr) -> Response {
    let number = gateway.requests.fetch_add(1, Ordering::Relaxed);
    let request_id = format!("local-{:016x}-{number}", gateway.run);
    let Ok(event) = gateway::event(&parts, &body, peer, &request_id) else { return failed_invocation() };
    let reply = invoke_function(&gateway.app, parts.uri.path(), &event, &request_id).await;
    gateway::response(&reply).unwrap_or_else(failed_invocation)
}

/// Hands an event, whatever is in it, to the function that the gateway has at `path`.
pub async fn invoke_function(app: &App, path: &str, event: &Event, invocation_id: &str) -> Reply {
    match Route::at(path) {
        Some(Route::SendSms) => invoke(event, invocation_id, None, |request| send_sms::handle(app, request)).await,
        Some(Route::Verify) => invoke(event, invocation_id, None, |request| verify::handle(app, request)).await,
        // A path that is nobody's too: each function answers 404 for what is not its own.
        Some(Route::Setup) | None => invoke(event, invocation_id, None, |request| setup::handle(app, request)).await,
    }
}

/// The body, or as much of it as the gateway would pass on: what is longer is far longer than a function accepts, and the
/// function says so. All of it is read, or else the client might see a broken connection before the answer. `None` if the client
/// does not send what it announced.
async fn body_up_to_the_limit(body: Body) -> Option<Bytes> {
    let mut received = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        let room = MAX_BODY - received.len();
        received.extend(chunk.iter().take(room));
    }
    Some(received.into())
}

/// What the gateway answers when a function panics.
fn failed_invocation() -> Response {
    gateway_answer(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

fn gateway_answer(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(Body::from(format!(r#"{{"message":"{message}"}}"#)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ORIGIN)
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(request: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    allow_any_origin(headers);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    // A wildcard would not cover `Authorization` (Fetch standard, CORS protocol), so what is asked for is allowed by name.
    if let Some(names) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

fn allow_any_origin(headers: &mut HeaderMap) {
    const EXPOSED: &str = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate";
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(HeaderName::from_static("access-control-expose-headers"), HeaderValue::from_static(EXPOSED));
}
