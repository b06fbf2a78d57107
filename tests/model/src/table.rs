//! The table as the store contract has it: what a commit is conditional on, what it writes, and what a client token is for.

use std::collections::{BTreeMap, BTreeSet};

use two_factor::{
    domain::{Account, PhoneNumber, SendWindow, Slot, Timestamp, UserId, sms::send_window::WindowKind},
    ports::{AuditRecord, Commit, SlotChange, Snapshot, Version, WindowSubject},
};

/// Which of its promises the table breaks: to see that somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An account is written whatever its version is.
    ForgetsVersions,
    /// A slot is taken whether it is free or not.
    ForgetsSlots,
    /// A commit that is sent again is written again.
    ForgetsTokens,
    /// The account is written, and its records are not.
    LosesRecords,
}

impl Fault {
    /// All of them, with their names.
    pub const ALL: [(&str, Self); 4] = [
        ("forgets-versions", Self::ForgetsVersions),
        ("forgets-slots", Self::ForgetsSlots),
        ("forgets-tokens", Self::ForgetsTokens),
        ("loses-records", Self::LosesRecords),
    ];

    /// The fault with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(own, fault)| (own == name).then_some(fault))
    }
}

/// A table that is somewhere between two transactions.
#[derive(Clone, Debug, Default)]
pub struct Table {
    accounts: BTreeMap<String, Stored>,
    windows: BTreeMap<String, BTreeMap<u16, Timestamp>>,
    tokens: BTreeSet<u64>,
    /// What was committed, in order.
    pub commits: Vec<Applied>,
    /// What is broken of it.
    pub fault: Option<Fault>,
}

#[derive(Clone, Debug)]
struct Stored {
    account: Account,
    version: Version,
    stale_at: Option<Timestamp>,
}

/// A commit that was stored.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Whose account.
    pub user: UserId,
    /// The account before it.
    pub before: Account,
    /// The account after it.
    pub after: Account,
    /// The records that were written.
    pub audit: Vec<AuditRecord>,
    /// Whether the account was written.
    pub writes_account: bool,
    /// When the decision was made.
    pub now: Timestamp,
}

impl Table {
    /// The account of `user`, with these windows.
    pub fn load(&self, user: &UserId, number: Option<(&PhoneNumber, WindowKind)>) -> Snapshot {
        let stored = self.accounts.get(user.as_str());
        let window = |key: String| {
            let slots = self.windows.get(&key).into_iter().flatten();
            SendWindow::new(slots.map(|(index, taken_at)| Slot { index: *index, taken_at: *taken_at }))
        };
        Snapshot {
            account: stored.map(|stored| stored.account.clone()).unwrap_or_default(),
            version: stored.map(|stored| stored.version),
            number_window: number.map(|(phone, kind)| window(key(&WindowSubject::Number(phone.clone(), kind)))),
            address_window: None,
        }
    }

    /// The account of `user` as it is stored.
    pub fn account(&self, user: &UserId) -> Account {
        self.accounts.get(user.as_str()).map(|stored| stored.account.clone()).unwrap_or_default()
    }

    /// Whether this slot is held by the send that took it.
    pub fn holds(&self, change: &SlotChange) -> bool {
        self.windows.get(&key(&change.subject)).and_then(|slots| slots.get(&change.slot.index)) == Some(&change.slot.taken_at)
    }

    /// Writes `commit` under `token`: whether it is stored. Under a token that was stored before nothing is written again.
    pub fn transact(&mut self, commit: &Commit, token: u64) -> bool {
        if self.tokens.contains(&token) && self.fault != Some(Fault::ForgetsTokens) {
            return true;
        }
        let stored = self.accounts.get(commit.user.as_str());
        let is_expected = commit.account.is_none() || stored.map(|stored| stored.version) == commit.expected;
        let is_free = |change: &SlotChange| {
            let last = self.windows.get(&key(&change.subject)).and_then(|slots| slots.get(&change.slot.index));
            last.is_none_or(|last| last.plus(commit.window) <= change.slot.taken_at)
        };
        let versions_hold = is_expected || self.fault == Some(Fault::ForgetsVersions);
        let slots_hold = commit.take.iter().all(is_free) || self.fault == Some(Fault::ForgetsSlots);
        if !versions_hold || !slots_hold {
            return false;
        }
        self.tokens.insert(token);
        let before = self.account(&commit.user);
        if let Some((account, stale_at)) = &commit.account {
            // The time is part of the version, as in the real table: what was dropped and made again has another one.
            let version = Version(commit.now.as_millis().max(commit.expected.map_or(0, |expected| expected.0 + 1)));
            let stored = Stored { account: account.clone(), version, stale_at: *stale_at };
            self.accounts.insert(commit.user.as_str().to_owned(), stored);
        }
        for change in &commit.take {
            self.windows.entry(key(&change.subject)).or_default().insert(change.slot.index, change.slot.taken_at);
        }
        for change in commit.give_back.iter().filter(|change| self.holds(change)).cloned().collect::<Vec<_>>() {
            self.windows.entry(key(&change.subject)).or_default().remove(&change.slot.index);
        }
        let audit = if self.fault == Some(Fault::LosesRecords) { Vec::new() } else { commit.audit.clone() };
        self.commits.push(Applied {
            user: commit.user.clone(),
            before,
            after: self.account(&commit.user),
            audit,
            writes_account: commit.account.is_some(),
            now: commit.now,
        });
        true
    }

    /// Drops every account that is stale at `now`, as DynamoDB may; `false` where there is none.
    pub fn collect_garbage(&mut self, now: Timestamp) -> bool {
        let count = self.accounts.len();
        self.accounts.retain(|_, stored| stored.stale_at.is_none_or(|stale_at| stale_at > now));
        self.accounts.len() < count
    }

    /// Whether anything is stale at `now`.
    pub fn has_garbage(&self, now: Timestamp) -> bool {
        self.accounts.values().any(|stored| stored.stale_at.is_some_and(|stale_at| stale_at <= now))
    }
}

fn key(subject: &WindowSubject) -> String {
    match subject {
        WindowSubject::Number(phone, kind) => format!("{} {kind:?}", phone.as_e164()),
        WindowSubject::Address(address) => address.to_string(),
    }
}
