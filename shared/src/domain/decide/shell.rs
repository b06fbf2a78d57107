//! The shell in small, for the tests of this folder: what `use_cases/session.rs` and the store do with a decision, in memory.

use std::collections::HashMap;

use rand::{CryptoRng, SeedableRng, rngs::ChaCha12Rng};

use super::{Command, Context, Decision, NumberWindow, ReservedSlots, decide};
use crate::domain::{
    Account, AllowedCountries, Pepper, PhoneNumber, Policy, Provider, SendWindow, TestNumbers, Timestamp, UserId,
    message::route::Routes, sms::send_window::WindowKind,
};

/// What every request goes by.
pub(super) struct Rules {
    pub(super) policy: Policy,
    pub(super) allowed_countries: AllowedCountries,
    pub(super) pepper: Pepper,
    pub(super) routes: Routes,
    pub(super) test_numbers: Option<TestNumbers>,
}

impl Rules {
    /// The providers of [`Rules::new`], in the operator's order.
    pub(super) const PROVIDERS: [Provider; 3] = [Provider::Twilio, Provider::Sns, Provider::Plivo];

    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            allowed_countries: AllowedCountries::All,
            pepper: Pepper::new(&[3; 32]).unwrap(),
            routes: Routes::new(Self::PROVIDERS.to_vec(), [].into()),
            test_numbers: None,
        }
    }
}

/// One request: of whom, when, and from which source address.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) rules: &'a Rules,
    pub(super) user: &'a UserId,
    pub(super) now: Timestamp,
    pub(super) address: Option<u8>,
}

/// The windows of all numbers and source addresses, as storage keeps them.
#[derive(Default)]
pub(super) struct Windows {
    numbers: HashMap<(PhoneNumber, WindowKind), SendWindow>,
    addresses: HashMap<u8, SendWindow>,
}

impl Windows {
    /// Decides a command, and takes and gives back the slots of the decision. A slot that was taken within the window makes the
    /// commit fail: the number's window is read then, and the command decided again. The account is the caller's to store.
    pub(super) fn settle(
        &mut self,
        account: &Account,
        command: &Command,
        request: Request<'_>,
        rng: &mut impl CryptoRng,
    ) -> Decision {
        // Setup reads the window of its number beforehand; a send does not know the number yet, and tries a slot unseen.
        let mut number = match command {
            Command::Setup { phone, .. } => Some((phone.clone(), WindowKind::Binds)),
            _ => None,
        };
        for _ in 0..2 {
            let Request { rules, user, now, address } = request;
            let read = number.as_ref().map(|key| self.numbers.get(key).cloned().unwrap_or_default());
            let address_window = address.map(|address| self.addresses.get(&address).cloned().unwrap_or_default());
            let context = Context {
                policy: &rules.policy,
                allowed_countries: &rules.allowed_countries,
                pepper: &rules.pepper,
                user,
                now,
                test_numbers: rules.test_numbers.as_ref(),
                routes: &rules.routes,
                number_window: number.as_ref().zip(read.as_ref()).map(|((phone, kind), window)| NumberWindow {
                    phone,
                    kind: *kind,
                    window,
                }),
                address_window: address_window.as_ref(),
            };
            let decision = decide(account.clone(), command, &context, rng);
            if let Some(take) = &decision.take
                && !self.take(take, request)
            {
                number = Some((take.phone.clone(), take.window));
                continue;
            }
            if let Some(give_back) = &decision.give_back {
                self.give_back(give_back, address);
            }
            return decision;
        }
        panic!("a slot that was read to be free cannot be taken");
    }

    /// Takes the slots, all or none; `false` if one of them is taken.
    fn take(&mut self, slots: &ReservedSlots, request: Request<'_>) -> bool {
        let length = request.rules.policy.sms_window;
        let number = self.numbers.entry((slots.phone.clone(), slots.window)).or_default();
        let mut number_then = number.clone();
        if !number_then.take(slots.slot, length) {
            return false;
        }
        if let Some((address, slot)) = request.address.zip(slots.address_slot)
            && !self.addresses.entry(address).or_default().take(slot, length)
        {
            return false;
        }
        *number = number_then;
        true
    }

    fn give_back(&mut self, slots: &ReservedSlots, address: Option<u8>) {
        self.numbers.entry((slots.phone.clone(), slots.window)).or_default().give_back(slots.slot);
        if let Some((address, slot)) = address.zip(slots.address_slot) {
            self.addresses.entry(address).or_default().give_back(slot);
        }
    }
}

/// Randomness that is the same in every run.
pub(super) fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}
