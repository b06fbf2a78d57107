//! The aggregate: everything that is known of one user's second factor, loaded and stored as one.

use std::time::Duration;

use super::{BackupCodes, Challenge, FailedAttempts, PhoneNumber, Policy, Purpose, SendLog, Timestamp};

/// How long the wrong guesses of an account without a factor are remembered: far longer than the longest lock, so that waiting
/// for them to be forgotten gains nothing.
const FAILURE_MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// The span in which notifications are counted, and how many of them it may hold.
pub(super) const NOTIFICATION_WINDOW: Duration = Duration::from_secs(24 * 3600);
pub(super) const MAX_NOTIFICATIONS: usize = 3;

/// One user's second factor. Only [`decide`](super::decide()) changes it; storage reads and writes it whole.
///
/// SMS is the first method of several: a further one is a further field beside `sms`. Backup codes and the send log belong to
/// the account, not to a method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The phone number as a factor.
    pub sms: SmsFactor,
    /// The number that waits to be verified.
    pub pending: Option<Pending>,
    /// The code that is out.
    pub challenge: Option<Challenge>,
    /// Consecutive wrong guesses at SMS codes.
    pub sms_failed_attempts: FailedAttempts,
    /// The backup codes that are left, and the wrong guesses at them. Empty unless a factor is active.
    pub backup: BackupCodes,
    /// The user's sends, as far back as they count.
    pub sends: SendLog,
    /// When an old number was told of a change.
    pub notifications: Vec<Timestamp>,
}

/// The phone number as a factor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SmsFactor {
    /// No number was verified.
    #[default]
    Off,
    /// This number is the factor.
    On(ActivePhone),
    /// Too many codes were wrong: this number counts for nothing until a number is bound anew with a backup code. 2FA is
    /// still on: signing in needs a backup code.
    Disabled(ActivePhone),
}

/// A number that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivePhone {
    /// The number.
    pub phone: PhoneNumber,
    /// When it was verified.
    pub enabled_at: Timestamp,
}

impl SmsFactor {
    /// The verified number, whether it counts at present or not.
    pub fn active(&self) -> Option<&ActivePhone> {
        match self {
            Self::Off => None,
            Self::On(active) | Self::Disabled(active) => Some(active),
        }
    }
}

/// A number that waits to be verified: the first one, or one to replace the active one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The number.
    pub phone: PhoneNumber,
    /// The first instant at which it has lapsed.
    pub expires_at: Timestamp,
}

/// Where a user stands, as the user may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The verified number and since when; `None` while 2FA is off.
    pub active: Option<ActivePhone>,
    /// Whether the verified number counts for nothing until it is bound anew.
    pub factor_disabled: bool,
    /// How many backup codes are left.
    pub backup_codes_remaining: usize,
    /// The number that waits to be verified.
    pub pending: Option<PhoneNumber>,
}

impl Account {
    /// The account as it is at `now`: what has lapsed is gone. Storage may hand out expired items for days; every decision
    /// starts from here, so none can forget to look at the clock.
    ///
    /// An expired challenge stays, so that its code can be told to be too old, unless what it was sent for is gone.
    #[must_use]
    pub fn at(mut self, policy: &Policy, now: Timestamp) -> Self {
        self.pending = self.pending.filter(|pending| pending.expires_at > now);
        let pending_phone = self.pending.as_ref().map(|pending| &pending.phone);
        self.challenge = self.challenge.filter(|challenge| match challenge.purpose {
            Purpose::Enroll | Purpose::Replace => pending_phone == Some(&challenge.phone),
            Purpose::SignIn => self.sms.active().is_some_and(|active| active.phone == challenge.phone),
        });
        self.sends.prune(policy, now);
        self.notifications.retain(|at| at.plus(NOTIFICATION_WINDOW) > now);
        if self.sms == SmsFactor::Off {
            for guesses in [&mut self.sms_failed_attempts, &mut self.backup.failed_attempts] {
                if guesses.last_failure.is_some_and(|last| last.plus(FAILURE_MEMORY) <= now) {
                    *guesses = FailedAttempts::default();
                }
            }
        }
        self
    }

    /// Where the user stands at `now`.
    pub fn status(self, policy: &Policy, now: Timestamp) -> Status {
        let account = self.at(policy, now);
        Status {
            factor_disabled: matches!(account.sms, SmsFactor::Disabled(_)),
            active: account.sms.active().cloned(),
            backup_codes_remaining: account.backup.remaining(),
            pending: account.pending.map(|pending| pending.phone),
        }
    }

    /// The instant from which nothing in this account matters any more, so that storage may drop it; `None` while a factor is
    /// active, which is for ever.
    pub fn stale_at(&self, policy: &Policy) -> Option<Timestamp> {
        if self.sms.active().is_some() {
            return None;
        }
        let send_memory = policy.sms_window.max(policy.sms_cooldown);
        let guesses = [&self.sms_failed_attempts, &self.backup.failed_attempts];
        let instants = (self.pending.iter().map(|pending| pending.expires_at))
            .chain(self.sends.iter().map(|send| send.at.plus(send_memory)))
            .chain(self.notifications.iter().map(|at| at.plus(NOTIFICATION_WINDOW)))
            .chain(guesses.iter().filter_map(|count| count.last_failure).map(|last| last.plus(FAILURE_MEMORY)))
            .chain(guesses.iter().filter_map(|count| count.locked_until));
        Some(instants.max().unwrap_or(Timestamp::from_millis(0)))
    }
}
