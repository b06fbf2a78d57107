//! The order in which an SMS code is judged, one test a rule: each state breaks as many later rules as it can, so that only the order
//! explains the answer. The same holds at verify, and for the proof in POST setup and DELETE (S4, S7, S8, S10, S16).

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use two_factor_tests::service::{HOME, Reply, TestService, User, WORK, wrong};

/// Limits under which a test comes to each state in a few requests.
const QUICK: &[(&str, &str)] = &[("SMS_COOLDOWN_SECONDS", "0"), ("SMS_MAX_PER_WINDOW", "20")];

/// What this code is answered as a proof of a change, at each place that takes one.
async fn as_proof(user: &User<'_>, code: &str) -> Vec<(&'static str, Reply)> {
    vec![
        ("verify", user.verify_for("change", code).await),
        ("regenerating", user.regenerate_backup_codes(code).await),
        ("replacing", user.replace(WORK, code).await),
        ("turning off", user.disable(code).await),
        ("turning off without a body in a DELETE", user.turn_off_by_post(code).await),
    ]
}

/// Every place that takes a proof gives this answer to the code, with this `purpose` in it.
#[track_caller]
fn all_are(replies: &[(&'static str, Reply)], status: u16, code: &str, purpose: Option<&str>) {
    for (place, reply) in replies {
        assert_eq!((reply.status, reply.problem()), (status, code), "{place}: {}", reply.body);
        assert_eq!(reply.body.get("purpose").and_then(|name| name.as_str()), purpose, "{place}: {}", reply.body);
    }
}

/// A code that is none of these two.
fn neither(one: &str, other: &str) -> &'static str {
    ["000000", "111111", "222222"].into_iter().find(|guess| ![one, other].contains(guess)).expect("two codes are not three")
}

async fn guesses_left(user: &User<'_>) -> u64 {
    user.status().await.expect(200).body["live_code"]["attempts_remaining"].as_u64().expect("a code is out")
}

#[tokio::test]
async fn first_a_disabled_number_without_a_replacement_out_whatever_else_holds_s8() {
    let settings = [
        ("LOCK_AFTER_FAILURES", "3"),
        ("DISABLE_AFTER_FAILURES", "3"),
        ("CODE_MAX_ATTEMPTS", "3"),
        ("SMS_COOLDOWN_SECONDS", "0"),
    ];
    let service = TestService::development(&settings).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    let code = alice.send_sms().await.expect(200).development_code();
    for _ in 0..3 {
        alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    }
    let status = alice.status().await.expect(200).body;
    assert_eq!(
        (&status["factor_disabled"], &status["locked_for"], &status["live_code"]),
        (&json!(true), &json!(900), &json!(null))
    );
    for judged in [code.as_str(), wrong(&code)] {
        all_are(&as_proof(&alice, judged).await, 403, "factor_disabled", None);
        alice.verify(judged).await.expect_problem(403, "factor_disabled");
        alice.verify_for("sign_in", judged).await.expect_problem(403, "factor_disabled");
    }

    // With a replacement out the rule does not hold: its code is judged like any other.
    let code = alice.replace(WORK, &backup_codes[0]).await.expect(200).development_code();
    all_are(&as_proof(&alice, &code).await, 409, "wrong_purpose", Some("replace"));
    alice.verify_for("sign_in", &code).await.expect_problem(409, "wrong_purpose");
    alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    assert_eq!(alice.verify(&code).await.expect(200).body["purpose"], "replace", "the usual purpose while disabled");
    assert_eq!(alice.status().await.body["factor_disabled"], false);
}

#[tokio::test]
async fn then_a_lock_before_purpose_age_and_attempts_and_whether_the_code_is_right_s10() {
    let settings = [("LOCK_AFTER_FAILURES", "3"), ("CODE_MAX_ATTEMPTS", "3"), ("SMS_COOLDOWN_SECONDS", "0")];
    let service = TestService::development(&settings).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    let superseded = alice.send_sms().await.expect(200).development_code();
    let code = alice.send_sms().await.expect(200).development_code();
    let guess = neither(&superseded, &code);
    for _ in 0..3 {
        alice.verify(guess).await.expect_problem(400, "invalid_code");
    }
    for (seconds, reason) in [(0, "its guesses are used up"), (300, "it has expired, too")] {
        service.clock.pass(seconds);
        for judged in [code.as_str(), guess, &superseded] {
            all_are(&as_proof(&alice, judged).await, 429, "locked", None);
            let refused = alice.verify_for("sign_in", judged).await;
            refused.expect_problem(429, "locked");
            assert_eq!(refused.body["retry_after"], 900 - seconds, "{reason}");
        }
    }

    // Before there being no code at all, too: a dropped enrollment leaves the lock.
    let bob = service.user("bob");
    let code = bob.setup(WORK).await.expect(200).development_code();
    for _ in 0..3 {
        bob.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    }
    bob.call(Method::DELETE, "setup", json!(null)).await.expect(200);
    assert_eq!(bob.status().await.body["live_code"], json!(null));
    bob.verify(&code).await.expect_problem(429, "locked");
}

#[tokio::test]
async fn then_there_being_no_code_s3() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    all_are(&as_proof(&alice, "123456").await, 409, "no_pending_verification", None);
    let code = alice.send_sms_for("change").await.expect(200).development_code();
    alice.verify_for("change", &code).await.expect(200);
    all_are(&as_proof(&alice, &code).await, 409, "no_pending_verification", None);
    alice.verify_for("sign_in", &code).await.expect_problem(409, "no_pending_verification");
    assert_eq!(alice.status().await.body["enabled"], true, "a code that was spent proves nothing any more");
}

