//! What the number of an account is told of, and how often (S18; NIST SP 800-63B-4, 4.6).

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// The span in which notifications are counted.
const WINDOW: Duration = Duration::from_hours(24);

/// Notifications of one kind in that span, at most.
const MAX_OF_A_KIND: usize = 3;

/// Something that the active number, or the one that was active, is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    /// Another number is active now.
    Replaced,
    /// Two-factor authentication is off now.
    TurnedOff,
    /// There are new backup codes.
    BackupCodesReplaced,
    /// A backup code was used.
    BackupCodeUsed,
    /// Many wrong codes were entered.
    FailedAttempts,
    /// So many that the number is disabled.
    NumberDisabled,
}

impl NotificationKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Replaced,
        Self::TurnedOff,
        Self::BackupCodesReplaced,
        Self::BackupCodeUsed,
        Self::FailedAttempts,
        Self::NumberDisabled,
    ];

    /// A short stable name, for storage, logs and the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::TurnedOff => "turned_off",
            Self::BackupCodesReplaced => "backup_codes_replaced",
            Self::BackupCodeUsed => "backup_code_used",
            Self::FailedAttempts => "failed_attempts",
            Self::NumberDisabled => "number_disabled",
        }
    }
}

/// One notification that went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentNotification {
    /// What it told.
    pub kind: NotificationKind,
    /// When.
    pub at: Timestamp,
}

/// A user's notifications, as far back as they count. Each kind has a limit of its own, so that none uses up another's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationLog(Vec<SentNotification>);

impl NotificationLog {
    /// A log read back from storage.
    pub fn new(sent: Vec<SentNotification>) -> Self {
        Self(sent)
    }

    /// The notifications, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &SentNotification> {
        self.0.iter()
    }

    /// Records a notification, unless there were enough of its kind; `false` then.
    pub(in crate::domain) fn admit(&mut self, kind: NotificationKind, now: Timestamp) -> bool {
        let admitted = self.0.iter().filter(|sent| sent.kind == kind).count() < MAX_OF_A_KIND;
        if admitted {
            self.0.push(SentNotification { kind, at: now });
        }
        admitted
    }

    pub(in crate::domain) fn prune(&mut self, now: Timestamp) {
        self.0.retain(|sent| sent.at.plus(WINDOW) > now);
    }

    pub(in crate::domain) fn stale_at(&self) -> Option<Timestamp> {
        self.0.iter().map(|sent| sent.at.plus(WINDOW)).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_each_kind_go_out_in_a_day_and_none_uses_up_anothers_s18() {
        let mut log = NotificationLog::default();
        let at = |hour: u64| Timestamp::from_millis(hour * 3_600_000);
        let admitted = [0, 1, 2, 3].map(|hour| log.admit(NotificationKind::BackupCodeUsed, at(hour)));
        assert_eq!(admitted, [true, true, true, false]);
        for kind in NotificationKind::ALL.into_iter().filter(|kind| *kind != NotificationKind::BackupCodeUsed) {
            assert!(log.admit(kind, at(4)), "{kind:?}");
        }
        assert_eq!((log.iter().len(), log.stale_at()), (8, Some(at(28))));
        log.prune(at(24));
        assert!(log.admit(NotificationKind::BackupCodeUsed, at(24)), "the first is a day old");
        assert!(!log.admit(NotificationKind::BackupCodeUsed, at(24)), "the second is not");
    }
}
