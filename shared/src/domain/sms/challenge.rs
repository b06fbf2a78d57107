//! The one outstanding code of an account: what it was sent for, until when, how often it was missed, and what it replaced.

use std::fmt;

use rand::CryptoRng;

use super::code::Code;
use crate::domain::{
    digest::{Digest, Pepper},
    phone_number::PhoneNumber,
    policy::Policy,
    timestamp::Timestamp,
    user_id::UserId,
};

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

/// What a code was sent for; it serves nothing else (S4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To the pending number: turning two-factor authentication on.
    Enroll,
    /// To the number that waits to replace the active one: making it the active one.
    Replace,
    /// To the active number: signing in.
    SignIn,
    /// To the active number: a sensitive action of the application, such as a payment.
    Confirm,
    /// To the active number: the proof that a change of the factor takes (S16).
    Change,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Enroll, Self::Replace, Self::SignIn, Self::Confirm, Self::Change];

    /// Its name in requests, answers, storage, digests and the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enroll => "enroll",
            Self::Replace => "replace",
            Self::SignIn => "sign_in",
            Self::Confirm => "confirm",
            Self::Change => "change",
        }
    }

    /// The purpose with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }

    /// Whether the code goes to the number that waits to be bound, and binds it.
    pub const fn binds_a_number(self) -> bool {
        match self {
            Self::Enroll | Self::Replace => true,
            Self::SignIn | Self::Confirm | Self::Change => false,
        }
    }
}

/// All that a code is bound to by its digest, so that it is good for nothing else (S4).
#[derive(Clone, Copy)]
pub(in crate::domain) struct Binding<'a> {
    pub(in crate::domain) user: &'a UserId,
    pub(in crate::domain) phone: &'a PhoneNumber,
    pub(in crate::domain) purpose: Purpose,
    pub(in crate::domain) id: ChallengeId,
}

impl Binding<'_> {
    /// The digest that is stored in place of `code`.
    pub(in crate::domain) fn digest(&self, code: &Code, pepper: &Pepper) -> Digest {
        pepper.digest(&self.parts(code))
    }

    /// Whether `stored` is the digest of `code` for this challenge.
    fn is_matched_by(&self, code: &Code, stored: &Digest, pepper: &Pepper) -> bool {
        pepper.recognizes(stored, &self.parts(code))
    }

    fn parts<'a>(&'a self, code: &'a Code) -> [&'a [u8]; 6] {
        let Self { user, phone, purpose, id } = self;
        [
            b"sms-code",
            user.as_str().as_bytes(),
            phone.as_e164().as_bytes(),
            purpose.as_str().as_bytes(),
            id.as_bytes(),
            code.expose().as_bytes(),
        ]
    }
}

/// Eight bytes of a keyed digest of a code: enough to recognize one that was replaced, which then is no failed attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeTag([u8; 8]);

impl CodeTag {
    fn of(code: &Code, user: &UserId, pepper: &Pepper) -> Self {
        Self(pepper.digest(&Self::parts(code, user)).prefix())
    }

    fn is_matched_by(self, code: &Code, user: &UserId, pepper: &Pepper) -> bool {
        pepper.recognizes_prefix(&self.0, &Self::parts(code, user))
    }

    fn parts<'a>(code: &'a Code, user: &'a UserId) -> [&'a [u8]; 3] {
        [b"code-tag", user.as_str().as_bytes(), code.expose().as_bytes()]
    }

    /// A tag read back from storage.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The tag, for storage.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for CodeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeTag([redacted])")
    }
}

/// A code that a later one replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupersededCode {
    /// What is kept of it.
    pub tag: CodeTag,
    /// The first instant at which it is remembered no more: one life of a code after it was replaced.
    pub until: Timestamp,
}

/// A code that was sent and may still come back. An account has at most one (S5). Where it went is told by its purpose: to the
/// number that waits to be bound, or to the active one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Names this challenge.
    pub id: ChallengeId,
    /// What the code was sent for.
    pub purpose: Purpose,
    /// What is kept of the code.
    pub digest: Digest,
    /// What will be kept of the code once another one replaces it; `None` in a record of the schema before, which has none.
    pub tag: Option<CodeTag>,
    /// The first instant at which the code is too old (S2).
    pub expires_at: Timestamp,
    /// Failed attempts at this code.
    pub failed_attempts: u32,
    /// The codes that it replaced, oldest first.
    pub superseded: Vec<SupersededCode>,
}

impl Challenge {
    /// The most replaced codes that are remembered.
    pub const MAX_SUPERSEDED: usize = 4;

    /// The challenge that `code` answers, in the place of `replaced`.
    pub(in crate::domain) fn new(
        code: &Code,
        binding: &Binding<'_>,
        pepper: &Pepper,
        expires_at: Timestamp,
        superseded: Vec<SupersededCode>,
    ) -> Self {
        Self {
            id: binding.id,
            purpose: binding.purpose,
            digest: binding.digest(code, pepper),
            tag: Some(CodeTag::of(code, binding.user, pepper)),
            expires_at,
            failed_attempts: 0,
            superseded,
        }
    }

    /// What a challenge that takes this one's place at `now` remembers of it and of those before it.
    pub(in crate::domain) fn superseded_by_next(&self, policy: &Policy, now: Timestamp) -> Vec<SupersededCode> {
        let until = now.plus(policy.code_ttl);
        let itself = self.tag.filter(|_| self.expires_at > now).map(|tag| SupersededCode { tag, until });
        let mut codes: Vec<_> = self.superseded.iter().copied().filter(|code| code.until > now).chain(itself).collect();
        let surplus = codes.len().saturating_sub(Self::MAX_SUPERSEDED);
        codes.drain(..surplus);
        codes
    }

