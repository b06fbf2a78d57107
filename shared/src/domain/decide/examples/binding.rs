//! Enrollment, replacement, turning off, and the proof that each change takes (S3, S4, S15 to S17).

use super::*;

#[test]
fn setup_sends_a_code_and_the_code_turns_2fa_on_s3_s15() {
    let mut story = Story::new();
    let answer = story.setup(HOME, None);
    let (expires_in, resend_in) = (secs(300), secs(30));
    let expected = Answer::CodeSent { purpose: Purpose::Enroll, phone: number(HOME), expires_in, resend_in, sends_remaining: 4 };
    assert_eq!(answer, Ok(expected));
    assert_eq!(story.trail(), [(AuditKind::Setup, "success"), (AuditKind::Send, "success")]);
    assert_eq!((story.last_code().to.clone(), story.active()), (number(HOME), None), "not before the code came back");

    let Ok(Answer::Bound { purpose: Purpose::Enroll, phone, backup_codes }) = story.verify(story.code(), None) else { panic!() };
    assert_eq!((phone, backup_codes.len()), (number(HOME), 10));
    assert_eq!(story.trail(), [(AuditKind::Verify, "success"), (AuditKind::Enabled, "success")]);
    let active = ActivePhone { phone: number(HOME), enabled_at: story.now };
    assert_eq!(story.status().active, Some(active));
    for purpose in [None, Some(Purpose::Enroll)] {
        assert_eq!(story.verify(story.code(), purpose), Err(Refusal::NoPendingVerification), "once");
    }
}

#[test]
fn setting_up_again_replaces_the_pending_number_and_kills_the_code_of_the_first_s4() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    let first = story.code();
    assert_eq!(sent(story.setup(WORK, None)), (number(WORK), 3), "correcting a typing error waits for nothing");
    assert_eq!(story.verify(first, None), superseded(Purpose::Enroll));
    story.pass(30);
    assert_eq!(sent(story.send(None)).0, number(WORK));
    story.verify(story.code(), None).unwrap();
    assert_eq!(story.active(), Some(number(WORK)));
}

#[test]
fn an_enrollment_lapses_after_an_hour_and_its_code_with_it_however_often_it_was_sent() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    story.pass(HOUR - 100);
    let Ok(Answer::CodeSent { expires_in, .. }) = story.send(None) else { panic!() };
    assert_eq!(expires_in, secs(100), "a code does not outlive what it is for");
    story.pass(99);
    assert_eq!(story.pending(), Some(number(HOME)));
    story.pass(1);
    assert_eq!(story.pending(), None);
    assert_eq!(story.verify(story.code(), None), Err(Refusal::NoPendingVerification));
    assert_eq!(story.send(None), Err(Refusal::NoPendingVerification));
    assert_eq!(story.disable(None), Err(Refusal::NotEnabled));
}

#[test]
fn a_proof_that_is_not_needed_is_ignored() {
    let mut story = Story::new();
    story.setup(HOME, wrong_backup()).unwrap();
    story.setup(WORK, story.wrong()).unwrap();
    assert_eq!(story.disable(wrong_backup()), Ok(Answer::Disabled));
    story.pass(HOUR);
    story.setup(HOME, None).unwrap();
    story.verify(story.code(), None).unwrap();
    story.pass(30);
    let proof = story.fresh(Purpose::SignIn);
    assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 0, "nothing was judged");
}

#[test]
fn without_a_proof_nothing_changes_and_nothing_is_told_about_the_number_s16() {
    let (mut story, _) = Story::enrolled();
    for phone in [WORK, HOME] {
        assert_eq!(story.setup(phone, None), Err(Refusal::VerificationRequired), "{phone}");
    }
    assert_eq!(story.disable(None), Err(Refusal::VerificationRequired));
    assert_eq!((story.active(), story.pending()), (Some(number(HOME)), None));
}

#[test]
fn already_enabled_comes_after_the_proof_which_is_not_spent() {
    let (mut story, codes) = Story::enrolled();
    let proof = story.fresh(Purpose::Change);
    assert_eq!(story.setup(HOME, story.wrong()), invalid(4), "a wrong proof is told that it is wrong, and no more");
    assert_eq!(story.setup(HOME, wrong_backup()), invalid_backup());
    assert_eq!(story.setup(HOME, proof.clone()), Err(Refusal::AlreadyEnabled));
    assert_eq!(story.setup(HOME, backup(&codes[0])), Err(Refusal::AlreadyEnabled));
    assert_eq!(story.status().backup_codes_remaining, 10);
    assert_eq!(accepted(story.verify(proof, Purpose::Change)).failed_attempts, 2, "nor was any count set to zero");
    assert_eq!(story.setup(WORK, backup(&codes[0])).map(sent_to), Ok(number(WORK)));
}

