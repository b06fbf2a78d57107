//! What an orchestrator asks, on a port of its own: whether the process is alive, whether it is to get requests, what it has counted.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};

use crate::{endpoints::Endpoints, metrics::Prometheus};

/// The path that says that the process is alive.
pub const HEALTHZ: &str = "/healthz";

/// The media type of `OpenMetrics`
/// (<https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md#overall-structure>).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How far the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is not ready, for this reason.
    Starting(String),
    /// The secrets were read, and the table has answered. An outage of the table later on is not told here: it would take all
    /// replicas away at once, and with them the answers that say when to come back.
    Ready,
    /// It was asked to stop.
    Stopping,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting(reason) => write!(f, "not ready: {reason}"),
            Self::Ready => f.write_str("ready"),
            Self::Stopping => f.write_str("not ready: stopping"),
        }
    }
}

/// What is told.
pub struct Admin {
    stage: Mutex<Stage>,
    endpoints: Arc<Endpoints>,
    metrics: Arc<Prometheus>,
}

impl Admin {
    /// Tells of these; the server is starting.
    pub fn new(endpoints: Arc<Endpoints>, metrics: Arc<Prometheus>) -> Self {
        Self { stage: Mutex::new(Stage::Starting("starting".to_owned())), endpoints, metrics }
    }

    /// From here on the server is there.
    pub fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// `GET /healthz`, `GET /readyz` and `GET /metrics`.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route(HEALTHZ, get(async || "alive\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    let stage = admin.stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let status = if stage == Stage::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{stage}\n")).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    match admin.metrics.text(admin.endpoints.in_flight()) {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
