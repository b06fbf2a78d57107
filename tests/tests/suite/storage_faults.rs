//! Many requests at once over HTTP while storage fails under them, before or after it did as it was told: what may happen once
//! happens once, and whoever it happened for learns of it.
//!
//! `STORAGE_FAULT_ROUNDS` says how many rounds each test plays (`make test-faults`).

use std::{collections::BTreeMap, env, time::Duration};

use futures_util::future::join_all;
use two_factor_tests::{
    dynamodb_proxy::Fault,
    service::{HOME, Reply, TestService, User, wrong},
};

/// The rounds of each test where nobody asks for more: each fault once, before and after.
const FEW_ROUNDS: usize = 14;

/// How many users are in the same trouble at once.
const USERS: usize = 4;

/// Longer than any round takes on a machine that is busy: where the outcome stays unknown for good is tested elsewhere.
const TIME_LIMIT: Duration = Duration::from_secs(50);

/// Sends cost nothing here: what is tested is what becomes of codes.
const NO_LIMITS: [(&str, &str); 2] = [("SMS_COOLDOWN_SECONDS", "0"), ("SMS_MAX_PER_IP", "0")];

/// Every way in which a commit fails, with what else fails so.
fn faults() -> Vec<(Fault, &'static [&'static str])> {
    const COMMITS: &[&str] = &["TransactWriteItems"];
    const ALL: &[&str] = &["TransactWriteItems", "PutItem", "BatchGetItem"];
    let faults = [
        (Fault::Http500, ALL),
        (Fault::Error(400, "ThrottlingException"), ALL),
        (Fault::Cancel(vec!["ThrottlingError"]), COMMITS),
        (Fault::Error(400, "TransactionInProgressException"), COMMITS),
        (Fault::Drop, ALL),
        (Fault::Cut, ALL),
        (Fault::Hang, COMMITS),
    ];
    faults.into_iter().flat_map(|(fault, calls)| [(fault.clone(), calls), (fault.after_the_fact(), calls)]).collect()
}

/// Which of the calls fail in this round: most of them, never all.
fn turns(fault: &Fault, round: usize) -> Vec<Option<Fault>> {
    let pattern = 0b0110_1110_1101_1010_u16.rotate_left(u32::try_from(round % 16).unwrap());
    (0..16).map(|bit| (pattern >> bit & 1 == 1).then(|| fault.clone())).collect()
}