#[tokio::test]
async fn then_another_purpose_before_age_and_attempts_and_whether_the_code_is_right_s4() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    let superseded = alice.send_sms_for("change").await.expect(200).development_code();
    let code = alice.send_sms().await.expect(200).development_code();
    for judged in [code.as_str(), wrong(&code), &superseded] {
        all_are(&as_proof(&alice, judged).await, 409, "wrong_purpose", Some("sign_in"));
        alice.verify_for("confirm", judged).await.expect_problem(409, "wrong_purpose");
    }
    assert_eq!(guesses_left(&alice).await, 5, "it costs no guess");
    for _ in 0..5 {
        alice.verify(neither(&superseded, &code)).await.expect_problem(400, "invalid_code");
    }
    assert_eq!(guesses_left(&alice).await, 0);
    all_are(&as_proof(&alice, &code).await, 409, "wrong_purpose", Some("sign_in"));
    service.clock.pass(300);
    all_are(&as_proof(&alice, &code).await, 409, "wrong_purpose", Some("sign_in"));
}

#[tokio::test]
async fn then_age_before_attempts_and_whether_the_code_is_right_s2() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    let superseded = alice.send_sms_for("change").await.expect(200).development_code();
    let code = alice.send_sms_for("change").await.expect(200).development_code();
    let other = neither(&superseded, &code);
    for _ in 0..5 {
        alice.verify_for("change", other).await.expect_problem(400, "invalid_code");
    }
    service.clock.pass(300);
    for judged in [code.as_str(), other, &superseded] {
        all_are(&as_proof(&alice, judged).await, 400, "code_expired", None);
    }
    assert_eq!(alice.status().await.body["live_code"], json!(null));
    let code = alice.send_sms_for("change").await.expect(200).development_code();
    assert_eq!(alice.verify_for("change", &code).await.expect(200).body["failed_attempts"], 5, "no more than were judged");
}

#[tokio::test]
async fn then_attempts_before_whether_the_code_is_right_s7() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    let superseded = alice.send_sms_for("change").await.expect(200).development_code();
    let code = alice.send_sms_for("change").await.expect(200).development_code();
    let other = neither(&superseded, &code);
    // A wrong proof is a wrong guess, wherever it is handed in.
    for (judged, left) in as_proof(&alice, other).await.iter().zip([4, 3, 2, 1, 0]) {
        let (place, reply) = judged;
        assert_eq!((reply.problem(), &reply.body["attempts_remaining"]), ("invalid_code", &json!(left)), "{place}");
    }
    for judged in [code.as_str(), other, &superseded] {
        all_are(&as_proof(&alice, judged).await, 429, "too_many_attempts", None);
    }
}

