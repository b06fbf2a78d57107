//! What is left when something around the service fails: nothing sent twice, nothing lost, nothing verified by accident.

use std::time::Duration;

use two_factor_local::sms_inbox::Reply as Twilio;
use two_factor_tests::{
    dynamodb_proxy::Fault,
    service::{HOME, TestService, WORK},
};

#[tokio::test]
async fn storage_down_is_503_and_sends_and_verifies_nothing_s21() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    alice.setup(HOME).await.expect(200);
    let code = service.last_code();
    for fault in [Fault::Http500, Fault::Throttle, Fault::Drop] {
        service.storage.fail_all(fault.clone());
        for refused in [alice.setup(HOME).await, alice.send_sms().await, alice.verify(&code).await, alice.status().await] {
            refused.expect_problem(503, "service_unavailable");
            assert!(!refused.header("retry-after").is_empty(), "{fault:?}");
        }
        service.storage.recover();
    }
    assert_eq!(service.inbox.received().len(), 1, "no SMS while storage was down");
    alice.verify(&code).await.expect(200);
}

#[tokio::test]
async fn a_commit_that_fails_is_no_success_and_the_code_can_be_tried_again_s21() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    service.storage.fail_next_of("TransactWriteItems", 10, Fault::Http500);
    alice.verify(&code).await.expect_problem(503, "service_unavailable");
    service.storage.recover();
    assert_eq!(alice.status().await.body["enabled"], false);
    alice.verify(&code).await.expect(200);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_counts_once() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    service.storage.fail_next_of("TransactWriteItems", 1, Fault::DropResponse);
    let codes = alice.verify(&code).await.expect(200).backup_codes();
    alice.verify(&codes[0]).await.expect(200);
}

#[tokio::test]
async fn a_commit_whose_answers_are_all_lost_is_found_and_told_s21() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    service.storage.fail_next_of("TransactWriteItems", 10, Fault::DropResponse);
    let codes = alice.verify(&code).await.expect(200).backup_codes();
    service.storage.recover();
    alice.verify(&codes[0]).await.expect(200);
    assert_eq!(alice.status().await.body["enabled"], true);
}

#[tokio::test]
async fn a_definite_refusal_gives_the_send_back_s12() {
    let service = TestService::production(&[]).await;
    let alice = service.user("alice");
    for (twilio_code, reason) in [
        (21211, "invalid_number"),
        (21614, "not_mobile"),
        (21610, "opted_out"),
        (21408, "country_not_permitted"),
        (21611, "provider_unavailable"),
        (20429, "provider_unavailable"),
        (21617, "rejected"),
    ] {
        let status = if twilio_code == 20429 { 429 } else { 400 };
        service.inbox.script([Twilio::refusal(status, twilio_code)]);
        let refused = alice.setup(HOME).await;
        refused.expect_problem(502, "sms_delivery_failed");
        assert_eq!(refused.body["reason"], reason, "Twilio's {twilio_code}");
        assert!(!refused.body.to_string().contains("refused by the inbox"), "the provider's own words stay inside");
        service.clock.pass(30);
    }
    assert_eq!(service.inbox.received().len(), 7, "each was tried once");
    let sent = alice.setup(HOME).await.expect(200);
    assert_eq!(sent.body["sends_remaining"], 4, "the window does not count what was not sent");
    alice.verify(&service.last_code()).await.expect(200);
}

#[tokio::test]
async fn an_unknown_outcome_keeps_the_send_and_the_code_and_sends_no_second_one_s12() {
    let service = TestService::production(&[]).await;
    let alice = service.user("alice");
    for (round, reply) in
        [Twilio::Answer(500, "{}".into()), Twilio::Answer(503, "<html>".into()), Twilio::Cut].into_iter().enumerate()
    {
        service.inbox.script([reply]);
        let sent = alice.setup(HOME).await.expect(200);
        assert_eq!(sent.body["sends_remaining"], 4 - round);
        assert_eq!(service.inbox.received().len(), round + 1);
        service.clock.pass(30);
    }
    alice.verify(&service.last_code()).await.expect(200);
}

#[tokio::test]
async fn failing_to_tell_the_old_number_does_not_undo_the_change_s18() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    alice.replace(WORK, &backup_codes[0]).await.expect(200);
    service.inbox.script([Twilio::Answer(500, String::new())]);
    alice.verify_for("replace", &service.last_code()).await.expect(200);
    assert_eq!(alice.status().await.body["phone_number_masked"], "+44****3456");
    let sent = alice.send_sms().await.expect(200);
    assert_eq!(
        sent.body["sends_remaining"], 3,
        "a notification counts against no limit: the codes of the enrollment and of this sign-in do"
    );
}

#[tokio::test]
async fn a_slow_provider_delays_the_answer_and_is_asked_once() {
    let service = TestService::production(&[]).await;
    let alice = service.user("alice");
    service.inbox.script([Twilio::QueuedAfter(Duration::from_millis(300))]);
    alice.setup(HOME).await.expect(200);
    assert_eq!(service.inbox.received().len(), 1);
}
