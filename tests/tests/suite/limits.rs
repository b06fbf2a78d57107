//! What may be sent, to whom and how often, and what a refusal says of it (S11 to S14).

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::Method;
use serde_json::{Value, json};
use two_factor_local::sms_inbox::Reply as Twilio;
use two_factor_tests::service::{HOME, Reply, TestService, WORK, wrong};

const NO_COOLDOWN: (&str, &str) = ("SMS_COOLDOWN_SECONDS", "0");

/// A number that nothing else is done to: `+1201555019x`.
fn other(last: usize) -> String {
    format!("+1201555019{last}")
}

/// The refusal is this limit's: the document, and the headers for programs that know no documents.
#[track_caller]
fn limited(reply: &Reply, reason: &str, retry_after: u64, policy: &str) {
    reply.expect_problem(429, "rate_limited");
    assert_eq!((&reply.body["reason"], &reply.body["retry_after"]), (&json!(reason), &json!(retry_after)), "{}", reply.body);
    assert_eq!(reply.header("retry-after"), retry_after.to_string());
    assert_eq!(reply.header("ratelimit-policy"), format!("\"{reason}\";{policy}"));
    assert_eq!(reply.header("ratelimit"), format!("\"{reason}\";r=0;t={retry_after}"));
}

/// How many sends are counted in the one window of a number that is an account's own.
async fn own_sends(service: &TestService) -> usize {
    let is_own = |item: &HashMap<String, AttributeValue>| {
        item["sk"].as_s().unwrap() == "SENDS" && item["pk"].as_s().unwrap().starts_with("PHONE#")
    };
    let windows: Vec<_> = service.items().await.into_iter().filter(is_own).collect();
    let [window] = &windows[..] else { panic!("one number is somebody's own: {windows:?}") };
    window.keys().filter(|name| name.starts_with("lease_")).count()
}

#[tokio::test]
async fn every_limit_names_itself_and_how_long_it_lasts_s11() {
    let service =
        TestService::production(&[("SMS_MAX_REFUSED", "1"), ("SMS_MAX_PER_IP", "7"), ("SMS_MAX_PER_WINDOW", "3")]).await;
    let alice = service.user("alice");
    alice.setup(HOME).await.expect(200);
    service.clock.pass(10);
    limited(&alice.send_sms().await, "cooldown", 20, "q=1;w=30");
    for _ in 0..2 {
        service.clock.pass(30);
        alice.send_sms().await.expect(200);
    }
    service.clock.pass(30);
    let refused = alice.send_sms().await;
    limited(&refused, "user", 3600 - 100, "q=3;w=3600");
    assert_eq!(refused.body["detail"], "You asked for as many text messages as you may. Try again in 59 minutes.");
    limited(&alice.setup(WORK).await, "user", 3600 - 100, "q=3;w=3600");

    limited(&service.user("bob").setup(HOME).await, "number", 3600, "q=3;w=3600");

    let carol = service.user("carol");
    service.inbox.script([Twilio::refusal(400, 21_211)]);
    carol.setup(&other(0)).await.expect_problem(502, "sms_delivery_failed");
    limited(&carol.setup(&other(1)).await, "refused", 3600, "q=1;w=3600");

    for (number, name) in ["dave", "eve", "frank", "grace"].into_iter().enumerate() {
        service.user(name).setup(&other(number)).await.expect(200);
    }
    let refused = service.user("heidi").setup(&other(9)).await;
    limited(&refused, "address", 3600 - 100, "q=7;w=3600");
    assert_eq!(refused.body["detail"], "Too many numbers were set up from your network. Try again in 59 minutes.");
    assert_eq!(service.inbox.received().len(), 3 + 1 + 4, "nothing was sent for a refusal");
}

