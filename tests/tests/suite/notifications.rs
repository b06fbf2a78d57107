//! What the number of an account is told of, in which words, and how often (S18).

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use two_factor_local::sms_inbox::Reply as Twilio;
use two_factor_tests::{
    dynamodb_proxy::Fault,
    service::{HOME, TestService, User, WORK, wrong},
};

const REPLACED: &str = "CODITECT: your two-factor phone number was changed. If this was not you, contact support at once.";
const TURNED_OFF: &str = "CODITECT: two-factor authentication was turned off. If this was not you, contact support at once.";
const CODES_REPLACED: &str = "CODITECT: your backup codes were replaced. If this was not you, contact support at once.";
const CODE_USED: &str = "CODITECT: a backup code was used. If this was not you, change your password at once.";
const FAILED_ATTEMPTS: &str = "CODITECT: many wrong codes were entered. If this was not you, change your password at once.";
const DISABLED: &str =
    "CODITECT: too many wrong codes: set up your number again with a backup code. Not you? Change your password.";

/// Sends without an end, three wrong codes to a lock of a second, and six to a disabled number.
const QUICK: &[(&str, &str)] = &[
    ("SMS_COOLDOWN_SECONDS", "0"),
    ("SMS_MAX_PER_WINDOW", "100"),
    ("SMS_MAX_PER_IP", "0"),
    ("LOCK_AFTER_FAILURES", "3"),
    ("LOCK_SECONDS", "1"),
    ("DISABLE_AFTER_FAILURES", "6"),
];

/// How often a number was told this.
fn told(service: &TestService, to: &str, text: &str) -> usize {
    service.notifications().iter().filter(|message| (message.to(), message.body()) == (to, text)).count()
}

/// A fresh code of this purpose.
async fn code(service: &TestService, user: &User<'_>, purpose: &str) -> String {
    user.send_sms_for(purpose).await.expect(200);
    service.last_code()
}

/// Hands in three wrong codes.
async fn three_wrong(service: &TestService, user: &User<'_>) {
    let code = code(service, user, "sign_in").await;
    for _ in 0..3 {
        user.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    }
}

/// What was not told because enough of its kind was, and to whom.
async fn untold(service: &TestService, user: &str) -> Vec<(String, Option<String>)> {
    let trail = service.audit_trail(user).await.into_iter().filter(|entry| entry.event == "notification");
    let kind = |entry: two_factor::ports::AuditEntry| {
        assert_eq!(entry.outcome, "rate_limited");
        let [(name, kind)] = &entry.details[..] else { panic!("{:?}", entry.details) };
        assert_eq!(name, "notification");
        (kind.clone(), entry.phone_masked)
    };
    trail.map(kind).collect()
}

#[tokio::test]
async fn each_kind_is_told_three_times_a_day_and_none_uses_up_anothers_s18() {
    let service = TestService::production(QUICK).await;
    let alice = service.user("alice");
    let mut expected = Vec::new();
    let mut noted = |kind: &str, number: &str| expected.push((kind.to_owned(), Some(number.to_owned())));

    let mut backup_codes = alice.enroll(HOME).await;
    for (used, backup_code) in backup_codes.iter().enumerate().skip(1).take(4) {
        alice.verify(backup_code).await.expect(200);
        assert_eq!(told(&service, HOME, CODE_USED), used.min(3));
    }
    noted("backup_code_used", "+1****0123");
    for regenerated in 1..=4 {
        let proof = code(&service, &alice, "change").await;
        backup_codes = alice.regenerate_backup_codes(&proof).await.expect(200).backup_codes();
        assert_eq!(told(&service, HOME, CODES_REPLACED), regenerated.min(3));
    }
    noted("backup_codes_replaced", "+1****0123");
    for times in 1..=4 {
        if times % 2 == 0 {
            three_wrong(&service, &alice).await;
            service.clock.pass(2);
        } else {
            for _ in 0..4 {
                alice.verify("0000-0000-0000-0000").await.expect_problem(400, "invalid_code");
            }
        }
        let right = code(&service, &alice, "sign_in").await;
        alice.verify(&right).await.expect(200);
        assert_eq!(told(&service, HOME, FAILED_ATTEMPTS), times.min(3));
    }
    noted("failed_attempts", "+1****0123");
    for times in 1..=4 {
        three_wrong(&service, &alice).await;
        noted("failed_attempts", "+1****0123");
        service.clock.pass(2);
        three_wrong(&service, &alice).await;
        assert_eq!(told(&service, HOME, DISABLED), times.min(3));
        assert_eq!(alice.status().await.body["factor_disabled"], true);
        if times == 4 {
            noted("number_disabled", "+1****0123");
        }
        service.clock.pass(2);
        alice.replace(HOME, &backup_codes[0]).await.expect(200);
        // It was told three times already that a backup code was used.
        noted("backup_code_used", "+1****0123");
        backup_codes = alice.verify(&service.last_code()).await.expect(200).backup_codes();
    }
    let mut number = HOME.to_owned();
    for (times, next) in [WORK, "+12015550124", "+12015550125", HOME].into_iter().enumerate() {
        let proof = code(&service, &alice, "change").await;
        alice.replace(next, &proof).await.expect(200);
        alice.verify_for("replace", &service.last_code()).await.expect(200);
        assert_eq!(told(&service, &number, REPLACED), usize::from(times < 3), "the old one, {number}");
        next.clone_into(&mut number);
    }
    noted("replaced", "+1****0125");
    for times in 1..=4 {
        let proof = code(&service, &alice, "change").await;
        alice.disable(&proof).await.expect(200);
        assert_eq!(told(&service, HOME, TURNED_OFF), times.min(3));
        alice.enroll(HOME).await;
    }
    noted("turned_off", "+1****0123");
    assert_eq!(untold(&service, "alice").await, expected);
    let bodies = service.notifications();
    assert!(bodies.iter().all(|message| message.body().len() <= 160), "one segment each");
    assert_eq!(bodies.len(), 18, "eighteen a day");

    service.clock.pass(24 * 3600);
    let proof = code(&service, &alice, "change").await;
    alice.disable(&proof).await.expect(200);
    assert_eq!(told(&service, HOME, TURNED_OFF), 4, "another day");
}

