//! The one clock and the one source of randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::{CryptoRng, rand_core::UnwrapErr, rngs::SysRng};

use crate::{
    domain::Timestamp,
    ports::{Clock, Random},
};

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The operating system's generator (S1). Panics where that fails, since no other source is fit for codes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn rng(&self) -> Box<dyn CryptoRng + Send> {
        Box::new(UnwrapErr(SysRng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_and_no_two_draws_are_alike() {
        let (clock, random) = (SystemClock, SystemRandom);
        let earlier = clock.now();
        assert!(earlier.as_millis() > 1_700_000_000_000, "in milliseconds, and not in the past");
        assert!(clock.now() >= earlier);
        let draw = || {
            let mut bytes = [0; 16];
            random.rng().fill_bytes(&mut bytes);
            bytes
        };
        assert_ne!(draw(), draw());
    }
}
