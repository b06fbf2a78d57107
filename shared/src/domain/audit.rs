//! The vocabulary of the audit trail (S24): what happened, how it ended, and what else there is to say.

use super::{
    decide::refusal::Refusal,
    message::{
        delivery::{Attempt, DeliveryReason, Provider},
        notification::NotificationKind,
    },
    phone_number::PhoneNumber,
    sms::challenge::{ChallengeId, Purpose},
};

/// What happened. The names are stable: trails are searched by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditKind {
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
    /// Too many wrong codes: no SMS code is judged for a while.
    Locked,
    /// Far too many wrong codes: the number is disabled until it is bound anew.
    FactorDisabled,
    /// The owner was to be told of something.
    Notification,
    /// An operator unlocked the account.
    OperatorUnlock,
    /// An operator removed the factor.
    OperatorReset,
    /// An operator erased what tells who the user is.
    OperatorErase,
    /// An operator brought in a number that was verified elsewhere.
    OperatorImport,
    /// An operator sent a test message.
    OperatorTestMessage,
}

impl AuditKind {
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
            Self::OperatorErase => "operator_erase",
            Self::OperatorImport => "operator_import",
            Self::OperatorTestMessage => "operator_test_message",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It was done.
    Success,
    /// It was refused.
    Refused(Refusal),
    /// A message did not leave.
    NotDelivered(DeliveryReason),
    /// A message may have left.
    UnknownOutcome,
    /// A notification was one too many.
    TooMany,
}

impl AuditOutcome {
    /// The outcome's name in the trail and in logs: `success`, or the code that the caller got.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused(refusal) => refusal.code(),
            Self::NotDelivered(_) => "sms_delivery_failed",
            Self::UnknownOutcome => "unknown_outcome",
            Self::TooMany => "rate_limited",
        }
    }
}

/// The kind of code that was right, or that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// An SMS code.
    Sms,
    /// A backup code.
    BackupCode,
}

impl Method {
    /// Its name in answers and in the trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::BackupCode => "backup_code",
        }
    }
}

/// What else there is to say: never a code, token or clear number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditDetails {
    /// What the code is or was for.
    pub purpose: Option<Purpose>,
    /// Which kind of code was handed in.
    pub method: Option<Method>,
    /// Who is asked first to send.
    pub provider: Option<Provider>,
    /// Our name for the message.
    pub reference: Option<ChallengeId>,
    /// What the owner was to be told of.
    pub notification: Option<NotificationKind>,
    /// Who was asked to send, and what each answered.
    pub attempts: Vec<Attempt>,
    /// Whether it was about a number for tests.
    pub is_test: bool,
}

impl AuditDetails {
    /// The details as names and values, for the trail.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let Self { purpose, method, provider, reference, notification, attempts, is_test } = self;
        let attempts = (!attempts.is_empty()).then(|| attempts.iter().map(Attempt::to_string).collect::<Vec<_>>().join(", "));
        [
            ("purpose", purpose.map(|purpose| purpose.as_str().to_owned())),
            ("method", method.map(|method| method.as_str().to_owned())),
            ("provider", provider.map(|provider| provider.as_str().to_owned())),
            ("reference", reference.map(|reference| reference.to_string())),
            ("notification", notification.map(|kind| kind.as_str().to_owned())),
            ("attempts", attempts),
            ("test", is_test.then(|| "true".to_owned())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// Something for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// What happened.
    pub kind: AuditKind,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The number it was about.
    pub phone: Option<PhoneNumber>,
    /// What else there is to say.
    pub details: AuditDetails,
}

impl AuditEvent {
    /// An event that says no more than what happened and how it ended.
    pub fn new(kind: AuditKind, outcome: AuditOutcome, phone: Option<PhoneNumber>) -> Self {
        Self { kind, outcome, phone, details: AuditDetails::default() }
    }
}
