//! What went over the wire: each request of the API with its answer, its line in the log, and its records in the audit trail.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use futures_util::TryStreamExt as _;
use serde::Serialize;
use two_factor::{
    domain::UserId,
    observability::log::{self, RequestSummary},
    ports::{AuditEntry, Clock},
};

use super::events::{Event, Events};
use crate::sms_inbox::lock;

/// The most exchanges that are kept.
const KEPT: usize = 200;

/// As much of a body as is shown: twice what the service takes.
const SHOWN_BYTES: usize = 8 * 1024;

/// What went over the wire.
pub(super) struct Wire {
    exchanges: Mutex<VecDeque<Exchange>>,
    /// The lines of requests, some of which are not answered yet.
    lines: Mutex<VecDeque<Line>>,
    clock: Arc<dyn Clock>,
    events: Events,
}

struct Line {
    request_id: String,
    user: Option<UserId>,
    text: String,
}

/// A request and its answer. The token is not in it: whoever shows this to others shows nothing that opens anything for long.
#[derive(Clone, Serialize)]
pub(super) struct Exchange {
    id: String,
    time: String,
    user: Option<String>,
    method: String,
    path: String,
    /// Whether the request brought a bearer token.
    has_token: bool,
    content_type: Option<String>,
    body: String,
    status: u16,
    headers: Vec<(String, String)>,
    answer: String,
}

impl Wire {
    pub(super) fn new(clock: Arc<dyn Clock>, events: Events) -> Self {
        Self { exchanges: Mutex::default(), lines: Mutex::default(), clock, events }
    }

    /// A request has ended, and has its line.
    pub(super) fn ended(&self, request: &RequestSummary<'_>) {
        let line = Line { request_id: request.request_id.to_owned(), user: request.user.cloned(), text: log::rendered(request) };
        keep(&mut lock(&self.lines), line);
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        lock(&self.exchanges).clear();
        lock(&self.lines).clear();
    }

    /// What was recorded, newest first.
    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.exchanges).iter().rev().cloned().collect()
    }

    /// Who made a request, if that is known, and its line in the log; `None` where it is not remembered.
    pub(super) fn request(&self, id: &str) -> Option<(Option<UserId>, String)> {
        self.line(id, |line| (line.user.clone(), line.text.clone()))
    }

    fn line<T>(&self, id: &str, read: impl FnOnce(&Line) -> T) -> Option<T> {
        lock(&self.lines).iter().find(|line| line.request_id == id).map(read)
    }
}

fn keep<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(one);
}

/// Writes down each request with its answer, which it leaves as they are.
pub(super) async fn record(State(wire): State<Arc<Wire>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.to_string(), parts.uri.to_string());
    let (has_token, content_type) = (parts.headers.contains_key(header::AUTHORIZATION), text_of(&parts.headers, "content-type"));
    let read = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&read);
    let body = body.into_data_stream().inspect_ok(move |piece| {
        let mut copy = lock(&copy);
        let room = SHOWN_BYTES.saturating_sub(copy.len());
        copy.extend(piece.iter().take(room));
    });
    let response = next.run(Request::from_parts(parts, Body::from_stream(body))).await;

    let (parts, answer) = response.into_parts();
    // The service's answers are in memory already.
    let answer = to_bytes(answer, usize::MAX).await.unwrap_or_default();
    if let Some(id) = text_of(&parts.headers, "x-request-id") {
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), lossy(value.as_bytes()))).collect();
        let exchange = Exchange {
            user: wire.line(&id, |line| line.user.as_ref().map(|user| user.as_str().to_owned())).flatten(),
            id,
            time: wire.clock.now().to_rfc3339(),
            method,
            path,
            has_token,
            content_type,
            body: lossy(&lock(&read)),
            status: parts.status.as_u16(),
            headers,
            answer: lossy(&answer),
        };
        wire.events.publish(Event::Exchange(serde_json::to_string(&exchange).unwrap_or_default()));
        keep(&mut lock(&wire.exchanges), exchange);
    }
    Response::from_parts(parts, Body::from(answer))
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| lossy(value.as_bytes()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A record of an audit trail, as it is shown.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    at: String,
    event: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(flatten)]
    details: BTreeMap<&'a str, &'a str>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
}

impl<'a> From<&'a AuditEntry> for Record<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        let AuditEntry { at, event, outcome, phone_masked, request_id, address, user_agent, details } = entry;
        Self {
            at: at.to_rfc3339(),
            event,
            outcome,
            phone: phone_masked.as_deref(),
            details: details.iter().map(|(name, value)| (&**name, &**value)).collect(),
            request_id,
            address: address.as_deref(),
            user_agent: user_agent.as_deref(),
        }
    }
}
