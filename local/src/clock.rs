//! Time that can be moved, so that an application's tests see a code expire without waiting for it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use two_factor::{adapters::system::SystemClock, domain::Timestamp, ports::Clock};

/// A clock that is ahead of the system's by as much as it was moved. It goes back only together with everything that was stored, as no
/// clock of a server does.
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

    /// Shows the system's time again: for who throws away what was stored at a later one.
    pub(crate) fn return_to_the_present(&self) {
        self.ahead_ms.store(0, Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.ahead())
    }
}
