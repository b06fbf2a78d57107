//! Every effect that the core needs from outside, on one page.

use std::{net::IpAddr, sync::Arc, time::Duration};

use rand::CryptoRng;

use crate::domain::{
    Account, AuditEvent, AuditOutcome, PhoneNumber, Provider, SendWindow, Slot, TextMessage, Timestamp, UserId,
    message::delivery::Delivery,
};

/// Says what time it is. The one place that time comes from.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// Gives randomness fit for secrets. The one place that randomness comes from.
pub trait Random: Send + Sync {
    /// The generator that draws for one request.
    fn rng(&self) -> Box<dyn CryptoRng + Send>;
}

/// Identifies the state of an account that was read; a commit names it, so that it fails if the account has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u64);

/// What one load reads.
#[derive(Clone, Copy, Debug)]
pub struct LoadRequest<'a> {
    /// Whose account.
    pub user: &'a UserId,
    /// The phone number whose window to read too; `None` if it is not known yet.
    pub phone: Option<&'a PhoneNumber>,
    /// The source address whose window to read too; `None` if there is none, or none is to be counted.
    pub address: Option<IpAddr>,
}

/// What one load found, all of it strongly consistent.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The account; a new one if there is none.
    pub account: Account,
    /// Its version; `None` if there is none.
    pub version: Option<Version>,
    /// The phone number's window; `None` if it was not asked for.
    pub phone_window: Option<SendWindow>,
    /// The source address's window; `None` if it was not asked for.
    pub address_window: Option<SendWindow>,
}

/// A slot to take or to give back, and of whose window.
#[derive(Clone, Debug)]
pub struct SlotChange {
    /// Whose window.
    pub subject: WindowSubject,
    /// Which slot of it, and when it is (or was) taken.
    pub slot: Slot,
}

/// Whose sends a window counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowSubject {
    /// Those to a phone number.
    Phone(PhoneNumber),
    /// Those caused from a source address.
    Address(IpAddr),
}

/// Where a request came from, for the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The gateway's identifier of the request.
    pub request_id: String,
    /// The source address that the gateway saw (S13).
    pub address: Option<IpAddr>,
    /// The `User-Agent` header, cut to a sane length; it says what the client claims.
    pub user_agent: Option<String>,
}

/// One entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Whose trail.
    pub user: UserId,
    /// When it happened.
    pub at: Timestamp,
    /// Tells records of the same instant apart.
    pub nonce: u64,
    /// What happened.
    pub event: AuditEvent,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The phone number it was about, masked.
    pub phone_masked: Option<String>,
    /// Where the request came from.
    pub origin: Origin,
    /// What else there is to say, as name and value: the provider that a code went to, what each refused with. Never a code,
    /// token or clear number.
    pub details: Vec<(&'static str, String)>,
}

/// What is to be stored, all of it or nothing.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Whose account.
    pub user: UserId,
    /// The account's version that the decision was made on; `None` if there was no account.
    pub expected: Option<Version>,
    /// The account as it shall be, and when storage may drop it; `None` if it stays as it is.
    pub account: Option<(Account, Option<Timestamp>)>,
    /// SendWindow to take. Each must be free, which is to say not taken within one `window` before it is taken now.
    pub take: Vec<SlotChange>,
    /// SendWindow to give back, unless they were taken again since.
    pub give_back: Vec<SlotChange>,
    /// The length of the send windows.
    pub window: Duration,
    /// What happened.
    pub audit: Vec<AuditRecord>,
    /// When the decision was made.
    pub now: Timestamp,
}

impl Commit {
    /// A commit that only adds `record` to the trail. `window` is the length of the send windows, which it does not touch.
    pub fn audit_only(record: AuditRecord, window: Duration) -> Self {
        Self {
            user: record.user.clone(),
            expected: None,
            account: None,
            take: Vec::new(),
            give_back: Vec::new(),
            window,
            now: record.at,
            audit: vec![record],
        }
    }
}

/// Why nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Somebody else was faster: the account is not the expected one any more, or a slot is taken. Load and decide again.
    #[error("the state changed since it was read")]
    Conflict,
    /// Storage cannot be reached or does not answer in time. Whether the commit was stored is not known.
    #[error("storage is unavailable")]
    Unavailable,
}

/// Storage cannot be reached, does not answer in time, or holds something that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage is unavailable")]
pub struct StoreUnavailable;

/// Keeps accounts, windows and the audit trail.
pub trait Store: Send + Sync {
    /// Reads an account and the windows asked for, strongly consistent, in one call.
    fn load(&self, request: LoadRequest<'_>) -> impl Future<Output = Result<Snapshot, StoreUnavailable>> + Send;

    /// Stores a decision in one transaction, if what it was made on still holds.
    fn commit(&self, commit: &Commit) -> impl Future<Output = Result<(), CommitError>> + Send;
}

/// How a code reaches its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By SMS; this provider is asked first.
    Sms(Provider),
    /// In the answer: there is no provider, and the service runs in development (S22).
    Answer,
    /// Not at all: there is no provider.
    Missing,
}

/// Sends text messages.
pub trait SmsSender: Send + Sync {
    /// How a code would reach its user now. Asked before anything is reserved.
    fn channel(&self) -> Channel;

    /// Hands `message` to the providers, one after the other, until one takes it or none may be asked any more. Never sends
    /// twice: after an unknown outcome nobody else is asked (S12). Called only where [`SmsSender::channel`] says
    /// [`Channel::Sms`].
    fn send(&self, message: &TextMessage) -> impl Future<Output = Delivery> + Send;
}

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

/// Knows the public keys of whoever issues tokens.
pub trait VerificationKeys: Send + Sync {
    /// The key of this name and for this algorithm, or the only key for it if the token names none; `None` if there is no such
    /// key. Fails only where that cannot be known.
    fn find(
        &self,
        id: Option<&str>,
        algorithm: SignatureAlgorithm,
    ) -> impl Future<Output = Result<Option<VerificationKey>, KeysUnavailable>> + Send;

    /// Fetches the keys if there are none yet: for the init phase, so that the first request does not wait for them. A failure
    /// is no error; the first request tries again.
    fn warm_up(&self) -> impl Future<Output = ()> + Send;
}
