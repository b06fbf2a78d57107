//! GET setup: where a user stands, in each state that there is, enough to draw the page again.

use reqwest::Method;
use serde_json::{Value, json};
use two_factor_tests::service::{HOME, TestService, User, WORK, wrong};

/// Three wrong codes are all of a code and lock; six disable.
const QUICK: &[(&str, &str)] = &[("LOCK_AFTER_FAILURES", "3"), ("CODE_MAX_ATTEMPTS", "3"), ("DISABLE_AFTER_FAILURES", "6")];

/// A user without 2FA, and what is different.
fn off(different: Value) -> Value {
    let status = json!({
        "enabled": false, "method": null, "phone_number_masked": null, "enabled_at": null, "backup_codes_remaining": 0,
        "factor_disabled": false, "locked_for": 0, "pending": false, "live_code": null, "sends_remaining": 5, "resend_in": 0,
    });
    changed(status, different)
}

/// A user who turned 2FA on at the start of the test's clock, and what is different.
fn on(different: Value) -> Value {
    let status = json!({
        "enabled": true, "method": "sms", "phone_number_masked": "+1****0123", "enabled_at": "2027-01-01T00:00:00Z",
        "backup_codes_remaining": 10, "factor_disabled": false, "locked_for": 0, "pending": false, "live_code": null,
        "sends_remaining": 4, "resend_in": 0,
    });
    changed(status, different)
}

fn changed(mut status: Value, different: Value) -> Value {
    let Value::Object(different) = different else { panic!("an object") };
    status.as_object_mut().unwrap().extend(different);
    status
}

fn live(purpose: &str, expires_in: u64, attempts_remaining: u64) -> Value {
    json!({"purpose": purpose, "expires_in": expires_in, "attempts_remaining": attempts_remaining})
}

async fn status(user: &User<'_>) -> Value {
    user.status().await.expect(200).body
}

#[tokio::test]
async fn of_a_user_who_enrolls() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    assert_eq!(status(&alice).await, off(json!({})), "off, of whom nothing is stored");

    let code = alice.setup(HOME).await.expect(200).development_code();
    service.clock.pass(10);
    let pending = json!({"pending": true, "pending_phone_number_masked": "+1****0123", "sends_remaining": 4});
    let enrolling = |different| changed(off(pending.clone()), different);
    let expected = enrolling(json!({"live_code": live("enroll", 290, 3), "resend_in": 20}));
    assert_eq!(status(&alice).await, expected, "pending, with a code");
    alice.verify(wrong(&code)).await.expect(400);
    let expected = enrolling(json!({"live_code": live("enroll", 290, 2), "resend_in": 20}));
    assert_eq!(status(&alice).await, expected, "pending, after a wrong code");
    service.clock.pass(290);
    assert_eq!(status(&alice).await, enrolling(json!({})), "pending, with a code that has expired");
    let code = alice.send_sms().await.expect(200).development_code();
    for _ in 0..2 {
        alice.verify(wrong(&code)).await.expect(400);
    }
    let locked = json!({"locked_for": 900, "live_code": live("enroll", 300, 1), "resend_in": 30, "sends_remaining": 3});
    assert_eq!(status(&alice).await, enrolling(locked), "pending and locked");
    service.clock.pass(3300);
    assert_eq!(status(&alice).await, off(json!({"sends_remaining": 4})), "the enrollment has lapsed; so has one send of two");
}

