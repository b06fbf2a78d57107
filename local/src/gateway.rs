//! What API Gateway's HTTP API does around a function: the request becomes an event, the function's reply an HTTP response.

use std::net::SocketAddr;

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use lambda_http::http::{HeaderMap, StatusCode, header, request::Parts};
use serde_json::{Map, Value, json, value::to_raw_value};
use two_factor::api::gateway_event::{Event, Reply};

/// The largest body that the gateway passes on, in bytes.
pub(crate) const MAX_BODY: usize = 10 * 1024 * 1024;

/// The event of payload format 2.0 that stands for an HTTP request: the route `$default`, the peer as source address, headers of
/// the same name in one, the body as text where it is text.
pub(crate) fn event(parts: &Parts, body: &Bytes, peer: SocketAddr, request_id: &str) -> serde_json::Result<Event> {
    let path = parts.uri.path();
    let text = std::str::from_utf8(body);
    let event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers(&parts.headers, peer),
        "requestContext": {
            "apiId": "local",
            "routeKey": "$default",
            "stage": "$default",
            "requestId": request_id,
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": peer.ip().to_string(),
                "userAgent": parts.headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes())),
            },
        },
        "body": text.map_or_else(|_| STANDARD.encode(body), str::to_owned),
        "isBase64Encoded": text.is_err(),
    });
    Ok(Event::from(&*to_raw_value(&event)?))
}

/// The gateway joins headers of the same name with commas and adds the peer to `X-Forwarded-For`, after whatever the client
/// wrote there.
fn headers(received: &HeaderMap, peer: SocketAddr) -> Map<String, Value> {
    const FORWARDED_FOR: &str = "x-forwarded-for";
    let values =
        |name: &str| received.get_all(name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut passed_on: Map<_, _> = received
        .keys()
        .map(|name| (name.to_string(), Value::from(values(name.as_str()).collect::<Vec<_>>().join(","))))
        .collect();
    let forwarded: Vec<_> = values(FORWARDED_FOR).chain([peer.ip().to_string()]).collect();
    passed_on.insert(FORWARDED_FOR.to_owned(), forwarded.join(",").into());
    passed_on
}

/// The HTTP response that a function's reply stands for; `None` if it stands for none.
pub(crate) fn response(reply: &Reply) -> Option<Response> {
    let reply = serde_json::to_value(reply).ok()?;
    let status = StatusCode::from_u16(reply.get("statusCode")?.as_u64()?.try_into().ok()?).ok()?;
    let body = reply.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = match reply.get("isBase64Encoded") {
        Some(Value::Bool(true)) => STANDARD.decode(body).ok()?,
        _ => body.as_bytes().to_vec(),
    };
    let mut response = Response::builder().status(status);
    for (name, value) in reply.get("headers").and_then(Value::as_object).into_iter().flatten() {
        response = response.header(name, value.as_str()?);
    }
    response.body(Body::from(body)).ok()
}
