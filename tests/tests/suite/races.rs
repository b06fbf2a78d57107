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
