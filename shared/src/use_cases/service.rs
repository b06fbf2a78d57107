//! The service as its host makes it, and what a request comes with and ends in.

use std::{net::IpAddr, sync::Arc};

use rand::CryptoRng;

use crate::{
    domain::{
        AllowedCountries, Answer, Code, MessageTemplate, NumberRole, Pepper, PhoneNumber, PhoneNumberError, Policy, Refusal,
        TestNumbers, Timestamp, UserId, message::delivery::DeliveryReason,
    },
    ports::{Clock, Origin, Random, SmsSender, Store, StoreUnavailable},
};

/// The service itself: the core with everything that it needs from outside.
pub struct Service<S, M> {
    pub(super) store: S,
    pub(super) sms: M,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) rules: Rules,
}

/// What the core goes by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The key of the digests.
    pub pepper: Pepper,
    /// The limits.
    pub policy: Policy,
    /// Where codes may be sent.
    pub allowed_countries: AllowedCountries,
    /// The wording of the messages.
    pub template: MessageTemplate,
    /// The numbers for tests.
    pub test_numbers: Option<TestNumbers>,
}

impl Rules {
    /// What a number is to a user now.
    pub(super) fn role(&self, phone: &PhoneNumber, user: &UserId, now: Timestamp) -> NumberRole<'_> {
        self.test_numbers.as_ref().map_or(NumberRole::Ordinary, |numbers| numbers.role(phone, user, now))
    }
}

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user that a verified token names (S20).
    pub user: UserId,
    /// Where the request came from.
    pub origin: Origin,
}

/// A request that was granted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What the caller gets to see.
    pub answer: Answer,
    /// The code that was not sent because there is no provider to send it: in development only (S22).
    pub development_code: Option<Code>,
}

impl From<Answer> for Granted {
    fn from(answer: Answer) -> Self {
        Self { answer, development_code: None }
    }
}

/// Why a request was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The rules forbid it.
    Refused(Refusal),
    /// Every provider refused the message, or failed before it left.
    DeliveryFailed(DeliveryReason),
    /// There is no provider to send with.
    SmsNotConfigured,
    /// Storage cannot be reached, too many others change the same account, or there was no time left.
    Unavailable,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreUnavailable> for Failure {
    fn from(_: StoreUnavailable) -> Self {
        Self::Unavailable
    }
}

impl<S: Store, M: SmsSender> Service<S, M> {
    /// The service on these parts.
    pub fn new(store: S, sms: M, clock: Arc<dyn Clock>, random: Arc<dyn Random>, rules: Rules) -> Self {
        Self { store, sms, clock, random, rules }
    }

    /// The limits.
    pub fn policy(&self) -> &Policy {
        &self.rules.policy
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The generator that draws for one request.
    pub fn rng(&self) -> Box<dyn CryptoRng + Send> {
        self.random.rng()
    }

    /// The name under which a source address is counted, which tells nothing about it without the pepper.
    pub fn address_pseudonym(&self, address: IpAddr) -> String {
        self.rules.pepper.address_pseudonym(address)
    }

    /// The phone number that this text stands for, if `user` may enroll it.
    ///
    /// # Errors
    /// When it is none, or may not be.
    pub fn phone_number(&self, text: &str, user: &UserId) -> Result<PhoneNumber, PhoneNumberError> {
        let phone = PhoneNumber::parse(text, &self.rules.allowed_countries)?;
        match self.rules.role(&phone, user, self.now()) {
            NumberRole::Ordinary | NumberRole::Test(_) => Ok(phone),
            NumberRole::OthersTest => Err(PhoneNumberError::NoSms),
        }
    }
}