#[tokio::test]
async fn then_the_right_code_which_alone_is_spent_s3_s16() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    for place in 0..5 {
        if alice.status().await.body["enabled"] == false {
            alice.enroll(HOME).await;
        }
        let superseded = alice.send_sms_for("change").await.expect(200).development_code();
        let code = alice.send_sms_for("change").await.expect(200).development_code();
        // None of these spends it.
        alice.verify_for("sign_in", &code).await.expect_problem(409, "wrong_purpose");
        if superseded != code {
            alice.verify_for("change", &superseded).await.expect_problem(400, "code_superseded");
        }
        alice.replace(HOME, &code).await.expect_problem(409, "already_enabled");
        let accepted = match place {
            0 => alice.verify_for("change", &code).await,
            1 => alice.regenerate_backup_codes(&code).await,
            2 => alice.replace(WORK, &code).await,
            3 => alice.disable(&code).await,
            _ => alice.turn_off_by_post(&code).await,
        };
        accepted.expect(200);
        alice.verify_for("change", &code).await.expect(409);
        service.clock.pass(3600);
    }
}

#[tokio::test]
async fn then_a_code_that_was_replaced_of_which_four_are_remembered() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    let mut codes = Vec::new();
    for purpose in ["sign_in", "confirm", "change", "sign_in", "confirm", "change"] {
        codes.push(alice.send_sms_for(purpose).await.expect(200).development_code());
    }
    let distinct: BTreeSet<_> = codes.iter().collect();
    if distinct.len() < codes.len() {
        return; // Two codes of six are the same once in 70,000 runs, and then there is nothing to tell apart.
    }
    for code in &codes[1..5] {
        all_are(&as_proof(&alice, code).await, 400, "code_superseded", Some("change"));
    }
    assert_eq!(guesses_left(&alice).await, 5, "it costs no guess");
    let forgotten = alice.verify_for("change", &codes[0]).await;
    forgotten.expect_problem(400, "invalid_code");
    assert_eq!(guesses_left(&alice).await, 4, "the fifth is not remembered");
    alice.verify_for("change", &codes[5]).await.expect(200);
}

#[tokio::test]
async fn a_code_that_was_replaced_is_remembered_for_one_life_of_a_code() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    let first = alice.send_sms().await.expect(200).development_code();
    service.clock.pass(200);
    let second = alice.send_sms().await.expect(200).development_code();
    service.clock.pass(299);
    let third = alice.send_sms().await.expect(200).development_code();
    if [&second, &third].contains(&&first) {
        return; // Nothing to tell apart.
    }
    alice.verify(&first).await.expect_problem(400, "code_superseded");
    service.clock.pass(1);
    alice.verify(&first).await.expect_problem(400, "invalid_code");
    assert_eq!(alice.verify(&third).await.expect(200).body["failed_attempts"], 1);
}

#[tokio::test]
async fn last_a_wrong_code_which_alone_counts_a_guess_s7() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    for purpose in ["sign_in", "confirm", "change"] {
        let code = alice.send_sms_for(purpose).await.expect(200).development_code();
        for left in [4, 3] {
            let refused = alice.verify_for(purpose, wrong(&code)).await;
            refused.expect_problem(400, "invalid_code");
            assert_eq!((&refused.body["attempts_remaining"], guesses_left(&alice).await), (&json!(left), left));
        }
        let accepted = alice.verify_for(purpose, &code).await.expect(200).body;
        assert_eq!((&accepted["failed_attempts"], &accepted["last_failed_at"]), (&json!(2), &json!("2027-01-01T00:00:00Z")));
        let again = alice.send_sms_for(purpose).await.expect(200).development_code();
        let accepted = alice.verify_for(purpose, &again).await.expect(200).body;
        assert_eq!((&accepted["failed_attempts"], accepted.get("last_failed_at")), (&json!(0), None), "a right code starts anew");
    }
}

