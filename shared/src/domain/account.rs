//! The aggregate: everything that is known of one user's second factor, loaded and stored as one.

use std::time::Duration;

use super::{
    backup_code::BackupCodes,
    digest::Pepper,
    message::notification::NotificationLog,
    phone_number::PhoneNumber,
    policy::Policy,
    sms::{
        challenge::Purpose,
        factor::{ActivePhone, Destination, FAILURE_MEMORY, SmsFactor},
        send_window::{NumberTag, SendLog},
    },
    timestamp::Timestamp,
    user_id::UserId,
};

/// One user's second factor. Only [`decide`](super::decide()) changes it; storage reads and writes it whole.
///
/// SMS is the first method of several: a further one is a further part beside `sms`. Backup codes, the send log and the
/// notifications belong to the account, not to a method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The phone number as a factor.
    pub sms: SmsFactor,
    /// The backup codes that are left, and the wrong ones. Empty unless a factor is on.
    pub backup: BackupCodes,
    /// The user's sends, as far back as they count.
    pub sends: SendLog,
    /// What the user was told of, as far back as it counts.
    pub notifications: NotificationLog,
}

/// Where a user stands, as the user may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The verified number and since when; `None` while two-factor authentication is off.
    pub active: Option<ActivePhone>,
    /// Whether the verified number counts for nothing until it is bound anew.
    pub factor_disabled: bool,
    /// How many backup codes are left.
    pub backup_codes_remaining: usize,
    /// The number that waits to be verified.
    pub pending: Option<PhoneNumber>,
    /// How much longer no SMS code is judged; zero while none is locked out.
    pub locked_for: Duration,
    /// The code that is out; `None` while there is none that could still be right.
    pub live_code: Option<LiveCode>,
    /// How many sends are left in the user's window.
    pub sends_remaining: u16,
    /// How long until a code of the usual purpose may be sent.
    pub resend_in: Duration,
}

/// A code that is out, as its user may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveCode {
    /// What it is for.
    pub purpose: Purpose,
    /// How much longer it lives.
    pub expires_in: Duration,
    /// Wrong guesses left.
    pub attempts_remaining: u32,
}

impl Account {
    /// Whether any factor is on, disabled or not: whether signing in takes a second factor.
    pub fn has_factor(&self) -> bool {
        self.sms.active().is_some()
    }

    /// The account as it is at `now`: what has lapsed is gone. Storage may hand out expired items for days; every decision
    /// starts from here, so none can forget to look at the clock.
    #[must_use]
    pub fn at(mut self, policy: &Policy, now: Timestamp) -> Self {
        self.sms.lapse(now);
        self.sends.prune(policy, now);
        self.notifications.prune(now);
        if !self.has_factor() && self.backup.last_failed_at.is_some_and(|last| last.plus(FAILURE_MEMORY) <= now) {
            self.backup.forget_failures();
        }
        self
    }

    /// Where `user` stands at `now`.
    pub fn status(self, user: &UserId, policy: &Policy, pepper: &Pepper, now: Timestamp) -> Status {
        let account = self.at(policy, now);
        let destination = match account.sms.destination(account.sms.usual_purpose()) {
            Destination::Phone(phone) => Some(NumberTag::of(phone, user, pepper)),
            Destination::Nowhere | Destination::Disabled => None,
        };
        let next = account.sends.next(destination, policy, now);
        let live = account.sms.challenge.as_ref().filter(|challenge| challenge.expires_at > now);
        Status {
            factor_disabled: account.sms.is_disabled(),
            backup_codes_remaining: account.backup.remaining(),
            locked_for: account.sms.failed_attempts.lock_remaining(now).unwrap_or_default(),
            live_code: live.map(|challenge| LiveCode {
                purpose: challenge.purpose,
                expires_in: challenge.expires_at.since(now),
                attempts_remaining: account.sms.attempts_remaining(policy),
            }),
            sends_remaining: next.remaining,
            resend_in: next.wait,
            active: account.sms.active().cloned(),
            pending: account.sms.pending.map(|pending| pending.phone),
        }
    }

    /// The instant from which nothing in this account matters any more, so that storage may drop it; `None` while a factor is
    /// on, which is for ever.
    pub fn stale_at(&self, policy: &Policy) -> Option<Timestamp> {
        if self.has_factor() {
            return None;
        }
        let failures = [self.sms.failed_attempts.last_at, self.backup.last_failed_at];
        let instants = (self.sms.pending.iter().map(|pending| pending.expires_at))
            .chain(self.sends.stale_at(policy))
            .chain(self.notifications.stale_at())
            .chain(failures.into_iter().flatten().map(|last| last.plus(FAILURE_MEMORY)))
            .chain(self.sms.failed_attempts.locked_until);
        Some(instants.max().unwrap_or(Timestamp::from_millis(0)))
    }
}
