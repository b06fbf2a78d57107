//! What is seen of the running service, and what the page is made of.

use std::sync::Arc;

use two_factor::{
    adapters::development_token::{MintError, TokenMint},
    app::App,
    observability::{Observer, log::RequestSummary},
};

use super::{
    events::{Event, Events},
    levers::{Levers, Table},
    phone::{Filter, Phone},
    wire::Wire,
};
use crate::{clock::MovableClock, messages::Messages, sms_inbox::ReceivedMessage};

/// What is seen of the service, and moved around it. Made before the service, which tells of everything from its first request on.
#[derive(Clone)]
pub(crate) struct Sight {
    pub(super) events: Events,
    pub(super) phone: Arc<Phone>,
    pub(super) wire: Arc<Wire>,
    pub(super) levers: Arc<Levers>,
}

impl Sight {
    /// Has seen nothing yet. `clock` is the service's.
    pub(crate) fn new(clock: &Arc<MovableClock>) -> Self {
        let events = Events::default();
        Self {
            phone: Arc::new(Phone::new(Arc::<MovableClock>::clone(clock), events.clone())),
            wire: Arc::new(Wire::new(Arc::<MovableClock>::clone(clock), events.clone())),
            levers: Arc::new(Levers::new(Arc::clone(clock), events.clone())),
            events,
        }
    }

    /// A text message came to the inbox.
    pub(crate) fn receive(&self, message: &ReceivedMessage) {
        self.phone.receive(message);
    }

    /// Forgets what was seen.
    pub(super) fn forget(&self) {
        self.wire.clear();
        self.phone.forget(&Filter::default());
        self.events.publish(Event::Levers);
    }
}

impl Observer for Sight {
    fn ended(&self, request: &RequestSummary<'_>) {
        self.phone.ended(request);
        self.wire.ended(request);
        self.levers.ended(request);
        self.events.publish(Event::Change);
    }
}

/// What the page shows and moves.
pub(crate) struct Lab {
    pub(super) sight: Sight,
    pub(super) parts: Parts,
}

/// What a [`Lab`] is made of, beside what it sees.
pub(crate) struct Parts {
    /// The service.
    pub(crate) app: Arc<App>,
    /// Where its text messages go.
    pub(crate) messages: Messages,
    /// Makes tokens for the users of the page.
    pub(crate) mint: Result<TokenMint, MintError>,
    /// Whether there is a page: in production there is none, since it makes tokens for everybody.
    pub(crate) is_development: bool,
    /// Whether time can be moved.
    pub(crate) moves_clock: bool,
}

impl Lab {
    /// The lab around `parts.app`, which `sight` observes. `disposable` is the table, where all of it may be thrown away.
    pub(crate) fn new(sight: Sight, parts: Parts, disposable: Option<Table>) -> Self {
        let inbox = if let Messages::Inbox(inbox) = &parts.messages { Some(Arc::clone(inbox)) } else { None };
        sight.levers.connect(inbox, disposable);
        Self { sight, parts }
    }

    /// Ends every stream of events, which would last as long as their readers want.
    pub(crate) fn close(&self) {
        self.sight.events.publish(Event::End);
    }
}
