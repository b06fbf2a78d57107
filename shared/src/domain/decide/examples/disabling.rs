//! A number that is disabled, and the way back; what an operator may do (S8).

use super::*;

#[test]
fn a_hundred_wrong_codes_disable_the_number_s8() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    let Policy { disable_after_failures: 100, .. } = story.rules.policy else { panic!() };
    for count in 1..=100 {
        if count % 5 == 1 {
            story.pass(DAY);
            story.send(Purpose::SignIn).unwrap();
        }
        assert!(!story.status().factor_disabled, "before wrong code {count}");
        story.fail(Purpose::SignIn, 1);
    }
    let status = story.status();
    assert!(status.factor_disabled && status.active.is_some(), "2FA is on all the same: signing in takes a backup code");
    assert_eq!(status.live_code, None);
    assert_eq!(
        story.trail(),
        [(AuditKind::Verify, "invalid_code"), (AuditKind::Locked, "success"), (AuditKind::FactorDisabled, "success")]
    );
}

#[test]
fn a_disabled_number_gets_no_code_and_proves_nothing_s8() {
    let (mut story, codes) = Story::disabled();
    for purpose in [None, Some(Purpose::SignIn), Some(Purpose::Confirm), Some(Purpose::Change)] {
        assert_eq!(story.send(purpose), Err(Refusal::FactorDisabled), "a code could never be accepted");
        assert_eq!(story.verify(story.code(), purpose), Err(Refusal::FactorDisabled));
    }
    assert_eq!(story.disable(story.code()), Err(Refusal::FactorDisabled));
    assert_eq!(story.setup(HOME, story.code()), Err(Refusal::FactorDisabled));
    assert_eq!(story.setup(HOME, None), Err(Refusal::VerificationRequired));
    for purpose in [Purpose::Replace, Purpose::Enroll] {
        assert_eq!(story.send(purpose), Err(Refusal::NoPendingVerification), "there is no number for it");
    }

    for (code, purpose) in codes.iter().zip([Purpose::SignIn, Purpose::Confirm, Purpose::Change]) {
        assert!(story.verify(backup(code), purpose).is_ok(), "backup codes go on");
        assert!(story.status().factor_disabled, "a right code sets the counts to zero, and no more");
    }
    let Ok(Answer::Confirmed { backup_codes: Some(new), .. }) = story.regenerate(backup(&codes[3])) else { panic!() };
    assert_eq!(story.send(None), Err(Refusal::FactorDisabled));
    assert_eq!(story.disable(backup(&new[0])), Ok(Answer::Disabled));
    story.enroll(HOME);
}

#[test]
fn a_disabled_number_is_bound_again_with_a_backup_code_or_another_in_its_place_s8() {
    for phone in [HOME, WORK] {
        let (mut story, codes) = Story::disabled();
        assert_eq!(sent(story.setup(phone, backup(&codes[0]))), (number(phone), 5), "the user's own five are untouched");
        story.pass(30);
        assert_eq!(sent(story.send(None)), (number(phone), 4), "while disabled the usual purpose is to replace");
        assert_eq!(story.last_code().purpose, Purpose::Replace);
        assert_eq!(story.send(Purpose::SignIn), Err(Refusal::FactorDisabled), "the old number stays disabled");
        story.fail(Purpose::Replace, 1);
        let Ok(Answer::Bound { purpose: Purpose::Replace, .. }) = story.verify(story.code(), None) else { panic!() };
        let status = story.status();
        assert_eq!((status.active.unwrap().phone, status.factor_disabled), (number(phone), false));
        story.pass(30);
        let proof = story.fresh(Purpose::SignIn);
        assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 0);
    }
}

