//! A stand-in for Twilio's Messages API on loopback: it keeps text messages instead of sending them, and fails on request.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Serialize;
use serde_json::json;
use tokio::{net::TcpListener, sync::oneshot};

use crate::server;

/// A request to send a text message, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceivedMessage {
    /// The account in the path.
    pub account: String,
    /// The `Authorization` header.
    #[serde(skip)]
    pub authorization: Option<String>,
    /// The fields of the form: `To`, `From`, `Body`, …
    #[serde(flatten)]
    pub fields: BTreeMap<String, String>,
}

impl ReceivedMessage {
    /// A field of the form; empty if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The number it is for, in E.164.
    pub fn to(&self) -> &str {
        self.field("To")
    }

    /// Its text.
    pub fn body(&self) -> &str {
        self.field("Body")
    }
}

/// How a request is answered. Without a script the message is queued, as Twilio does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message is queued: 201.
    Queued,
    /// This status and body.
    Answer(u16, String),
    /// The message is queued, but the answer comes this much later.
    QueuedAfter(Duration),
    /// The connection breaks off before the answer is whole.
    Cut,
}

impl Reply {
    /// Twilio's error answer: the HTTP status and Twilio's own code.
    pub fn refusal(status: u16, code: u32) -> Self {
        Self::Answer(status, json!({"code": code, "message": "refused by the inbox", "status": status}).to_string())
    }
}

type Announce = Box<dyn Fn(&ReceivedMessage) + Send + Sync>;

/// The running inbox. It stops when it is dropped.
pub struct SmsInbox {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    _stop: oneshot::Sender<()>,
}

struct Shelf {
    received: Mutex<Vec<ReceivedMessage>>,
    script: Mutex<VecDeque<Reply>>,
    announce: Announce,
}

impl SmsInbox {
    /// Takes messages on a free port of loopback and calls `announce` with each.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(announce: impl Fn(&ReceivedMessage) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shelf = Arc::new(Shelf { received: Mutex::default(), script: Mutex::default(), announce: Box::new(announce) });
        let router = Router::new()
            .route("/2010-04-01/Accounts/{account}/Messages.json", post(receive))
            .route("/_inbox", get(show))
            .layer(middleware::from_fn(server::refuse_other_names))
            .with_state(Arc::clone(&shelf));
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            let until = async { drop::<Result<(), _>>(stopped.await) };
            drop(axum::serve(listener, router).with_graceful_shutdown(until).await);
        });
        Ok(Self { address, shelf, _stop: stop })
    }

    /// Where it is called, without a slash at the end: what `TWILIO_BASE_URL` wants.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The messages so far, the first one first.
    pub fn received(&self) -> Vec<ReceivedMessage> {
        lock(&self.shelf.received).clone()
    }

    /// The messages so far as JSON, the first one first.
    pub fn as_json(&self) -> Json<Vec<ReceivedMessage>> {
        Json(self.received())
    }

    /// Answers the next requests with these, one each; what comes after them is queued.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shelf.script).extend(replies);
    }
}

impl fmt::Debug for SmsInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsInbox").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn receive(State(shelf): State<Arc<Shelf>>, Path(account): Path<String>, headers: HeaderMap, form: Bytes) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let message = ReceivedMessage { account, authorization, fields: form_urlencoded::parse(&form).into_owned().collect() };
    let number = {
        let mut received = lock(&shelf.received);
        received.push(message.clone());
        received.len()
    };
    (shelf.announce)(&message);
    let reply = lock(&shelf.script).pop_front().unwrap_or(Reply::Queued);
    match reply {
        Reply::Queued => queued(number, &message),
        Reply::QueuedAfter(delay) => {
            tokio::time::sleep(delay).await;
            queued(number, &message)
        }
        Reply::Answer(status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Reply::Cut => {
            let pieces = [Ok(Bytes::from_static(b"{\"sid\": \"SM")), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
            (StatusCode::CREATED, Body::from_stream(futures_util::stream::iter(pieces))).into_response()
        }
    }
}

fn queued(number: usize, message: &ReceivedMessage) -> Response {
    let answer = json!({
        "sid": format!("SM{number:032x}"), "status": "queued", "error_code": null, "error_message": null,
        "to": message.to(), "from": message.fields.get("From"), "body": message.body(), "num_segments": "1",
        "direction": "outbound-api", "messaging_service_sid": message.fields.get("MessagingServiceSid"),
    });
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn show(State(shelf): State<Arc<Shelf>>) -> Json<Vec<ReceivedMessage>> {
    Json(lock(&shelf.received).clone())
}

/// The lock, also after a panic of another holder: each critical section here is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
