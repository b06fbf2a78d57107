//! The public keys of the issuer of tokens.

/// How a token is signed. There is no `none`, and no key is fit for two of them (RFC 8725, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// A public key that tokens are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerificationKey {
    /// For [`SignatureAlgorithm::Rs256`]: 2048 to 8192 bits.
    Rsa {
        /// Big-endian, without leading zeros.
        modulus: Vec<u8>,
        /// Big-endian, without leading zeros.
        exponent: Vec<u8>,
    },
    /// For [`SignatureAlgorithm::Es256`].
    P256 {
        /// The uncompressed point: 4, x, y.
        point: Vec<u8>,
    },
    /// For [`SignatureAlgorithm::EdDsa`].
    Ed25519 {
        /// 32 bytes.
        point: Vec<u8>,
    },
}

impl VerificationKey {
    /// The one algorithm that this key is fit for.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::Rsa { .. } => SignatureAlgorithm::Rs256,
            Self::P256 { .. } => SignatureAlgorithm::Es256,
            Self::Ed25519 { .. } => SignatureAlgorithm::EdDsa,
        }
    }
}

/// The source of keys cannot be reached, or what it says makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of token keys is unavailable")]
pub struct KeysUnavailable;

/// Knows the public keys of the issuer of tokens.
pub trait VerificationKeys: Send + Sync {
    /// The key of this name and for this algorithm, or the only key for it if the token names none; `None` if there is no such
    /// key. Fails only where that cannot be known.
    fn find(
        &self,
        id: Option<&str>,
        algorithm: SignatureAlgorithm,
    ) -> impl Future<Output = Result<Option<VerificationKey>, KeysUnavailable>> + Send;

    /// Fetches the keys if there are none yet: for the init phase, so that the first request does not wait for them. A failure
    /// is not an error; the first request tries again.
    fn warm_up(&self) -> impl Future<Output = ()> + Send;
}
