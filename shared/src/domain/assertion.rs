//! What a fresh second factor proves to others (S27): made only of a factor that was bound before.

use rand::{CryptoRng, RngExt as _};

use super::{Answer, Purpose, Timestamp, UserId, audit::Method};

/// The type of an assertion's token, which its header names, so that nobody takes it for another token (RFC 8725, 3.11).
pub const ASSERTION_TYPE: &str = "2fa+jwt";

/// A statement that a user has just proven a second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Whose.
    pub user: UserId,
    /// What with.
    pub method: Method,
    /// What the code was for: to sign in, or to confirm a request.
    pub purpose: Purpose,
    /// When.
    pub at: Timestamp,
    /// Tells it apart from every other one.
    pub id: AssertionId,
    /// What the caller wants to find in it.
    pub nonce: Option<Nonce>,
}

/// 128 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssertionId([u8; 16]);

/// What a caller binds an assertion to: 1 to 128 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

/// It has not 1 to 128 characters, or one that is not printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNonce;

impl Assertion {
    /// What `answer` proves of `user`; `None` for all that proves no factor that was bound before: an enrollment and a replacement bind
    /// one, and a change serves this service alone.
    pub fn of(
        answer: &Answer,
        user: &UserId,
        nonce: Option<Nonce>,
        at: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Option<Self> {
        let Answer::Confirmed { purpose, accepted, .. } = answer else { return None };
        match purpose {
            Purpose::SignIn | Purpose::Confirm => Some(Self {
                user: user.clone(),
                method: accepted.method,
                purpose: *purpose,
                at,
                id: AssertionId(rng.random()),
                nonce,
            }),
            Purpose::Enroll | Purpose::Replace | Purpose::Change => None,
        }
    }
}

impl AssertionId {
    /// The bits.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Nonce {
    /// The most characters that it may have.
    pub const MAX_CHARS: usize = 128;

    /// Takes a nonce.
    ///
    /// # Errors
    /// See [`NoNonce`].
    pub fn parse(text: &str) -> Result<Self, NoNonce> {
        let good = (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        good.then(|| Self(text.to_owned())).ok_or(NoNonce)
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::ChaCha12Rng};

    use super::*;
    use crate::domain::{decide::Accepted, phone_number::tests::number};

    #[test]
    fn only_a_factor_that_was_bound_before_is_asserted_s27() {
        let (user, mut rng) = (UserId::parse("alice").unwrap(), ChaCha12Rng::seed_from_u64(1));
        let confirmed = |purpose| Answer::Confirmed {
            purpose,
            accepted: Accepted { method: Method::Sms, failed_attempts: 0, last_failed_at: None },
            backup_codes_remaining: 9,
            backup_codes: None,
        };
        let bound = |purpose| Answer::Bound { purpose, phone: number("+14155551234"), backup_codes: Vec::new() };
        for (answer, is_asserted) in [
            (confirmed(Purpose::SignIn), true),
            (confirmed(Purpose::Confirm), true),
            (confirmed(Purpose::Change), false),
            (bound(Purpose::Enroll), false),
            (bound(Purpose::Replace), false),
            (Answer::Disabled, false),
            (Answer::Done, false),
        ] {
            let assertion = Assertion::of(&answer, &user, None, Timestamp::from_millis(0), &mut rng);
            assert_eq!(assertion.is_some(), is_asserted, "{answer:?}");
        }
    }

    #[test]
    fn no_two_assertions_have_one_name() {
        let (user, mut rng) = (UserId::parse("alice").unwrap(), ChaCha12Rng::seed_from_u64(1));
        let accepted = Accepted { method: Method::Sms, failed_attempts: 0, last_failed_at: None };
        let answer = Answer::Confirmed { purpose: Purpose::SignIn, accepted, backup_codes_remaining: 9, backup_codes: None };
        let mut assertion = || Assertion::of(&answer, &user, None, Timestamp::from_millis(0), &mut rng).unwrap().id;
        assert_ne!(assertion(), assertion());
    }

    #[test]
    fn a_nonce_has_1_to_128_printable_characters() {
        for good in ["n", "n-0S6_WzA2Mj", " ~", &"x".repeat(128)] {
            assert_eq!(Nonce::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "\n", "a\u{7f}", "ü", &"x".repeat(129)] {
            assert_eq!(Nonce::parse(bad), Err(NoNonce), "{bad:?}");
        }
    }
}
