//! The store, through the real SDK, on the embedded database, or on the one that `TEST_DATABASE` names; and what it does when that fails.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{Region, timeout::TimeoutConfig},
    types::AttributeValue,
};
use futures_util::future::join_all;
use serde_json::json;
use two_factor::{
    adapters::dynamodb::{
        DynamoStore, client,
        table::{PK, SK, TTL, TableError, ensure_table},
    },
    domain::{
        Account, AllowedCountries, AuditEvent, AuditKind, AuditOutcome, BackupCodes, Challenge, ChallengeId, Digest,
        FailedAttempts, Pepper, PhoneNumber, Purpose, SendLog, SendWindow, Slot, SmsFactor, Timestamp, UserId,
        message::notification::{NotificationKind, NotificationLog, SentNotification},
        sms::{
            challenge::{CodeTag, SupersededCode},
            factor::{ActivePhone, FactorState, PendingPhone},
            send_window::{Allowance, NumberTag, SendState, SentCode, WindowKind},
        },
    },
    ports::{
        AuditRecord, Commit, CommitError, Deadline, LoadRequest, Origin, SlotChange, Snapshot, Store, StoreUnavailable, Version,
        WindowSubject,
    },
};
use two_factor_local::database::{EmbeddedDatabase, sdk_config};
use two_factor_tests::captured_log::CapturedLog;
use two_factor_tests::dynamodb_proxy::{Fault, Proxy};

const TABLE: &str = "sms-2fa";
const WINDOW: Duration = Duration::from_hours(1);
const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_001);

/// A database, a proxy in front of it, and a store that goes through the proxy.
struct Rig {
    store: DynamoStore,
    proxy: Proxy,
    /// Past the proxy.
    direct: Client,
    _database: Option<EmbeddedDatabase>,
}

/// Where the database is, with the embedded one, or empty: one that `TEST_DATABASE` names serves one test after the other
/// (`--test-threads=1`).
async fn empty_database() -> (String, Option<EmbeddedDatabase>) {
    let Ok(endpoint) = std::env::var("TEST_DATABASE") else {
        let database = EmbeddedDatabase::start(None, 0).unwrap();
        return (database.endpoint(), Some(database));
    };
    // That it is not there is as good.
    let _ = client(&sdk_config(&endpoint).unwrap()).delete_table().table_name(TABLE).send().await;
    (endpoint, None)
}

impl Rig {
    async fn new() -> Self {
        let (endpoint, database) = empty_database().await;
        let direct = client(&sdk_config(&endpoint).unwrap());
        ensure_table(&direct, TABLE).await.unwrap();
        let proxy = Proxy::start(&endpoint);
        Self { store: store_at(&proxy.endpoint()), proxy, direct, _database: database }
    }

    async fn load(&self) -> Result<Snapshot, StoreUnavailable> {
        self.load_until(in_time()).await
    }

    async fn load_until(&self, deadline: Deadline) -> Result<Snapshot, StoreUnavailable> {
        let (user, phone) = (alice(), phone());
        self.store
            .load(LoadRequest { user: &user, number: Some((&phone, WindowKind::Sends)), address: Some(address()) }, deadline)
            .await
    }

    async fn commit(&self, commit: &Commit) -> Result<(), CommitError> {
        self.store.commit(commit, in_time()).await
    }

    /// An item as it lies in the table.
    async fn item(&self, pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
        let key = HashMap::from([(PK.to_owned(), text(pk)), (SK.to_owned(), text(sk))]);
        let output = self.direct.get_item().table_name(TABLE).set_key(Some(key)).send().await.unwrap();
        output.item.unwrap()
    }

    /// All items of the table whose sort key begins with this.
    async fn items(&self, sk: &str) -> Vec<HashMap<String, AttributeValue>> {
        let items = self.direct.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
        items.into_iter().filter(|item| item[SK].as_s().unwrap().starts_with(sk)).collect()
    }

    async fn put(&self, item: HashMap<String, AttributeValue>) {
        self.direct.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }
}

/// A store that is in no hurry, since a loaded machine may be slow, and shares its budget of retries, which the SDK keeps by
/// region, with no other test.
fn store_at(endpoint: &str) -> DynamoStore {
    let region = match std::env::var("TEST_DATABASE") {
        // Its tests come one after the other, and moto knows the regions that there are.
        Ok(_) => Region::new("us-east-1"),
        Err(_) => Region::new(endpoint.rsplit(':').next().unwrap().to_owned()),
    };
    let config =
        client(&sdk_config(endpoint).unwrap()).config().to_builder().region(region).timeout_config(TimeoutConfig::disabled());
    store_through(&Client::from_conf(config.build()))
}

fn store_through(client: &Client) -> DynamoStore {
    DynamoStore::new(client, TABLE.to_owned(), Pepper::new(&[7; 32]).unwrap())
}

/// A deadline that does not come.
fn in_time() -> Deadline {
    Deadline::after(Duration::from_mins(1))
}

/// A deadline that comes after a few tries.
fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(350))
}

fn alice() -> UserId {
    UserId::parse("alice").unwrap()
}

fn phone() -> PhoneNumber {
    PhoneNumber::parse("+12015550123", &AllowedCountries::All).unwrap()
}