fn sent_to(answer: Answer) -> PhoneNumber {
    sent(Ok(answer)).0
}

#[test]
fn the_old_number_serves_until_the_new_one_is_verified_and_is_gone_then_s15_s17() {
    let (mut story, codes) = Story::enrolled();
    let proof = story.fresh(Purpose::Change);
    let Ok(Answer::CodeSent { purpose: Purpose::Replace, phone, .. }) = story.setup(WORK, proof) else { panic!() };
    assert_eq!((phone, story.last_code().to.clone()), (number(WORK), number(WORK)));
    assert_eq!(story.trail(), [(AuditKind::Replace, "success"), (AuditKind::Send, "success")]);
    assert_eq!((story.active(), story.pending()), (Some(number(HOME)), Some(number(WORK))));

    story.pass(30);
    assert_eq!(sent(story.send(None)).0, number(HOME), "signing in does not depend on what is pending");
    assert_eq!(accepted(story.verify(story.code(), None)).method, Method::Sms);
    assert_eq!(story.pending(), Some(number(WORK)), "nor does what is pending depend on signing in");

    assert_eq!(sent(story.send(Purpose::Replace)).0, number(WORK));
    let Ok(Answer::Bound { purpose: Purpose::Replace, phone, backup_codes }) = story.verify(story.code(), Purpose::Replace)
    else {
        panic!()
    };
    assert_eq!((phone, backup_codes.len()), (number(WORK), 10));
    assert_eq!(story.trail(), [(AuditKind::Verify, "success"), (AuditKind::Replaced, "success")]);
    let status = story.status();
    assert_eq!((status.active, status.pending), (Some(ActivePhone { phone: number(WORK), enabled_at: story.now }), None));
    assert_eq!(story.verify(backup(&codes[0]), None), invalid_backup(), "the old set is gone");
    assert!(story.verify(backup(&backup_codes[0]), None).is_ok());
    story.pass(30);
    assert_eq!(sent(story.send(None)).0, number(WORK));
}

#[test]
fn a_replacement_takes_two_of_the_five_messages_of_an_hour_and_each_mistyped_number_two_more() {
    let (mut story, _) = Story::enrolled();
    for (phone, left) in [(OTHER, 3), (WORK, 1)] {
        let proof = story.fresh(Purpose::Change);
        assert_eq!(sent(story.setup(phone, proof)), (number(phone), left), "the new number waits for nothing");
        story.pass(30);
    }
    story.verify(story.code(), Purpose::Replace).unwrap();
    assert_eq!(story.active(), Some(number(WORK)));
}

#[test]
fn a_right_proof_that_a_limit_refuses_is_not_spent_and_resets_nothing() {
    let (mut story, codes) = Story::enrolled();
    for user in ["bob", "carol", "dave", "erin", "frank"] {
        story.user = user;
        story.setup(WORK, None).unwrap();
    }
    story.user = "alice";
    let proof = story.fresh(Purpose::Change);
    story.fail(Purpose::Change, 1);
    for proof in [proof.clone(), backup(&codes[0])] {
        assert_eq!(story.setup(WORK, proof), rate_limited(SendLimit::Number, 3600));
        assert_eq!(story.pending(), None);
    }
    assert_eq!(story.status().backup_codes_remaining, 10);
    story.setup(OTHER, proof).unwrap();
    let answer = story.verify(backup(&codes[0]), None);
    assert_eq!(accepted(answer).failed_attempts, 0, "the proof that was taken started new counts");
}

#[test]
fn a_count_stays_where_a_right_proof_was_refused() {
    let (mut story, codes) = Story::enrolled();
    let proof = story.fresh(Purpose::Change);
    story.fail(Purpose::Change, 3);
    assert_eq!(story.setup(HOME, proof), Err(Refusal::AlreadyEnabled));
    assert_eq!(accepted(story.verify(backup(&codes[0]), None)).failed_attempts, 3);
}

#[test]
fn after_a_refused_delivery_the_number_stays_pending_and_another_one_takes_another_proof() {
    let (mut story, _) = Story::enrolled();
    let proof = story.fresh(Purpose::Change);
    story.setup(WORK, proof.clone()).unwrap();
    story.refuse_last(DeliveryReason::ProviderUnavailable);
    assert_eq!(story.pending(), Some(number(WORK)));
    assert_eq!(story.verify(story.code(), Purpose::Replace), Err(Refusal::NoPendingVerification), "nobody ever saw that code");
    story.pass(30);
    assert_eq!(sent(story.send(Purpose::Replace)).0, number(WORK), "without a proof");
    story.refuse_last(DeliveryReason::NotMobile);
    assert_eq!(story.setup(OTHER, None), Err(Refusal::VerificationRequired));
    assert_eq!(story.setup(OTHER, proof), Err(Refusal::NoPendingVerification), "the first proof is spent");
    let proof = story.fresh(Purpose::Change);
    assert_eq!(sent(story.setup(OTHER, proof)).0, number(OTHER));
    story.verify(story.code(), Purpose::Replace).unwrap();
    assert_eq!(story.active(), Some(number(OTHER)));
}

