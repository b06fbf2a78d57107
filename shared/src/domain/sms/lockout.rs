//! Counting wrong SMS codes in a row, and the locks that grow with them (S8; NIST SP 800-63B-4, 3.2.2).

use std::time::Duration;

use crate::domain::{policy::Policy, timestamp::Timestamp};

/// The longest that a lock lasts.
const MAX_LOCK: Duration = Duration::from_hours(24);

/// Consecutive wrong SMS codes, over all codes that were sent. A right code of either kind starts a new count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedAttempts {
    /// How many there were.
    pub count: u32,
    /// When the last of them was made; `None` while there are none.
    pub last_at: Option<Timestamp>,
    /// Until when nothing is judged; in the past, or `None`, when nothing is locked.
    pub locked_until: Option<Timestamp>,
}

impl FailedAttempts {
    /// How much longer nothing is judged; `None` when a code may be handed in.
    pub fn lock_remaining(&self, now: Timestamp) -> Option<Duration> {
        self.locked_until.filter(|until| *until > now).map(|until| until.since(now))
    }

    /// Wrong codes left before the next lock; at least 1.
    pub fn left_before_lock(&self, policy: &Policy) -> u32 {
        policy.lock_after_failures - self.count % policy.lock_after_failures
    }

    /// Wrong codes left before a number is disabled; at least 1.
    pub fn left_before_disabling(&self, policy: &Policy) -> u32 {
        policy.disable_after_failures.saturating_sub(self.count).max(1)
    }

    /// Whether so many codes were wrong in a row that the number is disabled.
    pub fn is_exhausted(&self, policy: &Policy) -> bool {
        self.count >= policy.disable_after_failures
    }

    /// Counts a wrong code. Every `lock_after_failures` of them lock, each time twice as long, up to 24 hours.
    /// Returns the lock's length if this one caused one.
    pub(in crate::domain) fn count_failure(&mut self, policy: &Policy, now: Timestamp) -> Option<Duration> {
        self.count = self.count.saturating_add(1);
        self.last_at = Some(now);
        if !self.count.is_multiple_of(policy.lock_after_failures) {
            return None;
        }
        let doublings = self.count / policy.lock_after_failures - 1;
        let length = policy.lock.saturating_mul(2_u32.saturating_pow(doublings)).min(MAX_LOCK.max(policy.lock));
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
        let mut failed = FailedAttempts::default();
        let mut now = Timestamp::from_millis(0);
        let mut locks = Vec::new();
        for _ in 0..90 {
            if let Some(length) = failed.count_failure(&policy, now) {
                locks.push(length.as_secs());
                now = now.plus(length);
            }
        }
        assert_eq!(locks, [900, 1800, 3600, 7200, 14_400, 28_800, 57_600, 86_400, 86_400]);
    }

    #[test]
    fn a_lock_ends_at_its_instant() {
        let policy = Policy { lock_after_failures: 1, ..Policy::default() };
        let mut failed = FailedAttempts::default();
        failed.count_failure(&policy, Timestamp::from_millis(1000));
        assert_eq!(failed.lock_remaining(Timestamp::from_millis(900_999)), Some(Duration::from_millis(1)));
        assert_eq!(failed.lock_remaining(Timestamp::from_millis(901_000)), None);
    }

    #[test]
    fn what_is_left_is_told_up_to_the_next_lock_and_up_to_the_end() {
        let policy = Policy { lock_after_failures: 10, disable_after_failures: 25, ..Policy::default() };
        for (count, to_lock, to_end) in [(0, 10, 25), (1, 9, 24), (9, 1, 16), (10, 10, 15), (24, 6, 1), (25, 5, 1), (30, 10, 1)] {
            let failed = FailedAttempts { count, ..FailedAttempts::default() };
            assert_eq!(failed.left_before_lock(&policy), to_lock, "after {count}");
            assert_eq!(failed.left_before_disabling(&policy), to_end, "after {count}");
            assert_eq!(failed.is_exhausted(&policy), count >= 25, "after {count}");
        }
    }
}
