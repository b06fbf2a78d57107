//! Counting wrong guesses in a row, and the locks that grow with them (S8, S9).

use std::time::Duration;

use crate::domain::{Policy, Timestamp};

/// The longest that a lock lasts.
const LONGEST_LOCK: Duration = Duration::from_secs(24 * 60 * 60);

/// Consecutive wrong guesses at one kind of code, over all codes of that kind. A right one starts a new count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedAttempts {
    /// Wrong guesses in a row.
    pub failures: u32,
    /// When the last of them was made; `None` while there are none.
    pub last_failure: Option<Timestamp>,
    /// Until when nothing is judged; in the past, or `None`, when nothing is locked.
    pub locked_until: Option<Timestamp>,
}

impl FailedAttempts {
    /// How much longer nothing is judged; `None` when a guess may be made.
    pub fn lock_remaining(&self, now: Timestamp) -> Option<Duration> {
        self.locked_until.filter(|until| *until > now).map(|until| until.since(now))
    }

    /// Wrong guesses left before the next lock, or before this kind of code is worth nothing any more, whichever comes first.
    pub fn left_before_lock(&self, policy: &Policy) -> u32 {
        let to_lock = policy.lock_after_failures - self.failures % policy.lock_after_failures;
        let to_exhaustion = policy.disable_after_failures.checked_sub(self.failures).filter(|left| *left > 0);
        to_exhaustion.map_or(to_lock, |left| left.min(to_lock))
    }

    /// Whether so many guesses were wrong in a row that this kind of code is worth nothing any more.
    pub fn is_exhausted(&self, policy: &Policy) -> bool {
        self.failures >= policy.disable_after_failures
    }

    /// Counts a wrong guess. Every `lock_after_failures` of them lock, each time twice as long, up to 24 hours.
    /// Returns the lock's length if this guess caused one.
    pub(in crate::domain) fn count_failure(&mut self, policy: &Policy, now: Timestamp) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(now);
        if !self.failures.is_multiple_of(policy.lock_after_failures) {
            return None;
        }
        let doublings = self.failures / policy.lock_after_failures - 1;
        let length = policy.lock.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_LOCK.max(policy.lock));
        self.locked_until = Some(now.plus(length));
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_lock_and_each_lock_doubles_up_to_a_day_s8() {
        let policy = Policy::default();
        let mut count = FailedAttempts::default();
        let mut now = Timestamp::from_millis(0);
        let mut locks = Vec::new();
        for _ in 0..90 {
            if let Some(length) = count.count_failure(&policy, now) {
                locks.push(length.as_secs());
                now = now.plus(length);
            }
        }
        assert_eq!(locks, [900, 1800, 3600, 7200, 14_400, 28_800, 57_600, 86_400, 86_400]);
    }

    #[test]
    fn a_lock_ends_at_its_instant() {
        let policy = Policy { lock_after_failures: 1, ..Policy::default() };
        let mut count = FailedAttempts::default();
        count.count_failure(&policy, Timestamp::from_millis(1000));
        assert_eq!(count.lock_remaining(Timestamp::from_millis(900_999)), Some(Duration::from_millis(1)));
        assert_eq!(count.lock_remaining(Timestamp::from_millis(901_000)), None);
    }
}
