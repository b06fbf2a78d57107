//! The limits of [`Policy`].

use super::{
    reader::Reader,
    settings::{
        CODE_MAX_ATTEMPTS, CODE_TTL_SECONDS, DISABLE_AFTER_FAILURES, LOCK_AFTER_FAILURES, LOCK_SECONDS, PENDING_TTL_SECONDS,
        SMS_COOLDOWN_SECONDS, SMS_MAX_PER_IP, SMS_MAX_PER_WINDOW, SMS_MAX_REFUSED, SMS_WINDOW_SECONDS,
    },
};
use crate::domain::Policy;

/// Reads the limits; those that are unset, and those that are wrong, have their defaults.
pub(super) fn policy(reader: &mut Reader<'_>) -> Policy {
    Policy {
        code_ttl: reader.seconds(&CODE_TTL_SECONDS),
        code_max_attempts: reader.count(&CODE_MAX_ATTEMPTS).into(),
        pending_ttl: reader.seconds(&PENDING_TTL_SECONDS),
        sms_max_per_window: reader.count(&SMS_MAX_PER_WINDOW),
        sms_window: reader.seconds(&SMS_WINDOW_SECONDS),
        sms_cooldown: reader.seconds(&SMS_COOLDOWN_SECONDS),
        sms_max_per_ip: reader.count(&SMS_MAX_PER_IP),
        sms_max_refused: reader.count(&SMS_MAX_REFUSED),
        lock_after_failures: reader.count(&LOCK_AFTER_FAILURES).into(),
        lock: reader.seconds(&LOCK_SECONDS),
        disable_after_failures: reader.count(&DISABLE_AFTER_FAILURES).into(),
    }
}
