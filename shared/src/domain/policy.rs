//! The limits that a decision is held to.

use std::time::Duration;

/// Every limit of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The life of a code.
    pub code_ttl: Duration,
    /// Wrong guesses that a code survives; at least 1.
    pub code_max_attempts: u32,
    /// The life of an enrollment or replacement that is not verified.
    pub pending_ttl: Duration,
    /// Sends in any rolling window: per user, and apart from that per phone number, those that would bind it and those to it as an
    /// account's own; at least 3, which a replacement takes.
    pub sms_max_per_window: u16,
    /// The length of that window.
    pub sms_window: Duration,
    /// The least time between two sends of a user to the same number; zero turns it off.
    pub sms_cooldown: Duration,
    /// Sends that would bind a number, in any rolling window from one source address; zero turns it off.
    pub sms_max_per_ip: u16,
    /// Sends of a user, in any rolling window, that providers refuse for the recipient's sake; at least 1.
    pub sms_max_refused: u16,
    /// Consecutive wrong SMS codes before a lock, and wrong backup codes before the owner is told; at least 1.
    pub lock_after_failures: u32,
    /// The length of the first lock; each further one is twice as long, up to 24 hours.
    pub lock: Duration,
    /// Consecutive wrong SMS codes before the number is disabled; at least 1.
    pub disable_after_failures: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            code_ttl: Duration::from_secs(300),
            code_max_attempts: 5,
            pending_ttl: Duration::from_secs(3600),
            sms_max_per_window: 5,
            sms_window: Duration::from_secs(3600),
            sms_cooldown: Duration::from_secs(30),
            sms_max_per_ip: 20,
            sms_max_refused: 10,
            lock_after_failures: 10,
            lock: Duration::from_secs(900),
            disable_after_failures: 100,
        }
    }
}