#[tokio::test]
async fn the_cooldown_is_between_two_sends_of_a_user_to_the_same_number() {
    let service = TestService::development(&[]).await;
    let (alice, bob) = (service.user("alice"), service.user("bob"));
    alice.setup(HOME).await.expect(200);
    alice.setup(&other(1)).await.expect(200);
    limited(&alice.setup(HOME).await, "cooldown", 30, "q=1;w=30");
    let code = bob.setup(HOME).await.expect(200).development_code();
    bob.verify(&code).await.expect(200);
    // Binding a number and asking for a code to it are sends to the same number, as are codes for two purposes.
    limited(&bob.send_sms().await, "cooldown", 30, "q=1;w=30");
    service.clock.pass(30);
    let proof = bob.send_sms_for("change").await.expect(200).development_code();
    limited(&bob.send_sms_for("sign_in").await, "cooldown", 30, "q=1;w=30");
    // The code for a new number, after the proof from the old one, waits for nothing; the next one to it does.
    bob.replace(WORK, &proof).await.expect(200);
    limited(&bob.send_sms_for("replace").await, "cooldown", 30, "q=1;w=30");
    service.clock.pass(29);
    limited(&bob.send_sms_for("replace").await, "cooldown", 1, "q=1;w=30");
    service.clock.pass(1);
    bob.send_sms_for("replace").await.expect(200);
}

#[tokio::test]
async fn two_spellings_of_a_number_are_one_number_s14() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    alice.setup("+1 (201) 555-0123").await.expect(200);
    for spelling in
        ["+12015550123", "+1.201.555.0123", "+1 201 555 0123", "+1-201-555-0123", "+1[201]5550123", "+1\u{a0}201 5550123"]
    {
        limited(&alice.setup(spelling).await, "cooldown", 30, "q=1;w=30");
    }
    assert_eq!(alice.setup("+44 (0)7400 123456").await.expect(200).body["phone_number_masked"], "+44****3456");
    limited(&alice.setup(WORK).await, "cooldown", 30, "q=1;w=30");
}

#[tokio::test]
async fn refused_sends_are_capped_and_keep_the_cooldown_and_cost_nothing_else_s12() {
    let service = TestService::production(&[("SMS_MAX_REFUSED", "2"), ("SMS_MAX_PER_IP", "1")]).await;
    let alice = service.user("alice");
    service.inbox.script([Twilio::refusal(400, 21_211), Twilio::refusal(400, 21_610)]);
    alice.setup(HOME).await.expect_problem(502, "sms_delivery_failed");
    limited(&alice.setup(HOME).await, "cooldown", 30, "q=1;w=30");
    limited(&alice.send_sms().await, "cooldown", 30, "q=1;w=30");
    let status = alice.status().await.body;
    assert_eq!((&status["sends_remaining"], &status["resend_in"]), (&json!(5), &json!(30)));
    service.clock.pass(10);
    let refused = alice.setup(WORK).await;
    refused.expect_problem(502, "sms_delivery_failed");
    assert_eq!(refused.body["reason"], "opted_out");
    service.clock.pass(30);
    for refused in [alice.setup(HOME).await, alice.setup(&other(1)).await, alice.send_sms().await] {
        limited(&refused, "refused", 3560, "q=2;w=3600");
    }
    let status = alice.status().await.body;
    assert_eq!((&status["sends_remaining"], &status["resend_in"]), (&json!(5), &json!(3560)));
    assert_eq!(service.inbox.received().len(), 2, "no provider was asked a third time");
    // Both sends were given back to the number and to the address, of which one send is all that there is.
    service.user("bob").setup(HOME).await.expect(200);
    service.clock.pass(3600);
    alice.setup(HOME).await.expect(200);
}

