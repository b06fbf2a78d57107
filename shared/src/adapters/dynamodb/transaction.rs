//! What a commit writes: the items of its transaction, each with the condition that it depends on.

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{CancellationReason, Put, TransactWriteItem, Update},
};

use super::{
    keys::{Key, PK, TTL},
    records::{
        AccountRecord, Item, SCHEMA_ATTRIBUTE, VERSION_ATTRIBUTE, WINDOW_SCHEMA, moment, number, slot_attribute, window_ttl,
    },
};
use crate::{
    domain::{Account, Pepper, Slot, Timestamp},
    ports::{AuditRecord, Commit, SlotChange, Version},
};

/// The writes of a commit.
pub(super) struct Transaction<'a> {
    table: &'a str,
    commit: &'a Commit,
    windows: Vec<WindowUpdate>,
}

impl<'a> Transaction<'a> {
    /// All that `commit` is to store in `table`.
    pub(super) fn new(commit: &'a Commit, table: &'a str, pepper: &Pepper) -> Self {
        Self { table, commit, windows: window_updates(commit, pepper) }
    }

    /// The one record that is all there is to write, if that is so.
    pub(super) fn only_record(&self) -> Option<&'a AuditRecord> {
        match (&self.commit.account, self.windows.as_slice(), self.commit.audit.as_slice()) {
            (None, [], [record]) => Some(record),
            _ => None,
        }
    }

    /// The items, those of the windows first.
    pub(super) fn items(&self) -> Result<Vec<TransactWriteItem>, BuildError> {
        let Self { table, commit, windows } = self;
        (windows.iter().map(|window| window.write(table, commit)))
            .chain(commit.account.iter().map(|(account, stale_at)| account_write(table, commit, account, *stale_at)))
            .chain(commit.audit.iter().enumerate().map(|(position, record)| audit_write(table, position, record)))
            .collect()
    }

    /// What it means that the transaction was canceled with these reasons, of which there is one for each item.
    pub(super) fn judge(&self, reasons: &[CancellationReason]) -> Cancellation {
        let (mut changed, mut refused, mut contended, mut throttled, mut lapsed) = (false, false, false, false, false);
        for (index, reason) in reasons.iter().enumerate() {
            match reason.code() {
                None | Some("None") => {}
                Some(CONDITION_FAILED) if self.windows.get(index).is_some_and(WindowUpdate::gives_back) => lapsed = true,
                Some(CONDITION_FAILED) => changed = true,
                Some("TransactionConflict") => contended = true,
                Some("ThrottlingError" | "ProvisionedThroughputExceeded") => throttled = true,
                Some(_) => refused = true,
            }
        }
        match () {
            () if changed => Cancellation::Changed,
            () if refused => Cancellation::Refused,
            () if contended => Cancellation::Contended,
            () if throttled => Cancellation::Throttled,
            () if lapsed => Cancellation::NotOursAnyMore,
            () => Cancellation::Refused,
        }
    }

    /// The same writes, without giving back where these reasons say that a condition did not hold.
    pub(super) fn without_lapsed(mut self, reasons: &[CancellationReason]) -> Self {
        for (window, reason) in self.windows.iter_mut().zip(reasons) {
            if reason.code() == Some(CONDITION_FAILED) {
                window.give_back.clear();
            }
        }
        self.windows.retain(|window| !window.take.is_empty() || window.gives_back());
        self
    }
}

/// What a canceled transaction means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancellation {
    /// Somebody else was faster: a condition does not hold.
    Changed,
    /// Another transaction is at work on one of the items.
    Contended,
    /// Only slots that were to be given back are not ours any more.
    NotOursAnyMore,
    /// DynamoDB could not, for now.
    Throttled,
    /// DynamoDB would not.
    Refused,
}

/// The code of a reason: the item's condition did not hold.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// A record as an item.
pub(super) fn audit_item(position: usize, record: &AuditRecord) -> Item {
    let mut item = Item::from(record);
    item.extend(Key::audit(&record.user, record.at, position, record.nonce).attributes());
    item
}

