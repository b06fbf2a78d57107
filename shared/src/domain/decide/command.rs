//! What can be asked of an account, what a decision is made on, and what may come of it.

use std::time::Duration;

use super::refusal::Refusal;
use crate::domain::{
    account::Account,
    audit::{AuditEvent, Method},
    backup_code::BackupCode,
    digest::Pepper,
    message::{
        delivery::{Attempt, DeliveryReason, Provider},
        notification::NotificationKind,
        route::Routes,
    },
    phone_number::{AllowedCountries, PhoneNumber},
    policy::Policy,
    sms::{
        challenge::{ChallengeId, Purpose},
        code::{Code, Proof},
        send_window::{SendWindow, Slot, WindowKind},
    },
    test_numbers::{NumberRole, TestNumbers},
    timestamp::Timestamp,
    user_id::UserId,
};

/// What a caller, an operator or the service itself asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Enroll this number, or put it in the place of the active one, which takes a proof.
    Setup {
        /// The new number.
        phone: PhoneNumber,
        /// A code of purpose `change`, or a backup code.
        proof: Option<Proof>,
    },
    /// Send a code.
    Send {
        /// What for; `None` for the usual one.
        purpose: Option<Purpose>,
    },
    /// Judge a code.
    Verify {
        /// The code.
        proof: Proof,
        /// What the caller means to do; `None` for the usual one.
        purpose: Option<Purpose>,
        /// Whether to replace the backup codes too, which is a change of the factor.
        regenerate_backup_codes: bool,
    },
    /// Turn 2FA off, which takes a proof, or drop an enrollment that was never verified.
    Disable {
        /// A code of purpose `change`, or a backup code.
        proof: Option<Proof>,
    },
    /// The code of this challenge was not sent, for certain: give the send back (S12).
    GiveBack {
        /// The challenge whose code was not sent.
        challenge: ChallengeId,
        /// Where it was not sent to.
        phone: PhoneNumber,
        /// Why.
        reason: DeliveryReason,
        /// Who was asked, and what each answered.
        attempts: Vec<Attempt>,
    },
    /// An operator lifts the lock and starts the counts of wrong codes anew. A disabled number stays disabled.
    Unlock,
    /// An operator removes the factor and whatever is pending, for a user who has neither phone nor backup codes.
    Reset,
    /// An operator brings in a number that another service verified, for a user who has none here. No code is sent, and the user has
    /// no backup codes yet.
    Import {
        /// The number.
        phone: PhoneNumber,
    },
}

impl Command {
    /// The code that came with it, if there is one.
    pub const fn proof(&self) -> Option<&Proof> {
        match self {
            Self::Setup { proof, .. } | Self::Disable { proof } => proof.as_ref(),
            Self::Verify { proof, .. } => Some(proof),
            Self::Send { .. } | Self::GiveBack { .. } | Self::Unlock | Self::Reset | Self::Import { .. } => None,
        }
    }
}

/// What a decision is made on, apart from the account.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The limits.
    pub policy: &'a Policy,
    /// Where codes may be sent.
    pub allowed_countries: &'a AllowedCountries,
    /// The key of the digests.
    pub pepper: &'a Pepper,
    /// Whose account it is.
    pub user: &'a UserId,
    /// The time.
    pub now: Timestamp,
    /// The numbers for tests.
    pub test_numbers: Option<&'a TestNumbers>,
    /// Who may be asked to send; none in development without a provider.
    pub routes: &'a Routes,
    /// The window of a number that was read; it counts only if the code would go to that number and take a slot there.
    pub number_window: Option<NumberWindow<'a>>,
    /// The window of the source address; `None` if none counts.
    pub address_window: Option<&'a SendWindow>,
}

/// A window of a phone number, as it was read.
#[derive(Clone, Copy, Debug)]
pub struct NumberWindow<'a> {
    /// Whose window.
    pub phone: &'a PhoneNumber,
    /// Which of the two.
    pub kind: WindowKind,
    /// The window.
    pub window: &'a SendWindow,
}

/// A granted command: what the caller gets to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A code is on its way.
    CodeSent {
        /// What it is for.
        purpose: Purpose,
        /// To this number.
        phone: PhoneNumber,
        /// How long the code lives.
        expires_in: Duration,
        /// How long until the next one may be asked for.
        resend_in: Duration,
        /// How many sends are left in the user's window.
        sends_remaining: u16,
    },
    /// A number is active now. The backup codes are shown here and never again.
    Bound {
        /// `enroll` or `replace`.
        purpose: Purpose,
        /// The number.
        phone: PhoneNumber,
        /// The fresh backup codes.
        backup_codes: Vec<BackupCode>,
    },
    /// The code was right.
    Confirmed {
        /// What it was for.
        purpose: Purpose,
        /// What there is to tell the user about it.
        accepted: Accepted,
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

/// A code that was right, and what went before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Which kind of code it was.
    pub method: Method,
    /// Wrong codes of both kinds since the last right one of either (S8).
    pub failed_attempts: u32,
    /// When the last of them was handed in; `None` where there are none.
    pub last_failed_at: Option<Timestamp>,
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
    /// Who is asked to send it, in this order.
    pub order: Vec<Provider>,
    /// Whether it is the given one of a number for tests: no message leaves then.
    pub is_test: bool,
}

impl Context<'_> {
    /// What a number is to the user.
    pub fn role(&self, phone: &PhoneNumber) -> NumberRole<'_> {
        self.test_numbers.map_or(NumberRole::Ordinary, |numbers| numbers.role(phone, self.user, self.now))
    }
}

/// Somebody to be told of something once the decision is stored (S18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The number that is or was active.
    pub to: PhoneNumber,
    /// What happened.
    pub kind: NotificationKind,
}

/// Slots to be taken, or given back, together with the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedSlots {
    /// The number whose window it is.
    pub phone: PhoneNumber,
    /// Which of its windows.
    pub window: WindowKind,
    /// The slot of that window.
    pub slot: Slot,
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
    /// Slots to take.
    pub take: Option<ReservedSlots>,
    /// Slots to give back.
    pub give_back: Option<ReservedSlots>,
    /// The code to send.
    pub code: Option<OutgoingCode>,
    /// Whom to tell.
    pub notification: Option<Notification>,
    /// What happened: the command itself first.
    pub events: Vec<AuditEvent>,
}

impl Decision {
    /// Whether there is anything to store. A refusal that judged nothing and changed nothing is for the log alone (S24), so that
    /// nobody can fill the table with refusals.
    pub fn is_stored(&self) -> bool {
        self.outcome.is_ok() || self.account.is_some()
    }
}
