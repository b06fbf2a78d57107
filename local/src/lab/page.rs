//! The page's files. They come with the program: nothing is fetched from elsewhere, and nothing is built.

use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use crate::web_pages;

/// What a page may do: use what this server serves, and nothing else (CSP Level 3). No script or style is in the pages themselves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const INDEX: &str = include_str!("../../page/index.html");
const INBOX: &str = include_str!("../../page/inbox.html");

/// A file beside the pages: its name, what it is, its text.
type File = (&'static str, &'static str, &'static str);

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [File; 12] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../page/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("../../page/icon.svg")),
    ("main.js", JAVASCRIPT, include_str!("../../page/main.js")),
    ("app.js", JAVASCRIPT, include_str!("../../page/app.js")),
    ("words.js", JAVASCRIPT, include_str!("../../page/words.js")),
    ("service.js", JAVASCRIPT, include_str!("../../page/service.js")),
    ("phone.js", JAVASCRIPT, include_str!("../../page/phone.js")),
    ("wire.js", JAVASCRIPT, include_str!("../../page/wire.js")),
    ("levers.js", JAVASCRIPT, include_str!("../../page/levers.js")),
    ("countdown.js", JAVASCRIPT, include_str!("../../page/countdown.js")),
    ("dom.js", JAVASCRIPT, include_str!("../../page/dom.js")),
    ("inbox.js", JAVASCRIPT, include_str!("../../page/inbox.js")),
];

/// `/`, and the files.
pub(super) fn router() -> Router {
    Router::new().route("/", get(index)).route("/_page/{file}", get(file))
}

async fn index() -> Response {
    html(INDEX)
}

/// The inbox as a page.
pub(super) fn inbox() -> Response {
    html(INBOX)
}

fn html(text: &'static str) -> Response {
    served("text/html; charset=utf-8", text)
}

async fn file(Path(wanted): Path<String>) -> Response {
    match FILES.iter().find(|(name, _, _)| *name == wanted) {
        Some((_, media_type, text)) => served(media_type, text),
        None => web_pages::refusal(StatusCode::NOT_FOUND, "The page has no such file."),
    }
}

fn served(media_type: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // The next version of the program may be at the same address.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
