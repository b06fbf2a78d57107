//! Every effect that the core needs from outside: here time and randomness, in its files storage, text messages, token keys and
//! secrets.

pub mod secrets;
pub mod sms;
pub mod store;
pub mod token_keys;

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::CryptoRng;

use crate::domain::Timestamp;

pub use secrets::{SecretError, SecretErrorKind, SecretSource};
pub use sms::{Channel, SmsSender};
pub use store::{
    AuditEntry, AuditRecord, Commit, CommitError, LoadRequest, Origin, SlotChange, Snapshot, Store, StoreUnavailable, Version,
    WindowSubject,
};
pub use token_keys::{KeysUnavailable, SignatureAlgorithm, VerificationKey, VerificationKeys};

/// A boxed future, for ports whose implementation is chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says what time it is. The one place that time comes from.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// Gives randomness fit for secrets. The one place that randomness comes from.
pub trait Random: Send + Sync {
    /// The generator that draws for one request.
    fn rng(&self) -> Box<dyn CryptoRng + Send>;
}

/// When a request must have been answered (S25). Whatever waits for storage or for a provider waits no longer than this.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that is `time` away.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// How much time is left; zero once it is over.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// A deadline before this one, so that time is left to do something about what was not done by then.
    #[must_use]
    pub fn earlier_by(self, time: Duration) -> Self {
        Self(self.0.checked_sub(time).unwrap_or(self.0))
    }

    /// The instant itself, on the monotonic clock.
    pub const fn instant(self) -> Instant {
        self.0
    }
}
