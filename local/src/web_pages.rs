//! Rules for web pages, and what tells them from programs. Any page in the developer's browser can send requests to servers of this
//! machine.

use std::net::IpAddr;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::Response,
};
use serde_json::json;

/// The name and port that a request is for: its target's, or else those of the header `Host`; the target wins (RFC 9112, 3.2.2).
/// `None` if the request names none, or not exactly one.
pub(crate) fn called_as(target: &Uri, headers: &HeaderMap) -> Option<Authority> {
    if let Some(authority) = target.authority() {
        return Some(authority.clone());
    }
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let host = hosts.next()?;
    if hosts.next().is_some() { None } else { Authority::try_from(host.as_bytes()).ok() }
}

/// Whether `called` is a loopback address, or a name that browsers resolve to one themselves (RFC 6761, 6.3). Any other name may be
/// a page's own, which its owner has bound to this machine's address so that the page reads the answers (DNS rebinding).
pub(crate) fn is_loopback(called: &Authority) -> bool {
    let host = called.host().to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost") || ip(called).is_some_and(|ip| ip.is_loopback())
}

/// The address that `called` is, if it is no name. Nobody can bind an address to another one.
pub(crate) fn ip(called: &Authority) -> Option<IpAddr> {
    called.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether a page of another origin than the server's, which is `called`, sends the request. Browsers say the origin of whatever is
/// neither GET nor HEAD (Fetch standard, 3.2), also where they send it without asking for permission first.
pub(crate) fn is_from_another_origin(headers: &HeaderMap, called: &Authority) -> bool {
    let own = format!("http://{called}");
    headers.get_all(header::ORIGIN).into_iter().any(|origin| !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
}

/// Lets pass what calls this machine by a loopback name.
pub(crate) async fn refuse_other_names(request: Request, next: Next) -> Response {
    if called_as(request.uri(), request.headers()).is_some_and(|called| is_loopback(&called)) {
        return next.run(request).await;
    }
    let message = "This server answers to loopback names only, so that no web page reaches it under a name of its own: call it as \
                   http://localhost or http://127.0.0.1, with its port.";
    refusal(StatusCode::MISDIRECTED_REQUEST, message)
}

/// Lets pass what no web page sends, and pages of this very server: for what is theirs alone, whatever the service allows others.
pub(crate) async fn refuse_strangers(request: Request, next: Next) -> Response {
    if is_from_no_other_page(&request) {
        return next.run(request).await;
    }
    refusal(StatusCode::FORBIDDEN, "This is for the page of this very server, and for programs: no other page may use it.")
}

/// Whether no page of another origin sends the request.
pub(crate) fn is_from_no_other_page(request: &Request) -> bool {
    let called = called_as(request.uri(), request.headers());
    called.is_some_and(|called| !is_from_another_origin(request.headers(), &called))
}

/// A refusal for a person.
pub(crate) fn refusal(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(Body::from(json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
