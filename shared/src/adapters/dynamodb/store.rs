//! [`Store`] on one DynamoDB table: one call to load, one to commit, and every race settled by a condition.

use std::{collections::HashMap, iter, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{self, timeout::TimeoutConfig},
    error::BuildError,
    operation::{batch_get_item::BatchGetItemOutput, query::QueryOutput, update_item::UpdateItemError},
    types::{AttributeValue, KeysAndAttributes},
};
use aws_types::SdkConfig;

use super::{
    keys::{AUDIT_PREFIX, Key, PK, SK, user_partition},
    records::{AccountRecord, Item, RecordError, WindowRecord, personal_attributes, read_audit_entry},
    tries::Tries,
};
use crate::{
    adapters::aws::retries,
    domain::{Account, Pepper, SendWindow, UserId},
    ports::{AuditEntry, Commit, CommitError, Deadline, LoadRequest, Snapshot, Store, StoreUnavailable},
};

/// How long one try may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long one try of a call may take, where the host says nothing else; how long all of them may is their caller's to say.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(2);

/// How many records of a trail are read at once to be redacted.
const REDACTED_AT_ONCE: usize = 100;

/// A DynamoDB client that makes at most three tries of a call, each of at most [`TRY_TIMEOUT`]. The region, credentials and HTTP client
/// are those of `config`.
pub fn client(config: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(TRY_TIMEOUT)
        .disable_operation_timeout()
        .build();
    let retries = retries(3).with_initial_backoff(Duration::from_millis(50)).with_max_backoff(Duration::from_millis(500));
    Client::from_conf(config::Builder::from(config).timeout_config(timeouts).retry_config(retries).build())
}

/// Accounts, windows and the audit trail in one table.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) pepper: Pepper,
}

impl DynamoStore {
    /// A store in the table `table_name`. `pepper` keys the names under which the windows of phone numbers and addresses are
    /// kept. What `client` says of retries is not used: whether a call may be tried again, and how its tries are to be read
    /// together, is decided here.
    pub fn new(client: &Client, table_name: String, pepper: Pepper) -> Self {
        let client = Client::from_conf(client.config().to_builder().retry_config(retries(1)).build());
        Self { client, table: table_name, pepper }
    }

    /// The same store with another time for one try of a call.
    #[must_use]
    pub fn with_try_timeout(self, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(timeout).build();
        Self { client: Client::from_conf(self.client.config().to_builder().timeout_config(timeouts).build()), ..self }
    }

