//! Sending: whether a code may go out now, and the one live code that it makes (S5, S11).

use rand::RngExt;

use super::{Answer, Context, Draft, NumberWindow, OutgoingCode, Refusal, ReservedSlots};
use crate::domain::{
    audit::AuditDetails,
    phone_number::PhoneNumber,
    sms::{
        challenge::{Binding, Challenge, ChallengeId, Purpose},
        code::Code,
        factor::Destination,
        send_window::{Allowance, NumberTag, Reservation, SendRequest, SendState, SentCode, Slot, WindowKind},
    },
    test_numbers::NumberRole,
    timestamp::Timestamp,
};

impl Draft<'_> {
    /// The number that a code of this purpose goes to.
    pub(super) fn destination(&self, purpose: Purpose) -> Result<PhoneNumber, Refusal> {
        match self.account.sms.destination(purpose) {
            Destination::Phone(phone) => Ok(phone.clone()),
            Destination::Nowhere => Err(Refusal::NoPendingVerification),
            Destination::Disabled => Err(Refusal::FactorDisabled),
        }
    }

    /// Reserves a send to `phone` and makes its code, and with it the one live challenge: whatever code was out before is dead (S5).
    /// Returns what the trail says of the send, too.
    pub(super) fn send_code(
        &mut self,
        purpose: Purpose,
        phone: &PhoneNumber,
        allowance: Allowance,
    ) -> Result<(Answer, AuditDetails), Refusal> {
        let Context { policy, pepper, user, now, routes, allowed_countries, .. } = *self.context;
        if !allowed_countries.contains(phone.country()) {
            return Err(Refusal::CountryNotAllowed);
        }
        let given = match self.context.role(phone) {
            NumberRole::Ordinary => None,
            NumberRole::Test(code) => Some(code.clone()),
            NumberRole::OthersTest => return Err(Refusal::NoSms),
        };
        self.refuse_while_locked()?;
        let window = self.account.sms.window_of(phone);
        let number = NumberTag::of(phone, user, pepper);
        let is_test = given.is_some();
        let Reservation { slot, address_slot, next } = self.reserve(phone, number, window, allowance, is_test)?;

        let id = ChallengeId::generate(self.rng);
        let code = given.unwrap_or_else(|| Code::generate(self.rng));
        let pending_until =
            self.account.sms.pending.as_ref().map(|pending| pending.expires_at).filter(|_| purpose.binds_a_number());
        let expires_at = pending_until.into_iter().fold(now.plus(policy.code_ttl), Timestamp::min);
        let superseded = self.account.sms.challenge.take().map(|old| old.superseded_by_next(policy, now)).unwrap_or_default();
        let binding = Binding { user, phone, purpose, id };
        self.account.sms.challenge = Some(Challenge::new(&code, &binding, pepper, expires_at, superseded));

        let order = if is_test { Vec::new() } else { routes.order(phone.country(), self.account.sends.unanswered()) };
        let provider = order.first().copied();
        self.account.sends.record(SentCode {
            challenge: id,
            at: now,
            number,
            window,
            slot,
            address_slot,
            allowance,
            provider,
            state: SendState::Unanswered,
        });
        let taken = |index| Slot { index, taken_at: now };
        // Windows of numbers and addresses count messages, and none leaves.
        self.effects.take = (!is_test).then(|| ReservedSlots {
            phone: phone.clone(),
            window,
            slot: taken(slot),
            address_slot: address_slot.map(taken),
        });
        let details = AuditDetails { purpose: Some(purpose), provider, reference: Some(id), ..AuditDetails::default() };
        let valid_for = expires_at.since(now);
        self.effects.code = Some(OutgoingCode { challenge: id, purpose, to: phone.clone(), code, valid_for, order, is_test });
        let answer = Answer::CodeSent {
            purpose,
            phone: phone.clone(),
            expires_in: valid_for,
            resend_in: next.wait,
            sends_remaining: next.remaining,
        };
        Ok((answer, details))
    }

    fn reserve(
        &mut self,
        phone: &PhoneNumber,
        number: NumberTag,
        window: WindowKind,
        allowance: Allowance,
        is_test: bool,
    ) -> Result<Reservation, Refusal> {
        let Context { policy, now, number_window, address_window, .. } = *self.context;
        let counts = |read: &NumberWindow<'_>| !is_test && read.phone == phone && read.kind == window;
        let read = number_window.filter(counts).map(|read| read.window);
        let address_window = match window {
            WindowKind::Binds if !is_test => address_window,
            WindowKind::Binds | WindowKind::Sends => None,
        };
        let request = SendRequest { number, window, allowance, number_window: read, address_window };
        let rng = &mut *self.rng;
        let pick = |free: usize| rng.random_range(0..free.max(1));
        let reserved = self.account.sends.reserve(&request, policy, now, pick);
        reserved.map_err(|reached| Refusal::RateLimited { limit: reached.limit, retry_after: reached.retry_after })
    }
}
