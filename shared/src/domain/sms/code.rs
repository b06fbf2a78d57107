//! The six digits that go out by SMS, and what a caller hands in to prove something.

use std::fmt;

use rand::{CryptoRng, RngExt};

use crate::domain::{BackupCode, ChallengeId, Digest, Pepper, PhoneNumber, Purpose, UserId};

/// Six decimal digits, leading zeros included (S1). Printed nowhere but into a text message.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Digits in a code (NIST SP 800-63B-4, 3.1.3.2).
    pub const DIGITS: usize = 6;

    /// A fresh code, uniform over all of them: `random_range` draws again rather than favor some values.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(format!("{:06}", rng.random_range(0..1_000_000_u32)))
    }

    fn parse(digits: &str) -> Option<Self> {
        let shaped = digits.len() == Self::DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        shaped.then(|| Self(digits.to_owned()))
    }

    /// The digest that is stored in place of the code.
    pub(in crate::domain) fn digest(&self, pepper: &Pepper, binding: &Binding<'_>) -> Digest {
        pepper.digest(&self.parts(binding))
    }

    /// Whether `stored` is what was kept of this code, sent for this.
    pub(in crate::domain) fn matches(&self, stored: &Digest, pepper: &Pepper, binding: &Binding<'_>) -> bool {
        pepper.recognizes(stored, &self.parts(binding))
    }

    fn parts<'a>(&'a self, binding: &'a Binding<'_>) -> [&'a [u8]; 6] {
        let Binding { user, phone, purpose, id } = binding;
        [
            b"sms-code",
            user.as_str().as_bytes(),
            phone.as_e164().as_bytes(),
            purpose.as_str().as_bytes(),
            id.as_bytes(),
            self.0.as_bytes(),
        ]
    }

    /// The digits themselves, for the text message (and, in development, for the warning that stands in for it).
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What a code is good for, and nothing else: its digest binds it to all of this (S4).
#[derive(Clone, Copy)]
pub(in crate::domain) struct Binding<'a> {
    pub(in crate::domain) user: &'a UserId,
    pub(in crate::domain) phone: &'a PhoneNumber,
    pub(in crate::domain) purpose: Purpose,
    pub(in crate::domain) id: ChallengeId,
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code([redacted])")
    }
}

/// What a caller hands in to prove that the factor is theirs. It has the right shape; whether it is right is for
/// [`decide`](super::decide()) to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Six digits.
    Sms(Code),
    /// One of the backup codes.
    Backup(BackupCode),
}

/// The text is neither six digits nor shaped like a backup code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code is six digits, or a backup code of four groups of four characters")]
pub struct MalformedCode;

impl Proof {
    /// Reads what a person typed. Spaces and hyphens are ignored, nothing else is.
    ///
    /// # Errors
    /// When what remains is neither a code nor a backup code; the error does not repeat it.
    pub fn parse(typed: &str) -> Result<Self, MalformedCode> {
        let bare: String = typed.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        Code::parse(&bare).map(Self::Sms).or_else(|| BackupCode::parse(&bare).map(Self::Backup)).ok_or(MalformedCode)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::ChaCha12Rng};

    use super::*;

    #[test]
    fn a_code_is_always_six_digits_s1() {
        let mut rng = rng();
        for _ in 0..10_000 {
            let code = Code::generate(&mut rng);
            assert!(Code::parse(code.expose()).is_some(), "not six digits");
        }
    }

    #[test]
    fn codes_are_spread_evenly_s1() {
        // 100,000 draws into 1,000 buckets by the first three digits: chi squared with 999 degrees of freedom stays below
        // 1,143 in 99.9 % of all runs; the seed is fixed.
        let mut rng = rng();
        let mut buckets = [0_u32; 1000];
        for _ in 0..100_000 {
            buckets[Code::generate(&mut rng).expose()[..3].parse::<usize>().unwrap()] += 1;
        }
        let chi_squared: f64 = buckets.iter().map(|&n| (f64::from(n) - 100.0).powi(2) / 100.0).sum();
        assert!(chi_squared < 1143.0, "{chi_squared}");
        assert!(buckets[0] > 0, "leading zeros are kept");
    }

    #[test]
    fn spaces_and_hyphens_are_ignored_and_nothing_else() {
        for good in ["123456", "123 456", "123-456", " 1-2-3 4 5 6 "] {
            assert_eq!(Proof::parse(good), Ok(Proof::Sms(Code("123456".into()))), "{good:?}");
        }
        for (bad, reason) in [
            ("", "empty"),
            ("12345", "five digits"),
            ("1234567", "seven digits"),
            ("12345a", "a letter"),
            ("123\t456", "a tab"),
            ("123456\n", "a newline"),
            ("123.456", "a full stop"),
            ("１２３４５６", "full-width digits"),
            ("١٢٣٤٥٦", "Arabic-Indic digits"),
            ("+12345", "a sign"),
            ("123\u{a0}456", "a no-break space"),
        ] {
            assert_eq!(Proof::parse(bad), Err(MalformedCode), "{reason}");
        }
    }

    #[test]
    fn a_code_is_never_printed_s6() {
        assert_eq!(format!("{:?}", Proof::parse("123456").unwrap()), "Sms(Code([redacted]))");
    }

    #[test]
    fn a_digest_binds_user_phone_purpose_and_challenge_s4() {
        let pepper = Pepper::new(&[1; 32]).unwrap();
        let code = Code("123456".into());
        let (alice, bob) = (UserId::parse("alice").unwrap(), UserId::parse("bob").unwrap());
        let (home, work) = (
            crate::domain::phone_number::tests::number("+14155551234"),
            crate::domain::phone_number::tests::number("+14155551235"),
        );
        let (first, second) = (ChallengeId::from_bytes([1; 16]), ChallengeId::from_bytes([2; 16]));
        let binding = Binding { user: &alice, phone: &home, purpose: Purpose::SignIn, id: first };
        let digest = code.digest(&pepper, &binding);
        assert!(code.matches(&digest, &pepper, &binding));
        for (reason, other) in [
            ("user", Binding { user: &bob, ..binding }),
            ("phone", Binding { phone: &work, ..binding }),
            ("purpose", Binding { purpose: Purpose::Enroll, ..binding }),
            ("challenge", Binding { id: second, ..binding }),
        ] {
            assert!(!code.matches(&digest, &pepper, &other), "{reason}");
        }
        assert!(!Code("123457".into()).matches(&digest, &pepper, &binding), "code");
    }

    fn rng() -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(1)
    }
}