    /// Whether `code` is the one that was sent for this challenge to `phone` of `user` (S4).
    pub(in crate::domain) fn is_answered_by(&self, code: &Code, phone: &PhoneNumber, user: &UserId, pepper: &Pepper) -> bool {
        let binding = Binding { user, phone, purpose: self.purpose, id: self.id };
        binding.is_matched_by(code, &self.digest, pepper)
    }

    /// Whether `code` is one that this challenge replaced not long before `now`. Looks at every one of them, found or not.
    pub(in crate::domain) fn has_superseded(&self, code: &Code, user: &UserId, pepper: &Pepper, now: Timestamp) -> bool {
        let remembered = self.superseded.iter().filter(|old| old.until > now);
        remembered.fold(false, |found, old| old.tag.is_matched_by(code, user, pepper) | found)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::ChaCha12Rng};

    use super::*;
    use crate::domain::{phone_number::tests::number, sms::code::Proof};

    fn code(digits: &str) -> Code {
        let Ok(Proof::Sms(code)) = Proof::parse(digits) else { panic!("a code") };
        code
    }

    #[test]
    fn a_digest_binds_user_phone_purpose_and_challenge_s4() {
        let pepper = Pepper::new(&[1; 32]).unwrap();
        let (alice, bob) = (UserId::parse("alice").unwrap(), UserId::parse("bob").unwrap());
        let (home, work) = (number("+12015550123"), number("+12015550124"));
        let (first, second) = (ChallengeId::from_bytes([1; 16]), ChallengeId::from_bytes([2; 16]));
        let binding = Binding { user: &alice, phone: &home, purpose: Purpose::SignIn, id: first };
        let digest = binding.digest(&code("123456"), &pepper);
        assert!(binding.is_matched_by(&code("123456"), &digest, &pepper));
        let others = Purpose::ALL.into_iter().filter(|purpose| *purpose != Purpose::SignIn);
        let others = others.map(|purpose| ("purpose", Binding { purpose, ..binding }));
        for (reason, other) in others.chain([
            ("user", Binding { user: &bob, ..binding }),
            ("phone", Binding { phone: &work, ..binding }),
            ("challenge", Binding { id: second, ..binding }),
        ]) {
            assert!(!other.is_matched_by(&code("123456"), &digest, &pepper), "{reason}");
        }
        assert!(!binding.is_matched_by(&code("123457"), &digest, &pepper), "code");
    }

    #[test]
    fn the_last_four_codes_that_were_replaced_while_they_lived_are_remembered_for_one_life_of_a_code() {
        let (pepper, user, phone) = (Pepper::new(&[1; 32]).unwrap(), UserId::parse("alice").unwrap(), number("+12015550123"));
        let policy = Policy::default();
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut challenge: Option<Challenge> = None;
        let mut send = |digits: &str, at: u64| {
            let now = Timestamp::from_millis(at * 1000);
            let superseded = challenge.iter().flat_map(|old| old.superseded_by_next(&policy, now)).collect();
            let id = ChallengeId::generate(&mut rng);
            let binding = Binding { user: &user, phone: &phone, purpose: Purpose::SignIn, id };
            let new = Challenge::new(&code(digits), &binding, &pepper, now.plus(policy.code_ttl), superseded);
            challenge = Some(new.clone());
            new
        };
        let knows = |challenge: &Challenge, digits: &str, at: u64| {
            challenge.has_superseded(&code(digits), &user, &pepper, Timestamp::from_millis(at * 1000))
        };
        let live = send("000001", 0);
        assert!(!knows(&live, "000001", 1), "the live one is not superseded");
        let live = send("000002", 100);
        assert!(knows(&live, "000001", 399) && !knows(&live, "000001", 400), "for 300 seconds after it was replaced");
        assert!(!knows(&live, "000009", 101), "a code that was never sent");
        let live = send("000003", 400);
        assert!(!knows(&live, "000002", 400), "one that was too old when it was replaced");
        assert!(live.superseded.is_empty(), "what is not remembered is not kept either: it would take the place of one that is");
        for digits in ["000004", "000005", "000006"] {
            send(digits, 401);
        }
        let live = send("000007", 402);
        assert_eq!(live.superseded.len(), 4);
        assert!(!knows(&live, "000002", 402) && knows(&live, "000003", 402) && knows(&live, "000006", 402));
        send("000006", 403);
        let live = send("000008", 404);
        assert!(knows(&live, "000006", 404), "one that was drawn twice");
    }

    #[test]
    fn nothing_is_shown_of_a_code_in_any_form_s6() {
        let (pepper, user, phone) = (Pepper::new(&[1; 32]).unwrap(), UserId::parse("alice").unwrap(), number("+12015550123"));
        let binding = Binding { user: &user, phone: &phone, purpose: Purpose::SignIn, id: ChallengeId::from_bytes([1; 16]) };
        let challenge = Challenge::new(&code("123456"), &binding, &pepper, Timestamp::from_millis(0), Vec::new());
        assert_eq!(format!("{:?} {:?}", code("123456"), challenge.tag), "Code([redacted]) Some(CodeTag([redacted]))");
        assert!(format!("{challenge:?}").contains("digest: Digest([redacted])"));
    }
}
