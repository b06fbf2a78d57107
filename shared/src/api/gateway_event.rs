//! Gateway events: API Gateway's HTTP API (payload 2.0) and REST API (1.0), read without ever failing (S23).
//!
//! `lambda_http` has a reader too, but that one panics where a body is not the base64 it is said to be or where the `Host` header
//! makes no URL, and hands an event with missing parts back to the runtime as a failed invocation: before the handler is called,
//! so that the client would get the gateway's 5xx. Here a strange event is a request like any other, and gets a 4xx.

use std::{convert::Infallible, net::IpAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambda_http::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, value::RawValue};
use time::{Date, Month, Time, UtcDateTime};

use super::{
    problem::{FieldError, Problem},
    request::{HostContext, Request, RequestBody},
    response::Response,
};
use crate::{
    domain::Timestamp,
    ports::{Clock, Deadline},
};

/// A longer request identifier of a gateway is not taken over.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// How long before Lambda ends an invocation its answer must have left (S25).
const MARGIN: Duration = Duration::from_secs(1);

/// An invocation's payload, which may be any JSON. Reading it cannot fail, so the runtime never sees an error of ours.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Event(Box<RawValue>);

/// An answer as both payload formats want it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    status_code: u16,
    headers: Map<String, Value>,
    body: String,
    is_base64_encoded: bool,
    /// None are ever set, but `cargo lambda watch` takes no answer in payload format 2.0 without the field; 1.0 knows no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<[&'static str; 0]>,
}

/// The two forms of an event, told apart by what their request context holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PayloadFormat {
    /// 1.0: REST APIs, and HTTP APIs that are set to it.
    V1,
    /// 2.0: HTTP APIs.
    V2,
}

/// Serves invocations with `handler` until the environment ends; `clock` tells how far away an invocation's deadline is.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn run<H, F>(clock: &dyn Clock, handler: H) -> Result<(), lambda_http::Error>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        let deadline = time_to_answer(event.context.deadline, clock.now()).map(Deadline::after);
        Ok::<_, Infallible>(invoke(&event.payload, &event.context.request_id, deadline, handler).await)
    }))
    .await
}

/// The time until the answer must have left, of an invocation that ends at `deadline` (milliseconds since the Unix epoch); `None`
/// for one that had passed before the invocation came. Lambda never sends such a one, but emulators do: that of cargo lambda says
/// 600000 to every invocation.
fn time_to_answer(deadline: u64, now: Timestamp) -> Option<Duration> {
    let deadline = Timestamp::from_millis(deadline);
    (deadline > now).then(|| deadline.since(now).saturating_sub(MARGIN))
}

/// Serves one invocation: `invocation_id` names the request where the gateway gives it no name.
pub async fn invoke<H, F>(event: &Event, invocation_id: &str, deadline: Option<Deadline>, handler: H) -> Reply
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let Some((mut request, format)) = event.read(invocation_id) else {
        tracing::warn!(request_id = invocation_id, "the event is not an HTTP request");
        let errors = vec![FieldError { field: "body", detail: "The event is not an HTTP request.".into() }];
        return Problem::InvalidRequest { errors }.into_response(invocation_id).into();
    };
    request.context.deadline = deadline;
    let cookies = (format == PayloadFormat::V2).then_some([]);
    Reply { cookies, ..handler(request).await.into() }
}

impl Event {
    /// The request that this event stands for; `None` if it is not a request, which is to say that it has no method.
    pub fn to_request(&self, invocation_id: &str) -> Option<Request> {
        Some(self.read(invocation_id)?.0)
    }

    fn read(&self, invocation_id: &str) -> Option<(Request, PayloadFormat)> {
        let event: Value = serde_json::from_str(self.0.get()).ok()?;
        let event = event.as_object()?;
        let nothing = Map::new();
        let context = object(event, "requestContext").unwrap_or(&nothing);
        let format = if context.contains_key("http") { PayloadFormat::V2 } else { PayloadFormat::V1 };
        // Payload 2.0 says `http.method` in its context, and `rawPath`; 1.0 says `httpMethod` and `path`.
        let method = object(context, "http").and_then(|http| text(http, "method")).or_else(|| text(event, "httpMethod"))?;
        let path = text(event, "rawPath").or_else(|| text(event, "path")).unwrap_or_default();
        let request = Request {
            method: Method::from_bytes(method.as_bytes()).ok()?,
            path: path.to_owned(),
            headers: headers(event),
            body: body(event),
            context: host_context(context, format, path, invocation_id),
        };
        Some((request, format))
    }
}

