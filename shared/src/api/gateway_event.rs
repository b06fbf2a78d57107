//! Gateway events: API Gateway's HTTP API (payload 2.0) and REST API (1.0), read without ever failing (S23).
//!
//! `lambda_http` has a reader too, but that one panics where a body is not the base64 it is said to be or where the `Host` header
//! makes no URL, and hands an event with missing parts back to the runtime as a failed invocation: before the handler is called,
//! so that the client would get the gateway's 5xx. Here a strange event is a request like any other, and gets a 4xx.

use std::{convert::Infallible, net::IpAddr};

use base64::{Engine, engine::general_purpose::STANDARD};
use lambda_http::{
    Body, LambdaEvent,
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    service_fn,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{
    problem::{FieldError, Problem},
    request::{Gateway, Request, RequestBody},
    response::Response,
};

/// The longest request identifier that is taken over from a gateway.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// An invocation's payload: whatever JSON it is. Reading it cannot fail, so the runtime never sees an error of ours.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Event(Box<RawValue>);

/// An answer as both payload formats want it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    status_code: u16,
    headers: Map<String, Value>,
    body: Body,
    is_base64_encoded: bool,
    /// None are ever set, but `cargo lambda watch` takes no answer in payload format 2.0 without the field; 1.0 knows no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<[&'static str; 0]>,
}

/// Serves invocations with `handler` until the environment ends.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn run<H, F>(handler: H) -> Result<(), lambda_http::Error>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let handler = &handler;
    lambda_http::lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        Ok::<_, Infallible>(invoke(&event.payload, &event.context.request_id, handler).await)
    }))
    .await
}

/// Serves one invocation: `invocation_id` names the request where the gateway gives it no name.
pub async fn invoke<H, F>(event: &Event, invocation_id: &str, handler: H) -> Reply
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let Some(request) = event.to_request(invocation_id) else {
        tracing::warn!(request_id = invocation_id, "the event is no HTTP request");
        let errors = vec![FieldError { field: "body", detail: "The event is no HTTP request." }];
        return Problem::InvalidRequest { errors }.into_response(invocation_id).into();
    };
    let cookies = request.gateway.cookies.then_some([]);
    Reply { cookies, ..handler(request).await.into() }
}

impl Event {
    /// The request that this event stands for; `None` if it is no request at all: it has no method.
    pub fn to_request(&self, invocation_id: &str) -> Option<Request> {
        let event: Value = serde_json::from_str(self.0.get()).ok()?;
        let event = event.as_object()?;
        let nothing = Map::new();
        let context = object(event, "requestContext").unwrap_or(&nothing);
        // Payload 2.0 says `http.method` in its context, and `rawPath`; 1.0 says `httpMethod` and `path`.
        let method = object(context, "http").and_then(|http| text(http, "method")).or_else(|| text(event, "httpMethod"))?;
        let path = text(event, "rawPath").or_else(|| text(event, "path")).unwrap_or_default();
        Some(Request {
            method: Method::from_bytes(method.as_bytes()).ok()?,
            path: path.to_owned(),
            headers: headers(event),
            body: body(event),
            gateway: gateway(context, invocation_id),
        })
    }
}

/// What the request context says, in either payload format: 2.0 has `http.sourceIp` and `routeKey` ("POST /path"), 1.0 has
/// `identity.sourceIp` and `resourcePath`.
fn gateway(context: &Map<String, Value>, invocation_id: &str) -> Gateway {
    let address = ["http", "identity"].into_iter().find_map(|name| text(object(context, name)?, "sourceIp"));
    let route = (text(context, "routeKey").and_then(|key| key.split_once(' ')).map(|(_, path)| path))
        .or_else(|| text(context, "resourcePath"));
    let request_id = text(context, "requestId").filter(|id| is_identifier(id)).unwrap_or(invocation_id);
    Gateway {
        request_id: request_id.to_owned(),
        address: address.and_then(|address| address.parse::<IpAddr>().ok()),
        stage: text(context, "stage").filter(|stage| *stage != "$default").map(str::to_owned),
        route: route.map(str::to_owned),
        claims: claims(context).cloned(),
        cookies: context.contains_key("http"),
    }
}

impl From<&RawValue> for Event {
    fn from(event: &RawValue) -> Self {
        Self(event.to_owned())
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        // Each of our headers has one value of visible ASCII.
        let headers = parts.headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())));
        let is_base64_encoded = matches!(body, Body::Binary(_));
        Self { status_code: parts.status.as_u16(), headers: headers.collect(), body, is_base64_encoded, cookies: None }
    }
}

/// The claims that an authorizer verified: those of an HTTP API's JWT authorizer, or of a REST API's Cognito authorizer.
fn claims(context: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let authorizer = object(context, "authorizer")?;
    object(authorizer, "jwt").map_or_else(|| object(authorizer, "claims"), |jwt| object(jwt, "claims"))
}

/// The headers: `multiValueHeaders` (1.0), and those of `headers` that are not among them. What can be no header is left out.
fn headers(event: &Map<String, Value>) -> HeaderMap {
    fn add(headers: &mut HeaderMap, name: &str, value: &Value) -> Option<()> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value.as_str()?.as_bytes()).ok()?;
        headers.try_append(name, value).is_ok().then_some(())
    }

    let mut headers = HeaderMap::new();
    for (name, values) in object(event, "multiValueHeaders").into_iter().flatten() {
        for value in values.as_array().into_iter().flatten() {
            add(&mut headers, name, value);
        }
    }
    let several = headers.clone();
    for (name, value) in object(event, "headers").into_iter().flatten() {
        if !several.contains_key(name) {
            add(&mut headers, name, value);
        }
    }
    headers
}

fn body(event: &Map<String, Value>) -> RequestBody {
    let text = match event.get("body") {
        None | Some(Value::Null) => return RequestBody::default(),
        Some(Value::String(text)) => text,
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => return RequestBody::Undecodable,
    };
    if event.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or(false) {
        STANDARD.decode(text).map_or(RequestBody::Undecodable, RequestBody::Bytes)
    } else {
        RequestBody::Bytes(text.as_bytes().to_vec())
    }
}

fn object<'a>(parent: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    parent.get(name)?.as_object()
}

fn text<'a>(parent: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    parent.get(name)?.as_str()
}

/// Whether a gateway's request identifier can be a header's value and a field of the log as it is.
fn is_identifier(id: &str) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
