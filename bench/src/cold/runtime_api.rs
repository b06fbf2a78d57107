//! The Lambda runtime API, as far as one function's process needs it, with the moments at which things happened.
//!
//! Unlike the runtime interface emulator (`two_factor_tests::rie`) it adds nothing of its own to what is measured.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc, oneshot},
};

/// What the process did, or was given.
#[derive(Debug)]
pub(crate) enum Moment {
    /// It asks for an invocation: it has started, or it is done with the last one.
    Polled(Instant),
    /// An invocation is handed to it.
    Invoked(Instant),
    /// It answers the invocation.
    Answered(Instant, Value),
    /// It reports a failure, of an invocation or of its start.
    Failed(Value),
}

/// The runtime API of one process. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    events: mpsc::UnboundedSender<Value>,
    moments: mpsc::UnboundedReceiver<Moment>,
    _stop: oneshot::Sender<()>,
}

struct Desk {
    events: Mutex<mpsc::UnboundedReceiver<Value>>,
    moments: mpsc::UnboundedSender<Moment>,
    served: AtomicUsize,
}

impl RuntimeApi {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (events, waiting) = mpsc::unbounded_channel();
        let (sender, moments) = mpsc::unbounded_channel();
        let desk = Desk { events: Mutex::new(waiting), moments: sender, served: AtomicUsize::new(0) };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .with_state(Arc::new(desk));
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            tokio::select! {
                result = axum::serve(listener, router) => drop(result),
                _ = stopped => {}
            }
        });
        Ok(Self { address, events, moments, _stop: stop })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` wants.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lines up an event for the process.
    pub(crate) fn push(&self, event: Value) {
        // The other end is kept by the server, which lives as long as this does.
        let _ = self.events.send(event);
    }

    /// The next thing that happens; `None` when nothing can happen any more.
    pub(crate) async fn moment(&mut self) -> Option<Moment> {
        self.moments.recv().await
    }
}

async fn next(State(desk): State<Arc<Desk>>) -> Response {
    desk.tell(Moment::Polled(Instant::now()));
    let Some(event) = desk.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = format!("00000000-0000-4000-8000-{:012x}", desk.served.fetch_add(1, Ordering::Relaxed));
    let headers = [
        ("lambda-runtime-aws-request-id", id.as_str()),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:measured"),
        ("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"),
    ];
    let response = (headers, Json(event)).into_response();
    desk.tell(Moment::Invoked(Instant::now()));
    response
}

async fn answered(State(desk): State<Arc<Desk>>, Path(_): Path<String>, answer: Bytes) -> StatusCode {
    let now = Instant::now();
    desk.tell(Moment::Answered(now, serde_json::from_slice(&answer).unwrap_or_default()));
    StatusCode::ACCEPTED
}

async fn failed(State(desk): State<Arc<Desk>>, body: String) -> StatusCode {
    desk.tell(Moment::Failed(Value::String(body)));
    StatusCode::ACCEPTED
}

impl Desk {
    fn tell(&self, moment: Moment) {
        // Nobody may be listening any more, at the end.
        let _ = self.moments.send(moment);
    }
}
