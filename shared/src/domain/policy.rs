//! The limits that a decision is held to.

use std::time::Duration;

/// Every limit of the service. `config` fills it from the environment; the defaults are those of the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `CODE_TTL_SECONDS`: the life of a code.
    pub code_ttl: Duration,
    /// `CODE_MAX_ATTEMPTS`: wrong guesses that a code survives; at least 1.
    pub code_max_attempts: u32,
    /// `PENDING_TTL_SECONDS`: the life of an enrollment or replacement that is not verified.
    pub pending_ttl: Duration,
    /// `SMS_MAX_PER_WINDOW`: sends in any rolling window, per user and per phone number; at least 1.
    pub sms_max_per_window: u16,
    /// `SMS_WINDOW_SECONDS`: the length of that window.
    pub sms_window: Duration,
    /// `SMS_COOLDOWN_SECONDS`: the least time between two sends to a user; zero turns it off.
    pub sms_cooldown: Duration,
    /// `SMS_MAX_PER_IP`: sends in any rolling window from one source address; zero turns it off.
    pub sms_max_per_ip: u16,
    /// `LOCK_AFTER_FAILURES`: consecutive wrong codes before a lock; at least 1.
    pub lock_after_failures: u32,
    /// `LOCK_SECONDS`: the length of the first lock; each further one is twice as long, up to 24 hours.
    pub lock: Duration,
    /// `DISABLE_AFTER_FAILURES`: consecutive wrong codes before the factor is disabled; at least 1.
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
            lock_after_failures: 10,
            lock: Duration::from_secs(900),
            disable_after_failures: 100,
        }
    }
}
