//! The vocabulary of the audit trail (S24): what happened, and how it ended.

/// What happened. The names are stable: trails are searched by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditEvent {
    /// An enrollment was asked for: 2FA is off, a number is to be verified.
    Setup,
    /// A replacement of the active number was asked for.
    Replace,
    /// A code was asked for.
    Send,
    /// What the providers answered, where it was not simply that the first one took the message.
    Delivery,
    /// A code was handed in.
    Verify,
    /// 2FA was turned on.
    Enabled,
    /// Another number became the active one.
    Replaced,
    /// Backup codes were made anew.
    BackupCodesRegenerated,
    /// Turning 2FA off, or dropping an unverified enrollment, was asked for.
    Disable,
    /// Too many wrong codes: nothing is judged for a while.
    Locked,
    /// Far too many wrong codes: the factor is disabled until it is bound anew.
    FactorDisabled,
    /// The old number was to be told of a change.
    Notification,
    /// An operator unlocked the account.
    OperatorUnlock,
    /// An operator removed the factor.
    OperatorReset,
}

impl AuditEvent {
    /// The event's name in the trail and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Replace => "replace",
            Self::Send => "send",
            Self::Delivery => "delivery",
            Self::Verify => "verify",
            Self::Enabled => "enabled",
            Self::Replaced => "replaced",
            Self::BackupCodesRegenerated => "backup_codes_regenerated",
            Self::Disable => "disable",
            Self::Locked => "locked",
            Self::FactorDisabled => "factor_disabled",
            Self::Notification => "notification",
            Self::OperatorUnlock => "operator_unlock",
            Self::OperatorReset => "operator_reset",
        }
    }
}

/// How it ended: `success`, or the code of the refusal that the caller got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditOutcome {
    /// It was done.
    Success,
    /// It was refused, with this code.
    Refused(&'static str),
}

impl AuditOutcome {
    /// The outcome's name in the trail and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused(code) => code,
        }
    }
}
