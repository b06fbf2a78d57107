//! Time that can be moved, so that an application's tests see a code expire without waiting for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Deserialize;
use serde_json::{Value, json};
use two_factor::{adapters::system::SystemClock, domain::Timestamp, ports::Clock};

/// The furthest that one request moves the clock: a year.
const MAX_STEP: Duration = Duration::from_hours(366 * 24);

/// A clock that is ahead of the system's by as much as it was moved. It never goes back, as no clock of a server should.
#[derive(Debug, Default)]
pub struct MovableClock {
    ahead_ms: AtomicU64,
}

impl MovableClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// How far it was moved.
    pub fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }

    fn shown(&self) -> Json<Value> {
        Json(json!({"now": self.now().to_rfc3339(), "ahead_seconds": self.ahead().as_secs()}))
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.ahead())
    }
}

/// How far to move it.
#[derive(Deserialize)]
struct Step {
    advance_seconds: u64,
}

/// `/_clock`: GET shows the time, POST moves it.
pub(crate) fn router(clock: Arc<MovableClock>) -> Router {
    Router::new().route("/_clock", get(show).post(advance)).route("/_clock/", get(show).post(advance)).with_state(clock)
}

async fn show(State(clock): State<Arc<MovableClock>>) -> Json<Value> {
    clock.shown()
}

async fn advance(State(clock): State<Arc<MovableClock>>, Json(step): Json<Step>) -> Result<Json<Value>, (StatusCode, String)> {
    let by = Duration::from_secs(step.advance_seconds);
    if by > MAX_STEP {
        return Err((StatusCode::BAD_REQUEST, format!("advance_seconds is at most {}, a year.\n", MAX_STEP.as_secs())));
    }
    clock.advance(by);
    Ok(clock.shown())
}
