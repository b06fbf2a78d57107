//! [`Store`] on one DynamoDB table: one call to load, one to commit, and every race settled by a condition.

use std::{collections::HashMap, error::Error, iter, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{self, timeout::TimeoutConfig},
    error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::{RequestId, transact_write_items::TransactWriteItemsError},
    types::{AttributeValue, CancellationReason, KeysAndAttributes, Put, TransactWriteItem, Update},
};
use aws_types::SdkConfig;
use rand::{TryRng, rngs::SysRng};

use super::{
    keys::{AUDIT_PREFIX, Key, PK, SK, TTL, user_partition},
    records::{
        AccountRecord, Item, RecordError, SCHEMA_ATTRIBUTE, VERSION_ATTRIBUTE, WINDOW_SCHEMA, WindowRecord, moment, number,
        read_audit_entry, slot_attribute, window_ttl,
    },
};
use crate::{
    adapters::aws::retries,
    domain::{Account, Pepper, SendWindow, Slot, Timestamp, UserId},
    ports::{
        AuditEntry, AuditRecord, Commit, CommitError, Deadline, LoadRequest, SlotChange, Snapshot, Store, StoreUnavailable,
        Version,
    },
};

/// How often keys that DynamoDB left unprocessed are asked for in all, and the first wait between two times; it doubles.
const LOAD_ROUNDS: u32 = 3;
const LOAD_BACKOFF: Duration = Duration::from_millis(25);

/// A DynamoDB client that gives up while its caller still has time to answer: three attempts of at most 2 seconds, 5 seconds
/// in all. The region, credentials and HTTP client are those of `config`.
pub fn client(config: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(5))
        .build();
    let retries = retries(3).with_initial_backoff(Duration::from_millis(50)).with_max_backoff(Duration::from_millis(500));
    Client::from_conf(config::Builder::from(config).timeout_config(timeouts).retry_config(retries).build())
}

/// Accounts, windows and the audit trail in one table.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
    pepper: Pepper,
}

impl DynamoStore {
    /// A store in the table `table_name`. `pepper` keys the names under which the windows of phone numbers and addresses are
    /// kept.
    pub fn new(client: Client, table_name: String, pepper: Pepper) -> Self {
        Self { client, table: table_name, pepper }
    }

