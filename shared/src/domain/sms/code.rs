//! The six digits that go out by SMS, and what a caller hands in to prove something.

use std::fmt;

use rand::{CryptoRng, RngExt};

use crate::domain::backup_code::{BackupCode, is_separator};

/// Six decimal digits, leading zeros included (S1). Printed nowhere but into a text message.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Digits in a code (NIST SP 800-63B-4, 3.1.3.2).
    pub const DIGITS: usize = 6;

    /// A fresh code, uniform over all of them (S1). `random_range` has no bias only with `rand`'s feature `unbiased`, which draws
    /// again where a value would be favored; without it, it stops after a fixed number of steps. `Cargo.toml` must keep it on.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(format!("{:06}", rng.random_range(0..1_000_000_u32)))
    }

    /// Reads a code as people paste it: white space of any kind, hyphens, a leading `#` and a full stop at the end are ignored,
    /// and full-width digits count; `None` if what remains is not six digits.
    fn parse(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        let typed = typed.strip_prefix('#').unwrap_or(typed);
        let typed = typed.strip_suffix('.').unwrap_or(typed);
        let digits: String = typed.chars().filter(|c| !is_separator(*c)).map(narrow_digit).collect();
        let shaped = digits.len() == Self::DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        shaped.then_some(Self(digits))
    }

    /// The digits themselves, for the text message (and, in development, for the warning that stands in for it).
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code([redacted])")
    }
}

/// What a caller hands in to prove that the factor is theirs. It has the right shape; whether it is right is for
/// [`decide`](crate::domain::decide()) to judge.
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
    /// Reads what a person typed or pasted.
    ///
    /// # Errors
    /// When it is neither a code nor a backup code; the error does not repeat it.
    pub fn parse(typed: &str) -> Result<Self, MalformedCode> {
        let code = Code::parse(typed).map(Self::Sms);
        code.or_else(|| BackupCode::parse(typed).map(Self::Backup)).ok_or(MalformedCode)
    }
}

/// A full-width digit (U+FF10 to U+FF19), which East Asian keyboards write, as the ASCII digit that it stands for.
fn narrow_digit(character: char) -> char {
    match character {
        '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(character) - 0xff10, 10).unwrap_or(character),
        other => other,
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
    fn a_code_is_read_as_people_paste_it_and_nothing_else_is_ignored() {
        for (good, reason) in [
            ("123456", "as it was sent"),
            ("123 456", "in two groups"),
            ("123-456", "with a hyphen"),
            (" 1-2-3 4 5 6 ", "with many"),
            ("123456\n", "a line break at the end"),
            ("123\t456", "a tab"),
            ("123\u{a0}456", "a no-break space"),
            ("123\u{2011}456", "a no-break hyphen"),
            ("#123456", "as the last line of a message has it"),
            ("123456.", "a full stop at the end"),
            (" # 123456. ", "all of it"),
            ("１２３４５６", "full-width digits"),
        ] {
            assert_eq!(Proof::parse(good), Ok(Proof::Sms(Code("123456".into()))), "{reason}");
        }
        for (bad, reason) in [
            ("", "empty"),
            ("12345", "five digits"),
            ("1234567", "seven digits"),
            ("12345a", "a letter"),
            ("123.456", "a full stop within"),
            (".123456", "a full stop before"),
            ("123456#", "a number sign behind"),
            ("##123456", "two number signs"),
            ("123456..", "two full stops"),
            ("123_456", "an underscore"),
            ("١٢٣٤٥٦", "Arabic-Indic digits"),
            ("+12345", "a sign"),
        ] {
            assert_eq!(Proof::parse(bad), Err(MalformedCode), "{reason}");
        }
    }

    #[test]
    fn a_code_is_never_printed_s6() {
        assert_eq!(format!("{:?}", Proof::parse("123456").unwrap()), "Sms(Code([redacted]))");
    }

    fn rng() -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(1)
    }
}
