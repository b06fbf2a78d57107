//! Numbers for tests (S28): a code that is given, for some users, until a day, and no message.

use reqwest::Method;
use serde_json::{Value, json};
use two_factor::{app::App, config::Vars};
use two_factor_tests::service::{HOME, TestService, WORK};

const CODE: &str = "246810";

/// The clock of tests begins on 2027-01-01.
fn settings<'a>() -> Vec<(&'a str, &'a str)> {
    vec![
        ("TEST_NUMBERS", "+12015550123=246810,+447400123456=135790"),
        ("TEST_USERS", "reviewer, e2e-*"),
        ("TEST_NUMBERS_UNTIL", "2027-01-31"),
        ("SMS_COOLDOWN_SECONDS", "0"),
    ]
}

fn without_provider() -> Vec<(&'static str, &'static str)> {
    let mut settings = settings();
    settings.extend([("TWILIO_ACCOUNT_SID", ""), ("TWILIO_AUTH_TOKEN", ""), ("TWILIO_PHONE_NUMBER", "")]);
    settings
}

#[tokio::test]
async fn a_reviewer_lives_through_a_factor_and_no_message_leaves_s28() {
    for settings in [settings(), without_provider()] {
        let service = TestService::production(&settings).await;
        let reviewer = service.user("reviewer");
        let sent = reviewer.setup(HOME).await.expect(200);
        assert_eq!(sent.body.get("warning"), None, "production shows no code, not even a known one (S22)");
        let enrolled = reviewer.verify(CODE).await.expect(200);
        for purpose in ["sign_in", "confirm"] {
            reviewer.send_sms_for(purpose).await.expect(200);
            reviewer.verify_for(purpose, "000000").await.expect_problem(400, "invalid_code");
            reviewer.verify_for(purpose, CODE).await.expect(200);
        }
        reviewer.verify(CODE).await.expect_problem(409, "no_pending_verification");
        reviewer.send_sms_for("change").await.expect(200);
        reviewer.replace(WORK, CODE).await.expect(200);
        reviewer.verify_for("replace", "135790").await.expect(200);
        reviewer.verify(&enrolled.backup_codes()[0]).await.expect_problem(400, "invalid_code");
        assert_eq!(service.inbox.received().len(), 0, "neither a code nor a notification");
    }
}

#[tokio::test]
async fn to_anybody_else_it_is_a_number_that_gets_no_sms_s28() {
    let service = TestService::production(&settings()).await;
    let refused = service.user("mallory").setup(HOME).await;
    refused.expect_problem(400, "phone_number_not_allowed");
    assert_eq!(refused.body["reason"], "line_type");
    let landline = service.user("mallory").setup("+442083661177").await;
    let without_id = |body: &Value| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove("request_id");
        body
    };
    assert_eq!(without_id(&refused.body), without_id(&landline.body), "told apart by nothing");
    service.user("e2e").setup(HOME).await.expect_problem(400, "phone_number_not_allowed");
    service.user("e2e-1").setup(HOME).await.expect(200);
    service.user("e2e-1").setup("+12015550124").await.expect(200);
    assert_eq!(service.inbox.received().len(), 1, "another number of theirs is a number as any");
}

#[tokio::test]
async fn who_is_taken_off_the_list_keeps_a_number_that_gets_no_sms_s28() {
    let mut service = TestService::production(&settings()).await;
    let reviewer = service.user("reviewer");
    reviewer.setup(HOME).await.expect(200);
    let codes = reviewer.verify(CODE).await.expect(200).backup_codes();
    service.restart(&[("TEST_USERS", "e2e-*")]).await;
    let reviewer = service.user("reviewer");
    let refused = reviewer.send_sms().await;
    refused.expect_problem(400, "phone_number_not_allowed");
    assert_eq!(refused.body["reason"], "line_type");
    reviewer.verify(&codes[0]).await.expect(200);
    assert_eq!(service.inbox.received().len(), 0, "not even that a backup code was used");
}

#[tokio::test]
async fn past_the_day_they_are_ordinary_numbers_s28() {
    let service = TestService::production(&settings()).await;
    let reviewer = service.user("reviewer");
    reviewer.setup(HOME).await.expect(200);
    reviewer.verify(CODE).await.expect(200);
    service.clock.pass(31 * 24 * 3600);
    reviewer.send_sms().await.expect(200);
    assert_eq!(service.inbox.received().len(), 1);
    if service.last_code() != CODE {
        reviewer.verify(CODE).await.expect_problem(400, "invalid_code");
    }
    reviewer.verify(&service.last_code()).await.expect(200);
    service.user("mallory").setup(WORK).await.expect(200);
}

#[tokio::test]
async fn the_code_that_is_out_when_the_day_ends_is_good_to_its_end() {
    let service = TestService::production(&settings()).await;
    let reviewer = service.user("reviewer");
    reviewer.setup(HOME).await.expect(200);
    reviewer.verify(CODE).await.expect(200);
    service.clock.pass(31 * 24 * 3600 - 10);
    reviewer.send_sms().await.expect(200);
    service.clock.pass(60);
    reviewer.verify(CODE).await.expect(200);
    assert_eq!(service.inbox.received().len(), 0);
}