    /// Reads the items with these keys, strongly consistent.
    async fn read(&self, keys: impl Iterator<Item = &Key>) -> Result<HashMap<Key, Item>, StoreUnavailable> {
        let wanted = keys
            .fold(KeysAndAttributes::builder().consistent_read(true), |wanted, key| wanted.keys(key.attributes()))
            .build()
            .map_err(|error| unbuildable(&error))?;
        let mut wanted = HashMap::from([(self.table.clone(), wanted)]);
        let mut found = HashMap::new();
        for round in 0..LOAD_ROUNDS {
            if round > 0 {
                tokio::time::sleep(LOAD_BACKOFF * 2_u32.pow(round - 1)).await;
            }
            let output = self.client.batch_get_item().set_request_items(Some(wanted)).send().await;
            let output = output.map_err(|error| unavailable("BatchGetItem", &error))?;
            for item in output.responses.into_iter().flat_map(HashMap::into_values).flatten() {
                if let Some(key) = Key::of(&item) {
                    found.insert(key, item);
                }
            }
            wanted = output.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        tracing::error!(operation = "BatchGetItem", rounds = LOAD_ROUNDS, "DynamoDB left keys unprocessed");
        Err(StoreUnavailable)
    }

    /// A decision that changes no state needs no condition and no transaction, which would cost twice as much. Writing the
    /// record again, should the SDK try twice, changes nothing.
    async fn put_record(&self, record: &AuditRecord) -> Result<(), CommitError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(audit_item(0, record)));
        put.send().await.map(|_| ()).map_err(|error| commit_unavailable("PutItem", &error))
    }

    /// Writes all of it in one transaction. Where a slot to be given back is not ours any more there is nothing to give back,
    /// and the rest is written without it, in a second transaction.
    async fn transact(&self, commit: &Commit, mut windows: Vec<WindowUpdate>) -> Result<(), CommitError> {
        loop {
            let items = (windows.iter().map(|window| window.write(&self.table, commit.window)))
                .chain(commit.account.iter().map(|(account, stale_at)| self.account_write(commit, account, *stale_at)))
                .chain(commit.audit.iter().enumerate().map(|(position, record)| self.audit_write(position, record)))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| {
                    let StoreUnavailable = unbuildable(&error);
                    CommitError::Unknown
                })?;
            if items.is_empty() {
                return Ok(());
            }
            let request = self.client.transact_write_items().set_transact_items(Some(items)).client_request_token(fresh_token()?);
            let Err(error) = request.send().await else { return Ok(()) };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
                return Err(commit_unavailable("TransactWriteItems", &error));
            };
            match Cancellation::judge(canceled.cancellation_reasons(), &windows) {
                Cancellation::Conflict => return Err(CommitError::Conflict),
                Cancellation::NotOursAnyMore => windows = without_lapsed(windows, canceled.cancellation_reasons()),
                Cancellation::Failure => return Err(commit_unavailable("TransactWriteItems", &error)),
            }
        }
    }

    fn account_write(
        &self,
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
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = match commit.expected {
            None => put.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", PK),
            Some(expected) => put
                .condition_expression("#version = :expected")
                .expression_attribute_names("#version", VERSION_ATTRIBUTE)
                .expression_attribute_values(":expected", number(expected.0)),
        };
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    fn audit_write(&self, position: usize, record: &AuditRecord) -> Result<TransactWriteItem, BuildError> {
        let put = Put::builder().table_name(&self.table).set_item(Some(audit_item(position, record))).build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// What is to be done to each window: DynamoDB takes one action an item.
    fn window_updates(&self, commit: &Commit) -> Vec<WindowUpdate> {
        let mut windows: Vec<WindowUpdate> = Vec::new();
        let changes =
            (commit.take.iter().map(|change| (change, true))).chain(commit.give_back.iter().map(|change| (change, false)));
        for (SlotChange { subject, slot }, takes) in changes {
            let key = Key::window(&self.pepper, subject);
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
}

impl Store for DynamoStore {
    async fn load(&self, request: LoadRequest<'_>, _: Deadline) -> Result<Snapshot, StoreUnavailable> {
        let account = Key::account(request.user);
        let number_window = request.number.map(|(phone, kind)| Key::number_window(&self.pepper, phone, kind));
        let address_window = request.address.map(|address| Key::address_window(&self.pepper, address));
        let mut found = self.read(iter::once(&account).chain(&number_window).chain(&address_window)).await?;

        let (account, version) = match found.remove(&account).map(AccountRecord::try_from).transpose() {
            Ok(None) => (Account::default(), None),
            Ok(Some(AccountRecord { account, version })) => (account, Some(version)),
            Err(error) => return Err(unreadable("account", error)),
        };
        let mut window = |key: Option<Key>| match key.map(|key| found.remove(&key).map(WindowRecord::try_from).transpose()) {
            None => Ok(None),
            Some(Ok(record)) => Ok(Some(record.map_or_else(SendWindow::default, |WindowRecord(window)| window))),
            Some(Err(error)) => Err(unreadable("window", error)),
        };
        Ok(Snapshot { account, version, number_window: window(number_window)?, address_window: window(address_window)? })
    }

    async fn audit_trail(&self, user: &UserId, limit: usize) -> Result<Vec<AuditEntry>, StoreUnavailable> {
        let mut entries = Vec::new();
        let mut next_page = None;
        while entries.len() < limit {
            let left = limit - entries.len();
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#pk = :user AND begins_with(#sk, :audit)")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":user", AttributeValue::S(user_partition(user)))
                .expression_attribute_values(":audit", AttributeValue::S(AUDIT_PREFIX.to_owned()))
                .consistent_read(true)
                .scan_index_forward(false)
                .limit(i32::try_from(left).unwrap_or(i32::MAX))
                .set_exclusive_start_key(next_page)
                .send()
                .await
                .map_err(|error| unavailable("Query", &error))?;
            for item in page.items.unwrap_or_default() {
                entries.push(read_audit_entry(item).map_err(|error| unreadable("audit record", error))?);
            }
            next_page = page.last_evaluated_key;
            if next_page.is_none() {
                break;
            }
        }
        entries.reverse();
        Ok(entries)
    }

    /// An account that stays as it is needs no version check.
    async fn commit(&self, commit: &Commit, _: Deadline) -> Result<(), CommitError> {
        let windows = self.window_updates(commit);
        match (&commit.account, windows.as_slice(), commit.audit.as_slice()) {
            (None, [], [record]) => self.put_record(record).await,
            _ => self.transact(commit, windows).await,
        }
    }
}

/// What a commit does to one window.
struct WindowUpdate {
    key: Key,
    take: Vec<Slot>,
    give_back: Vec<Slot>,
}

impl WindowUpdate {
    /// Takes what is free, and gives back what is ours still, without having read either.
    fn write(&self, table: &str, window: Duration) -> Result<TransactWriteItem, BuildError> {
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

/// What a canceled transaction means.
enum Cancellation {
    /// Somebody else was faster.
    Conflict,
    /// Only slots that were to be given back are not ours any more.
    NotOursAnyMore,
    /// DynamoDB could not, or would not.
    Failure,
}

impl Cancellation {
    /// Reads the reasons, of which there is one for each item; the items of `windows` come first.
    fn judge(reasons: &[CancellationReason], windows: &[WindowUpdate]) -> Self {
        let (mut conflict, mut lapsed, mut failure) = (false, false, false);
        for (index, reason) in reasons.iter().enumerate() {
            match reason.code() {
                None | Some("None") => {}
                Some(CONDITION_FAILED) if windows.get(index).is_some_and(|window| !window.give_back.is_empty()) => lapsed = true,
                Some(CONDITION_FAILED | "TransactionConflict") => conflict = true,
                Some(_) => failure = true,
            }
        }
        match (conflict, failure, lapsed) {
            (true, _, _) => Self::Conflict,
            (false, false, true) => Self::NotOursAnyMore,
            (false, true, _) | (false, false, false) => Self::Failure,
        }
    }
}

/// The code of a reason: the item's condition did not hold.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// The same updates, without giving back where that was refused.
fn without_lapsed(windows: Vec<WindowUpdate>, reasons: &[CancellationReason]) -> Vec<WindowUpdate> {
    let refused = |index: usize| reasons.get(index).is_some_and(|reason| reason.code() == Some(CONDITION_FAILED));
    let mut windows = windows;
    for (index, window) in windows.iter_mut().enumerate() {
        if refused(index) {
            window.give_back.clear();
        }
    }
    windows.retain(|window| !(window.take.is_empty() && window.give_back.is_empty()));
    windows
}

fn audit_item(position: usize, record: &AuditRecord) -> Item {
    let mut item = Item::from(record);
    item.extend(Key::audit(&record.user, record.at, position, record.nonce).attributes());
    item
}

/// A client request token, which makes a transaction that is sent twice happen once. Not the SDK's own: it seeds those from
/// the process's clock, and processes restored from one snapshot must not share a token.
fn fresh_token() -> Result<String, CommitError> {
    let mut random = [0; 16];
    SysRng.try_fill_bytes(&mut random).map_err(|error| {
        tracing::error!(%error, "the operating system gives no randomness");
        CommitError::Unknown
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

/// Logs why DynamoDB failed. The service's own words stay out of it: they may repeat what was to be stored.
fn unavailable<E>(operation: &'static str, error: &SdkError<E>) -> StoreUnavailable
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    SdkError<E>: RequestId,
{
    let (kind, cause) = match error {
        SdkError::ConstructionFailure(_) => ("construction", Some(DisplayErrorContext(error).to_string())),
        SdkError::DispatchFailure(_) => ("dispatch", Some(DisplayErrorContext(error).to_string())),
        SdkError::TimeoutError(_) => ("timeout", None),
        SdkError::ResponseError(_) => ("response", None),
        SdkError::ServiceError(_) => ("service", None),
        _ => ("other", None),
    };
    tracing::error!(operation, kind, code = error.code(), aws_request_id = error.request_id(), cause, "DynamoDB failed");
    StoreUnavailable
}

/// The same for a commit, of which it is not known whether it was stored.
fn commit_unavailable<E>(operation: &'static str, error: &SdkError<E>) -> CommitError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    SdkError<E>: RequestId,
{
    let StoreUnavailable = unavailable(operation, error);
    CommitError::Unknown
}

fn unreadable(what: &'static str, error: RecordError) -> StoreUnavailable {
    tracing::error!(what, %error, "an item of the table cannot be read");
    StoreUnavailable
}

fn unbuildable(error: &BuildError) -> StoreUnavailable {
    tracing::error!(%error, "a request to DynamoDB cannot be built");
    StoreUnavailable
}
