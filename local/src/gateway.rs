//! What API Gateway's HTTP API does to a request before a function sees it.

use std::net::SocketAddr;

use axum::body::Bytes;
use lambda_http::{
    Body, Request, RequestExt as _,
    aws_lambda_events::apigw::{ApiGatewayV2httpRequestContext, ApiGatewayV2httpRequestContextHttpDescription},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    request::RequestContext,
};

/// The largest body that the gateway passes on, in bytes.
pub(crate) const MAX_BODY: usize = 10 * 1024 * 1024;

/// Hands an HTTP request on as payload format 2.0 would: the route `$default`, the peer as source address, headers of the same
/// name in one, the body as text where it is text.
pub(crate) fn lambda_request(parts: &Parts, body: &Bytes, peer: SocketAddr, request_id: String) -> Request {
    let path = parts.uri.path().to_owned();
    let mut request = Request::new(body_of(body));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = headers_of(&parts.headers, peer);

    let mut http = ApiGatewayV2httpRequestContextHttpDescription::default();
    http.method = parts.method.clone();
    http.path = Some(path.clone());
    http.protocol = Some(format!("{:?}", parts.version));
    http.source_ip = Some(peer.ip().to_string());
    http.user_agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned);

    let mut context = ApiGatewayV2httpRequestContext::default();
    context.route_key = Some("$default".to_owned());
    context.stage = Some("$default".to_owned());
    context.request_id = Some(request_id);
    context.http = http;

    let query = parts.uri.query().unwrap_or_default().parse::<lambda_http::aws_lambda_events::query_map::QueryMap>();
    let request = request.with_raw_http_path(path).with_request_context(RequestContext::ApiGatewayV2(context));
    match query {
        Ok(query) => request.with_query_string_parameters(query),
        Err(never) => match never {},
    }
}

fn body_of(body: &Bytes) -> Body {
    match std::str::from_utf8(body) {
        Ok("") => Body::Empty,
        Ok(text) => Body::Text(text.to_owned()),
        Err(_) => Body::Binary(body.to_vec()),
    }
}

/// The gateway joins headers of the same name with commas and adds the peer to `X-Forwarded-For`, after whatever the client
/// wrote there.
fn headers_of(received: &HeaderMap, peer: SocketAddr) -> HeaderMap {
    let forwarded_for = HeaderName::from_static("x-forwarded-for");
    let peer = HeaderValue::from_str(&peer.ip().to_string()).ok();
    let mut passed_on = HeaderMap::with_capacity(received.len() + 1);
    for name in received.keys().chain((!received.contains_key(&forwarded_for)).then_some(&forwarded_for)) {
        let values = received.get_all(name).iter().chain(peer.iter().filter(|_| *name == forwarded_for));
        let joined = values.map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
        if let Ok(value) = HeaderValue::from_bytes(&joined) {
            passed_on.insert(name.clone(), value);
        }
    }
    passed_on
}
