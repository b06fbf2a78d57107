//! What a request costs, counted at the wire: two DynamoDB calls and at most one text message on the happy path.

use two_factor_tests::service::{HOME, TestService, WORK, wrong};

const HAPPY: [&str; 2] = ["BatchGetItem", "TransactWriteItems"];

/// The DynamoDB calls since the last look. The request that opens the connection in the init phase is none: it names no operation.
fn calls(service: &TestService) -> Vec<String> {
    let operations = service.storage.take_calls().into_iter().map(|call| call.operation);
    operations.filter(|operation| !operation.is_empty()).collect()
}

#[tokio::test]
async fn each_endpoint_makes_two_dynamodb_calls_on_its_happy_path() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    let starting = calls(&service);
    assert!(starting.is_empty(), "nothing is read before the first request: {starting:?}");

    alice.setup(HOME).await.expect(200);
    assert_eq!(calls(&service), HAPPY, "setup");
    alice.send_sms().await.expect(200);
    assert_eq!(calls(&service), HAPPY, "a code again");
    let backup_codes = alice.verify(&service.last_code()).await.expect(200).backup_codes();
    assert_eq!(calls(&service), HAPPY, "turning 2FA on");
    alice.send_sms().await.expect(200);
    assert_eq!(calls(&service), HAPPY, "a code to sign in");
    alice.verify(&service.last_code()).await.expect(200);
    assert_eq!(calls(&service), HAPPY, "signing in");
    alice.verify(&backup_codes[0]).await.expect(200);
    assert_eq!(calls(&service), HAPPY, "signing in with a backup code");
    assert_eq!(service.inbox.received().len(), 4, "one text message a send, and one that a backup code was used");
    alice.status().await.expect(200);
    assert_eq!(calls(&service), HAPPY[..1], "status");
    alice.replace(WORK, &backup_codes[1]).await.expect(200);
    assert_eq!(calls(&service), HAPPY, "replacing");
    alice.disable(&backup_codes[2]).await.expect(200);
    assert_eq!(calls(&service), HAPPY, "turning 2FA off");
}

#[tokio::test]
async fn a_refusal_that_judges_nothing_costs_one_read_and_writes_nothing_s24() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    calls(&service);
    alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    assert_eq!(calls(&service), HAPPY, "a wrong guess is counted");
    alice.send_sms().await.expect_problem(429, "rate_limited");
    assert_eq!(calls(&service), HAPPY[..1], "a limit");
    alice.verify_for("sign_in", &code).await.expect_problem(409, "wrong_purpose");
    assert_eq!(calls(&service), HAPPY[..1], "another purpose");
    let records = service.audit_trail("alice").await.len();
    assert_eq!(records, 3, "setup and its send, and the wrong guess");
}

#[tokio::test]
async fn a_sign_in_writes_three_items_and_then_two() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    service.storage.take_calls();
    alice.send_sms_for("sign_in").await.expect(200);
    alice.verify_for("sign_in", &service.last_code()).await.expect(200);
    let calls = service.storage.take_calls();
    let items = calls.iter().map(|call| match &*call.operation {
        "BatchGetItem" => call.body["RequestItems"]["sms-2fa"]["Keys"].as_array().unwrap().len(),
        _ => call.body["TransactItems"].as_array().unwrap().len(),
    });
    assert_eq!(items.collect::<Vec<_>>(), [1, 3, 1, 2], "read, and written: window, account and record; account and record");
}

#[tokio::test]
async fn what_is_refused_at_the_edge_costs_no_call() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    alice.setup("+442079460000").await.expect_problem(400, "phone_number_not_allowed");
    alice.verify("12345").await.expect_problem(400, "invalid_request");
    assert_eq!(calls(&service), Vec::<String>::new());
}

#[tokio::test]
async fn a_send_whose_slot_is_taken_reads_the_window_and_takes_another() {
    let service = TestService::development(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let (alice, bob) = (service.user("alice"), service.user("bob"));
    alice.setup(HOME).await.expect(200);
    bob.setup(HOME).await.expect(200);
    calls(&service);
    // Alice knows of her own slot, the first; the second one is Bob's.
    alice.send_sms().await.expect(200);
    assert_eq!(calls(&service), [HAPPY, HAPPY].concat());
}
