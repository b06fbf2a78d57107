//! Where accounts, windows and the audit trail are kept.

use std::{net::IpAddr, time::Duration};

use super::Deadline;
use crate::domain::{Account, AuditEvent, PhoneNumber, SendWindow, Slot, Timestamp, UserId, sms::send_window::WindowKind};

/// Identifies the state of an account that was read; a commit names it, so that it fails if the account has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u64);

/// What one load reads.
#[derive(Clone, Copy, Debug)]
pub struct LoadRequest<'a> {
    /// Whose account.
    pub user: &'a UserId,
    /// The phone number whose window to read too, and which of its windows; `None` if it is not known yet.
    pub number: Option<(&'a PhoneNumber, WindowKind)>,
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
    pub number_window: Option<SendWindow>,
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
    /// Those to a phone number, of one kind.
    Number(PhoneNumber, WindowKind),
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

/// One entry of the audit trail, to be written.
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
    /// Where the request came from.
    pub origin: Origin,
}

/// One entry of the audit trail, as it is read back: in words, since trails outlive the vocabulary that they were written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened: an [`AuditKind`](crate::domain::AuditKind)'s name.
    pub event: String,
    /// How it ended: an [`AuditOutcome`](crate::domain::AuditOutcome)'s name.
    pub outcome: String,
    /// The phone number it was about, masked.
    pub phone_masked: Option<String>,
    /// The gateway's identifier of the request.
    pub request_id: String,
    /// The source address.
    pub address: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// What else there is to say, as name and value.
    pub details: Vec<(String, String)>,
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
    /// Slots to take. Each must be free, which is to say not taken within one `window` before it is taken now.
    pub take: Vec<SlotChange>,
    /// Slots to give back, unless they were taken again since.
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

/// Why a commit is not known to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Nothing was stored, because somebody else was faster: the account is not the expected one any more, or a slot is taken.
    /// Load and decide again.
    #[error("the state changed since it was read")]
    Conflict,
    /// Nothing was stored: storage throttles, refuses, or cannot be reached.
    #[error("storage did not take it")]
    NotStored,
    /// All of it was stored, or nothing; storage did not say which before the deadline came.
    #[error("storage did not say whether it took it")]
    Unknown,
}

/// Storage cannot be reached, does not answer in time, or holds something that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("storage is unavailable")]
pub struct StoreUnavailable;

/// Keeps accounts, windows and the audit trail.
pub trait Store: Send + Sync {
    /// Reads an account and the windows asked for, strongly consistent, in one call. Tries until `deadline`.
    fn load(
        &self,
        request: LoadRequest<'_>,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Snapshot, StoreUnavailable>> + Send;

    /// Stores a decision in one transaction, if what it was made on still holds. Returns when it is known whether it is stored,
    /// or at `deadline`; sends nothing after it.
    fn commit(&self, commit: &Commit, deadline: Deadline) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// The latest entries of a user's audit trail, at most `limit` of them, newest last. Tries until `deadline`.
    fn audit_trail(
        &self,
        user: &UserId,
        limit: usize,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Vec<AuditEntry>, StoreUnavailable>> + Send;

    /// Takes phone numbers, source addresses and user agents out of a user's audit trail; the events stay. The user agent of what an
    /// operator did stays too: it says who it was (S29). Returns how many records had any. Tries until `deadline`; what is done by then
    /// stays done, and doing it again does the rest.
    fn redact_audit_trail(&self, user: &UserId, deadline: Deadline)
    -> impl Future<Output = Result<u64, StoreUnavailable>> + Send;
}