#[test]
fn what_waits_while_a_number_is_disabled_is_judged_for_its_own_purpose_alone() {
    let (mut story, codes) = Story::disabled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    for purpose in [Purpose::SignIn, Purpose::Confirm, Purpose::Change] {
        assert_eq!(story.verify(story.code(), purpose), wrong_purpose(Purpose::Replace));
    }
    assert_eq!(story.disable(story.code()), wrong_purpose(Purpose::Replace));
    story.refuse_last(DeliveryReason::ProviderUnavailable);
    assert_eq!(story.verify(story.code(), None), Err(Refusal::NoPendingVerification), "a replacement is out, its code is not");
    story.pass(HOUR);
    assert_eq!(story.verify(story.code(), None), Err(Refusal::FactorDisabled), "none is out any more");
}

#[test]
fn a_hundred_wrong_codes_while_a_number_waits_drop_it_and_take_another_backup_code_s8() {
    for first_disabled in [true, false] {
        let (mut story, codes) = if first_disabled { Story::disabled() } else { Story::enrolled() };
        story.rules.policy.pending_ttl = secs(100 * DAY);
        story.setup(WORK, backup(&codes[0])).unwrap();
        story.fail_until_disabled(Purpose::Replace);
        assert_eq!(story.pending(), None);
        story.pass(DAY);
        assert_eq!(story.send(None), Err(Refusal::FactorDisabled));
        assert_eq!(story.verify(story.code(), Purpose::Replace), Err(Refusal::FactorDisabled));
        assert!(story.setup(WORK, backup(&codes[1])).is_ok());
        assert!(story.verify(story.code(), Purpose::Replace).is_ok());
    }
}

#[test]
fn an_enrollment_is_never_disabled_only_locked() {
    let mut story = Story::new();
    for day in 0..40 {
        story.pass(DAY);
        story.setup(HOME, None).unwrap();
        story.fail(Purpose::Enroll, 5);
        assert_eq!(story.status().locked_for.is_zero(), day % 2 == 0, "every ten wrong codes lock");
    }
    assert!(!story.status().factor_disabled);
    story.pass(DAY);
    story.enroll(HOME);
    story.pass(30);
    let proof = story.fresh(Purpose::SignIn);
    assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 0);
}

#[test]
fn an_operator_lifts_a_lock_and_a_disabled_number_stays_disabled() {
    let (mut story, _) = Story::enrolled_with(Policy { lock_after_failures: 1, ..Policy::default() });
    let proof = story.fresh(Purpose::SignIn);
    story.fail(Purpose::SignIn, 1);
    story.verify(wrong_backup(), None).unwrap_err();
    assert!(matches!(story.verify(proof.clone(), None), Err(Refusal::Locked { .. })));
    assert_eq!(story.run(&Command::Unlock), Ok(Answer::Done));
    assert_eq!((story.trail(), story.told()), (vec![(AuditKind::OperatorUnlock, "success")], None));
    assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 0);

    let (mut story, _) = Story::disabled();
    assert_eq!(story.run(&Command::Unlock), Ok(Answer::Done));
    assert_eq!(story.send(None), Err(Refusal::FactorDisabled));
}

#[test]
fn an_operator_removes_a_factor_or_what_is_pending_and_its_counts() {
    let (mut story, codes) = Story::disabled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    story.fail(Purpose::Replace, 1);
    assert_eq!(story.run(&Command::Reset), Ok(Answer::Done));
    assert_eq!(story.trail(), [(AuditKind::OperatorReset, "success")]);
    assert_eq!(story.events[0].phone, Some(number(HOME)));
    let status = story.status();
    assert_eq!((status.active, status.pending, status.live_code, status.backup_codes_remaining), (None, None, None, 0));
    assert_eq!(story.run(&Command::Reset), Err(Refusal::NotEnabled));
    assert_eq!(story.account().sms.failed_attempts, FailedAttempts::default());

    story.pass(HOUR);
    story.setup(WORK, None).unwrap();
    assert_eq!(story.run(&Command::Reset), Ok(Answer::Done));
    assert_eq!((story.pending(), story.told()), (None, None), "no number was active, so none is told");
    assert_eq!(story.verify(story.code(), None), Err(Refusal::NoPendingVerification));
}
