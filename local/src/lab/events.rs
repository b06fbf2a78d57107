//! News for who is looking, as server-sent events (HTML Standard, 9.2).

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse as _, Response,
    sse::{self, KeepAlive, Sse},
};
use futures_util::stream;
use tokio::sync::broadcast::{self, error::RecvError};

/// How much news waits for who is slow. Who misses some is told that everything may be different.
const WAITING: usize = 256;

/// How often a silent stream says that it is there, so that nothing between closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Something happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A text message came, as JSON.
    Message(String),
    /// A request was answered, as JSON.
    Exchange(String),
    /// A request has ended: what codes are good for may be different now.
    Change,
    /// A lever was moved: everything may be different now.
    Levers,
    /// The server stops.
    End,
}

/// Where news is told, and heard. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Events {
    pub(super) fn publish(&self, event: Event) {
        // Nobody may be looking.
        drop(self.0.send(event));
    }

    /// The news from now on that `wanted` picks, until the server stops.
    pub(super) fn stream(&self, wanted: fn(&Event) -> bool) -> Response {
        let news = stream::unfold(self.0.subscribe(), move |mut receiver| async move {
            loop {
                let event = match receiver.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => Event::Levers,
                    Err(RecvError::Closed) => return None,
                };
                let shown = match &event {
                    Event::End => return None,
                    event if !wanted(event) => continue,
                    Event::Message(json) => sse::Event::default().event("message").data(json),
                    Event::Exchange(json) => sse::Event::default().event("exchange").data(json),
                    Event::Change => sse::Event::default().event("change").data("{}"),
                    Event::Levers => sse::Event::default().event("levers").data("{}"),
                };
                return Some((Ok::<_, Infallible>(shown), receiver));
            }
        });
        Sse::new(news).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
    }
}
