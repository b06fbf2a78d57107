//! API Gateway's HTTP API with the functions behind it: a request becomes an event, the function's reply an HTTP response.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json, value::to_raw_value};
use two_factor::{
    api::{
        gateway_event::{Event, Reply, invoke},
        route::Route,
    },
    app::App,
};

struct Gateway {
    app: Arc<App>,
    requests: AtomicU64,
}

/// Every path, each with the function that the gateway has there.
pub fn router(app: Arc<App>) -> Router {
    Router::new().fallback(call).with_state(Arc::new(Gateway { app, requests: AtomicU64::new(0) }))
}

async fn call(State(gateway): State<Arc<Gateway>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::BAD_REQUEST.into_response() };
    let request_id = format!("gateway-{}", gateway.requests.fetch_add(1, Ordering::Relaxed));
    let Ok(event) = event(&parts, &body, peer, &request_id) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // The function goes on if the client leaves.
    let invoked = tokio::spawn(async move { invoke_function(&gateway.app, parts.uri.path(), &event, &request_id).await });
    let reply = invoked.await.ok().and_then(|reply| response(&reply));
    reply.unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Hands an event, whatever is in it, to the function that the gateway has at `path`.
pub async fn invoke_function(app: &App, path: &str, event: &Event, invocation_id: &str) -> Reply {
    match Route::at(path) {
        Some(Route::Setup) => invoke(event, invocation_id, None, |request| setup::handle(app, request)).await,
        Some(Route::SendSms) => invoke(event, invocation_id, None, |request| send_sms::handle(app, request)).await,
        Some(Route::Verify) => invoke(event, invocation_id, None, |request| verify::handle(app, request)).await,
        None => invoke(event, invocation_id, None, |request| any::handle(app, request)).await,
    }
}

/// The largest body that the gateway passes on, in bytes.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// The event of payload format 2.0 that stands for an HTTP request: the route `$default`, the peer as source address, headers of
/// the same name in one, the body as text where it is text.
fn event(parts: &Parts, body: &Bytes, peer: SocketAddr, request_id: &str) -> serde_json::Result<Event> {
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
fn response(reply: &Reply) -> Option<Response> {
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