#[test]
fn a_replacement_lapses_and_the_active_number_serves_on() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    story.pass(HOUR);
    assert_eq!(story.verify(story.code(), Purpose::Replace), Err(Refusal::NoPendingVerification));
    assert_eq!(story.send(Purpose::Replace), Err(Refusal::NoPendingVerification));
    let proof = story.fresh(Purpose::SignIn);
    story.pass(1);
    assert!(story.verify(proof, None).is_ok());
    assert_eq!(story.active(), Some(number(HOME)));
}

#[test]
fn a_sign_in_code_outlives_the_replacement_that_lapses_meanwhile() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    story.pass(HOUR - 1);
    let proof = story.fresh(Purpose::SignIn);
    story.pass(1);
    assert_eq!(story.pending(), None);
    assert!(story.verify(proof, None).is_ok());
}

#[test]
fn turning_off_takes_a_proof_and_leaves_nothing_s16() {
    for by_sms in [true, false] {
        let (mut story, codes) = Story::enrolled();
        story.setup(WORK, backup(&codes[9])).unwrap();
        assert_eq!(story.disable(None), Err(Refusal::VerificationRequired));
        assert_eq!(story.disable(wrong_backup()), invalid_backup());
        assert_eq!(story.active(), Some(number(HOME)));
        let proof = if by_sms { story.fresh(Purpose::Change) } else { backup(&codes[0]) };
        assert_eq!(story.disable(proof), Ok(Answer::Disabled));
        assert_eq!(story.trail(), [(AuditKind::Disable, "success")]);
        let status = story.status();
        assert_eq!((status.active, status.pending, status.live_code), (None, None, None));
        assert_eq!(status.backup_codes_remaining, 0);
        assert_eq!(story.disable(backup(&codes[1])), Err(Refusal::NotEnabled));
        assert_eq!(story.verify(backup(&codes[1]), None), Err(Refusal::NoPendingVerification));
        assert_eq!(story.send(Purpose::SignIn), Err(Refusal::NoPendingVerification));
        story.pass(HOUR);
        story.enroll(HOME);
    }
}

#[test]
fn an_enrollment_that_was_never_verified_is_dropped_without_a_code() {
    let mut story = Story::new();
    assert_eq!(story.disable(None), Err(Refusal::NotEnabled), "nothing there");
    story.setup(HOME, None).unwrap();
    assert_eq!(story.disable(None), Ok(Answer::Disabled));
    assert_eq!(story.events[0].phone, Some(number(HOME)), "the trail names the number");
    assert_eq!(story.verify(story.code(), None), Err(Refusal::NoPendingVerification));
    assert_eq!(story.disable(None), Err(Refusal::NotEnabled));
}

#[test]
fn only_a_change_code_or_a_backup_code_changes_the_factor_s4_s16() {
    let (mut story, codes) = Story::enrolled();
    story.setup(OTHER, backup(&codes[0])).unwrap();
    for live in [Purpose::SignIn, Purpose::Confirm, Purpose::Replace] {
        let proof = story.fresh(live);
        assert_eq!(story.setup(WORK, proof.clone()), wrong_purpose(live));
        assert_eq!(story.disable(proof.clone()), wrong_purpose(live));
        assert_eq!(story.regenerate(proof.clone()), wrong_purpose(live));
        assert_eq!(story.setup(WORK, story.wrong()), wrong_purpose(live), "a wrong one is not judged either");
        let status = story.status();
        assert_eq!((status.active.unwrap().phone, status.pending), (number(HOME), Some(number(OTHER))));
        assert_eq!(status.live_code.unwrap().attempts_remaining, 5, "none was counted, none was spent");
        story.pass(HOUR / 4);
    }
}

#[test]
fn a_change_code_signs_nobody_in_and_confirms_nothing_s4() {
    let (mut story, _) = Story::enrolled();
    let proof = story.fresh(Purpose::Change);
    for purpose in [None, Some(Purpose::SignIn), Some(Purpose::Confirm)] {
        assert_eq!(story.verify(proof.clone(), purpose), wrong_purpose(Purpose::Change));
    }
    let Ok(Answer::Confirmed { purpose: Purpose::Change, backup_codes: None, .. }) = story.verify(proof, Purpose::Change) else {
        panic!()
    };
}

