//! The endpoints behind one port of this machine, with what development wants beside them, and rules for web pages.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use tokio::net::TcpListener;
use two_factor::app::App;
use two_factor_server::{connections::Server, endpoints::Endpoints, trusted_proxies::TrustedProxies};

use crate::{
    api_description,
    lab::{self, Lab},
    web_pages,
};

/// The most requests that are answered at a time.
const MAX_IN_FLIGHT: usize = 1024;

/// How long [`LocalServer::stop`] waits for the requests that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What the server does beside calling the functions.
#[derive(Clone, Default)]
pub struct Options {
    /// Whether any web page may call: answers preflight requests and allows every origin. Otherwise pages of other origins are
    /// refused.
    pub any_origin: bool,
    /// What a developer sees and moves.
    pub(crate) lab: Option<Arc<Lab>>,
}

/// The running server. It stops when it is dropped.
pub struct LocalServer {
    server: Server,
    lab: Option<Arc<Lab>>,
}

impl LocalServer {
    /// Serves `app` on `listener` until [`LocalServer::stop`].
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, app: Arc<App>, options: Options) -> std::io::Result<Self> {
        let endpoints = Endpoints::new(TrustedProxies::default(), MAX_IN_FLIGHT);
        endpoints.open(app);
        let lab = options.lab.clone();
        let server = Server::start(listener, router(Arc::new(endpoints).router(), options))?;
        Ok(Self { server, lab })
    }

    /// The address it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where it is called, without a slash at the end: `http://127.0.0.1:3000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Takes no more requests and waits for those under way, a few seconds at most.
    pub async fn stop(self) {
        if let Some(lab) = &self.lab {
            lab.close();
        }
        self.server.stop(STOP_WITHIN).await;
    }
}

fn router(endpoints: Router, options: Options) -> Router {
    let endpoints = match &options.lab {
        Some(lab) => lab::watched(endpoints, lab),
        None => endpoints,
    };
    let endpoints = endpoints.merge(api_description::router());
    let endpoints = if options.any_origin {
        endpoints.layer(middleware::from_fn(let_pages_call))
    } else {
        endpoints.layer(middleware::from_fn(refuse_other_origins))
    };
    let router = match options.lab {
        Some(lab) => endpoints.merge(lab::own_routes(lab).layer(middleware::from_fn(web_pages::refuse_strangers))),
        None => endpoints,
    };
    router.layer(middleware::from_fn(web_pages::refuse_other_names))
}

/// Lets pass what no web page sends, and pages of this very server. The development secret is public, so that any page can make a
/// token, and not to read the answer is no hindrance to one that wants text messages to be sent.
async fn refuse_other_origins(request: Request, next: Next) -> Response {
    if web_pages::is_from_no_other_page(&request) {
        return next.run(request).await;
    }
    let message = "Web pages of other origins may call in development only, and only where nothing is really sent: start the server \
                   with SMS_INBOX=1, or without an SMS provider.";
    web_pages::refusal(StatusCode::FORBIDDEN, message)
}

/// Answers preflight requests, and lets pages of every origin read the answers.
async fn let_pages_call(request: Request, next: Next) -> Response {
    if is_preflight(&request) {
        return preflight(request.headers());
    }
    let is_from_page = request.headers().contains_key(header::ORIGIN);
    let mut response = next.run(request).await;
    if is_from_page {
        allow_any_origin(response.headers_mut());
    }
    response
}

fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
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