fn audit_write(table: &str, position: usize, record: &AuditRecord) -> Result<TransactWriteItem, BuildError> {
    let put = Put::builder().table_name(table).set_item(Some(audit_item(position, record))).build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn account_write(
    table: &str,
    commit: &Commit,
    account: &Account,
    stale_at: Option<Timestamp>,
) -> Result<TransactWriteItem, BuildError> {
    // The time is part of the version, so that an item that DynamoDB dropped and a later commit made again never has a
    // version that somebody still holds from before.
    let version = Version(commit.now.as_millis().max(commit.expected.map_or(0, |expected| expected.0.saturating_add(1))));
    let mut item = Item::from(&AccountRecord { account: account.clone(), version });
    item.extend(Key::account(&commit.user).attributes());
    item.extend(stale_at.map(|stale_at| (TTL.to_owned(), number(stale_at.as_secs_ceil()))));
    let put = Put::builder().table_name(table).set_item(Some(item));
    let put = match commit.expected {
        None => put.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", PK),
        Some(expected) => put
            .condition_expression("#version = :expected")
            .expression_attribute_names("#version", VERSION_ATTRIBUTE)
            .expression_attribute_values(":expected", number(expected.0)),
    };
    Ok(TransactWriteItem::builder().put(put.build()?).build())
}

/// What is to be done to each window: DynamoDB takes one action an item.
fn window_updates(commit: &Commit, pepper: &Pepper) -> Vec<WindowUpdate> {
    let mut windows: Vec<WindowUpdate> = Vec::new();
    let changes = (commit.take.iter().map(|change| (change, true))).chain(commit.give_back.iter().map(|change| (change, false)));
    for (SlotChange { subject, slot }, takes) in changes {
        let key = Key::window(pepper, subject);
        let index = windows.iter().position(|window| window.key == key).unwrap_or_else(|| {
            windows.push(WindowUpdate { key, take: Vec::new(), give_back: Vec::new() });
            windows.len() - 1
        });
        if let Some(window) = windows.get_mut(index) {
            if takes { &mut window.take } else { &mut window.give_back }.push(*slot);
        }
    }
    windows
}

/// What a commit does to one window.
struct WindowUpdate {
    key: Key,
    take: Vec<Slot>,
    give_back: Vec<Slot>,
}

impl WindowUpdate {
    const fn gives_back(&self) -> bool {
        !self.give_back.is_empty()
    }

    /// Takes what is free, and gives back what is ours still, without having read either.
    fn write(&self, table: &str, commit: &Commit) -> Result<TransactWriteItem, BuildError> {
        let window = commit.window;
        let mut update = Update::builder().table_name(table).set_key(Some(self.key.attributes()));
        let (mut set, mut remove, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        for (n, slot) in self.take.iter().enumerate() {
            let free_since = i128::from(slot.taken_at.as_millis()) - i128::try_from(window.as_millis()).unwrap_or(i128::MAX);
            update = update
                .expression_attribute_names(format!("#take{n}"), slot_attribute(slot.index))
                .expression_attribute_values(format!(":take{n}"), moment(slot.taken_at))
                .expression_attribute_values(format!(":free{n}"), number(free_since));
            set.push(format!("#take{n} = :take{n}"));
            conditions.push(format!("(attribute_not_exists(#take{n}) OR #take{n} <= :free{n})"));
        }
        if let Some(latest) = self.take.iter().map(|slot| slot.taken_at).max() {
            update = update
                .expression_attribute_names("#schema", SCHEMA_ATTRIBUTE)
                .expression_attribute_values(":schema", number(WINDOW_SCHEMA))
                .expression_attribute_names("#ttl", TTL)
                .expression_attribute_values(":ttl", window_ttl(latest, window));
            set.push("#schema = :schema, #ttl = :ttl".to_owned());
            conditions.push("(attribute_not_exists(#schema) OR #schema = :schema)".to_owned());
        }
        for (n, slot) in self.give_back.iter().enumerate() {
            update = update
                .expression_attribute_names(format!("#back{n}"), slot_attribute(slot.index))
                .expression_attribute_values(format!(":back{n}"), moment(slot.taken_at));
            remove.push(format!("#back{n}"));
            conditions.push(format!("#back{n} = :back{n}"));
        }
        let clauses = [("SET", set), ("REMOVE", remove)];
        let clauses = clauses.iter().filter(|(_, parts)| !parts.is_empty());
        let expression: Vec<_> = clauses.map(|(clause, parts)| format!("{clause} {}", parts.join(", "))).collect();
        let update = update.update_expression(expression.join(" ")).condition_expression(conditions.join(" AND "));
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }
}