/// What the request context says, in either payload format: 2.0 has `http.sourceIp`, 1.0 has `identity.sourceIp`.
fn host_context(context: &Map<String, Value>, format: PayloadFormat, path: &str, invocation_id: &str) -> HostContext {
    let address = ["http", "identity"].into_iter().find_map(|name| text(object(context, name)?, "sourceIp"));
    let request_id = text(context, "requestId").filter(|id| is_identifier(id)).unwrap_or(invocation_id);
    HostContext {
        request_id: request_id.to_owned(),
        address: address.and_then(|address| address.parse::<IpAddr>().ok()),
        base_path: base_path(context, path),
        claims: claims(context).map(|claims| as_issued(claims, format)),
        deadline: None,
    }
}

/// What stands before the API's own path: that which is before the route that the gateway matched (`routeKey` or `resourcePath`), as
/// behind a custom domain's mapping; or else the stage.
fn base_path(context: &Map<String, Value>, path: &str) -> Option<String> {
    let without_slash = |path: &'_ str| path.strip_suffix('/').unwrap_or(path).to_owned();
    let route = (text(context, "routeKey").and_then(|key| key.split_once(' ')).map(|(_, path)| path))
        .or_else(|| text(context, "resourcePath"));
    let before_route = route.and_then(|route| Some(without_slash(path).strip_suffix(&without_slash(route))?.to_owned()));
    let stage = || text(context, "stage").filter(|stage| !stage.is_empty() && *stage != "$default");
    before_route.filter(|base| !base.is_empty()).or_else(|| Some(format!("/{}", stage()?)))
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
        Self { status_code: parts.status.as_u16(), headers: headers.collect(), body, is_base64_encoded: false, cookies: None }
    }
}

/// The claims that an authorizer verified: those of an HTTP API's JWT authorizer, or of a REST API's Cognito authorizer.
fn claims(context: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let authorizer = object(context, "authorizer")?;
    object(authorizer, "jwt").map_or_else(|| object(authorizer, "claims"), |jwt| object(jwt, "claims"))
}

/// The claims as the issuer wrote them. An authorizer passes them on as text: it writes numbers as digits, lists as `[one two]`, and
/// a Cognito authorizer, which is one of 1.0, writes dates as Java does. What cannot be read stays as it is.
fn as_issued(claims: &Map<String, Value>, format: PayloadFormat) -> Map<String, Value> {
    let mut claims = claims.clone();
    for name in ["exp", "nbf", "iat"] {
        if let Some(Value::String(text)) = claims.get(name) {
            let digits = || Number::from_f64(text.parse().ok()?);
            let date = || (format == PayloadFormat::V1).then(|| java_date(text))?.map(Number::from);
            if let Some(number) = digits().or_else(date) {
                claims.insert(name.to_owned(), number.into());
            }
        }
    }
    // The JWT authorizer takes `client_id` where there is no `aud`.
    if let Some(audience) = claims.get("aud").or_else(|| claims.get("client_id")) {
        let list = audience.as_str().and_then(|text| text.strip_prefix('[')?.strip_suffix(']'));
        let audience = list.map_or_else(|| audience.clone(), |list| list.split_whitespace().map(Value::from).collect());
        claims.insert("aud".to_owned(), audience);
    }
    claims
}

/// Seconds since the Unix epoch of `Fri Jan 01 00:00:00 UTC 2027`.
fn java_date(text: &str) -> Option<i64> {
    let mut words = text.split(' ');
    let [_, month, day, time, "UTC", year] = std::array::from_fn(|_| words.next().unwrap_or_default()) else { return None };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().zip(1..).find_map(|(name, number)| (*name == month).then_some(number))?;
    let date = Date::from_calendar_date(year.parse().ok()?, Month::try_from(month).ok()?, day.parse().ok()?).ok()?;
    let mut parts = time.split(':').map(str::parse);
    let mut part = || parts.next()?.ok();
    let time = Time::from_hms(part()?, part()?, part()?).ok()?;
    Some(UtcDateTime::new(date, time).unix_timestamp())
}

/// The headers: `multiValueHeaders` (1.0), and those of `headers` that are not among them. What cannot be a header is left out.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_leaves_a_second_before_the_invocation_ends_s25() {
        let now = Timestamp::from_millis(1_000_000);
        for (deadline, left) in [(1_028_000, Some(27_000)), (1_000_500, Some(0)), (600_000, None), (0, None)] {
            assert_eq!(time_to_answer(deadline, now), left.map(Duration::from_millis), "{deadline}");
        }
    }

    #[test]
    fn javas_dates_are_read_and_nothing_that_only_looks_like_one() {
        assert_eq!(java_date("Fri Jan 01 00:00:00 UTC 2027"), Some(1_798_761_600));
        assert_eq!(java_date("Sun Feb 29 23:59:59 UTC 2032"), Some(1_961_711_999));
        for text in [
            "",
            "Fri",
            "Fri Jan 01 00:00:00 CET 2027",
            "Fri Foo 01 00:00:00 UTC 2027",
            "Fri Feb 30 00:00:00 UTC 2027",
            "tomorrow",
        ] {
            assert_eq!(java_date(text), None, "{text}");
        }
    }
}