#[tokio::test]
async fn of_what_one_request_does_the_gravest_is_told_alone_s18() {
    let service = TestService::production(QUICK).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    alice.regenerate_backup_codes(&backup_codes[0]).await.expect(200);
    assert_eq!(service.notifications().iter().map(|message| message.body().to_owned()).collect::<Vec<_>>(), [CODES_REPLACED]);
    three_wrong(&service, &alice).await;
    service.clock.pass(2);
    three_wrong(&service, &alice).await;
    assert_eq!((told(&service, HOME, FAILED_ATTEMPTS), told(&service, HOME, DISABLED)), (1, 1), "a lock, then the end");
}

#[tokio::test]
async fn nobody_is_told_before_a_number_is_active_and_no_number_of_its_own_rebinding_s18() {
    let service = TestService::production(QUICK).await;
    let alice = service.user("alice");
    alice.setup(HOME).await.expect(200);
    let right = service.last_code();
    for _ in 0..3 {
        alice.verify(wrong(&right)).await.expect_problem(400, "invalid_code");
    }
    service.clock.pass(2);
    alice.call(Method::DELETE, "setup", json!(null)).await.expect(200);
    assert!(service.notifications().is_empty(), "nobody was active");
    let backup_codes = alice.enroll(HOME).await;
    for _ in 0..2 {
        three_wrong(&service, &alice).await;
        service.clock.pass(2);
    }
    alice.replace(HOME, &backup_codes[0]).await.expect(200);
    alice.verify(&service.last_code()).await.expect(200);
    assert_eq!(told(&service, HOME, REPLACED), 0, "it is the same number");
}

#[tokio::test]
async fn what_could_not_be_told_is_in_the_trail_and_undoes_nothing_s18() {
    let service = TestService::production(QUICK).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    for (reply, outcome, attempts) in [
        (Twilio::refusal(400, 21_610), "sms_delivery_failed", "twilio opted_out 21610"),
        (Twilio::Answer(500, String::new()), "unknown_outcome", "twilio unknown_outcome http_500"),
    ] {
        service.inbox.script([reply]);
        alice.verify(&backup_codes[usize::from(outcome == "unknown_outcome")]).await.expect(200);
        let entry = service.audit_trail("alice").await.into_iter().rfind(|entry| entry.event == "notification").unwrap();
        assert_eq!((&*entry.outcome, entry.phone_masked.as_deref()), (outcome, Some("+1****0123")));
        let details: Vec<_> = entry.details.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(details, [("notification", "backup_code_used"), ("attempts", attempts)]);
    }
    assert_eq!(alice.status().await.body["backup_codes_remaining"], 8);
    assert_eq!(alice.status().await.body["sends_remaining"], 99, "a notification counts against no limit of sends");
}

#[tokio::test]
async fn an_answer_waits_for_neither_a_provider_nor_the_trail_for_long_s18() {
    let service = TestService::production(QUICK).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    service.inbox.script([Twilio::refusal(400, 21_610)]);
    service.storage.fail_in_turns("PutItem", [Some(Fault::Throttle)]);
    let started = Instant::now();
    let renewed = alice.regenerate_backup_codes(&backup_codes[0]).await.expect(200);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(renewed.backup_codes().len(), 10, "which nobody would have waited for");
}
