//! Wrong codes in a row: locks, what lifts them, and what a success tells of them (S8 to S10).

use super::*;

/// Locks the account: ten wrong codes for signing in, five at each of two codes.
fn lock(story: &mut Story) {
    story.send(Purpose::SignIn).unwrap();
    story.fail(Purpose::SignIn, 5);
    story.pass(30);
    story.send(Purpose::SignIn).unwrap();
    story.fail(Purpose::SignIn, 5);
}

fn locked(seconds: u64) -> Result<Answer, Refusal> {
    Err(Refusal::Locked { retry_after: secs(seconds), has_backup_codes: true })
}

#[test]
fn ten_wrong_codes_over_all_codes_lock_s8() {
    let (mut story, _) = Story::enrolled();
    story.send(Purpose::SignIn).unwrap();
    story.fail(Purpose::SignIn, 3);
    story.pass(30);
    story.send(Purpose::Confirm).unwrap();
    story.fail(Purpose::Confirm, 5);
    story.pass(30);
    story.send(Purpose::Change).unwrap();
    assert_eq!(story.disable(story.wrong()), invalid(1), "two are left before the lock, four at the code");
    assert_eq!(story.trail(), [(AuditKind::Disable, "invalid_code")]);
    assert_eq!(story.setup(WORK, story.wrong()), invalid(0), "a proof is judged like a code at verify");
    assert_eq!(story.trail(), [(AuditKind::Replace, "invalid_code"), (AuditKind::Locked, "success")]);
    assert_eq!(story.verify(story.code(), Purpose::Change), locked(900));
}

#[test]
fn while_locked_every_code_gets_the_same_answer_and_none_is_consumed_s10() {
    let (mut story, _) = Story::enrolled_with(Policy { lock: secs(100), code_max_attempts: 20, ..Policy::default() });
    let replaced = story.fresh(Purpose::SignIn);
    story.pass(30);
    let live = story.fresh(Purpose::SignIn);
    story.fail(Purpose::SignIn, 10);
    for code in [live.clone(), replaced, story.wrong()] {
        for purpose in [None].into_iter().chain(Purpose::ALL.map(Some)) {
            assert_eq!(story.verify(code.clone(), purpose), locked(100));
        }
        assert_eq!(story.setup(WORK, code.clone()), locked(100));
        assert_eq!(story.disable(code.clone()), locked(100));
        assert_eq!(story.regenerate(code), locked(100));
    }
    story.pass(99);
    assert_eq!(story.verify(live.clone(), None), locked(1));
    story.pass(1);
    assert_eq!(accepted(story.verify(live, None)).failed_attempts, 10);
}

#[test]
fn while_locked_no_code_of_any_purpose_is_sent() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    lock(&mut story);
    story.pass(30);
    for purpose in [None, Some(Purpose::SignIn), Some(Purpose::Confirm), Some(Purpose::Change), Some(Purpose::Replace)] {
        assert_eq!(story.send(purpose), locked(870), "{purpose:?}");
    }
    story.pass(870);
    assert!(story.send(None).is_ok());

    let mut story = Story::new();
    for phone in [HOME, OTHER] {
        story.setup(phone, None).unwrap();
        story.fail(Purpose::Enroll, 5);
    }
    let locked = Err(Refusal::Locked { retry_after: secs(900), has_backup_codes: false });
    assert_eq!(story.setup(WORK, None), locked, "nor is a number enrolled, and there are no backup codes yet");
    assert_eq!(story.send(None), locked);
}

#[test]
fn each_further_lock_doubles_until_a_right_code_starts_anew_s8() {
    let (mut story, _) = Story::enrolled();
    for minutes in [15, 30, 60] {
        lock(&mut story);
        assert_eq!(story.status().locked_for, secs(minutes * 60));
        story.pass(DAY);
    }
    let proof = story.fresh(Purpose::SignIn);
    assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 30);
    story.pass(DAY);
    lock(&mut story);
    assert_eq!(story.status().locked_for, secs(900));
}

