//! Sending: whether a code may go out now, and the one live code that it makes (S5, S11).

use std::time::Duration;

use rand::RngExt;

use super::{Answer, Context, OutgoingCode, Refusal, ReservedSlots, SendLimit, Step};
use crate::domain::{
    Challenge, ChallengeId, Code, PhoneNumber, Policy, Purpose, SendWindow, Slot, Timestamp,
    sms::{code::Binding, send_window::SentCode},
};

/// A send that every limit allows, not yet made.
pub(super) struct Reservation {
    phone_slot: u16,
    address_slot: Option<u16>,
    sends_remaining: u16,
    resend_in: Duration,
}

impl Step<'_> {
    /// Finds out whether a code may be sent to `phone` now (S11). Where several limits forbid it, the one that lasts longest is named.
    pub(super) fn find_slot(&mut self, phone: &PhoneNumber) -> Result<Reservation, Refusal> {
        let (policy, now) = (self.policy(), self.now());
        let phone_window = self.context.phone_window.filter(|(number, _)| *number == phone).map(|(_, slots)| slots);
        let sends = &self.account.sends;
        let last = sends.iter().next_back().map(|send| send.at.plus(policy.sms_cooldown).since(now)).unwrap_or_default();
        let mut in_window: Vec<_> = sends.in_window(policy, now).map(|send| send.at).collect();
        let max = usize::from(policy.sms_max_per_window);
        let until_one_leaves = |sends: &[Timestamp]| {
            let leaving = sends.len().checked_sub(max).and_then(|index| sends.get(index));
            leaving.map(|at| at.plus(policy.sms_window).since(now)).unwrap_or_default()
        };
        let address_window = self.context.address_window.filter(|_| policy.sms_max_per_ip > 0);
        // Of limits that last equally long the last one here is named: the one that is most the user's own.
        let waits = [
            (SendLimit::Address, wait(address_window, policy.sms_max_per_ip, policy, now)),
            (SendLimit::Phone, wait(phone_window, policy.sms_max_per_window, policy, now)),
            (SendLimit::User, until_one_leaves(&in_window)),
            (SendLimit::Cooldown, last),
        ];
        if let Some((limit, retry_after)) = waits.into_iter().filter(|(_, wait)| !wait.is_zero()).max_by_key(|(_, wait)| *wait) {
            return Err(Refusal::RateLimited { limit, retry_after });
        }

        let free_for_phone: Option<Vec<_>> =
            phone_window.map(|slots| slots.free(policy.sms_max_per_window, policy.sms_window, now).collect());
        let phone_slot = match &free_for_phone {
            Some(free) => free.first().copied().unwrap_or_default(),
            None => sends.likely_free_slot(policy, now),
        };
        // Any free slot of a busy address will do; taking one at random keeps its users out of each other's way.
        let address_slot = address_window.and_then(|slots| {
            let free: Vec<_> = slots.free(policy.sms_max_per_ip, policy.sms_window, now).collect();
            free.get(self.rng.random_range(0..free.len().max(1))).copied()
        });
        in_window.push(now);
        let left_for_user = max.saturating_sub(in_window.len());
        let left_for_phone = free_for_phone.map_or(usize::MAX, |free| free.len().saturating_sub(1));
        Ok(Reservation {
            phone_slot,
            address_slot,
            sends_remaining: u16::try_from(left_for_user.min(left_for_phone)).unwrap_or(u16::MAX),
            resend_in: policy.sms_cooldown.max(until_one_leaves(&in_window)),
        })
    }

    /// Makes a code, and with it the one live challenge: whatever code was out before is dead (S5).
    pub(super) fn send_code(&mut self, purpose: Purpose, phone: PhoneNumber, slot: &Reservation) -> Answer {
        let Context { policy, pepper, user, now, .. } = *self.context;
        let id = ChallengeId::generate(self.rng);
        let code = Code::generate(self.rng);
        let pending_until = match purpose {
            Purpose::Enroll | Purpose::Replace => self.account.pending.as_ref().map(|pending| pending.expires_at),
            Purpose::SignIn => None,
        };
        let expires_at = pending_until.into_iter().fold(now.plus(policy.code_ttl), Timestamp::min);
        let valid_for = expires_at.since(now);
        let digest = code.digest(pepper, &Binding { user, phone: &phone, purpose, id });
        self.account.challenge = Some(Challenge { id, purpose, phone: phone.clone(), digest, expires_at, failed_attempts: 0 });
        self.account.sends.record(SentCode {
            challenge: id,
            at: now,
            phone_slot: slot.phone_slot,
            address_slot: slot.address_slot,
        });
        let taken = |index| Slot { index, taken_at: now };
        self.take = Some(ReservedSlots {
            phone: phone.clone(),
            phone_slot: taken(slot.phone_slot),
            address_slot: slot.address_slot.map(taken),
        });
        self.code = Some(OutgoingCode { challenge: id, purpose, to: phone.clone(), code, valid_for });
        Answer::CodeSent { phone, expires_in: valid_for, resend_in: slot.resend_in, sends_remaining: slot.sends_remaining }
    }
}

/// How long a window has no free slot; no time at all if it was not read.
fn wait(window: Option<&SendWindow>, max: u16, policy: &Policy, now: Timestamp) -> Duration {
    window.map(|slots| slots.wait(max, policy.sms_window, now)).unwrap_or_default()
}
