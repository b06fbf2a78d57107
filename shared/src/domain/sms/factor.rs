//! The phone number as a factor: which one is active, which one waits to be, the code that is out, and the wrong ones.

use std::time::Duration;

use super::{
    challenge::{Challenge, Purpose},
    lockout::FailedAttempts,
    send_window::WindowKind,
};
use crate::domain::{phone_number::PhoneNumber, policy::Policy, timestamp::Timestamp};

/// How long the wrong codes of an account without a factor are remembered: far longer than the longest lock, so that waiting for
/// them to be forgotten gains nothing.
pub(in crate::domain) const FAILURE_MEMORY: Duration = Duration::from_hours(30 * 24);

/// All that an account knows of its phone number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmsFactor {
    /// The verified number, and whether it counts.
    pub state: FactorState,
    /// The number that waits to be verified.
    pub pending: Option<PendingPhone>,
    /// The code that is out.
    pub challenge: Option<Challenge>,
    /// Consecutive wrong SMS codes.
    pub failed_attempts: FailedAttempts,
}

/// The verified number, and whether it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FactorState {
    /// No number was verified.
    #[default]
    Off,
    /// This number is the factor.
    On(ActivePhone),
    /// Too many codes were wrong: this number counts for nothing until a number is bound anew with a backup code. Two-factor
    /// authentication is still on: signing in takes a backup code.
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

/// A number that waits to be verified: the first one, or one to replace the active one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingPhone {
    /// The number.
    pub phone: PhoneNumber,
    /// The first instant at which it has lapsed.
    pub expires_at: Timestamp,
}

/// Where a code of some purpose goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// To this number.
    Phone(&'a PhoneNumber),
    /// Nowhere: there is no number for this purpose.
    Nowhere,
    /// To the number that is disabled, where it could never be accepted.
    Disabled,
}

impl SmsFactor {
    /// The verified number, whether it counts at present or not.
    pub fn active(&self) -> Option<&ActivePhone> {
        match &self.state {
            FactorState::Off => None,
            FactorState::On(active) | FactorState::Disabled(active) => Some(active),
        }
    }

    /// Whether the verified number counts for nothing until it is bound anew.
    pub fn is_disabled(&self) -> bool {
        matches!(self.state, FactorState::Disabled(_))
    }

    /// The purpose that is meant where none is named: while a number is on, signing in, whatever else is pending.
    pub fn usual_purpose(&self) -> Purpose {
        match self.state {
            FactorState::Off => Purpose::Enroll,
            FactorState::On(_) => Purpose::SignIn,
            FactorState::Disabled(_) => Purpose::Replace,
        }
    }

    /// Where a code of this purpose goes.
    pub fn destination(&self, purpose: Purpose) -> Destination<'_> {
        let pending = || self.pending.as_ref().map_or(Destination::Nowhere, |pending| Destination::Phone(&pending.phone));
        match (purpose, &self.state) {
            (Purpose::Enroll, FactorState::Off) | (Purpose::Replace, FactorState::On(_) | FactorState::Disabled(_)) => pending(),
            (Purpose::SignIn | Purpose::Confirm | Purpose::Change, FactorState::On(active)) => Destination::Phone(&active.phone),
            (Purpose::SignIn | Purpose::Confirm | Purpose::Change, FactorState::Disabled(_)) => Destination::Disabled,
            (Purpose::Enroll, FactorState::On(_) | FactorState::Disabled(_))
            | (Purpose::Replace | Purpose::SignIn | Purpose::Confirm | Purpose::Change, FactorState::Off) => Destination::Nowhere,
        }
    }

    /// In which of the number's windows a send to it counts: binding a disabled number again is a send to an own one.
    pub fn window_of(&self, phone: &PhoneNumber) -> WindowKind {
        let is_own = self.active().is_some_and(|active| active.phone == *phone);
        if is_own { WindowKind::Sends } else { WindowKind::Binds }
    }

    /// Forgets what has lapsed at `now`. An expired challenge stays, so that its code can be told to be too old, unless the number
    /// that it went to is gone.
    pub(in crate::domain) fn lapse(&mut self, now: Timestamp) {
        self.pending.take_if(|pending| pending.expires_at <= now);
        let goes_to_nobody = |purpose| !matches!(self.destination(purpose), Destination::Phone(_));
        if self.challenge.as_ref().is_some_and(|challenge| goes_to_nobody(challenge.purpose)) {
            self.challenge = None;
        }
        if self.state == FactorState::Off && self.failed_attempts.last_at.is_some_and(|last| last.plus(FAILURE_MEMORY) <= now) {
            self.failed_attempts = FailedAttempts::default();
        }
    }

    /// Forgets the number that waits to be verified, and with it the code that is out, whatever that was for.
    pub(in crate::domain) fn drop_pending(&mut self) -> Option<PendingPhone> {
        self.challenge = None;
        self.pending.take()
    }

    /// Wrong guesses left at the code that is out, before it is used up, codes are locked, or the number is disabled. An enrollment is
    /// never disabled: there is no number yet that could be.
    pub fn attempts_remaining(&self, policy: &Policy) -> u32 {
        let at_code = self.challenge.as_ref().map_or(0, |code| policy.code_max_attempts.saturating_sub(code.failed_attempts));
        let before_lock = at_code.min(self.failed_attempts.left_before_lock(policy));
        match self.state {
            FactorState::Off => before_lock,
            FactorState::On(_) | FactorState::Disabled(_) => before_lock.min(self.failed_attempts.left_before_disabling(policy)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone_number::tests::number;

    #[test]
    fn a_purpose_has_a_number_only_in_the_states_that_it_serves_s4() {
        use Destination::{Disabled, Nowhere, Phone};
        let (old, new) = (number("+12015550123"), number("+12015550124"));
        let active = || ActivePhone { phone: old.clone(), enabled_at: Timestamp::from_millis(0) };
        let pending = || Some(PendingPhone { phone: new.clone(), expires_at: Timestamp::from_millis(1) });
        let factor = |state, pending| SmsFactor { state, pending, ..SmsFactor::default() };
        for (factor, enroll, replace, own) in [
            (factor(FactorState::Off, None), Nowhere, Nowhere, Nowhere),
            (factor(FactorState::Off, pending()), Phone(&new), Nowhere, Nowhere),
            (factor(FactorState::On(active()), None), Nowhere, Nowhere, Phone(&old)),
            (factor(FactorState::On(active()), pending()), Nowhere, Phone(&new), Phone(&old)),
            (factor(FactorState::Disabled(active()), None), Nowhere, Nowhere, Disabled),
            (factor(FactorState::Disabled(active()), pending()), Nowhere, Phone(&new), Disabled),
        ] {
            assert_eq!(factor.destination(Purpose::Enroll), enroll, "{factor:?}");
            assert_eq!(factor.destination(Purpose::Replace), replace, "{factor:?}");
            for purpose in [Purpose::SignIn, Purpose::Confirm, Purpose::Change] {
                assert_eq!(factor.destination(purpose), own, "{factor:?}");
            }
        }
    }
}