#[test]
fn a_right_backup_code_lifts_the_lock_s8() {
    let (mut story, codes) = Story::enrolled();
    lock(&mut story);
    story.pass(30);
    assert_eq!(story.verify(wrong_backup(), None), invalid_backup(), "a wrong one does not");
    assert_eq!(story.verify(story.code(), None), locked(870));
    assert_eq!(accepted(story.verify(backup(&codes[0]), None)).failed_attempts, 11);
    let proof = story.fresh(Purpose::SignIn);
    assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 0);

    story.pass(DAY);
    lock(&mut story);
    assert_eq!(sent(story.setup(WORK, backup(&codes[1]))).0, number(WORK), "in setup too");
    assert!(story.verify(story.code(), Purpose::Replace).is_ok());
}

#[test]
fn without_a_backup_code_left_a_lock_says_so() {
    let (mut story, codes) = Story::enrolled();
    for code in &codes {
        story.verify(backup(code), None).unwrap();
    }
    lock(&mut story);
    assert_eq!(story.verify(story.code(), None), Err(Refusal::Locked { retry_after: secs(900), has_backup_codes: false }));
}

#[test]
fn wrong_backup_codes_neither_lock_nor_disable_and_are_written_down_until_the_owner_is_told_s9() {
    let (mut story, codes) = Story::enrolled();
    for count in 1..=200 {
        assert_eq!(story.verify(wrong_backup(), None), invalid_backup());
        assert_eq!(story.stored, count <= 10, "wrong code {count}");
        assert_eq!(story.told().is_some(), count == 10, "wrong code {count}");
    }
    for answer in [story.setup(WORK, wrong_backup()), story.disable(wrong_backup()), story.regenerate(wrong_backup())] {
        assert_eq!(answer, invalid_backup());
    }
    assert!(!story.stored);
    let proof = story.fresh(Purpose::SignIn);
    assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 10, "they are counted no further");
    story.verify(wrong_backup(), None).unwrap_err();
    assert!(story.stored, "the right code started a new count");
    assert_eq!(accepted(story.verify(backup(&codes[0]), None)).failed_attempts, 1);
}

#[test]
fn a_success_tells_how_many_codes_of_either_kind_were_wrong_before_it_and_when_s8() {
    let (mut story, codes) = Story::enrolled();
    let proof = story.fresh(Purpose::SignIn);
    story.fail(Purpose::SignIn, 2);
    story.pass(7);
    story.verify(wrong_backup(), None).unwrap_err();
    let last_backup = story.now;
    story.pass(7);
    let told = |method, failed_attempts, last_failed_at| Accepted { method, failed_attempts, last_failed_at };
    assert_eq!(accepted(story.verify(proof, None)), told(Method::Sms, 3, Some(last_backup)));

    story.verify(wrong_backup(), None).unwrap_err();
    story.pass(30);
    story.send(Purpose::Confirm).unwrap();
    story.fail(Purpose::Confirm, 1);
    let last_sms = story.now;
    story.pass(7);
    assert_eq!(accepted(story.verify(backup(&codes[0]), None)), told(Method::BackupCode, 2, Some(last_sms)));
    assert_eq!(accepted(story.verify(backup(&codes[1]), None)), told(Method::BackupCode, 0, None));
}

#[test]
fn wrong_codes_stay_counted_through_turning_off_and_on_again_until_a_right_one_s8() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    story.fail(Purpose::Enroll, 4);
    story.disable(None).unwrap();
    story.pass(30);
    story.setup(HOME, None).unwrap();
    story.fail(Purpose::Enroll, 5);
    story.pass(30);
    story.setup(HOME, None).unwrap();
    assert_eq!(story.verify(story.wrong(), None), invalid(0), "the tenth");
    assert!(matches!(story.verify(story.code(), None), Err(Refusal::Locked { .. })));
}