/// Plays as many rounds as were asked for, each with a user of its own and a phone number of its own: `prepare` before anything
/// fails, `race` while it does, `check` afterwards.
async fn play<P>(
    prepare: impl AsyncFn(&User<'_>, &str) -> P,
    race: impl AsyncFn(&User<'_>, &P) -> Vec<Reply>,
    check: impl AsyncFn(&User<'_>, &P, &[Reply], &str),
) {
    let rounds = env::var("STORAGE_FAULT_ROUNDS").map_or(FEW_ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let faults = faults();
    // Each fault has a service of its own and every round whose number is its own. They wait more than they work, so all play at once.
    join_all(faults.iter().enumerate().map(async |(first, (fault, calls))| {
        let service = TestService::development_in_a_hurry(&NO_LIMITS, TIME_LIMIT).await;
        let rounds: Vec<usize> = (first..rounds).step_by(faults.len()).collect();
        for (turn, rounds) in rounds.chunks(USERS).enumerate() {
            let players = join_all(rounds.iter().map(async |round| {
                let user = service.user(&format!("user-{round}"));
                let prepared = prepare(&user, &format!("+1415556{round:04}")).await;
                (user, prepared)
            }))
            .await;
            for call in *calls {
                service.storage.fail_in_turns(call, turns(fault, turn));
            }
            let replies = join_all(players.iter().map(|(user, prepared)| race(user, prepared))).await;
            service.storage.recover();
            for (((user, prepared), replies), round) in players.iter().zip(&replies).zip(rounds) {
                check(user, prepared, replies, &format!("round {round}, {fault:?}")).await;
            }
        }
    }))
    .await;
}

/// How many answers there were of each kind: status and problem code.
fn tally(replies: &[Reply]) -> BTreeMap<(u16, &str), usize> {
    let mut tally = BTreeMap::new();
    for reply in replies {
        *tally.entry((reply.status, reply.problem())).or_default() += 1;
    }
    tally
}

/// The one success among `replies`.
#[track_caller]
fn the_success<'a>(replies: &'a [Reply], round: &str) -> &'a Reply {
    let successes: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(successes.len(), 1, "{round}: {:?}", tally(replies));
    successes[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_right_codes_one_turns_2fa_on_and_shows_the_one_set_of_backup_codes_s3() {
    play(
        async |user, phone| user.setup(phone).await.expect(200).development_code(),
        async |user, code| join_all((0..6).map(|_| user.verify(code))).await,
        async |user, _, replies, round| {
            let shown = the_success(replies, round).backup_codes();
            assert_eq!(tally(replies).get(&(409, "no_pending_verification")), Some(&5), "{round}: {:?}", tally(replies));
            user.verify(&shown[9]).await.expect(200);
            assert_eq!(user.status().await.body["backup_codes_remaining"], 9, "{round}: the codes that were shown are the codes");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_right_codes_one_signs_in_s3() {
    play(
        async |user, phone| {
            user.enroll(phone).await;
            user.send_sms().await.expect(200).development_code()
        },
        async |user, code| join_all((0..6).map(|_| user.verify(code))).await,
        async |_, _, replies, round| {
            the_success(replies, round);
            assert_eq!(tally(replies).get(&(409, "no_pending_verification")), Some(&5), "{round}: {:?}", tally(replies));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_wrong_codes_five_are_judged_and_each_of_them_is_counted_s7() {
    play(
        async |user, phone| user.setup(phone).await.expect(200).development_code(),
        async |user, code| join_all((0..8).map(|_| user.verify(wrong(code)))).await,
        async |user, code, replies, round| {
            let expected = BTreeMap::from([((400, "invalid_code"), 5), ((429, "too_many_attempts"), 3)]);
            assert_eq!(tally(replies), expected, "{round}");
            let mut left: Vec<_> = replies.iter().filter_map(|reply| reply.body["attempts_remaining"].as_u64()).collect();
            left.sort_unstable();
            assert_eq!(left, [0, 1, 2, 3, 4], "{round}: each guess was counted, and once, before it was answered");
            user.verify(code).await.expect_problem(429, "too_many_attempts");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_backup_code_is_spent_once_and_both_are_spent_s17() {
    play(
        async |user, phone| user.enroll(phone).await,
        async |user, codes| join_all((0..6).map(|number| user.verify(&codes[number % 2]))).await,
        async |user, codes, replies, round| {
            let by_code = |code| replies.iter().skip(code).step_by(2).cloned().collect::<Vec<_>>();
            the_success(&by_code(0), round);
            the_success(&by_code(1), round);
            assert_eq!(tally(replies).get(&(400, "invalid_code")), Some(&4), "{round}: {:?}", tally(replies));
            user.verify(&codes[2]).await.expect(200);
            assert_eq!(user.status().await.body["backup_codes_remaining"], 7, "{round}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_wishes_for_new_backup_codes_one_is_granted_s3() {
    play(
        async |user, phone| user.enroll(phone).await,
        async |user, codes| join_all((0..4).map(|_| user.regenerate_backup_codes(&codes[0]))).await,
        async |user, codes, replies, round| {
            let shown = the_success(replies, round).backup_codes();
            user.verify(&codes[1]).await.expect_problem(400, "invalid_code");
            user.verify(&shown[0]).await.expect(200);
            assert_eq!(user.status().await.body["backup_codes_remaining"], 9, "{round}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrollment_with_other_requests_in_between_shows_its_backup_codes_once_or_nothing_happened_s15() {
    play(
        async |user, phone| user.setup(phone).await.expect(200).development_code(),
        async |user, code| {
            let sends = async { vec![user.send_sms().await, user.send_sms().await] };
            let (verified, mut replies) = tokio::join!(user.verify(code), sends);
            replies.push(verified);
            replies
        },
        async |user, _, replies, round| {
            let verified = &replies[2];
            let status = user.status().await.body;
            if verified.status == 200 {
                assert_eq!((&status["enabled"], &status["backup_codes_remaining"]), (&true.into(), &10.into()), "{round}");
                user.verify(&verified.backup_codes()[0]).await.expect(200);
            } else {
                assert_eq!(verified.status, 400, "{round}: a newer code is out: {}", verified.body);
                assert_eq!(status["enabled"], false, "{round}");
                user.verify(&replies[1].development_code()).await.expect(200).backup_codes();
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_first_right_code_is_stored_and_the_others_meet_a_fault_one_succeeds_s3() {
    for fault in [Fault::Http500, Fault::Error(400, "ThrottlingException"), Fault::Cancel(vec!["ThrottlingError"])] {
        let service = TestService::development(&NO_LIMITS).await;
        let alice = service.user("alice");
        alice.enroll(HOME).await;
        let code = alice.send_sms().await.expect(200).development_code();
        service.storage.pass_next_of("TransactWriteItems", 1);
        service.storage.fail_next_of("TransactWriteItems", 33, fault.clone());
        let replies = join_all((0..12).map(|_| alice.verify(&code))).await;
        the_success(&replies, &format!("{fault:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_first_wrong_guess_is_stored_and_the_second_meets_a_fault_both_are_counted_s7() {
    for fault in [Fault::Http500, Fault::Error(400, "ThrottlingException"), Fault::Cancel(vec!["ThrottlingError"])] {
        let service = TestService::development(&NO_LIMITS).await;
        let alice = service.user("alice");
        let code = alice.setup(HOME).await.expect(200).development_code();
        service.storage.pass_next_of("TransactWriteItems", 1);
        service.storage.fail_next_of("TransactWriteItems", 3, fault.clone());
        let replies = join_all((0..2).map(|_| alice.verify(wrong(&code)))).await;
        let mut left: Vec<_> = replies.iter().filter_map(|reply| reply.body["attempts_remaining"].as_u64()).collect();
        left.sort_unstable();
        assert_eq!(left, [3, 4], "{fault:?}: {:?}", tally(&replies));
    }
}

#[tokio::test]
async fn an_enrollment_whose_answers_are_lost_shows_its_backup_codes_whatever_happens_in_between_s21() {
    let service = TestService::development(&NO_LIMITS).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    let held = service.storage.hold_next_of("TransactWriteItems");
    let (verified, ()) = tokio::join!(alice.verify(&code), async {
        held.done().await;
        alice.send_sms().await.expect(200);
        service.storage.fail_next_of("TransactWriteItems", 4, Fault::Drop.after_the_fact());
        held.lose();
    });
    let codes = verified.expect(200).backup_codes();
    alice.verify(&codes[0]).await.expect(200);
    assert_eq!(alice.status().await.body["backup_codes_remaining"], 9);
}