fn address() -> IpAddr {
    "198.51.100.7".parse().unwrap()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn later(milliseconds: u64) -> Timestamp {
    NOW.plus(Duration::from_millis(milliseconds))
}

/// A change of the account, and its record.
fn change(expected: Option<Version>) -> Commit {
    Commit {
        user: alice(),
        expected,
        account: Some((Account::default(), None)),
        take: Vec::new(),
        give_back: Vec::new(),
        window: WINDOW,
        audit: vec![record(0)],
        now: NOW,
    }
}

fn record(nonce: u64) -> AuditRecord {
    AuditRecord {
        user: alice(),
        at: NOW,
        nonce,
        event: AuditEvent::new(AuditKind::Send, AuditOutcome::Success, Some(phone())),
        origin: Origin { request_id: "r-1".to_owned(), address: Some(address()), user_agent: Some("curl".to_owned()) },
    }
}

fn phone_slot(index: u16, taken_at: Timestamp) -> SlotChange {
    SlotChange { subject: WindowSubject::Number(phone(), WindowKind::Sends), slot: Slot { index, taken_at } }
}

fn address_slot(index: u16, taken_at: Timestamp) -> SlotChange {
    SlotChange { subject: WindowSubject::Address(address()), slot: Slot { index, taken_at } }
}

/// A commit that takes one slot of the phone number's window, and nothing else.
fn taking(index: u16, at: Timestamp) -> Commit {
    Commit { account: None, take: vec![phone_slot(index, at)], now: at, ..change(None) }
}

/// An account in which everything that can be there is.
fn full_account() -> Account {
    let challenge = ChallengeId::from_bytes([3; 16]);
    Account {
        sms: SmsFactor {
            state: FactorState::On(ActivePhone { phone: phone(), enabled_at: NOW }),
            pending: Some(PendingPhone { phone: phone(), expires_at: later(1) }),
            challenge: Some(Challenge {
                id: challenge,
                purpose: Purpose::SignIn,
                digest: Digest::from_bytes([4; 32]),
                tag: Some(CodeTag::from_bytes([6; 8])),
                expires_at: later(2),
                failed_attempts: 3,
                superseded: vec![SupersededCode { tag: CodeTag::from_bytes([7; 8]), until: later(4) }],
            }),
            failed_attempts: FailedAttempts { count: 4, last_at: Some(NOW), locked_until: Some(later(3)) },
        },
        backup: BackupCodes { digests: vec![Digest::from_bytes([5; 32]); 10], failed_attempts: 2, last_failed_at: Some(NOW) },
        sends: SendLog::new(vec![SentCode {
            challenge,
            at: NOW,
            number: NumberTag::from_bytes([8; 8]),
            window: WindowKind::Sends,
            slot: 1,
            address_slot: Some(2),
            allowance: Allowance::Recovery,
            provider: None,
            state: SendState::GivenBack,
        }]),
        notifications: NotificationLog::new(vec![SentNotification { kind: NotificationKind::TurnedOff, at: NOW }]),
    }
}

#[tokio::test]
async fn what_is_committed_is_what_is_loaded() {
    let rig = Rig::new().await;
    let nothing = rig.load().await.unwrap();
    assert_eq!((nothing.account, nothing.version), (Account::default(), None));
    assert_eq!((nothing.number_window, nothing.address_window), (Some(SendWindow::default()), Some(SendWindow::default())));

    let account = Some((full_account(), None));
    let (take_phone, take_address) = (phone_slot(1, NOW), address_slot(2, NOW));
    rig.commit(&Commit { account, take: vec![take_phone.clone(), take_address.clone()], ..change(None) }).await.unwrap();

    let stored = rig.load().await.unwrap();
    assert_eq!(stored.account, full_account());
    assert_eq!(stored.version, Some(Version(NOW.as_millis())));
    assert_eq!(stored.number_window, Some(SendWindow::new([take_phone.slot])));
    assert_eq!(stored.address_window, Some(SendWindow::new([take_address.slot])));

    let unasked = rig.store.load(LoadRequest { user: &alice(), number: None, address: None }, in_time()).await.unwrap();
    assert_eq!((unasked.number_window, unasked.address_window), (None, None));
}

#[tokio::test]
async fn a_load_is_one_call_and_so_is_a_commit() {
    let rig = Rig::new().await;
    rig.load().await.unwrap();
    assert_eq!(rig.proxy.calls(), ["BatchGetItem"]);
    rig.proxy.take_calls();

    let take = vec![phone_slot(0, NOW), address_slot(0, NOW)];
    rig.commit(&Commit { take, audit: vec![record(0), record(1)], ..change(None) }).await.unwrap();
    assert_eq!(rig.proxy.calls(), ["TransactWriteItems"]);
    rig.proxy.take_calls();

    rig.commit(&Commit { account: None, audit: vec![record(2)], ..change(None) }).await.unwrap();
    assert_eq!(rig.proxy.calls(), ["PutItem"], "a record alone needs no transaction");
    rig.proxy.take_calls();

    rig.commit(&Commit { account: None, audit: Vec::new(), ..change(None) }).await.unwrap();
    assert!(rig.proxy.calls().is_empty(), "nothing to store");
    assert_eq!(rig.items("AUDIT#").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_parallel_commits_exactly_one_wins_s3() {
    let rig = Rig::new().await;
    for round in 0..3_u64 {
        let expected = rig.load().await.unwrap().version;
        let commits = (0..64).map(|nonce| {
            let (store, mut commit) = (rig.store.clone(), change(expected));
            commit.audit = vec![record(round * 64 + nonce)];
            tokio::spawn(async move { store.commit(&commit, in_time()).await })
        });
        let results: Vec<_> = join_all(commits).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert_eq!(results.iter().filter(|result| **result == Err(CommitError::Conflict)).count(), 63, "{results:?}");
    }
    assert_eq!(rig.items("AUDIT#").await.len(), 3, "a commit that loses leaves no record");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_parallel_takings_of_5_slots_5_succeed_in_each_window_s11() {
    let rig = Rig::new().await;
    for window in 0..2 {
        let at = NOW.plus(WINDOW * window);
        let takings = (0..100).map(|task| {
            let (store, mut commit) = (rig.store.clone(), taking(task % 5, at));
            commit.audit = vec![record(u64::from(window) * 100 + u64::from(task))];
            tokio::spawn(async move { store.commit(&commit, in_time()).await })
        });
        let results: Vec<_> = join_all(takings).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5, "{results:?}");
        assert_eq!(results.iter().filter(|result| **result == Err(CommitError::Conflict)).count(), 95, "{results:?}");
    }
}

#[tokio::test]
async fn a_slot_is_free_again_exactly_one_window_after_it_was_taken_s11() {
    let rig = Rig::new().await;
    rig.commit(&taking(0, NOW)).await.unwrap();
    let just_before = Timestamp::from_millis(NOW.plus(WINDOW).as_millis() - 1);
    assert_eq!(rig.commit(&taking(0, just_before)).await, Err(CommitError::Conflict));
    assert_eq!(rig.commit(&taking(0, NOW)).await, Err(CommitError::Conflict), "at the same instant");
    rig.commit(&taking(0, NOW.plus(WINDOW))).await.unwrap();
    assert_eq!(rig.load().await.unwrap().number_window, Some(SendWindow::new([phone_slot(0, NOW.plus(WINDOW)).slot])));
}

#[tokio::test]
async fn a_slot_that_is_given_back_is_free_at_once_s12() {
    let rig = Rig::new().await;
    rig.commit(&taking(0, NOW)).await.unwrap();
    let give_back = Commit { take: Vec::new(), give_back: vec![phone_slot(0, NOW)], ..taking(0, NOW) };
    rig.commit(&give_back).await.unwrap();
    assert_eq!(rig.load().await.unwrap().number_window, Some(SendWindow::default()));
    rig.commit(&taking(0, later(1))).await.unwrap();
}

#[tokio::test]
async fn a_slot_that_was_taken_again_is_not_given_back_and_the_rest_of_the_commit_stands_s11() {
    let rig = Rig::new().await;
    let again = NOW.plus(WINDOW);
    rig.commit(&Commit { take: vec![phone_slot(0, NOW), address_slot(0, NOW)], ..change(None) }).await.unwrap();
    rig.commit(&taking(0, again)).await.unwrap();
    rig.proxy.take_calls();

    let version = rig.load().await.unwrap().version;
    let give_back = vec![phone_slot(0, NOW), address_slot(0, NOW)];
    let account = Some((full_account(), None));
    rig.commit(&Commit { account, give_back, audit: vec![record(9)], ..change(version) }).await.unwrap();

    assert_eq!(rig.proxy.calls(), ["BatchGetItem", "TransactWriteItems", "TransactWriteItems"]);
    let stored = rig.load().await.unwrap();
    assert_eq!(stored.number_window, Some(SendWindow::new([phone_slot(0, again).slot])), "theirs");
    assert_eq!(stored.address_window, Some(SendWindow::default()), "ours was given back");
    assert_eq!(stored.account, full_account());
    assert_eq!(rig.items("AUDIT#").await.len(), 2, "the record of the second taking has the key of the first");
}

#[tokio::test]
async fn giving_back_what_is_not_ours_does_not_hide_that_the_account_changed() {
    let rig = Rig::new().await;
    rig.commit(&change(None)).await.unwrap();
    let stale = Commit { give_back: vec![phone_slot(0, NOW)], ..change(Some(Version(1))) };
    assert_eq!(rig.commit(&stale).await, Err(CommitError::Conflict));
    let nothing_there = Commit { account: None, give_back: vec![phone_slot(0, NOW)], audit: Vec::new(), ..change(None) };
    rig.commit(&nothing_there).await.unwrap();
    assert!(rig.items("SENDS").await.is_empty(), "giving back makes no window");
}

#[tokio::test]
async fn one_window_may_be_taken_from_and_given_back_to_in_one_commit() {
    let rig = Rig::new().await;
    rig.commit(&taking(0, NOW)).await.unwrap();
    let both = Commit { give_back: vec![phone_slot(0, NOW)], ..taking(1, later(1)) };
    rig.commit(&both).await.unwrap();
    assert_eq!(rig.load().await.unwrap().number_window, Some(SendWindow::new([phone_slot(1, later(1)).slot])));

    let taken_and_lapsed = Commit { give_back: vec![phone_slot(0, NOW)], ..taking(1, later(2)) };
    assert_eq!(rig.commit(&taken_and_lapsed).await, Err(CommitError::Conflict));
    let free_and_lapsed = Commit { give_back: vec![phone_slot(0, NOW)], ..taking(2, later(2)) };
    rig.commit(&free_and_lapsed).await.unwrap();
}

#[tokio::test]
async fn state_slots_and_records_are_stored_together_or_not_at_all_s15() {
    let rig = Rig::new().await;
    rig.commit(&taking(0, NOW)).await.unwrap();
    let audit = vec![record(1), record(2)];
    let slot_taken = Commit { take: vec![address_slot(0, NOW), phone_slot(0, NOW)], audit, ..change(None) };
    assert_eq!(rig.commit(&slot_taken).await, Err(CommitError::Conflict));
    let stored = rig.load().await.unwrap();
    assert_eq!(stored.version, None);
    assert_eq!(stored.address_window, Some(SendWindow::default()));
    assert_eq!(rig.items("AUDIT#").await.len(), 1, "that of the first commit");
}

/// A commit with something of everything: its transaction has many maps, whose order nobody promises.
fn full_commit() -> Commit {
    let (account, take) = (Some((full_account(), None)), vec![phone_slot(0, NOW), address_slot(0, NOW)]);
    Commit { account, take, audit: vec![record(0), record(1)], ..change(None) }
}

#[tokio::test]
async fn a_commit_whose_answers_are_lost_is_sent_again_byte_for_byte_and_stored_once_s3() {
    for fault in [Fault::Drop.after_the_fact(), Fault::Drop, Fault::Cut.after_the_fact(), Fault::Http500.after_the_fact()] {
        let rig = Rig::new().await;
        rig.proxy.fail_next(5, fault.clone());
        rig.commit(&full_commit()).await.unwrap();
        let calls = rig.proxy.take_calls();
        assert_eq!(calls.len(), 6, "{fault:?}");
        assert!(!calls[0].body["ClientRequestToken"].as_str().unwrap().is_empty());
        assert!(calls.iter().all(|call| call.bytes == calls[0].bytes), "{fault:?}: {calls:#?}");
        assert_eq!(rig.load().await.unwrap().version, Some(Version(NOW.as_millis())), "{fault:?}");
        assert_eq!(rig.items("AUDIT#").await.len(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_commit_knows_itself_though_the_account_has_changed_since_s3() {
    let rig = Rig::new().await;
    let held = rig.proxy.hold_next_of("TransactWriteItems");
    let mine = change(None);
    let (result, ()) = tokio::join!(rig.commit(&mine), async {
        held.done().await;
        let version = rig.load().await.unwrap().version;
        let theirs = Commit { account: Some((full_account(), None)), audit: vec![record(1)], ..change(version) };
        rig.commit(&theirs).await.unwrap();
        held.lose();
    });
    result.unwrap();
    assert_eq!(rig.load().await.unwrap().account, full_account(), "and changed nothing again");
}

#[tokio::test]
async fn a_commit_does_not_take_an_equal_one_of_somebody_else_for_itself_s3() {
    let rig = Rig::new().await;
    rig.commit(&change(None)).await.unwrap();
    for fault in [Fault::Http500, Fault::Drop, Fault::Throttle, Fault::Cancel(vec!["ThrottlingError"])] {
        rig.proxy.take_calls();
        rig.proxy.fail_next(1, fault.clone());
        assert_eq!(rig.commit(&change(None)).await, Err(CommitError::Conflict), "{fault:?}");
        assert_eq!(rig.proxy.calls().len(), 2, "{fault:?}");
    }
    assert_eq!(rig.items("AUDIT#").await.len(), 1);
}

#[tokio::test]
async fn a_transaction_in_the_way_may_be_an_earlier_try_of_the_same_commit_s3() {
    let rig = Rig::new().await;
    rig.proxy.fail_next(1, Fault::Drop.after_the_fact());
    rig.proxy.fail_next(1, Fault::Cancel(vec!["TransactionConflict"]));
    rig.proxy.fail_next(1, Fault::Error(400, "TransactionInProgressException"));
    rig.commit(&change(None)).await.unwrap();
    assert_eq!(rig.proxy.calls().len(), 4);
    assert_eq!(rig.items("AUDIT#").await.len(), 1);

    let version = rig.load().await.unwrap().version;
    rig.proxy.fail_next(1, Fault::Cancel(vec!["TransactionConflict"]));
    assert_eq!(rig.commit(&change(version)).await, Err(CommitError::Conflict), "where there was none it is somebody else's");
}

#[tokio::test]
async fn what_is_refused_after_a_lost_answer_may_be_stored_all_the_same_s21() {
    for refusal in [
        Fault::Error(400, "AccessDeniedException"),
        Fault::Error(400, "IdempotentParameterMismatchException"),
        Fault::Cancel(vec!["ValidationError"]),
    ] {
        let rig = Rig::new().await;
        rig.proxy.fail_next(1, Fault::Drop.after_the_fact());
        rig.proxy.fail_next(1, refusal.clone());
        assert_eq!(rig.commit(&change(None)).await, Err(CommitError::Unknown), "{refusal:?}");
        assert_eq!(rig.proxy.calls().len(), 2, "{refusal:?}");
        assert!(rig.load().await.unwrap().version.is_some(), "as in fact it is");
    }
    let rig = Rig::new().await;
    rig.proxy.fail_next(1, Fault::Error(400, "IdempotentParameterMismatchException"));
    assert_eq!(rig.commit(&change(None)).await, Err(CommitError::Unknown), "another transaction has the token");
}

#[tokio::test]
async fn a_transaction_that_gives_less_back_is_another_one_with_a_token_of_its_own_s12() {
    let rig = Rig::new().await;
    let commit = Commit { give_back: vec![phone_slot(0, NOW)], ..change(None) };
    rig.proxy.fail_next(1, Fault::Drop);
    rig.commit(&commit).await.unwrap();
    let calls = rig.proxy.take_calls();
    let tokens: Vec<_> = calls.iter().map(|call| call.body["ClientRequestToken"].as_str().unwrap()).collect();
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].bytes, calls[1].bytes, "whose answer was lost");
    assert_ne!(tokens[1], tokens[2], "which was told that the slot is not ours");
    assert_eq!(calls[2].body["TransactItems"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_record_that_is_written_again_is_there_once() {
    for fault in [Fault::Drop.after_the_fact(), Fault::Http500.after_the_fact(), Fault::Cut.after_the_fact(), Fault::Throttle] {
        let rig = Rig::new().await;
        rig.proxy.fail_next(3, fault.clone());
        rig.commit(&Commit { account: None, ..change(None) }).await.unwrap();
        assert_eq!(rig.proxy.calls(), ["PutItem"; 4], "{fault:?}");
        assert_eq!(rig.items("AUDIT#").await.len(), 1, "{fault:?}: its key is the record's own");
    }
}

#[tokio::test]
async fn every_commit_has_a_token_of_its_own() {
    let rig = Rig::new().await;
    rig.commit(&change(None)).await.unwrap();
    assert_eq!(rig.commit(&change(None)).await, Err(CommitError::Conflict), "the same commit is not the same transaction");
    let calls = rig.proxy.take_calls();
    let token = |n: usize| calls[n].body["ClientRequestToken"].as_str().unwrap().to_owned();
    assert_eq!(token(0).len(), 32);
    assert_ne!(token(0), token(1));
}

#[tokio::test]
async fn an_account_that_was_dropped_and_made_again_never_repeats_a_version() {
    let rig = Rig::new().await;
    rig.commit(&change(None)).await.unwrap();
    let first = rig.load().await.unwrap().version;
    let key = HashMap::from([(PK.to_owned(), text("USER#alice")), (SK.to_owned(), text("ACCOUNT"))]);
    rig.direct.delete_item().table_name(TABLE).set_key(Some(key)).send().await.unwrap();
    rig.commit(&Commit { now: later(1), ..change(None) }).await.unwrap();
    assert_eq!(rig.commit(&change(first)).await, Err(CommitError::Conflict));

    let second = rig.load().await.unwrap().version;
    rig.commit(&Commit { now: Timestamp::from_millis(0), ..change(second) }).await.unwrap();
    let third = rig.load().await.unwrap().version.unwrap();
    assert_eq!(third, Version(second.unwrap().0 + 1), "also by a clock that is behind");
}

#[tokio::test]
async fn every_item_has_the_ttl_of_its_kind() {
    let rig = Rig::new().await;
    let account = Some((full_account(), Some(later(1))));
    rig.commit(&Commit { account, take: vec![phone_slot(0, NOW)], ..change(None) }).await.unwrap();
    let account = rig.item("USER#alice", "ACCOUNT").await;
    assert_eq!(account[TTL], number(1_767_323_046), "the second after it is stale");
    let windows = rig.items("SENDS").await;
    let window_end: u64 = windows[0][TTL].as_n().unwrap().parse().unwrap();
    assert!((1_767_326_646..=1_767_326_706).contains(&window_end), "at its end or shortly after, {window_end}");
    assert_eq!(rig.items("AUDIT#").await[0][TTL], number(1_767_323_046 + 400 * 86_400));

    let version = rig.load().await.unwrap().version;
    rig.commit(&change(version)).await.unwrap();
    assert!(!rig.item("USER#alice", "ACCOUNT").await.contains_key(TTL), "an active factor stays for ever");
}

#[tokio::test]
async fn no_key_and_no_record_has_a_clear_phone_number_or_a_digest_in_words_s6() {
    let rig = Rig::new().await;
    let account = Some((full_account(), None));
    rig.commit(&Commit { account, take: vec![phone_slot(0, NOW), address_slot(0, NOW)], ..change(None) }).await.unwrap();
    for item in rig.items("").await {
        let (pk, sk) = (item[PK].as_s().unwrap(), item[SK].as_s().unwrap());
        assert!(!pk.contains("5550123") && !pk.contains("198.51.100.7"), "{pk}");
        if sk != "ACCOUNT" {
            assert!(!format!("{item:?}").contains("5550123"), "{sk}");
        }
    }
    let account = rig.item("USER#alice", "ACCOUNT").await;
    let challenge = account["sms"].as_m().unwrap()["code"].as_m().unwrap();
    assert_eq!(challenge["digest"].as_b().unwrap().as_ref(), [4; 32], "digests are bytes");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_never_guessed_at() {
    let rig = Rig::new().await;
    let account = Some((full_account(), None));
    rig.commit(&Commit { account, take: vec![phone_slot(0, NOW)], ..change(None) }).await.unwrap();
    let account = rig.item("USER#alice", "ACCOUNT").await;
    let window = rig.items("SENDS").await.remove(0);
    for (item, attribute, value, reason) in [
        (&account, "schema", Some(number(3)), "a schema of the future"),
        (&account, "schema", None, "no schema"),
        (&account, "version", None, "no version"),
        (&account, "backup_failed", None, "no count of wrong codes"),
        (&account, "sms", Some(text("123456")), "a factor of another type"),
        (&window, "schema", Some(number(2)), "a window of the future"),
        (&window, "lease_0", Some(text("now")), "a slot of another type"),
    ] {
        let mut damaged = item.clone();
        damaged.remove(attribute);
        damaged.extend(value.map(|value| (attribute.to_owned(), value)));
        rig.put(damaged).await;
        assert_eq!(rig.load().await.unwrap_err(), StoreUnavailable, "{reason}");
        rig.put(item.clone()).await;
        rig.load().await.unwrap();
    }

    let mut of_the_future = window;
    of_the_future.insert("schema".to_owned(), number(2));
    rig.put(of_the_future).await;
    assert_eq!(rig.commit(&taking(1, NOW)).await, Err(CommitError::Conflict), "nor written to unread");
}

/// Failures that may pass, and what a commit is that meets nothing else.
fn passing_failures() -> [(Fault, CommitError); 11] {
    use CommitError::{NotStored, Unknown};
    [
        (Fault::Throttle, NotStored),
        (Fault::Error(400, "ThrottlingException"), NotStored),
        (Fault::Error(400, "RequestLimitExceeded"), NotStored),
        (Fault::Http500, Unknown),
        (Fault::Error(503, "ServiceUnavailable"), Unknown),
        (Fault::Error(400, "TransactionInProgressException"), Unknown),
        (Fault::Answer(json!("what is not DynamoDB's")), Unknown),
        (Fault::Drop, Unknown),
        (Fault::Drop.after_the_fact(), Unknown),
        (Fault::Cut, Unknown),
        (Fault::Cut.after_the_fact(), Unknown),
    ]
}

#[tokio::test]
async fn a_failure_that_passes_is_ridden_out_s21() {
    for (fault, _) in passing_failures() {
        let rig = Rig::new().await;
        rig.proxy.fail_next(3, fault.clone());
        rig.load().await.unwrap();
        assert_eq!(rig.proxy.calls(), ["BatchGetItem"; 4], "{fault:?}");
        rig.proxy.fail_next(3, fault.clone());
        rig.commit(&change(None)).await.unwrap();
        rig.proxy.fail_next(3, fault.clone());
        rig.commit(&Commit { account: None, audit: vec![record(1)], ..change(None) }).await.unwrap();
        assert_eq!(rig.items("AUDIT#").await.len(), 2, "{fault:?}");
        rig.proxy.fail_next(3, fault.clone());
        assert_eq!(rig.store.audit_trail(&alice(), 9, in_time()).await.unwrap().len(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_failure_that_stays_is_told_for_what_it_is_s21() {
    let user = alice();
    for (fault, expected) in passing_failures() {
        let rig = Rig::new().await;
        rig.proxy.fail_all(fault.clone());
        let (change, record_only) = (change(Some(Version(1))), Commit { account: None, ..change(None) });
        let (loaded, changed, recorded, trail) = tokio::join!(
            rig.load_until(soon()),
            rig.store.commit(&change, soon()),
            rig.store.commit(&record_only, soon()),
            rig.store.audit_trail(&user, 1, soon()),
        );
        assert_eq!(loaded.unwrap_err(), StoreUnavailable, "{fault:?}");
        assert_eq!((changed, recorded), (Err(expected), Err(expected)), "{fault:?}");
        assert_eq!(trail.unwrap_err(), StoreUnavailable, "{fault:?}");
        rig.proxy.recover();
        rig.load().await.unwrap();
    }
}

#[tokio::test]
async fn one_lost_answer_among_refusals_leaves_the_outcome_unknown_s21() {
    let rig = Rig::new().await;
    rig.proxy.fail_next(1, Fault::Drop);
    rig.proxy.fail_all(Fault::Throttle);
    assert_eq!(rig.store.commit(&change(None), soon()).await, Err(CommitError::Unknown));
    let record_only = Commit { account: None, ..change(None) };
    assert_eq!(rig.store.commit(&record_only, soon()).await, Err(CommitError::NotStored), "another commit begins anew");
}

#[tokio::test]
async fn a_call_that_is_refused_for_good_is_not_repeated_s21() {
    for code in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException", "UnrecognizedClientException"] {
        let rig = Rig::new().await;
        rig.proxy.fail_all(Fault::Error(400, code));
        assert_eq!(rig.load().await.unwrap_err(), StoreUnavailable, "{code}");
        assert_eq!(rig.commit(&change(None)).await, Err(CommitError::NotStored), "{code}");
        assert_eq!(rig.proxy.calls(), ["BatchGetItem", "TransactWriteItems"], "{code}");
    }
}

#[tokio::test]
async fn each_reason_to_cancel_a_transaction_is_told_apart() {
    use CommitError::{Conflict, NotStored};
    let rig = Rig::new().await;
    for (reasons, expected) in [
        (vec!["ConditionalCheckFailed", "None"], Conflict),
        (vec!["TransactionConflict", "None"], Conflict),
        (vec!["None", "TransactionConflict"], Conflict),
        (vec!["ConditionalCheckFailed", "ThrottlingError"], Conflict),
        (vec!["ConditionalCheckFailed", "ValidationError"], Conflict),
        (vec!["None", "ItemCollectionSizeLimitExceeded"], NotStored),
        (vec!["ValidationError", "None"], NotStored),
        (vec!["ValidationError", "ThrottlingError"], NotStored),
        (vec!["SomethingNew", "None"], NotStored),
        (vec!["None", "None"], NotStored),
        (vec![], NotStored),
    ] {
        rig.proxy.take_calls();
        rig.proxy.fail_next(1, Fault::Cancel(reasons.clone()));
        assert_eq!(rig.commit(&change(None)).await, Err(expected), "{reasons:?}");
        assert_eq!(rig.proxy.calls().len(), 1, "{reasons:?}");
    }
    for (reasons, expected, calls) in [
        (vec!["ConditionalCheckFailed", "None", "None"], Ok(()), 2),
        (vec!["ConditionalCheckFailed", "ConditionalCheckFailed", "None"], Err(Conflict), 1),
        (vec!["ConditionalCheckFailed", "TransactionConflict", "None"], Err(Conflict), 1),
        (vec!["TransactionConflict", "None", "None"], Err(Conflict), 1),
        // Throttled; and then that the slot is not ours is found again, and told by itself.
        (vec!["ConditionalCheckFailed", "ThrottlingError", "None"], Ok(()), 3),
    ] {
        let version = rig.load().await.unwrap().version;
        rig.proxy.take_calls();
        rig.proxy.fail_next(1, Fault::Cancel(reasons.clone()));
        let commit = Commit { give_back: vec![phone_slot(0, NOW)], ..change(version) };
        assert_eq!(rig.commit(&commit).await, expected, "{reasons:?}");
        assert_eq!(rig.proxy.calls().len(), calls, "{reasons:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_was_throttled_is_tried_again_s21() {
    for reason in ["ThrottlingError", "ProvisionedThroughputExceeded"] {
        let rig = Rig::new().await;
        rig.proxy.fail_next(4, Fault::Cancel(vec!["None", reason]));
        rig.commit(&change(None)).await.unwrap();
        assert_eq!(rig.proxy.calls().len(), 5, "{reason}");
        rig.proxy.fail_all(Fault::Cancel(vec!["None", reason]));
        assert_eq!(rig.store.commit(&change(Some(Version(1))), soon()).await, Err(CommitError::NotStored), "{reason}");
    }
}

#[tokio::test]
async fn keys_that_are_left_unprocessed_are_asked_for_again() {
    let rig = Rig::new().await;
    rig.commit(&full_commit()).await.unwrap();
    rig.proxy.take_calls();
    rig.proxy.fail_next(4, Fault::Unprocessed);
    assert_eq!(rig.load().await.unwrap().account, full_account(), "never taken for an account that is not there");
    let calls = rig.proxy.take_calls();
    assert_eq!(calls.len(), 5);
    assert!(calls.iter().all(|call| call.body["RequestItems"][TABLE]["ConsistentRead"] == json!(true)));

    // Some of them: what was found is kept, and only the rest is asked for.
    let account = json!({ "pk": { "S": "USER#alice" }, "sk": { "S": "ACCOUNT" } });
    let keys = calls[0].body["RequestItems"][TABLE]["Keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3);
    let left = json!({ "Responses": { TABLE: [] }, "UnprocessedKeys": { TABLE: { "Keys": [account] } } });
    rig.proxy.fail_next(1, Fault::Answer(left));
    assert_eq!(rig.load().await.unwrap().account, full_account());
    let calls = rig.proxy.take_calls();
    assert_eq!(calls[1].body["RequestItems"][TABLE], json!({ "Keys": [account], "ConsistentRead": true }));

    rig.proxy.fail_all(Fault::Unprocessed);
    assert_eq!(rig.load_until(soon()).await.unwrap_err(), StoreUnavailable);
}

#[tokio::test]
async fn an_answer_that_leaves_out_what_was_asked_for_is_never_an_account_that_is_not_there() {
    let account = json!({ "Keys": [{ "pk": { "S": "USER#alice" }, "sk": { "S": "ACCOUNT" } }] });
    let answers = [
        (json!({}), "nothing"),
        (json!({ "UnprocessedKeys": {} }), "no responses"),
        (json!({ "Responses": null, "UnprocessedKeys": {} }), "null responses"),
        (json!({ "Responses": {} }), "no table"),
        (json!({ "Responses": {}, "UnprocessedKeys": {} }), "no table, and nothing unprocessed"),
        (json!({ "Responses": { "another": [] }, "UnprocessedKeys": {} }), "another table"),
        (json!({ "Responses": {}, "UnprocessedKeys": { TABLE: account } }), "no table, and only one of three keys unprocessed"),
        (json!({ "UnprocessedKeys": { TABLE: account } }), "no responses, and only one of three keys unprocessed"),
        (json!({ "Responses": { TABLE: [{ "version": { "N": "1" } }] } }), "an item without a key"),
    ];
    for (answer, reason) in answers {
        let rig = Rig::new().await;
        rig.commit(&full_commit()).await.unwrap();
        rig.proxy.fail_next(2, Fault::Answer(answer.clone()));
        assert_eq!(rig.load().await.unwrap().account, full_account(), "{reason}: it is asked for again");
        rig.proxy.fail_all(Fault::Answer(answer));
        assert_eq!(rig.load_until(soon()).await.unwrap_err(), StoreUnavailable, "{reason}");
    }
}

#[tokio::test]
async fn nothing_is_sent_once_the_deadline_has_come_s25() {
    let rig = Rig::new().await;
    let record_only = Commit { account: None, ..change(None) };
    // Too near to be met, or over.
    for left in [50, 0].map(Duration::from_millis) {
        assert_eq!(rig.load_until(Deadline::after(left)).await.unwrap_err(), StoreUnavailable);
        assert_eq!(rig.store.commit(&change(None), Deadline::after(left)).await, Err(CommitError::NotStored));
        assert_eq!(rig.store.commit(&record_only, Deadline::after(left)).await, Err(CommitError::NotStored));
        assert!(rig.store.audit_trail(&alice(), 1, Deadline::after(left)).await.is_err());
    }
    assert!(rig.proxy.calls().is_empty(), "{:?}", rig.proxy.calls());
}

#[tokio::test]
async fn a_database_that_never_answers_is_asked_every_two_seconds_until_the_deadline_s25() {
    let mut rig = Rig::new().await;
    rig.store = store_through(&client(&sdk_config(&rig.proxy.endpoint()).unwrap()));
    for fault in [Fault::Hang, Fault::Hang.after_the_fact()] {
        for limit in [Duration::from_secs(27), Duration::from_millis(700)] {
            rig.proxy.take_calls();
            rig.proxy.fail_all(fault.clone());
            // With nothing to do but wait, the clock of the runtime jumps to the next timeout.
            tokio::time::pause();
            for commits in [false, true] {
                let started = tokio::time::Instant::now();
                let deadline = Deadline::after(limit + started.duration_since(std::time::Instant::now().into()));
                if commits {
                    let result = rig.store.commit(&change(None), deadline).await;
                    assert_eq!(result, Err(CommitError::Unknown), "{fault:?}");
                } else {
                    assert_eq!(rig.load_until(deadline).await.unwrap_err(), StoreUnavailable, "{fault:?}");
                }
                let waited = started.elapsed();
                let tolerance = Duration::from_millis(50);
                assert!(waited <= limit + tolerance && waited + Duration::from_secs(1) >= limit, "{fault:?}: {waited:?}");
                // The clock jumps ahead of calls that are on their way, too: on a busy machine not all of the thirteen arrive.
                let tries = rig.proxy.take_calls().len();
                assert!(limit < Duration::from_secs(27) || tries > 1, "{fault:?}: {tries}");
            }
            tokio::time::resume();
        }
    }
}

#[tokio::test]
async fn a_failure_is_logged_once_and_without_what_was_to_be_stored_s6() {
    let rig = Rig::new().await;
    let commit = Commit { account: Some((full_account(), None)), take: vec![phone_slot(0, NOW)], ..change(None) };
    // While there is only one subscriber, `tracing` asks the thread that logs first whether anybody listens, and remembers the
    // answer for all threads; that may be one of another test.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    for fault in [
        Fault::Throttle,
        Fault::Http500,
        Fault::Drop,
        Fault::Error(400, "ValidationException"),
        Fault::Error(400, "IdempotentParameterMismatchException"),
        Fault::Cancel(vec!["ValidationError", "None", "None"]),
    ] {
        rig.proxy.fail_all(fault.clone());
        let log = CapturedLog::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::INFO);
        let guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
        rig.store.commit(&commit, soon()).await.unwrap_err();
        drop(guard);
        let logged = log.text();
        assert_eq!(logged.lines().count(), 1, "{fault:?}: {logged}");
        assert!(logged.contains("ERROR") && logged.contains("TransactWriteItems"), "{fault:?}: {logged}");
        assert!(!logged.contains("5550123"), "{fault:?}: {logged}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable_s21() {
    let database = EmbeddedDatabase::start(None, 0).unwrap();
    let store = store_at(&database.endpoint());
    drop(database);
    let request = |user| LoadRequest { user, number: None, address: None };
    assert_eq!(store.load(request(&alice()), soon()).await.unwrap_err(), StoreUnavailable);
    assert_eq!(store.commit(&change(None), soon()).await, Err(CommitError::NotStored), "nothing left");
}

#[tokio::test]
async fn the_audit_trail_is_read_newest_last_over_all_its_pages() {
    let rig = Rig::new().await;
    // Five times 300 KB: more than the 1 MB that DynamoDB gives at once.
    for n in 0..5_u64 {
        let origin = Origin { request_id: n.to_string(), user_agent: Some("x".repeat(300_000)), ..record(0).origin };
        let audit = vec![AuditRecord { at: later(n), origin, ..record(99 - n) }];
        rig.commit(&Commit { account: None, audit, ..change(None) }).await.unwrap();
    }
    let bob = AuditRecord { user: UserId::parse("bob").unwrap(), ..record(7) };
    rig.commit(&Commit { account: None, audit: vec![bob], ..change(None) }).await.unwrap();
    rig.proxy.take_calls();

    let numbers = |limit| {
        let store = rig.store.clone();
        async move {
            let trail = store.audit_trail(&alice(), limit, in_time()).await.unwrap();
            trail.into_iter().map(|entry| entry.request_id.parse().unwrap()).collect::<Vec<u64>>()
        }
    };
    assert_eq!(numbers(100).await, [0, 1, 2, 3, 4]);
    assert!(rig.proxy.calls().len() > 1, "in pages");
    assert_eq!(numbers(2).await, [3, 4], "the latest");
    assert_eq!(numbers(0).await, [0; 0]);

    let entry = rig.store.audit_trail(&alice(), 1, in_time()).await.unwrap().remove(0);
    assert_eq!((entry.at, &*entry.event, &*entry.outcome), (later(4), "send", "success"));
    assert_eq!(entry.phone_masked.as_deref(), Some("+1****0123"));
    assert_eq!(entry.address.as_deref(), Some("198.51.100.7"));

    let event = |kind| AuditEvent::new(kind, AuditOutcome::Success, Some(phone()));
    let audit = [AuditKind::Verify, AuditKind::Enabled].into_iter().zip([8, 7]);
    let audit = audit.map(|(kind, nonce)| AuditRecord { at: later(5), event: event(kind), ..record(nonce) }).collect();
    rig.commit(&Commit { audit, ..change(None) }).await.unwrap();
    let events: Vec<_> =
        rig.store.audit_trail(&alice(), 2, in_time()).await.unwrap().into_iter().map(|entry| entry.event).collect();
    assert_eq!(events, ["verify", "enabled"], "within a commit, in its order");
    assert!(rig.store.audit_trail(&UserId::parse("carol").unwrap(), 9, in_time()).await.unwrap().is_empty());
}

#[tokio::test]
async fn creating_the_table_twice_or_at_once_is_creating_it() {
    let (endpoint, _database) = empty_database().await;
    let client = client(&sdk_config(&endpoint).unwrap());
    for result in join_all((0..8).map(|_| ensure_table(&client, TABLE))).await {
        result.unwrap();
    }
    ensure_table(&client, TABLE).await.unwrap();
    let ttl = client.describe_time_to_live().table_name(TABLE).send().await.unwrap().time_to_live_description.unwrap();
    assert_eq!(ttl.attribute_name.as_deref(), Some(TTL));
    assert_eq!(ttl.time_to_live_status.unwrap().as_str(), "ENABLED");
    let table = client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
    assert_eq!(table.billing_mode_summary.unwrap().billing_mode.unwrap().as_str(), "PAY_PER_REQUEST");
}

#[tokio::test]
async fn a_table_that_belongs_to_something_else_is_left_alone() {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let (endpoint, _database) = empty_database().await;
    let client = client(&sdk_config(&endpoint).unwrap());
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap())
        .send()
        .await
        .unwrap();
    let error = ensure_table(&client, TABLE).await.unwrap_err();
    assert!(matches!(error, TableError::Foreign(_)), "{error}");
}

#[tokio::test]
async fn a_database_in_a_folder_is_still_there_after_a_restart() {
    let folder = std::env::temp_dir().join(format!("two-factor-database-{}", std::process::id()));
    let database = EmbeddedDatabase::start(Some(&folder), 0).unwrap();
    ensure_table(&client(&sdk_config(&database.endpoint()).unwrap()), TABLE).await.unwrap();
    store_at(&database.endpoint()).commit(&change(None), in_time()).await.unwrap();
    drop(database);

    let database = EmbeddedDatabase::start(Some(&folder), 0).unwrap();
    let (store, user) = (store_at(&database.endpoint()), alice());
    let stored = store.load(LoadRequest { user: &user, number: None, address: None }, in_time()).await.unwrap();
    assert!(stored.version.is_some());
    drop(database);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_and_a_port_that_is_taken_are_named() {
    let file = std::env::current_exe().unwrap();
    let error = EmbeddedDatabase::start(Some(&file.join("data")), 0).unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");

    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = EmbeddedDatabase::start(None, port).unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
}
