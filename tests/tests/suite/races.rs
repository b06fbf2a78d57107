//! Many requests at once, over HTTP, against the running server: what may happen once happens once.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use two_factor_tests::service::{HOME, Reply, TestService, WORK, wrong};

/// How many answers there were of each kind: status and problem code.
fn tally(replies: &[Reply]) -> BTreeMap<(u16, String), usize> {
    let mut tally = BTreeMap::new();
    for reply in replies {
        *tally.entry((reply.status, reply.problem().to_owned())).or_default() += 1;
    }
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_parallel_wrong_guesses_at_most_5_are_judged_s7() {
    for round in 0..3 {
        let service = TestService::development(&[]).await;
        let alice = service.user("alice");
        let code = alice.setup(HOME).await.expect(200).development_code();
        let replies = join_all((0..100).map(|_| alice.verify(wrong(&code)))).await;
        let expected = BTreeMap::from([((400, "invalid_code".to_owned()), 5), ((429, "too_many_attempts".to_owned()), 95)]);
        assert_eq!(tally(&replies), expected, "round {round}");
        let mut left: Vec<_> = replies.iter().filter_map(|reply| reply.body["attempts_remaining"].as_u64()).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4], "each guess was counted before it was answered");
        alice.verify(&code).await.expect_problem(429, "too_many_attempts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_20_parallel_correct_verifies_exactly_one_succeeds_s3() {
    for round in 0..3 {
        let service = TestService::development(&[]).await;
        let alice = service.user("alice");
        let code = alice.setup(HOME).await.expect(200).development_code();
        let replies = join_all((0..20).map(|_| alice.verify(&code))).await;
        let expected = BTreeMap::from([((200, String::new()), 1), ((409, "no_pending_verification".to_owned()), 19)]);
        assert_eq!(tally(&replies), expected, "round {round}");
        let shown = replies.iter().find(|reply| reply.status == 200).unwrap().backup_codes();
        alice.verify(&shown[0]).await.expect(200);
        assert_eq!(alice.status().await.body["backup_codes_remaining"], 9, "exactly one set of backup codes exists");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_50_parallel_sends_with_the_cooldown_off_at_most_5_go_out_s11() {
    for round in 0..3 {
        let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
        let alice = service.user("alice");
        let replies = join_all((0..50).map(|number| {
            let alice = alice.clone();
            async move { if number % 2 == 0 { alice.setup(HOME).await } else { alice.send_sms().await } }
        }))
        .await;
        let tally = tally(&replies);
        assert_eq!(tally.get(&(200, String::new())), Some(&5), "round {round}: {tally:?}");
        let others: Vec<_> = tally.keys().filter(|(status, _)| *status != 200).map(|(_, code)| code.as_str()).collect();
        // A resend that came before every setup found nothing to send.
        assert!(others.iter().all(|code| ["rate_limited", "no_pending_verification"].contains(code)), "{others:?}");
        assert_eq!(service.inbox.received().len(), 5, "as many text messages as answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_cannot_send_more_to_one_number_than_one_s11() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0"), ("SMS_MAX_PER_IP", "0")]).await;
    let users: Vec<_> = (0..20).map(|number| service.user(&format!("user-{number}"))).collect();
    let replies = join_all(users.iter().map(|user| user.setup(HOME))).await;
    let expected = BTreeMap::from([((200, String::new()), 5), ((429, "rate_limited".to_owned()), 15)]);
    assert_eq!(tally(&replies), expected);
    assert_eq!(service.inbox.received().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backup_code_is_spent_once_and_two_are_both_spent_s17() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let codes = alice.enroll(HOME).await;
    let same = join_all((0..10).map(|_| alice.verify(&codes[0]))).await;
    assert_eq!(same.iter().filter(|reply| reply.status == 200).count(), 1);
    service.clock.pass(24 * 3600);
    let different = join_all(codes[1..5].iter().map(|code| alice.verify(code))).await;
    assert!(different.iter().all(|reply| reply.status == 200), "{:?}", tally(&different));
    assert_eq!(alice.status().await.body["backup_codes_remaining"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_and_a_sign_in_at_once_leave_one_live_code_s5() {
    let service = TestService::development(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    let (replace, sign_in) = tokio::join!(alice.replace(WORK, &backup_codes[0]), alice.send_sms());
    let codes = [replace.expect(200).development_code(), sign_in.expect(200).development_code()];
    let replies = join_all([alice.verify_for("replace", &codes[0]), alice.verify_for("sign_in", &codes[1])]).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1, "{replies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_50_parallel_sends_to_an_active_number_at_most_5_go_out_whatever_for_s11() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    service.clock.pass(3600);
    let before = service.inbox.received().len();
    let purposes = ["sign_in", "confirm", "change"].into_iter().cycle().take(50);
    let replies = join_all(purposes.map(|purpose| alice.send_sms_for(purpose))).await;
    let expected = BTreeMap::from([((200, String::new()), 5), ((429, "rate_limited".to_owned()), 45)]);
    assert_eq!(tally(&replies), expected);
    assert_eq!(service.inbox.received().len() - before, 5, "as many text messages as answers");
    let live = alice.status().await.body["live_code"]["purpose"].as_str().unwrap().to_owned();
    // The messages may have left in another order than that in which they were stored: one of their codes is the live one.
    let codes: Vec<String> = service.inbox.received()[before..].iter().map(|message| message.body()[..6].to_owned()).collect();
    let mut accepted = 0;
    for code in codes {
        accepted += usize::from(alice.verify_for(&live, &code).await.status == 200);
    }
    assert_eq!(accepted, 1, "one live code (S5)");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_10_parallel_replacements_with_backup_codes_5_go_out_and_5_codes_are_spent_s11_s17() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    let numbers: Vec<_> = (0..10).map(|last| format!("+1201555019{last}")).collect();
    let replies = join_all(numbers.iter().zip(&backup_codes).map(|(number, code)| alice.replace(number, code))).await;
    let expected = BTreeMap::from([((200, String::new()), 5), ((429, "rate_limited".to_owned()), 5)]);
    assert_eq!(tally(&replies), expected);
    let status = alice.status().await.body;
    assert_eq!((&status["backup_codes_remaining"], &status["sends_remaining"]), (&5.into(), &4.into()));
    let codes = replies.iter().filter(|reply| reply.status == 200).map(Reply::development_code);
    let mut bound = 0;
    for code in codes {
        bound += usize::from(alice.verify_for("replace", &code).await.status == 200);
    }
    assert_eq!(bound, 1, "one live code (S5)");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_proof_is_good_for_one_change_whichever_comes_first_s3_s16() {
    for round in 0..3 {
        let service = TestService::development(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
        let alice = service.user("alice");
        alice.enroll(HOME).await;
        let proof = alice.send_sms_for("change").await.expect(200).development_code();
        let (alice, proof) = (&alice, &proof);
        let changes = join_all((0..15).map(|number| async move {
            match number % 3 {
                0 => alice.verify_for("change", proof).await,
                1 => alice.regenerate_backup_codes(proof).await,
                _ => alice.replace(WORK, proof).await,
            }
        }))
        .await;
        assert_eq!(changes.iter().filter(|reply| reply.status == 200).count(), 1, "round {round}: {:?}", tally(&changes));
        let proof = &alice.send_sms_for("change").await.expect(200).development_code();
        let changes = join_all((0..10).map(|_| alice.disable(proof))).await;
        assert_eq!(changes.iter().filter(|reply| reply.status == 200).count(), 1, "round {round}: {:?}", tally(&changes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_40_parallel_wrong_backup_codes_10_are_counted_and_a_right_one_among_them_works_s9() {
    let service = TestService::production(&[]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    let guesses = join_all((0..40).map(|_| alice.verify("0000-0000-0000-0000"))).await;
    assert_eq!(tally(&guesses), BTreeMap::from([((400, "invalid_code".to_owned()), 40)]));
    let counted = service.audit_trail("alice").await.into_iter().filter(|entry| entry.outcome == "invalid_code").count();
    assert_eq!((counted, service.notifications().len()), (10, 1), "counted so far that the owner is told, once");
    let guesses = join_all((0..20).map(|_| alice.verify("0000-0000-0000-0000")));
    let (_, right) = tokio::join!(guesses, alice.verify(&backup_codes[0]));
    assert_eq!(right.expect(200).body["backup_codes_remaining"], 9, "wrong ones that write nothing crowd nobody out");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_at_one_address_bind_no_more_numbers_than_the_address_may_s11_s13() {
    let service = TestService::production(&[("SMS_MAX_PER_IP", "4")]).await;
    let users: Vec<_> = (0..10).map(|number| (service.user(&format!("user-{number}")), format!("+1201555019{number}"))).collect();
    let replies = join_all(users.iter().map(|(user, number)| user.setup(number))).await;
    let expected = BTreeMap::from([((200, String::new()), 4), ((429, "rate_limited".to_owned()), 6)]);
    assert_eq!(tally(&replies), expected);
    assert!(replies.iter().filter(|reply| reply.status == 429).all(|reply| reply.body["reason"] == "address"));
    assert_eq!(service.inbox.received().len(), 4);
}
