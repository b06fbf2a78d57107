//! What can be asked of an account, and what may come of it.

use std::time::Duration;

use crate::domain::{
    Account, AuditEvent, AuditOutcome, BackupCode, ChallengeId, Code, Pepper, PhoneNumber, Policy, Proof, Purpose, SendWindow,
    Slot, Timestamp, UserId, message::text::NotificationKind,
};

/// What a caller, or the service itself, asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Enroll this number, or put it in the place of the active one, which takes a proof.
    Setup {
        /// The new number.
        phone: PhoneNumber,
        /// That the active factor is the caller's.
        proof: Option<Proof>,
    },
    /// Send a code: to the active number, or to the pending one if there is no active one or if `pending` asks for it.
    Send {
        /// Whether the pending number is meant even though there is an active one.
        pending: bool,
    },
    /// Judge a code.
    Verify {
        /// The code.
        proof: Proof,
        /// Whether to replace the backup codes too.
        regenerate_backup_codes: bool,
    },
    /// Turn 2FA off, which takes a proof, or drop an enrollment that was never verified.
    Disable {
        /// That the active factor is the caller's.
        proof: Option<Proof>,
    },
    /// The providers refused the code of this challenge for certain: give the send back (S12).
    GiveBack {
        /// The challenge whose code was not sent.
        challenge: ChallengeId,
        /// Where it was not sent to.
        phone: PhoneNumber,
    },
    /// An operator lifts the locks and starts the counts of failures anew. A disabled factor stays disabled.
    Unlock,
    /// An operator removes the factor and whatever is pending, for a user who has neither phone nor backup codes.
    Reset,
}

impl Command {
    /// The code that came with it, if there is one.
    pub const fn proof(&self) -> Option<&Proof> {
        match self {
            Self::Setup { proof, .. } | Self::Disable { proof } => proof.as_ref(),
            Self::Verify { proof, .. } => Some(proof),
            Self::Send { .. } | Self::GiveBack { .. } | Self::Unlock | Self::Reset => None,
        }
    }
}

/// What a decision is made on, apart from the account.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The limits.
    pub policy: &'a Policy,
    /// The key of the digests.
    pub pepper: &'a Pepper,
    /// Whose account it is.
    pub user: &'a UserId,
    /// The time.
    pub now: Timestamp,
    /// A number and its window; `None` if none was read. Counts only if the code would go to that number.
    pub phone_window: Option<(&'a PhoneNumber, &'a SendWindow)>,
    /// The window of the source address; `None` if none counts.
    pub address_window: Option<&'a SendWindow>,
}

/// A granted command: what the caller gets to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A code is on its way.
    CodeSent {
        /// To this number.
        phone: PhoneNumber,
        /// How long the code lives.
        expires_in: Duration,
        /// How long until the next one may be asked for.
        resend_in: Duration,
        /// How many sends are left in the window, as far as is known.
        sends_remaining: u16,
    },
    /// A number is active now. The backup codes are shown here and never again.
    Enabled {
        /// The number.
        phone: PhoneNumber,
        /// The fresh backup codes.
        backup_codes: Vec<BackupCode>,
    },
    /// The code was right.
    Confirmed {
        /// Which kind of code it was.
        method: Method,
        /// How many backup codes are left.
        backup_codes_remaining: usize,
        /// The fresh backup codes, if they were asked for.
        backup_codes: Option<Vec<BackupCode>>,
    },
    /// 2FA is off.
    Disabled,
    /// A command of the service itself or of an operator is done; there is nothing to say.
    Done,
}

/// The kind of code that was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// An SMS code.
    Sms,
    /// A backup code.
    BackupCode,
}

/// Which limit a send ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendLimit {
    /// The least time between two sends to a user.
    Cooldown,
    /// The user's window.
    User,
    /// The phone number's window.
    Phone,
    /// The source address's window.
    Address,
}

impl SendLimit {
    /// The limit's name in `RateLimit` headers, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown",
            Self::User => "user",
            Self::Phone => "phone",
            Self::Address => "address",
        }
    }
}

/// A command that was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The code was judged, and wrong.
    InvalidCode {
        /// Wrong guesses left before nothing is judged any more.
        attempts_remaining: u32,
    },
    /// The outstanding code is too old.
    CodeExpired,
    /// The change takes a proof.
    VerificationRequired,
    /// There is nothing to send, or nothing to verify.
    NoPendingVerification,
    /// The number is the active one already.
    AlreadyEnabled,
    /// There is nothing to turn off.
    NotEnabled,
    /// A send limit is reached.
    RateLimited {
        /// Which one: the one that lasts longest.
        limit: SendLimit,
        /// How long it lasts.
        retry_after: Duration,
    },
    /// This code's guesses are used up.
    TooManyAttempts,
    /// The account's guesses are used up for now.
    Locked {
        /// For how long.
        retry_after: Duration,
    },
    /// The account's guesses are used up for good: the number must be bound anew with a backup code.
    FactorDisabled,
    /// The same of backup codes: an SMS code must have a new set of them made.
    BackupCodesDisabled,
}

impl Refusal {
    /// The refusal's stable name: the `code` of the problem document, and the outcome in the audit trail.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidCode { .. } => "invalid_code",
            Self::CodeExpired => "code_expired",
            Self::VerificationRequired => "verification_required",
            Self::NoPendingVerification => "no_pending_verification",
            Self::AlreadyEnabled => "already_enabled",
            Self::NotEnabled => "not_enabled",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooManyAttempts => "too_many_attempts",
            Self::Locked { .. } => "locked",
            Self::FactorDisabled | Self::BackupCodesDisabled => "factor_disabled",
        }
    }
}

/// A code to be sent once the decision is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingCode {
    /// The challenge that it answers.
    pub challenge: ChallengeId,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it goes.
    pub to: PhoneNumber,
    /// The code.
    pub code: Code,
    /// How long it lives.
    pub valid_for: Duration,
}

/// Somebody to be told of a change once the decision is stored (S18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The number that is active no more.
    pub to: PhoneNumber,
    /// What changed.
    pub kind: NotificationKind,
}

/// SendWindow to be taken, or given back, together with the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedSlots {
    /// The number whose window it is.
    pub phone: PhoneNumber,
    /// The slot of that window.
    pub phone_slot: Slot,
    /// The slot of the source address's window, if that counts.
    pub address_slot: Option<Slot>,
}

/// What was decided. Nothing of it is true before it is stored; nothing may be answered or sent before that.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What to answer.
    pub outcome: Result<Answer, Refusal>,
    /// The account as it shall be; `None` if it stays as it is.
    pub account: Option<Account>,
    /// SendWindow to take.
    pub take: Option<ReservedSlots>,
    /// SendWindow to give back.
    pub give_back: Option<ReservedSlots>,
    /// The code to send.
    pub code: Option<OutgoingCode>,
    /// Whom to tell.
    pub notification: Option<Notification>,
    /// What happened, for the audit trail.
    pub events: Vec<Happened>,
}

/// Something for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// What happened.
    pub event: AuditEvent,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The number it was about.
    pub phone: Option<PhoneNumber>,
}