#[tokio::test]
async fn limits_locks_expiry_and_the_trail_are_those_of_any_number_but_for_windows_of_messages() {
    let mut all = settings();
    all.extend([("SMS_MAX_PER_IP", "2"), ("LOCK_AFTER_FAILURES", "3"), ("CODE_MAX_ATTEMPTS", "10")]);
    let service = TestService::production(&all).await;
    for user in 0..8 {
        service.user(&format!("e2e-{user}")).setup(HOME).await.expect(200);
    }
    let reviewer = service.user("reviewer");
    for left in (0..5).rev() {
        assert_eq!(reviewer.setup(HOME).await.expect(200).body["sends_remaining"], left);
    }
    let refused = reviewer.setup(HOME).await;
    refused.expect_problem(429, "rate_limited");
    assert_eq!(refused.body["reason"], "user");
    service.clock.pass(300);
    reviewer.verify(CODE).await.expect_problem(400, "code_expired");
    let tester = service.user("e2e-0");
    service.clock.pass(3600);
    tester.setup(HOME).await.expect(200);
    for _ in 0..3 {
        tester.verify("000000").await.expect_problem(400, "invalid_code");
    }
    tester.verify(CODE).await.expect_problem(429, "locked");
    let trail = service.audit_trail("e2e-0").await;
    assert!(trail.iter().all(|entry| entry.details.contains(&("test".to_owned(), "true".to_owned()))), "{trail:#?}");
    assert_eq!(service.inbox.received().len(), 0);

    let ordinary = service.user("alice");
    ordinary.setup("+12015550124").await.expect(200);
    let trail = service.audit_trail("alice").await;
    assert!(trail.iter().all(|entry| entry.details.iter().all(|(name, _)| name != "test")), "{trail:#?}");
}

#[tokio::test]
async fn metrics_count_no_code_that_comes_back_without_having_been_sent() {
    let mut all = settings();
    all.push(("METRICS_NAMESPACE", "test"));
    let service = TestService::production(&all).await;
    let reviewer = service.user("reviewer");
    reviewer.setup(HOME).await.expect(200);
    reviewer.verify(CODE).await.expect(200);
    let text = service.metrics.text();
    for metric in ["CodesSent", "UnverifiedCodes", "SmsSent", "EstimatedCostMicroUsd"] {
        assert!(!text.contains(metric), "{metric}: {text}");
    }
}

#[tokio::test]
async fn production_without_a_provider_sends_to_no_other_number() {
    let service = TestService::production(&without_provider()).await;
    let reviewer = service.user("reviewer");
    reviewer.setup("+12015550124").await.expect_problem(503, "sms_not_configured");
    reviewer.send_sms().await.expect_problem(503, "sms_not_configured");
    reviewer.setup(HOME).await.expect(200);
    reviewer.send_sms().await.expect(200);
    let off = reviewer.call(Method::DELETE, "setup", json!({})).await.expect(200);
    assert_eq!(off.body, json!({"enabled": false}));
}

/// Why the service does not start with these settings.
async fn refusal(changes: &[(&str, &str)]) -> String {
    let base = [
        ("APP_ENV", "development"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("TEST_NUMBERS", "+12015550123=246810"),
        ("TEST_USERS", "reviewer"),
        ("TEST_NUMBERS_UNTIL", "2020-01-01"),
    ];
    let all = base.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    App::start(Vars::new(all)).await.map(drop).map_or_else(|error| error.to_string(), |()| String::new())
}

#[tokio::test]
async fn what_cannot_be_numbers_for_tests_stops_the_start_and_is_not_repeated() {
    assert_eq!(refusal(&[]).await, "", "a day that is over is no error");
    let eleven = (0..11).map(|number| format!("+120155501{number:02}=111111")).collect::<Vec<_>>().join(",");
    for (name, value, expected) in [
        ("TEST_NUMBERS", "", "is required"),
        ("TEST_USERS", "", "is required"),
        ("TEST_NUMBERS_UNTIL", "", "is required"),
        ("TEST_NUMBERS", "+12015550199", "must be numbers in E.164"),
        ("TEST_NUMBERS", "2015550123=246810", "must be numbers in E.164"),
        ("TEST_NUMBERS", "+12015550123=24681", "must be numbers in E.164"),
        ("TEST_NUMBERS", "+12015550123=246810,+1 201-555-0123=111111", "has a number twice"),
        ("TEST_NUMBERS", &eleven, "has more than 10 numbers"),
        ("TEST_USERS", "*", "must be users' identifiers"),
        ("TEST_USERS", "e2e*", "must be users' identifiers"),
        ("TEST_USERS", "reviewer,,x", "must be users' identifiers"),
        ("TEST_NUMBERS_UNTIL", "soon", "must be a day"),
        ("TEST_NUMBERS_UNTIL", "2026-13-01", "must be a day"),
        ("TEST_NUMBERS_UNTIL", "2999-01-01", "must be at most 90 days ahead"),
    ] {
        let error = refusal(&[(name, value)]).await;
        assert!(error.starts_with(&format!("{name}: {expected}")) && error.lines().count() == 1, "{name}={value}: {error}");
        assert!(value.len() < 2 || !error.contains(value), "{error}");
    }
}
