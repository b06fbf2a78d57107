//! Why a command is not granted.

use std::time::Duration;

use crate::domain::sms::{challenge::Purpose, send_window::SendLimit};

/// A command that was not granted. Only [`Refusal::InvalidCode`] changes anything: it counts a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The code was judged, and wrong.
    InvalidCode {
        /// Attempts left before no code is judged any more; `None` for a backup code, at which attempts are not limited.
        attempts_remaining: Option<u32>,
    },
    /// The outstanding code is too old.
    CodeExpired,
    /// A newer code was sent; that one works.
    CodeSuperseded {
        /// What the newer one is for.
        live: Purpose,
    },
    /// The outstanding code is for something else.
    WrongPurpose {
        /// What it is for.
        live: Purpose,
    },
    /// The change takes a proof.
    VerificationRequired,
    /// There is nothing to send, or nothing to verify.
    NoPendingVerification,
    /// The number is the active one already.
    AlreadyEnabled,
    /// There is nothing to turn off.
    NotEnabled,
    /// The number's country is not allowed any more.
    CountryNotAllowed,
    /// The number gets no text messages.
    NoSms,
    /// A send limit is reached.
    RateLimited {
        /// Which one.
        limit: SendLimit,
        /// How long it lasts.
        retry_after: Duration,
    },
    /// The attempts at this code are used up.
    TooManyAttempts,
    /// The attempts at SMS codes are used up for now.
    Locked {
        /// For how long.
        retry_after: Duration,
        /// Whether there are backup codes, which work and lift the lock.
        has_backup_codes: bool,
    },
    /// The number is disabled: it must be bound anew with a backup code.
    FactorDisabled,
}

impl Refusal {
    /// The refusal's stable name: the `code` of the problem document, and the outcome in the audit trail.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidCode { .. } => "invalid_code",
            Self::CodeExpired => "code_expired",
            Self::CodeSuperseded { .. } => "code_superseded",
            Self::WrongPurpose { .. } => "wrong_purpose",
            Self::VerificationRequired => "verification_required",
            Self::NoPendingVerification => "no_pending_verification",
            Self::AlreadyEnabled => "already_enabled",
            Self::NotEnabled => "not_enabled",
            Self::CountryNotAllowed | Self::NoSms => "phone_number_not_allowed",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooManyAttempts => "too_many_attempts",
            Self::Locked { .. } => "locked",
            Self::FactorDisabled => "factor_disabled",
        }
    }
}