#[tokio::test]
async fn wrong_codes_of_both_kinds_are_told_together_by_the_next_right_one_of_either_s8() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    for (round, by_backup_code) in [false, true].into_iter().enumerate() {
        let code = alice.send_sms().await.expect(200).development_code();
        alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
        alice.verify("0000-0000-0000-0000").await.expect_problem(400, "invalid_code");
        service.clock.pass(1);
        alice.disable("0000-0000-0000-0000").await.expect_problem(400, "invalid_code");
        service.clock.pass(1);
        let accepted = alice.verify(if by_backup_code { &backup_codes[round] } else { &code }).await.expect(200).body;
        let told = ["2027-01-01T00:00:01Z", "2027-01-01T00:00:03Z"][round];
        assert_eq!((&accepted["failed_attempts"], &accepted["last_failed_at"]), (&json!(3), &json!(told)));
    }
    // A proof starts them anew, too.
    alice.verify("0000-0000-0000-0000").await.expect_problem(400, "invalid_code");
    alice.regenerate_backup_codes(&backup_codes[2]).await.expect(200);
    let code = alice.send_sms().await.expect(200).development_code();
    assert_eq!(alice.verify(&code).await.expect(200).body["failed_attempts"], 0);
}

#[tokio::test]
async fn a_sign_in_page_turns_no_pending_number_on() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    let refused = alice.verify_for("sign_in", &code).await;
    refused.expect_problem(409, "wrong_purpose");
    assert_eq!(refused.body["purpose"], "enroll");
    assert_eq!(alice.status().await.body["enabled"], false);
    alice.verify_for("enroll", &code).await.expect(200);
}

#[tokio::test]
async fn a_backup_code_serves_signing_in_confirming_and_changing_and_nothing_else_s16() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    alice.setup(HOME).await.expect(200);
    alice.verify("0123-4567-89AB-CDEF").await.expect_problem(409, "no_pending_verification");
    let backup_codes = alice.enroll(HOME).await;
    for (purpose, code) in ["sign_in", "confirm", "change"].into_iter().zip(&backup_codes) {
        let accepted = alice.verify_for(purpose, code).await.expect(200).body;
        assert_eq!((&accepted["method"], &accepted["purpose"]), (&json!("backup_code"), &json!(purpose)));
    }
    // Whatever code is out, and for whatever.
    alice.replace(WORK, &backup_codes[3]).await.expect(200);
    assert_eq!(alice.verify(&backup_codes[4]).await.expect(200).body["purpose"], "sign_in", "where none is named");
    for purpose in ["enroll", "replace"] {
        alice.verify_for(purpose, &backup_codes[5]).await.expect_problem(400, "invalid_request");
    }
    let status = alice.status().await.body;
    assert_eq!((&status["phone_number_masked"], &status["backup_codes_remaining"]), (&json!("+1****0123"), &json!(5)));
}

#[tokio::test]
async fn a_code_counts_as_people_paste_it() {
    let service = TestService::development(QUICK).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    let spellings: [fn(&str) -> String; 6] = [
        |code| format!("#{code}"),
        |code| format!("{code}."),
        |code| format!("{}-{}", &code[..3], &code[3..]),
        |code| format!("\u{a0}{}\u{2009}{}\r\n", &code[..3], &code[3..]),
        |code| code.chars().map(|digit| char::from_u32(u32::from(digit) + 0xfee0).unwrap()).collect(),
        |code| format!(" # {code} . "),
    ];
    for spell in spellings {
        let code = alice.send_sms().await.expect(200).development_code();
        alice.verify(&spell(&code)).await.expect(200);
    }
    for (code, spelled) in backup_codes.iter().zip([
        backup_codes[0].to_lowercase(),
        backup_codes[1].replace('-', ""),
        format!(" {} ", backup_codes[2].replace('-', "\u{a0}")),
        backup_codes[3].replace('0', "O").replace('1', "I"),
        backup_codes[4].to_lowercase().replace('0', "o").replace('1', "l"),
    ]) {
        alice.verify(&spelled).await.expect(200);
        alice.verify(code).await.expect_problem(400, "invalid_code");
    }
}
