//! The one outstanding code of an account: what it was sent for, where, until when, and how often it was missed.

use std::fmt;

use rand::CryptoRng;

use super::code::Binding;
use crate::domain::{Code, Digest, Pepper, PhoneNumber, Timestamp, UserId};

/// Names one challenge among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChallengeId([u8; 16]);

impl ChallengeId {
    /// A fresh identifier.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// An identifier read back from storage.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The identifier, for storage.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ChallengeId {
    /// In hex: the reference that providers and logs get.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a code was sent for; a code serves nothing else (S4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To turn two-factor authentication on, with the first number.
    Enroll,
    /// To put a new number in the place of the active one.
    Replace,
    /// To sign in, or to confirm a change; it goes to the active number.
    SignIn,
}

impl Purpose {
    /// A short stable name, for storage, digests and the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enroll => "enroll",
            Self::Replace => "replace",
            Self::SignIn => "sign_in",
        }
    }

    /// The purpose with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Enroll, Self::Replace, Self::SignIn].into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// A code that was sent and may still come back. An account has at most one (S5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Names this challenge.
    pub id: ChallengeId,
    /// What the code was sent for.
    pub purpose: Purpose,
    /// Where it was sent.
    pub phone: PhoneNumber,
    /// What is kept of the code.
    pub digest: Digest,
    /// The first instant at which the code is too old (S2).
    pub expires_at: Timestamp,
    /// Wrong guesses at this code.
    pub failed_attempts: u32,
}

impl Challenge {
    /// Whether `code` is the one that was sent to `user` for this challenge (S4).
    pub(in crate::domain) fn is_answered_by(&self, code: &Code, pepper: &Pepper, user: &UserId) -> bool {
        let binding = Binding { user, phone: &self.phone, purpose: self.purpose, id: self.id };
        code.matches(&self.digest, pepper, &binding)
    }
}