    async fn audit_page(
        &self,
        user: &UserId,
        limit: usize,
        start: Option<Item>,
        deadline: Deadline,
    ) -> Result<QueryOutput, StoreUnavailable> {
        let request = self
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
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start);
        let tries = Tries::new("Query", deadline);
        tries.until_answered(|| request.clone().send()).await.map_err(|tries| unavailable(&tries))
    }

    /// Sets these attributes of an item to NULL, if the item is still there.
    async fn clear(&self, key: &Key, attributes: &[&'static str], deadline: Deadline) -> Result<(), StoreUnavailable> {
        let assignments: Vec<_> = (0..attributes.len()).map(|n| format!("#{n} = :null")).collect();
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression(format!("SET {}", assignments.join(", ")))
            .expression_attribute_values(":null", AttributeValue::Null(true))
            .condition_expression("attribute_exists(#pk)")
            .expression_attribute_names("#pk", PK);
        for (n, name) in attributes.iter().enumerate() {
            request = request.expression_attribute_names(format!("#{n}"), *name);
        }
        let mut tries = Tries::new("UpdateItem", deadline);
        while tries.next().await {
            match tries.make(request.clone().send()).await {
                Ok(_) => return Ok(()),
                // It has expired since it was read.
                Err(error) if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) => {
                    return Ok(());
                }
                Err(error) if tries.go_on_after(&error) => {}
                Err(_) => break,
            }
        }
        Err(unavailable(&tries))
    }

    /// Reads the items with these keys, strongly consistent.
    async fn read(&self, keys: impl Iterator<Item = &Key>, deadline: Deadline) -> Result<HashMap<Key, Item>, StoreUnavailable> {
        let mut wanted: Vec<_> = keys.map(Key::attributes).collect();
        let mut found = HashMap::new();
        let mut tries = Tries::new("BatchGetItem", deadline);
        while tries.next().await {
            let keys = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(wanted.clone())).build();
            let call = self.client.batch_get_item().request_items(&self.table, keys.map_err(|error| unbuildable(&error))?).send();
            match tries.make(call).await {
                Ok(output) => match self.read_answer(output, wanted.len(), &mut found) {
                    Some(unprocessed) if unprocessed.is_empty() => return Ok(found),
                    Some(unprocessed) => {
                        tries.note_incomplete_answer();
                        wanted = unprocessed;
                    }
                    None => tries.note_incomplete_answer(),
                },
                Err(error) if tries.go_on_after(&error) => {}
                Err(_) => break,
            }
        }
        Err(unavailable(&tries))
    }

    /// Adds the items of an answer to `found`, and returns the keys that are to be asked for again. `None` where the answer does
    /// not say of each of the `asked` keys what there is: what it leaves out is not to be taken for an item that is not there.
    fn read_answer(&self, output: BatchGetItemOutput, asked: usize, found: &mut HashMap<Key, Item>) -> Option<Vec<Item>> {
        let unprocessed = output.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table));
        let unprocessed = unprocessed.map(|keys| keys.keys).unwrap_or_default();
        match output.responses?.remove(&self.table) {
            Some(items) => {
                for item in items {
                    found.insert(Key::of(&item)?, item);
                }
            }
            None if unprocessed.len() == asked => {}
            None => return None,
        }
        Some(unprocessed)
    }
}

impl Store for DynamoStore {
    async fn load(&self, request: LoadRequest<'_>, deadline: Deadline) -> Result<Snapshot, StoreUnavailable> {
        let account = Key::account(request.user);
        let number_window = request.number.map(|(phone, kind)| Key::number_window(&self.pepper, phone, kind));
        let address_window = request.address.map(|address| Key::address_window(&self.pepper, address));
        let mut found = self.read(iter::once(&account).chain(&number_window).chain(&address_window), deadline).await?;

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

    async fn commit(&self, commit: &Commit, deadline: Deadline) -> Result<(), CommitError> {
        self.settle(commit, deadline).await
    }

    async fn audit_trail(&self, user: &UserId, limit: usize, deadline: Deadline) -> Result<Vec<AuditEntry>, StoreUnavailable> {
        let mut entries = Vec::new();
        let mut next_page = None;
        while entries.len() < limit {
            let page = self.audit_page(user, limit - entries.len(), next_page, deadline).await?;
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

    async fn redact_audit_trail(&self, user: &UserId, deadline: Deadline) -> Result<u64, StoreUnavailable> {
        let (mut redacted, mut next_page) = (0, None);
        loop {
            let page = self.audit_page(user, REDACTED_AT_ONCE, next_page, deadline).await?;
            for item in page.items.unwrap_or_default() {
                let key = Key::of(&item).ok_or_else(|| unreadable("audit record", RecordError::Missing(PK)))?;
                let personal = personal_attributes(item).map_err(|error| unreadable("audit record", error))?;
                if !personal.is_empty() {
                    self.clear(&key, &personal, deadline).await?;
                    redacted += 1;
                }
            }
            next_page = page.last_evaluated_key;
            if next_page.is_none() {
                return Ok(redacted);
            }
        }
    }
}

fn unavailable(tries: &Tries) -> StoreUnavailable {
    tries.log();
    StoreUnavailable
}

fn unreadable(what: &'static str, error: RecordError) -> StoreUnavailable {
    tracing::error!(what, %error, "an item of the table cannot be read");
    StoreUnavailable
}

fn unbuildable(error: &BuildError) -> StoreUnavailable {
    tracing::error!(%error, "a request to DynamoDB cannot be built");
    StoreUnavailable
}
