//! Backup codes: the way in when the phone is gone (NIST SP 800-63B-4 calls them look-up secrets).

use std::fmt;

use rand::CryptoRng;

use super::{
    digest::{Digest, Pepper},
    timestamp::Timestamp,
    user_id::UserId,
};

/// 32 characters that people do not confuse: digits and capitals without I, L, O and U (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// One backup code: 80 random bits, written as 16 characters (S17).
#[derive(Clone, PartialEq, Eq)]
pub struct BackupCode(String);

impl BackupCode {
    /// Characters in a code, without its hyphens; each carries 5 bits.
    pub const CHARACTERS: usize = 16;

    fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut random = [0_u8; Self::CHARACTERS];
        rng.fill_bytes(&mut random);
        Self(random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32))).map(|&c| char::from(c)).collect())
    }

    /// Reads a code as a person writes it: small letters, `O` for 0, `I` and `L` for 1, with or without hyphens and white space;
    /// `None` if what remains does not have the shape of a code.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        let bare =
            typed.chars().filter(|character| !is_separator(*character)).map(|character| match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            });
        let bare: String = bare.take(Self::CHARACTERS + 1).collect();
        let shaped = bare.len() == Self::CHARACTERS && bare.bytes().all(|byte| ALPHABET.contains(&byte));
        shaped.then_some(Self(bare))
    }

    /// The digest that is stored in place of the code; it binds the code to its user.
    pub fn digest(&self, pepper: &Pepper, user: &UserId) -> Digest {
        pepper.digest(&self.parts(user))
    }

    fn parts<'a>(&'a self, user: &'a UserId) -> [&'a [u8]; 3] {
        [b"backup-code", user.as_str().as_bytes(), self.0.as_bytes()]
    }

    /// The code as its owner gets to see it, once: `XXXX-XXXX-XXXX-XXXX`.
    pub fn expose(&self) -> String {
        let mut shown = String::with_capacity(Self::CHARACTERS + 3);
        for (index, character) in self.0.chars().enumerate() {
            if index > 0 && index % 4 == 0 {
                shown.push('-');
            }
            shown.push(character);
        }
        shown
    }
}

impl fmt::Debug for BackupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupCode([redacted])")
    }
}

/// An account's unused backup codes, and the wrong ones that were handed in, which are counted apart from wrong SMS codes (S9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupCodes {
    /// One digest for each code that is still good.
    pub digests: Vec<Digest>,
    /// Consecutive wrong backup codes. They are counted so far that the owner is told, and no further: 80 random bits need no lock.
    pub failed_attempts: u32,
    /// When the last of them was handed in; `None` while there are none.
    pub last_failed_at: Option<Timestamp>,
}

impl BackupCodes {
    /// Codes in a set.
    pub const SET: usize = 10;

    /// Makes a fresh set: the codes to be shown, once, and what is kept of them.
    pub fn issue(pepper: &Pepper, user: &UserId, rng: &mut (impl CryptoRng + ?Sized)) -> (Vec<BackupCode>, Self) {
        let codes: Vec<_> = (0..Self::SET).map(|_| BackupCode::generate(rng)).collect();
        let digests = codes.iter().map(|code| code.digest(pepper, user)).collect();
        (codes, Self { digests, ..Self::default() })
    }

    /// How many codes are left.
    pub fn remaining(&self) -> usize {
        self.digests.len()
    }

    /// Takes a code out of the set; `false` if it is not in it. Looks at every code, found or not.
    pub(super) fn spend(&mut self, code: &BackupCode, pepper: &Pepper, user: &UserId) -> bool {
        let candidates = pepper.candidates(&code.parts(user));
        let before = self.digests.len();
        self.digests.retain(|kept| !candidates.contains(kept));
        self.digests.len() < before
    }

    /// Starts a new count of wrong codes.
    pub(super) fn forget_failures(&mut self) {
        (self.failed_attempts, self.last_failed_at) = (0, None);
    }
}

/// White space of any kind, and hyphens: what people put between the parts of a code.
pub(super) fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}' | '\u{2011}')
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::{SeedableRng, rngs::ChaCha12Rng};

    use super::*;
    use crate::domain::Proof;

    #[test]
    fn a_set_is_ten_distinct_codes_in_four_groups_of_four_s17() {
        let (pepper, user) = (Pepper::new(&[1; 32]).unwrap(), UserId::parse("alice").unwrap());
        let (codes, kept) = BackupCodes::issue(&pepper, &user, &mut ChaCha12Rng::seed_from_u64(1));
        let shown: HashSet<_> = codes.iter().map(BackupCode::expose).collect();
        assert_eq!((shown.len(), kept.remaining()), (10, 10));
        for code in &shown {
            assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [4, 4, 4, 4]);
            assert!(matches!(Proof::parse(code), Ok(Proof::Backup(_))));
        }
    }

    #[test]
    fn every_character_of_the_alphabet_is_drawn_evenly() {
        // 32 divides 256, so a byte modulo 32 has no bias; all characters must turn up.
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let drawn: HashSet<_> = (0..200).flat_map(|_| BackupCode::generate(&mut rng).0.into_bytes()).collect();
        assert_eq!(drawn.len(), ALPHABET.len());
    }

    #[test]
    fn a_code_is_spent_once() {
        let (pepper, user) = (Pepper::new(&[1; 32]).unwrap(), UserId::parse("alice").unwrap());
        let (codes, mut kept) = BackupCodes::issue(&pepper, &user, &mut ChaCha12Rng::seed_from_u64(1));
        assert!(kept.spend(&codes[3], &pepper, &user));
        assert!(!kept.spend(&codes[3], &pepper, &user));
        assert_eq!(kept.remaining(), 9);
        assert_eq!(format!("{:?}", codes[0]), "BackupCode([redacted])");
    }

    #[test]
    fn a_code_is_read_as_a_person_writes_it() {
        let expected = Ok(Proof::Backup(BackupCode("01ABCDEFGHJKMNPQ".into())));
        for (good, reason) in [
            ("01AB-CDEF-GHJK-MNPQ", "as it was shown"),
            ("01ab-cdef-ghjk-mnpq", "small letters"),
            ("OLAB-CDEF-GHJK-MNPQ", "letters that look like digits"),
            ("oiab cdef\u{a0}ghjk\tmnpq\n", "all kinds of white space"),
            ("01ABCDEFGHJKMNPQ", "in one piece"),
        ] {
            assert_eq!(Proof::parse(good), expected, "{reason}");
        }
        for (bad, reason) in [
            ("ABCD-EFGH-JKMN-PQR", "15 characters"),
            ("ABCD-EFGH-JKMN-PQRST", "17 characters"),
            ("ABCD-EFGH-UKMN-PQRS", "a U, which stands for nothing"),
            ("ABCD_EFGH_JKMN_PQRS", "underscores"),
            ("ABCD-EFGH-JKMN-PQRS.", "a full stop"),
            ("ＡBCD-EFGH-JKMN-PQRS", "a full-width letter"),
        ] {
            assert!(Proof::parse(bad).is_err(), "{reason}");
        }
    }
}