#[tokio::test]
async fn of_a_user_who_signs_in_and_changes_things() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    assert_eq!(status(&alice).await, on(json!({"resend_in": 30})), "on, and the cooldown of the enrollment");
    let mut left = 4;
    for purpose in ["sign_in", "confirm", "change"] {
        service.clock.pass(30);
        let code = alice.send_sms_for(purpose).await.expect(200).development_code();
        left -= 1;
        service.clock.pass(12);
        let expected = on(json!({"live_code": live(purpose, 288, 3), "sends_remaining": left, "resend_in": 18}));
        assert_eq!(status(&alice).await, expected, "{purpose}");
        alice.verify_for(purpose, &code).await.expect(200);
        assert_eq!(status(&alice).await, on(json!({"sends_remaining": left, "resend_in": 18})), "spent");
    }
    alice.verify(&backup_codes[0]).await.expect(200);
    let expected = on(json!({"backup_codes_remaining": 9, "sends_remaining": 1, "resend_in": 18}));
    assert_eq!(status(&alice).await, expected, "a backup code less");

    // A replacement that waits has a code of its own; what a code without a purpose would wait for is the active number's.
    alice.replace(WORK, &backup_codes[1]).await.expect(200);
    let replacing = json!({
        "pending": true, "pending_phone_number_masked": "+44****3456", "live_code": live("replace", 300, 3),
        "backup_codes_remaining": 8, "sends_remaining": 1, "resend_in": 18,
    });
    assert_eq!(status(&alice).await, on(replacing), "a replacement waits");
    service.clock.pass(18);
    alice.send_sms().await.expect(200);
    let both = json!({
        "pending": true, "pending_phone_number_masked": "+44****3456", "live_code": live("sign_in", 300, 3),
        "backup_codes_remaining": 8, "sends_remaining": 0, "resend_in": 3600 - 144,
    });
    assert_eq!(status(&alice).await, on(both), "a replacement waits, the code is for signing in, and the window is full");
    alice.send_sms().await.expect_problem(429, "rate_limited");
}

#[tokio::test]
async fn of_a_user_who_is_locked_disabled_and_binds_the_number_again_s8() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    service.clock.pass(30);
    let code = alice.send_sms().await.expect(200).development_code();
    for _ in 0..3 {
        alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    }
    let locked = status(&alice).await;
    assert_eq!(
        (&locked["locked_for"], &locked["factor_disabled"], &locked["enabled"]),
        (&json!(900), &json!(false), &json!(true))
    );
    assert_eq!(locked["live_code"], live("sign_in", 300, 0), "used up");
    service.clock.pass(899);
    assert_eq!(status(&alice).await["locked_for"], 1);
    service.clock.pass(1);
    assert_eq!(status(&alice).await, on(json!({"sends_remaining": 3})), "the lock is over, and the code is too old");

    let code = alice.send_sms().await.expect(200).development_code();
    for _ in 0..3 {
        alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    }
    let disabled = json!({"factor_disabled": true, "locked_for": 1800, "sends_remaining": 2});
    assert_eq!(status(&alice).await, on(disabled), "disabled: still on, its code is gone, and there is no number to wait for");

    let code = alice.replace(WORK, &backup_codes[0]).await.expect(200).development_code();
    let replacing = json!({
        "factor_disabled": true, "backup_codes_remaining": 9, "sends_remaining": 2, "resend_in": 30,
        "pending": true, "pending_phone_number_masked": "+44****3456", "live_code": live("replace", 300, 3),
    });
    assert_eq!(status(&alice).await, on(replacing), "disabled, and a replacement waits; the right backup code lifted the lock");
    alice.verify(&code).await.expect(200);
    let replaced = json!({
        "phone_number_masked": "+44****3456", "enabled_at": "2027-01-01T00:15:30Z", "sends_remaining": 2, "resend_in": 30
    });
    assert_eq!(status(&alice).await, on(replaced), "on, with another number");
    alice.disable(&backup_codes[1]).await.expect_problem(400, "invalid_code");
    service.clock.pass(30);
    let proof = alice.send_sms_for("change").await.expect(200).development_code();
    alice.disable(&proof).await.expect(200);
    assert_eq!(status(&alice).await, off(json!({"sends_remaining": 1})), "off again; the sends stay counted");
}

#[tokio::test]
async fn asking_changes_nothing_and_writes_nothing() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    let before = service.items().await.len();
    service.storage.take_calls();
    for _ in 0..3 {
        alice.call(Method::GET, "setup", Value::Null).await.expect(200);
    }
    let operations: Vec<_> = service.storage.take_calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, ["BatchGetItem"; 3]);
    assert_eq!(service.items().await.len(), before);
    alice.verify(&code).await.expect(200);
}
