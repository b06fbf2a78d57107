//! What is left when something around the service fails: nothing sent twice, nothing lost, nothing verified by accident.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use two_factor_local::sms_inbox::Reply as Twilio;
use two_factor_tests::{
    dynamodb_proxy::Fault,
    service::{HOME, TestService, WORK, wrong},
};

/// How long a request waits for storage here: long enough for a busy machine, where storage answers.
const TIME_LIMIT: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn storage_down_is_503_and_sends_and_verifies_nothing_s21() {
    join_all([Fault::Http500, Fault::Throttle, Fault::Drop, Fault::Hang].map(async |fault| {
        let mut service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
        service.user("alice").setup(HOME).await.expect(200);
        let code = service.last_code();
        // A provider is asked only with time enough for its answer, so the hurry begins after the message.
        service.hurry(TIME_LIMIT).await;
        let alice = service.user("alice");
        service.storage.fail_all(fault.clone());
        let refused = tokio::join!(alice.setup(HOME), alice.send_sms(), alice.verify(&code), alice.status());
        for refused in [refused.0, refused.1, refused.2, refused.3] {
            refused.expect_problem(503, "service_unavailable");
            assert!(!refused.header("retry-after").is_empty(), "{fault:?}");
        }
        service.storage.recover();
        assert_eq!(service.inbox.received().len(), 1, "no SMS while storage was down");
        alice.verify(&code).await.expect(200);
    }))
    .await;
}

#[tokio::test]
async fn an_answer_leaves_before_the_deadline_whatever_storage_does_s25() {
    let faults = [Fault::Hang, Fault::Hang.after_the_fact(), Fault::Throttle].into_iter();
    let calls = faults.flat_map(|fault| ["BatchGetItem", "TransactWriteItems"].map(|call| (call, fault.clone())));
    join_all(calls.map(async |(call, fault)| {
        let service = TestService::development_in_a_hurry(&[], TIME_LIMIT).await;
        let alice = service.user("alice");
        let code = alice.setup(HOME).await.expect(200).development_code();
        service.storage.fail_in_turns(call, [Some(fault.clone())]);
        let started = Instant::now();
        alice.verify(wrong(&code)).await.expect_problem(503, "service_unavailable");
        // Twice the limit is what it would be if load and commit had one each; a busy machine has what is left.
        assert!(started.elapsed() < TIME_LIMIT * 3 / 2, "{call}, {fault:?}: {:?}", started.elapsed());
    }))
    .await;
}

#[tokio::test]
async fn a_commit_that_fails_is_no_success_and_the_code_can_be_tried_again_s21() {
    let faults = [Fault::Http500, Fault::Throttle, Fault::Cancel(vec!["ThrottlingError"]), Fault::Drop, Fault::Cut];
    join_all(faults.map(async |fault| {
        let service = TestService::development_in_a_hurry(&[], TIME_LIMIT).await;
        let alice = service.user("alice");
        let code = alice.setup(HOME).await.expect(200).development_code();
        service.storage.fail_in_turns("TransactWriteItems", [Some(fault)]);
        alice.verify(&code).await.expect_problem(503, "service_unavailable");
        service.storage.recover();
        assert_eq!(alice.status().await.body["enabled"], false);
        alice.verify(&code).await.expect(200);
    }))
    .await;
}

#[tokio::test]
async fn a_commit_whose_answers_are_lost_for_a_while_is_told_s21() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    service.storage.fail_next_of("TransactWriteItems", 5, Fault::Drop.after_the_fact());
    let codes = alice.verify(&code).await.expect(200).backup_codes();
    alice.verify(&codes[0]).await.expect(200);
    assert_eq!(alice.status().await.body["backup_codes_remaining"], 9);
}

#[tokio::test]
async fn a_commit_whose_answers_stay_lost_is_503_and_whole_s15() {
    join_all([Fault::Drop, Fault::Http500, Fault::Hang, Fault::Cut].map(async |fault| {
        let service = TestService::development_in_a_hurry(&[("SMS_COOLDOWN_SECONDS", "0")], TIME_LIMIT).await;
        let alice = service.user("alice");
        let code = alice.setup(HOME).await.expect(200).development_code();
        service.storage.fail_in_turns("TransactWriteItems", [Some(fault.clone().after_the_fact())]);
        alice.verify(&code).await.expect_problem(503, "service_unavailable");
        service.storage.recover();
        let status = alice.status().await.body;
        assert_eq!((&status["enabled"], &status["backup_codes_remaining"]), (&true.into(), &10.into()), "{fault:?}");
        let trail = service.audit_trail("alice").await;
        assert!(trail.iter().any(|entry| entry.event == "enabled"), "{fault:?}: what is stored is recorded");
        alice.verify(&code).await.expect_problem(409, "no_pending_verification");
        let sent = alice.send_sms().await.expect(200).development_code();
        alice.verify(&sent).await.expect(200);
    }))
    .await;
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
