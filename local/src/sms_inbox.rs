//! A stand-in for Twilio's Messages API on loopback: it keeps text messages instead of sending them, and fails as it is told.

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
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::web_pages;

/// A request to send a text message, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceivedMessage {
    /// The name that the answer gives the message, where it has one.
    #[serde(skip)]
    pub id: String,
    /// Whether it reaches its phone: what is refused does not.
    #[serde(skip)]
    pub is_delivered: bool,
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

    /// How long it may wait to be delivered, which is as long as it is of use.
    pub fn valid_for(&self) -> Duration {
        Duration::from_secs(self.field("ValidityPeriod").parse().unwrap_or_default())
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

    /// Whether a message that is answered so reaches its phone.
    const fn delivers(&self) -> bool {
        matches!(self, Self::Queued | Self::Answer(200..=299, _) | Self::QueuedAfter(_) | Self::Cut)
    }
}

type Announce = Box<dyn Fn(&ReceivedMessage) + Send + Sync>;

/// The running inbox. It stops when it is dropped.
pub struct SmsInbox {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    /// Whether connections are taken. The server ends when this is dropped.
    reachable: watch::Sender<bool>,
}

struct Shelf {
    received: Mutex<Vec<ReceivedMessage>>,
    script: Mutex<VecDeque<Reply>>,
    standing: Mutex<Option<Reply>>,
    announce: Announce,
}

/// How long the port of an inbox that is to be reached again may be somebody else's, between two tries.
const BIND_PAUSE: Duration = Duration::from_millis(50);

/// How often it is looked at whether an inbox can be reached, and how many times before that is left to itself.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
const LOOKS: u32 = 200;

impl SmsInbox {
    /// Takes messages on a free port of loopback and calls `announce` with each.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(announce: impl Fn(&ReceivedMessage) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shelf = Arc::new(Shelf {
            received: Mutex::default(),
            script: Mutex::default(),
            standing: Mutex::default(),
            announce: Box::new(announce),
        });
        let router = Router::new()
            .route("/2010-04-01/Accounts/{account}/Messages.json", post(receive))
            .route("/_inbox", get(show))
            .layer(middleware::from_fn(web_pages::refuse_other_names))
            .with_state(Arc::clone(&shelf));
        let (reachable, wanted) = watch::channel(true);
        tokio::spawn(serve(listener, router, wanted));
        Ok(Self { address, shelf, reachable })
    }

    /// Where it is called, without a slash at the end: what `TWILIO_BASE_URL` wants.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The messages so far, the first one first.
    pub fn received(&self) -> Vec<ReceivedMessage> {
        lock(&self.shelf.received).clone()
    }

    /// Answers the next requests with these, one each; what comes after them is queued.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shelf.script).extend(replies);
    }

    /// Answers every request so that the script says nothing of; `None` queues them. What was left of the script is forgotten.
    pub fn stand(&self, reply: Option<Reply>) {
        lock(&self.shelf.script).clear();
        *lock(&self.shelf.standing) = reply;
    }

    /// Takes connections, or none: whoever sends then finds nobody. Returns when that is so.
    pub async fn be_reachable(&self, reachable: bool) {
        self.reachable.send_replace(reachable);
        for _ in 0..LOOKS {
            if TcpStream::connect(self.address).await.is_ok() == reachable {
                return;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// As [`SmsInbox::be_reachable`] with true, for who cannot wait for it.
    pub fn come_back(&self) {
        self.reachable.send_replace(true);
    }
}

/// Answers the connections of `listener` while they are `wanted`, and of its address again when they are wanted again.
async fn serve(listener: TcpListener, router: Router, mut wanted: watch::Receiver<bool>) {
    let Ok(address) = listener.local_addr() else { return };
    let mut listener = Some(listener);
    loop {
        let bound = match listener.take() {
            Some(listener) => Ok(listener),
            None => TcpListener::bind(address).await,
        };
        let Ok(bound) = bound else {
            tokio::time::sleep(BIND_PAUSE).await;
            continue;
        };
        let mut until = wanted.clone();
        let unwanted = async move { drop(until.wait_for(|wanted| !wanted).await) };
        drop(axum::serve(bound, router.clone()).with_graceful_shutdown(unwanted).await);
        if wanted.has_changed().is_err() || wanted.wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
    }
}

impl fmt::Debug for SmsInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsInbox").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn receive(State(shelf): State<Arc<Shelf>>, Path(account): Path<String>, headers: HeaderMap, form: Bytes) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let scripted = lock(&shelf.script).pop_front();
    let reply = scripted.or_else(|| lock(&shelf.standing).clone()).unwrap_or(Reply::Queued);
    let message = {
        let mut received = lock(&shelf.received);
        let message = ReceivedMessage {
            id: format!("SM{:032x}", received.len() + 1),
            is_delivered: reply.delivers(),
            account,
            authorization,
            fields: form_urlencoded::parse(&form).into_owned().collect(),
        };
        received.push(message.clone());
        message
    };
    (shelf.announce)(&message);
    match reply {
        Reply::Queued => queued(&message),
        Reply::QueuedAfter(delay) => {
            tokio::time::sleep(delay).await;
            queued(&message)
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

fn queued(message: &ReceivedMessage) -> Response {
    let answer = json!({
        "sid": message.id, "status": "queued", "error_code": null, "error_message": null,
        "to": message.to(), "from": message.fields.get("From"), "body": message.body(), "num_segments": "1",
        "direction": "outbound-api", "messaging_service_sid": message.fields.get("MessagingServiceSid"),
    });
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn show(State(shelf): State<Arc<Shelf>>) -> Json<Vec<ReceivedMessage>> {
    Json(lock(&shelf.received).clone())
}

/// The lock, also after a panic of another holder: each critical section here is one call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