#[test]
fn a_sign_in_page_never_turns_a_pending_number_on_s4() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    assert_eq!(story.verify(story.code(), Purpose::SignIn), wrong_purpose(Purpose::Enroll));
    assert_eq!(story.active(), None);
    assert!(story.verify(story.code(), Purpose::Enroll).is_ok());

    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    for purpose in [None, Some(Purpose::SignIn), Some(Purpose::Confirm), Some(Purpose::Change), Some(Purpose::Enroll)] {
        assert_eq!(story.verify(story.code(), purpose), wrong_purpose(Purpose::Replace));
    }
    assert_eq!(story.active(), Some(number(HOME)));
    assert!(story.verify(story.code(), Purpose::Replace).is_ok());
}

#[test]
fn what_a_code_of_the_active_number_serves_binds_no_number_s4() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    for live in [Purpose::SignIn, Purpose::Confirm, Purpose::Change] {
        let proof = story.fresh(live);
        assert_eq!(story.verify(proof.clone(), Purpose::Replace), wrong_purpose(live));
        let Ok(Answer::Confirmed { purpose, backup_codes: None, .. }) = story.verify(proof, live) else { panic!() };
        assert_eq!(purpose, live);
        assert_eq!((story.active(), story.pending()), (Some(number(HOME)), Some(number(WORK))));
        story.pass(30);
    }
}

#[test]
fn regenerating_takes_a_change_code_or_a_backup_code_and_replaces_all_s16_s17() {
    let (mut story, mut codes) = Story::enrolled();
    for by_sms in [true, false] {
        assert_eq!(story.regenerate(wrong_backup()), invalid_backup());
        let proof = if by_sms { story.fresh(Purpose::Change) } else { backup(&codes[0]) };
        let Ok(Answer::Confirmed { purpose: Purpose::Change, accepted, backup_codes_remaining: 10, backup_codes }) =
            story.regenerate(proof)
        else {
            panic!()
        };
        assert_eq!(accepted.failed_attempts, 1);
        assert_eq!(story.trail(), [(AuditKind::Verify, "success"), (AuditKind::BackupCodesRegenerated, "success")]);
        assert_eq!(story.verify(backup(&codes[1]), None), invalid_backup(), "the old set is gone");
        codes = backup_codes.unwrap();
        assert_eq!(codes.len(), 10);
        assert!(story.verify(backup(&codes[2]), None).is_ok());
        assert_eq!(story.status().backup_codes_remaining, 9);
    }
}

#[test]
fn the_trail_of_a_setup_names_the_number_that_the_code_went_to() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    let phones = |story: &Story| story.events.iter().map(|event| event.phone.clone()).collect::<Vec<_>>();
    assert_eq!(phones(&story), [Some(number(HOME)), Some(number(HOME))]);
    let details = &story.events[1].details;
    assert_eq!((details.purpose, details.provider), (Some(Purpose::Enroll), Some(Provider::Twilio)));
    assert_eq!(details.reference, Some(story.last_code().challenge));

    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    assert_eq!(phones(&story), [Some(number(WORK)), Some(number(WORK))]);
    assert_eq!(story.events[0].details.method, Some(Method::BackupCode));
    story.setup(WORK, wrong_backup()).unwrap_err();
    assert_eq!((story.trail(), phones(&story)), (vec![(AuditKind::Replace, "invalid_code")], vec![Some(number(HOME))]));
}

#[test]
fn an_imported_number_is_active_without_backup_codes_and_nothing_is_sent_s15_s29() {
    let mut story = Story::new();
    assert_eq!(story.run(&Command::Import { phone: number(HOME) }), Ok(Answer::Done));
    assert_eq!((story.trail(), story.told()), (vec![(AuditKind::OperatorImport, "success")], None));
    assert_eq!(story.events[0].phone, Some(number(HOME)));
    assert!(story.people["alice"].last_code.is_none(), "no code went out");
    let status = story.status();
    assert_eq!((status.active.map(|active| active.phone), status.backup_codes_remaining), (Some(number(HOME)), 0));
    let proof = story.fresh(Purpose::SignIn);
    assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 0);

    assert_eq!(story.run(&Command::Import { phone: number(HOME) }), Err(Refusal::AlreadyEnabled));
    assert_eq!(story.run(&Command::Import { phone: number(WORK) }), Err(Refusal::VerificationRequired), "S16");
    let (mut story, _) = Story::disabled();
    for phone in [HOME, WORK] {
        assert_eq!(story.run(&Command::Import { phone: number(phone) }), Err(Refusal::FactorDisabled), "S8");
    }
}

#[test]
fn an_import_ends_an_enrollment_that_is_under_way_and_keeps_its_wrong_codes_s4_s5() {
    let mut story = Story::new();
    story.setup(WORK, None).unwrap();
    story.fail(Purpose::Enroll, 2);
    let code = story.code();
    assert_eq!(story.run(&Command::Import { phone: number(HOME) }), Ok(Answer::Done));
    assert_eq!(story.verify(code, None), Err(Refusal::NoPendingVerification));
    assert_eq!((story.pending(), story.account().sms.failed_attempts.count), (None, 2));
}
