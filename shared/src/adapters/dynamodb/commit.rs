//! Committing, so that it is known what was stored: one transaction, the same bytes under the same token, until DynamoDB says.

use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut},
    error::{BoxError, BuildError},
    operation::transact_write_items::TransactWriteItemsError,
    types::CancellationReason,
};
use aws_smithy_types::body::SdkBody;
use rand::{TryRng, rngs::SysRng};

use super::{
    store::DynamoStore,
    transaction::{Cancellation, Transaction, audit_item},
    tries::{Failed, Tries},
};
use crate::ports::{AuditRecord, Commit, CommitError, Deadline};

/// What became of a transaction that was not lost.
enum Settled {
    Stored,
    /// Nothing was stored, because only slots that were to be given back are not ours any more.
    NotOursAnyMore(Vec<CancellationReason>),
}

impl DynamoStore {
    /// Stores all of `commit`, or nothing.
    pub(super) async fn settle(&self, commit: &Commit, deadline: Deadline) -> Result<(), CommitError> {
        let mut transaction = Transaction::new(commit, &self.table, &self.pepper);
        if let Some(record) = transaction.only_record() {
            return self.put_record(record, deadline).await;
        }
        // Where a slot to be given back is not ours any more there is nothing to give back, and the rest is written without it.
        // That is another transaction, and the one before was not stored: it has a token of its own.
        loop {
            match self.transact(&transaction, deadline).await? {
                Settled::Stored => return Ok(()),
                Settled::NotOursAnyMore(reasons) => transaction = transaction.without_lapsed(&reasons),
            }
        }
    }

    /// A decision that changes no state needs no condition and no transaction, which would cost twice as much. The record's key
    /// has a random part of its own, so that writing it again changes nothing: it needs no token either.
    async fn put_record(&self, record: &AuditRecord, deadline: Deadline) -> Result<(), CommitError> {
        let request = self.client.put_item().table_name(&self.table).set_item(Some(audit_item(0, record)));
        let tries = Tries::new("PutItem", deadline);
        tries.until_answered(|| request.clone().send()).await.map(drop).map_err(|tries| given_up(&tries))
    }

    /// Sends one transaction until DynamoDB says what became of it.
    ///
    /// Every try has the same token and the same bytes. DynamoDB then carries the transaction out once, whichever of the tries
    /// arrive, and answers all that follow with success for ten minutes; so a success is ours, however late it comes, and a
    /// condition that fails on a repeated try says that none before it was stored. A try that was throttled is repeated under
    /// the same token, too: it says nothing of those before it, one of which may have been stored, and under a new token that
    /// one would look like somebody else's.
    async fn transact(&self, transaction: &Transaction<'_>, deadline: Deadline) -> Result<Settled, CommitError> {
        let items = transaction.items().map_err(|error| unbuildable(&error))?;
        if items.is_empty() {
            return Ok(Settled::Stored);
        }
        let token = fresh_token()?;
        let request = self.client.transact_write_items().set_transact_items(Some(items)).client_request_token(token);
        let bytes = SameBytes::default();
        let mut tries = Tries::new("TransactWriteItems", deadline);
        while tries.next().await {
            let call = request.clone().customize().interceptor(bytes.clone());
            let Err(error) = tries.make(call.send()).await else { return Ok(Settled::Stored) };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
                if tries.go_on_after(&error) {
                    continue;
                }
                break;
            };
            match transaction.judge(canceled.cancellation_reasons()) {
                Cancellation::Changed => return Err(CommitError::Conflict),
                Cancellation::NotOursAnyMore => {
                    return Ok(Settled::NotOursAnyMore(canceled.cancellation_reasons().to_vec()));
                }
                // What the other transaction makes of the item is not known yet. A decision made on what is there afterwards is
                // better than this one; but the other one may be an earlier try of this.
                Cancellation::Contended if !tries.may_be_done() => return Err(CommitError::Conflict),
                Cancellation::Contended | Cancellation::Throttled => tries.note(Failed::NotNow, &error),
                Cancellation::Refused => {
                    tries.note(Failed::Refused, &error);
                    break;
                }
            }
        }
        Err(given_up(&tries))
    }
}

fn given_up(tries: &Tries) -> CommitError {
    tries.log();
    if tries.may_be_done() { CommitError::Unknown } else { CommitError::NotStored }
}

/// Sends with each try the bytes of the first. The SDK serializes a request anew for each call, and nothing promises that the
/// attributes of an item, which are a hash map, come in the same order each time; the same token with other bytes is refused
/// (`IdempotentParameterMismatchException`).
#[derive(Clone, Debug, Default)]
struct SameBytes(Arc<OnceLock<Vec<u8>>>);

impl Intercept for SameBytes {
    fn name(&self) -> &'static str {
        "SameBytes"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request_mut().body_mut();
        let bytes = body.bytes().ok_or("the body of a transaction is not in memory")?;
        let first = self.0.get_or_init(|| bytes.to_vec());
        *body = SdkBody::from(first.clone());
        Ok(())
    }
}

/// A client request token, which makes a transaction that is sent twice happen once. Not the SDK's own: it seeds those from
/// the process's clock, and processes restored from one snapshot must not share a token.
fn fresh_token() -> Result<String, CommitError> {
    let mut random = [0; 16];
    SysRng.try_fill_bytes(&mut random).map_err(|error| {
        tracing::error!(%error, "the operating system gives no randomness");
        CommitError::NotStored
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

fn unbuildable(error: &BuildError) -> CommitError {
    tracing::error!(%error, "a transaction cannot be built");
    CommitError::NotStored
}
