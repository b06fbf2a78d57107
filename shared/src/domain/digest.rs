//! Keyed digests: the only form in which a code, a backup code or a window's subject is stored (S6).

use std::{
    fmt::{self, Write as _},
    net::{IpAddr, Ipv6Addr},
};

use aws_lc_rs::{constant_time, hmac};

/// The key of every digest. It lives in the environment or in Secrets Manager, never in the table.
///
/// While the key is being rotated, digests made under the previous one are recognized too.
#[derive(Clone)]
pub struct Pepper {
    key: hmac::Key,
    previous: Option<hmac::Key>,
}

/// The pepper is too short to be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at least {} bytes", Pepper::MIN_BYTES)]
pub struct PepperTooShort;

impl Pepper {
    /// The least length of a pepper, in bytes.
    pub const MIN_BYTES: usize = 32;

    /// Makes a key of `secret`.
    ///
    /// # Errors
    /// When `secret` has fewer than [`Pepper::MIN_BYTES`] bytes.
    pub fn new(secret: &[u8]) -> Result<Self, PepperTooShort> {
        Ok(Self { key: key(secret)?, previous: None })
    }

    /// The same key, with `secret` recognized as the one before it.
    ///
    /// # Errors
    /// When `secret` has fewer than [`Pepper::MIN_BYTES`] bytes.
    pub fn with_previous(self, secret: &[u8]) -> Result<Self, PepperTooShort> {
        Ok(Self { previous: Some(key(secret)?), ..self })
    }

    /// HMAC-SHA256 over `parts`, each preceded by its length, so that no two lists of parts make the same input.
    /// The first part names what is digested and keeps the kinds apart.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> Digest {
        sign(&self.key, parts)
    }

    /// What may be stored of `parts`: their digests under this key and under the previous one.
    pub(crate) fn candidates(&self, parts: &[&[u8]]) -> Candidates {
        Candidates { current: sign(&self.key, parts), previous: self.previous.as_ref().map(|key| sign(key, parts)) }
    }

    /// Whether `stored` is the digest of `parts`, under this key or the previous one.
    pub(crate) fn recognizes(&self, stored: &Digest, parts: &[&[u8]]) -> bool {
        self.candidates(parts).contains(stored)
    }

    /// Whether `stored` is the beginning of the digest of `parts`, under this key or the previous one.
    pub(crate) fn recognizes_prefix<const N: usize>(&self, stored: &[u8; N], parts: &[&[u8]]) -> bool {
        let Candidates { current, previous } = self.candidates(parts);
        let matches = |digest: Digest| constant_time::verify_slices_are_equal(&digest.prefix::<N>(), stored).is_ok();
        matches(current) | previous.is_some_and(matches)
    }

    /// A stable name for `subject` of the given kind, in hex: a key of the table that tells nothing about the subject.
    pub fn pseudonym(&self, kind: &str, subject: &str) -> String {
        self.digest(&[b"pseudonym", kind.as_bytes(), subject.as_bytes()]).to_hex()
    }

    /// The pseudonym of a source address as it counts (S13). Whoever has one IPv6 address has its whole /64, so that is what counts;
    /// an IPv4 address mapped into IPv6 is the IPv4 address.
    pub fn address_pseudonym(&self, address: IpAddr) -> String {
        let counted = match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
                format!("{network}/64")
            }
        };
        self.pseudonym("address", &counted)
    }
}

/// The digests under which something may be stored.
pub(crate) struct Candidates {
    current: Digest,
    previous: Option<Digest>,
}

impl Candidates {
    /// Whether `stored` is one of them. Compares with each, whichever it is.
    pub(crate) fn contains(&self, stored: &Digest) -> bool {
        (self.current == *stored) | self.previous.is_some_and(|previous| previous == *stored)
    }
}

fn key(secret: &[u8]) -> Result<hmac::Key, PepperTooShort> {
    if secret.len() < Pepper::MIN_BYTES {
        return Err(PepperTooShort);
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret))
}

fn sign(key: &hmac::Key, parts: &[&[u8]]) -> Digest {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; Digest::LENGTH];
    bytes.copy_from_slice(context.sign().as_ref());
    Digest(bytes)
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([redacted])")
    }
}

/// A keyed digest. Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy)]
pub struct Digest([u8; Self::LENGTH]);

impl Digest {
    /// Bytes in a digest.
    pub const LENGTH: usize = 32;

    /// A digest read back from storage.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The digest, for storage.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The first bytes of the digest.
    pub(crate) fn prefix<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= Self::LENGTH) };
        let mut prefix = [0; N];
        prefix.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        prefix
    }

    fn to_hex(self) -> String {
        let mut hex = String::with_capacity(2 * Self::LENGTH);
        for byte in self.0 {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let pepper = Pepper::new(&[7; 32]).unwrap();
        assert_ne!(pepper.digest(&[b"ab", b"c"]), pepper.digest(&[b"a", b"bc"]));
        assert_eq!(pepper.digest(&[b"ab", b"c"]), pepper.digest(&[b"ab", b"c"]));
    }

    #[test]
    fn a_digest_is_hmac_sha256_of_the_parts_with_their_lengths() {
        // RFC 2104 over FIPS 180-4, from `hmac.new(b"\x07"*32, (2).to_bytes(8,"big")+b"ab", "sha256").hexdigest()` in Python.
        let pepper = Pepper::new(&[7; 32]).unwrap();
        assert_eq!(pepper.digest(&[b"ab"]).to_hex(), "8c0be0ba6e96fa9ec6584e7b73d57d83c5e285aa221819d7dd5da916c72247be");
    }

    #[test]
    fn what_was_made_under_the_previous_pepper_is_recognized_and_nothing_new_is_made_under_it() {
        let (old, new) = (Pepper::new(&[1; 32]).unwrap(), Pepper::new(&[2; 32]).unwrap());
        let rotated = new.clone().with_previous(&[1; 32]).unwrap();
        assert!(rotated.recognizes(&old.digest(&[b"x"]), &[b"x"]));
        assert!(rotated.recognizes(&new.digest(&[b"x"]), &[b"x"]));
        assert!(!rotated.recognizes(&old.digest(&[b"x"]), &[b"y"]));
        assert!(!new.recognizes(&old.digest(&[b"x"]), &[b"x"]), "once the old pepper is gone");
        assert_eq!(rotated.digest(&[b"x"]), new.digest(&[b"x"]));
        assert!(new.with_previous(&[1; 31]).is_err());
    }

    #[test]
    fn it_is_no_matter_if_the_previous_pepper_is_the_current_one() {
        let pepper = Pepper::new(&[1; 32]).unwrap().with_previous(&[1; 32]).unwrap();
        let digest = pepper.digest(&[b"x"]);
        assert!(pepper.recognizes(&digest, &[b"x"]) && pepper.recognizes_prefix(&digest.prefix::<8>(), &[b"x"]));
        assert!(!pepper.recognizes(&digest, &[b"y"]) && !pepper.recognizes_prefix(&digest.prefix::<8>(), &[b"y"]));
    }

    #[test]
    fn a_short_pepper_is_refused_and_none_is_shown() {
        assert!(Pepper::new(&[7; 31]).is_err());
        let pepper = Pepper::new(&[7; 32]).unwrap();
        assert_eq!(format!("{pepper:?} {:?}", pepper.digest(&[b"x"])), "Pepper([redacted]) Digest([redacted])");
    }
}
