//! The limits of [`Policy`], each within the range where it makes sense.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use super::vars::{ConfigError, Vars};
use crate::domain::Policy;

const DAY: u64 = 24 * 3600;

/// Reads the limits; those that are unset keep their defaults.
///
/// # Errors
/// The first limit that is no number or out of range.
pub(super) fn policy(vars: &Vars) -> Result<Policy, ConfigError> {
    let default = Policy::default();
    Ok(Policy {
        // A code sent out of band is good for ten minutes at most (NIST SP 800-63B-4, 3.1.3.2).
        code_ttl: seconds(vars, "CODE_TTL_SECONDS", 1..=600, default.code_ttl)?,
        code_max_attempts: number(vars, "CODE_MAX_ATTEMPTS", 1..=100, default.code_max_attempts)?,
        pending_ttl: seconds(vars, "PENDING_TTL_SECONDS", 1..=30 * DAY, default.pending_ttl)?,
        sms_max_per_window: number(vars, "SMS_MAX_PER_WINDOW", 3..=1000, default.sms_max_per_window)?,
        sms_window: seconds(vars, "SMS_WINDOW_SECONDS", 1..=30 * DAY, default.sms_window)?,
        sms_cooldown: seconds(vars, "SMS_COOLDOWN_SECONDS", 0..=DAY, default.sms_cooldown)?,
        sms_max_per_ip: number(vars, "SMS_MAX_PER_IP", 0..=10_000, default.sms_max_per_ip)?,
        sms_max_refused: number(vars, "SMS_MAX_REFUSED", 1..=1000, default.sms_max_refused)?,
        // No more than 100 failures in a row, whatever is between them (NIST SP 800-63B-4, 3.2.2).
        lock_after_failures: number(vars, "LOCK_AFTER_FAILURES", 1..=100, default.lock_after_failures)?,
        lock: seconds(vars, "LOCK_SECONDS", 1..=DAY, default.lock)?,
        disable_after_failures: number(vars, "DISABLE_AFTER_FAILURES", 1..=100, default.disable_after_failures)?,
    })
}

fn seconds(vars: &Vars, name: &str, range: RangeInclusive<u64>, default: Duration) -> Result<Duration, ConfigError> {
    number(vars, name, range, default.as_secs()).map(Duration::from_secs)
}

fn number<T>(vars: &Vars, name: &str, range: RangeInclusive<T>, default: T) -> Result<T, ConfigError>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    let Some(text) = vars.get(name) else { return Ok(default) };
    let number = text.trim().parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| ConfigError::new(name, format!("must be a number from {} to {}", range.start(), range.end())))
}