#[tokio::test]
async fn an_outage_of_ours_counts_against_nobody_s12() {
    let settings = [("SMS_MAX_REFUSED", "1"), ("SMS_MAX_PER_WINDOW", "3"), ("SMS_MAX_PER_IP", "3")];
    let service = TestService::production(&settings).await;
    let alice = service.user("alice");
    for (status, code) in [(401, 20_003), (429, 20_429), (400, 20_005), (400, 21_611)] {
        service.inbox.script([Twilio::refusal(status, code)]);
        let refused = alice.setup(HOME).await;
        refused.expect_problem(502, "sms_delivery_failed");
        assert_eq!(refused.body["reason"], "provider_unavailable", "Twilio's {code}");
        assert_eq!(alice.status().await.body["sends_remaining"], 3);
        service.clock.pass(30);
    }
    assert_eq!(service.inbox.received().len(), 4, "each was tried once");
    assert_eq!(alice.setup(HOME).await.expect(200).body["sends_remaining"], 2);
    for name in ["bob", "carol"] {
        service.user(name).setup(HOME).await.expect(200);
    }
}

#[tokio::test]
async fn after_a_refused_replacement_its_number_is_tried_again_without_a_proof_and_another_takes_one_s16() {
    let service = TestService::production(&[NO_COOLDOWN]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    for (kind, spent) in [("backup code", (400, "invalid_code")), ("SMS code", (409, "no_pending_verification"))] {
        let proof = if kind == "backup code" {
            backup_codes[0].clone()
        } else {
            alice.send_sms_for("change").await.expect(200);
            service.last_code()
        };
        service.inbox.script([Twilio::refusal(400, 21_211)]);
        alice.replace(WORK, &proof).await.expect_problem(502, "sms_delivery_failed");
        let status = alice.status().await.body;
        assert_eq!(
            (&status["phone_number_masked"], &status["pending_phone_number_masked"], &status["live_code"]),
            (&json!("+1****0123"), &json!("+44****3456"), &json!(null))
        );
        assert_eq!(status["backup_codes_remaining"], 9);
        alice.setup(&other(1)).await.expect_problem(403, "verification_required");
        let again = alice.replace(&other(1), &proof).await;
        assert_eq!((again.status, again.problem()), spent, "the {kind} is spent, and another number takes another proof");
    }
    let sent = alice.send_sms_for("replace").await.expect(200);
    assert_eq!(sent.body["phone_number_masked"], "+44****3456");
    alice.verify_for("replace", &service.last_code()).await.expect(200);
    assert_eq!(alice.status().await.body["phone_number_masked"], "+44****3456");
}

#[tokio::test]
async fn a_replacement_that_brings_a_backup_code_counts_in_a_window_of_its_own_s11() {
    let service = TestService::development(&[NO_COOLDOWN]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    for _ in 0..4 {
        alice.send_sms().await.expect(200);
    }
    limited(&alice.send_sms_for("change").await, "user", 3600, "q=5;w=3600");
    let mut code = String::new();
    for (number, backup_code) in backup_codes.iter().enumerate().take(5) {
        let sent = alice.replace(&other(number), backup_code).await.expect(200);
        assert_eq!(
            (&sent.body["sends_remaining"], &sent.body["resend_in"]),
            (&json!(0), &json!(3600)),
            "its resends are the user's"
        );
        code = sent.development_code();
        limited(&alice.send_sms_for("replace").await, "user", 3600, "q=5;w=3600");
    }
    limited(&alice.replace(&other(5), &backup_codes[5]).await, "user", 3600, "q=5;w=3600");
    let status = alice.status().await.body;
    assert_eq!(status["backup_codes_remaining"], 5, "what the limits refused is not spent");
    assert_eq!(status["pending_phone_number_masked"], "+1****0194", "nor did it change anything");
    alice.verify_for("replace", &code).await.expect(200);
}

#[tokio::test]
async fn a_disabled_number_is_bound_again_with_a_backup_code_in_its_own_window_s8_s11() {
    let settings = [("LOCK_AFTER_FAILURES", "3"), ("DISABLE_AFTER_FAILURES", "3"), ("SMS_MAX_PER_IP", "6")];
    let service = TestService::development(&settings).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    service.clock.pass(30);
    let code = alice.send_sms().await.expect(200).development_code();
    for _ in 0..3 {
        alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    }
    // Strangers use up what there is of sends that would bind the number, and of such from this address.
    for stranger in 0..4 {
        service.user(&format!("stranger-{stranger}")).setup(HOME).await.expect(200);
    }
    service.user("stranger-4").setup(HOME).await.expect_problem(429, "rate_limited");
    service.user("stranger-5").setup(WORK).await.expect(200);
    service.user("stranger-6").setup(&other(0)).await.expect_problem(429, "rate_limited");

    service.clock.pass(30);
    alice.setup(HOME).await.expect_problem(403, "verification_required");
    alice.send_sms().await.expect_problem(403, "factor_disabled");
    let sent = alice.replace(HOME, &backup_codes[0]).await.expect(200);
    assert_eq!((&sent.body["purpose"], &sent.body["sends_remaining"]), (&json!("replace"), &json!(3)), "no already_enabled");
    assert_eq!(own_sends(&service).await, 2, "the sign-in and this one");
    let codes = alice.verify(&sent.development_code()).await.expect(200).backup_codes();
    let status = alice.status().await.body;
    assert_eq!((&status["factor_disabled"], &status["locked_for"]), (&json!(false), &json!(0)));
    service.clock.pass(30);
    let code = alice.send_sms().await.expect(200).development_code();
    alice.verify(&code).await.expect(200);
    alice.verify(&backup_codes[1]).await.expect_problem(400, "invalid_code");
    alice.verify(&codes[0]).await.expect(200);
}

#[tokio::test]
async fn accounts_with_the_same_number_share_its_own_window_and_learn_no_more_of_each_other_s11() {
    let service = TestService::development(&[NO_COOLDOWN]).await;
    let (alice, bob) = (service.user("alice"), service.user("bob"));
    alice.enroll(HOME).await;
    bob.enroll(HOME).await;
    service.clock.pass(1800);
    for _ in 0..3 {
        alice.send_sms().await.expect(200);
    }
    for left in [3, 2] {
        assert_eq!(bob.send_sms().await.expect(200).body["sends_remaining"], left, "the user's own sends alone");
    }
    service.clock.pass(600);
    limited(&bob.send_sms().await, "number", 3600, "q=5;w=3600");
    assert_eq!(bob.status().await.body["sends_remaining"], 2, "a refusal costs nothing");
}

#[tokio::test]
async fn the_users_window_holds_through_re_enrollment_turning_off_and_a_restart_s11() {
    let mut service = TestService::development(&[NO_COOLDOWN]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    alice.disable(&backup_codes[0]).await.expect(200);
    let backup_codes = alice.enroll(WORK).await;
    alice.send_sms().await.expect(200);
    alice.disable(&backup_codes[0]).await.expect(200);
    alice.setup(&other(0)).await.expect(200);
    alice.call(Method::DELETE, "setup", Value::Null).await.expect(200);
    assert_eq!(alice.status().await.body["sends_remaining"], 1);
    service.restart(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    limited(&alice.send_sms().await, "user", 3600, "q=5;w=3600");
    alice.verify(&code).await.expect(200);
    service.clock.pass(3600);
    alice.send_sms().await.expect(200);
}

#[tokio::test]
async fn a_country_that_is_allowed_no_more_gets_no_codes_and_backup_codes_go_on() {
    let mut service = TestService::production(&[NO_COOLDOWN]).await;
    let backup_codes = service.user("alice").enroll(HOME).await;
    service.user("bob").setup(&other(1)).await.expect(200);
    service.restart(&[("ALLOWED_COUNTRIES", "GB,DE")]).await;
    let (alice, bob, sent) = (service.user("alice"), service.user("bob"), service.inbox.received().len());
    let nobody = [
        alice.send_sms().await,
        alice.send_sms_for("sign_in").await,
        alice.send_sms_for("confirm").await,
        alice.send_sms_for("change").await,
        alice.replace(&other(2), &backup_codes[0]).await,
        bob.send_sms().await,
        bob.setup(&other(1)).await,
    ];
    for refused in nobody {
        refused.expect_problem(400, "phone_number_not_allowed");
        assert_eq!(refused.body["reason"], "country");
    }
    assert_eq!(service.inbox.received().len(), sent, "nothing was sent");

    assert_eq!(alice.verify(&backup_codes[0]).await.expect(200).body["backup_codes_remaining"], 9, "it was not spent before");
    alice.verify_for("confirm", &backup_codes[1]).await.expect(200);
    let backup_codes = alice.regenerate_backup_codes(&backup_codes[2]).await.expect(200).backup_codes();
    alice.replace(WORK, &backup_codes[0]).await.expect(200);
    alice.verify_for("replace", &service.last_code()).await.expect(200);
    alice.send_sms().await.expect(200);
    alice.verify(&service.last_code()).await.expect(200);
}

#[tokio::test]
async fn while_locked_nothing_is_sent_for_any_purpose_s8() {
    let settings = [NO_COOLDOWN, ("LOCK_AFTER_FAILURES", "3"), ("CODE_MAX_ATTEMPTS", "3"), ("SMS_MAX_PER_WINDOW", "20")];
    let service = TestService::production(&settings).await;
    let (alice, bob) = (service.user("alice"), service.user("bob"));
    let backup_codes = alice.enroll(HOME).await;
    alice.replace(WORK, &backup_codes[0]).await.expect(200);
    alice.send_sms_for("change").await.expect(200);
    let proof = service.last_code();
    for _ in 0..3 {
        alice.verify_for("change", wrong(&proof)).await.expect_problem(400, "invalid_code");
    }
    bob.setup(&other(1)).await.expect(200);
    let code = service.last_code();
    for _ in 0..3 {
        bob.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    }
    let sent = service.inbox.received().len();
    let refused = [
        alice.send_sms().await,
        alice.send_sms_for("sign_in").await,
        alice.send_sms_for("confirm").await,
        alice.send_sms_for("change").await,
        alice.send_sms_for("replace").await,
        alice.replace(&other(2), &proof).await,
        bob.send_sms().await,
        bob.send_sms_for("enroll").await,
        bob.setup(&other(3)).await,
    ];
    for (index, refused) in refused.iter().enumerate() {
        refused.expect_problem(429, "locked");
        assert_eq!((refused.header("retry-after"), &refused.body["retry_after"]), ("900", &json!(900)));
        let detail = refused.body["detail"].as_str().unwrap();
        assert_eq!(detail.ends_with(" A backup code works now."), index < 6, "{detail}: Bob has none");
    }
    assert_eq!(service.inbox.received().len(), sent);
    assert_eq!(bob.status().await.body["pending_phone_number_masked"], "+1****0191", "and nothing changed");
    service.clock.pass(900);
    bob.send_sms().await.expect(200);
    bob.verify(&service.last_code()).await.expect(200);
}

#[tokio::test]
async fn a_new_code_does_not_start_the_count_of_wrong_ones_anew_s5_s8() {
    let settings = [NO_COOLDOWN, ("LOCK_AFTER_FAILURES", "5"), ("CODE_MAX_ATTEMPTS", "2"), ("SMS_MAX_PER_WINDOW", "20")];
    let service = TestService::development(&settings).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    for left in [[1, 0], [1, 0]] {
        let code = alice.send_sms().await.expect(200).development_code();
        for left in left {
            assert_eq!(alice.verify(wrong(&code)).await.expect(400).body["attempts_remaining"], left);
        }
    }
    let code = alice.send_sms().await.expect(200).development_code();
    assert_eq!(alice.status().await.body["live_code"]["attempts_remaining"], 1, "the lock is nearer than the end of this code");
    assert_eq!(alice.verify(wrong(&code)).await.expect(400).body["attempts_remaining"], 0);
    alice.verify(&code).await.expect_problem(429, "locked");
    // Each further lock is twice as long, until a right code comes.
    service.clock.pass(900);
    for wrong_codes in [2, 2, 1] {
        let code = alice.send_sms().await.expect(200).development_code();
        for _ in 0..wrong_codes {
            alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
        }
    }
    assert_eq!(alice.status().await.body["locked_for"], 1800);
}
