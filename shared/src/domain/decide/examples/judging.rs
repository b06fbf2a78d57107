//! How a code is judged: the order of the rules, and what each code is good for (S2 to S5, S7, S10, S17).

use super::*;

/// A proof, and what it comes to where the purpose is `change`.
type Scene = (&'static str, fn() -> (Story, Proof), Refusal);

const LOCKED_FOR_AN_HOUR: Refusal = Refusal::Locked { retry_after: Duration::from_secs(3600), has_backup_codes: true };

/// One scene for each rule but the last two, in each of which every rule after it would hold too, as far as that can be.
const SCENES: [Scene; 9] = [
    (
        "a disabled number, although it is locked too",
        || {
            let (mut story, _) = Story::enrolled();
            story.fail_until_disabled(Purpose::Change);
            let code = story.code();
            (story, code)
        },
        Refusal::FactorDisabled,
    ),
    (
        "a lock, although no code is live",
        || {
            let (mut story, codes) = Story::enrolled_with(Policy { lock: secs(2 * HOUR), ..Policy::default() });
            story.setup(WORK, backup(&codes[0])).unwrap();
            story.fail(Purpose::Replace, 5);
            story.pass(30);
            story.send(Purpose::Replace).unwrap();
            story.fail(Purpose::Replace, 5);
            story.pass(HOUR - 30);
            assert_eq!(story.status().live_code, None, "it lapsed with the replacement");
            let code = story.code();
            story.pass(30);
            (story, code)
        },
        LOCKED_FOR_AN_HOUR,
    ),
    (
        "a lock, although the live code is for something else, too old and used up",
        || {
            let (mut story, _) = Story::enrolled_with(Policy { lock: secs(2 * HOUR), ..Policy::default() });
            for _ in 0..2 {
                story.pass(30);
                story.send(Purpose::SignIn).unwrap();
                story.fail(Purpose::SignIn, 5);
            }
            story.pass(HOUR);
            let code = story.code();
            (story, code)
        },
        LOCKED_FOR_AN_HOUR,
    ),
    (
        "no live code",
        || {
            let (mut story, _) = Story::enrolled();
            let code = story.fresh(Purpose::Change);
            story.verify(code.clone(), Purpose::Change).unwrap();
            (story, code)
        },
        Refusal::NoPendingVerification,
    ),
    (
        "another purpose, although the code is too old and used up",
        || {
            let (mut story, _) = Story::enrolled();
            let code = story.fresh(Purpose::Confirm);
            story.fail(Purpose::Confirm, 5);
            story.pass(300);
            (story, code)
        },
        Refusal::WrongPurpose { live: Purpose::Confirm },
    ),
    (
        "another purpose, although the live code replaced the one that is handed in, which was for this",
        || {
            let (mut story, _) = Story::enrolled();
            let code = story.fresh(Purpose::Change);
            story.pass(30);
            story.send(Purpose::SignIn).unwrap();
            (story, code)
        },
        Refusal::WrongPurpose { live: Purpose::SignIn },
    ),
    (
        "too old, although it is right and used up",
        || {
            let (mut story, _) = Story::enrolled();
            let code = story.fresh(Purpose::Change);
            story.fail(Purpose::Change, 5);
            story.pass(300);
            (story, code)
        },
        Refusal::CodeExpired,
    ),
    (
        "used up, although it is right",
        || {
            let (mut story, _) = Story::enrolled();
            let code = story.fresh(Purpose::Change);
            story.fail(Purpose::Change, 5);
            (story, code)
        },
        Refusal::TooManyAttempts,
    ),
    (
        "used up, although the code that is handed in is one that it replaced",
        || {
            let (mut story, _) = Story::enrolled();
            let code = story.fresh(Purpose::Change);
            story.pass(30);
            story.send(Purpose::Change).unwrap();
            story.fail(Purpose::Change, 5);
            (story, code)
        },
        Refusal::TooManyAttempts,
    ),
];

/// A command that a code of purpose `change` grants.
type Door = fn(&mut Story, Proof) -> Result<Answer, Refusal>;

const DOORS: [(&str, Door); 4] = [
    ("verify", |story, proof| story.verify(proof, Purpose::Change)),
    ("verify, for new backup codes", Story::regenerate),
    ("POST setup", |story, proof| story.setup(OTHER, proof)),
    ("DELETE setup", |story, proof| story.disable(proof)),
];

#[test]
fn the_first_rule_that_holds_is_the_answer_wherever_a_code_is_handed_in() {
    for (reason, scene, refusal) in SCENES {
        for (door, open) in DOORS {
            let (mut story, proof) = scene();
            assert_eq!(open(&mut story, proof), Err(refusal), "{reason}: {door}");
            let wrong = story.wrong();
            assert_eq!(open(&mut story, wrong), Err(refusal), "{reason}: {door}, a wrong code");
        }
    }
}

#[test]
fn the_live_code_is_right_then_one_that_it_replaced_is_told_and_only_any_other_is_a_guess() {
    for (door, open) in DOORS {
        let (mut story, _) = Story::enrolled();
        let replaced = story.fresh(Purpose::Change);
        story.pass(30);
        let live = story.fresh(Purpose::Change);
        assert_eq!(open(&mut story, replaced), superseded(Purpose::Change), "{door}");
        assert_eq!(story.status().live_code.unwrap().attempts_remaining, 5, "{door}: it costs no guess");
        let wrong = story.wrong();
        assert_eq!(open(&mut story, wrong), invalid(4), "{door}");
        assert_eq!(story.status().live_code.unwrap().attempts_remaining, 4, "{door}");
        assert!(open(&mut story, live.clone()).is_ok(), "{door}");
        let again = story.verify(live, Purpose::Change);
        assert!(matches!(again, Err(Refusal::NoPendingVerification | Refusal::WrongPurpose { .. })), "{door}: it is spent");
    }
}

#[test]
fn a_code_serves_the_purpose_that_is_named_and_without_one_the_usual_s4() {
    for live in [Purpose::SignIn, Purpose::Confirm, Purpose::Change] {
        for said in [None].into_iter().chain(Purpose::ALL.map(Some)) {
            let (mut story, _) = Story::enrolled();
            let proof = story.fresh(live);
            let answer = story.verify(proof, said);
            if said.unwrap_or(Purpose::SignIn) == live {
                let Ok(Answer::Confirmed { purpose, backup_codes: None, .. }) = answer else { panic!("{answer:?}") };
                assert_eq!(purpose, live);
            } else {
                assert_eq!(answer, wrong_purpose(live), "{said:?}");
            }
        }
    }
}

#[test]
fn a_code_lives_until_its_last_millisecond_s2() {
    for (age, alive) in [(299_999, true), (300_000, false), (86_400_000, false)] {
        let (mut story, _) = Story::enrolled();
        let proof = story.fresh(Purpose::SignIn);
        story.now = story.now.plus(Duration::from_millis(age));
        let answer = story.verify(proof, None);
        assert_eq!(answer.is_ok(), alive, "{age} ms");
        assert!(alive || answer == Err(Refusal::CodeExpired));
    }
}

#[test]
fn a_sixth_wrong_code_finds_the_code_used_up_s7() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    for left in [4, 3, 2, 1, 0] {
        assert_eq!(story.verify(story.wrong(), None), invalid(left));
    }
    assert_eq!(story.verify(story.wrong(), None), Err(Refusal::TooManyAttempts));
    assert_eq!(story.verify(story.code(), None), Err(Refusal::TooManyAttempts), "the right code is dead too");
    story.pass(30);
    story.send(None).unwrap();
    assert!(story.verify(story.code(), None).is_ok(), "a new one is not");
}

#[test]
fn a_new_code_has_guesses_of_its_own_and_keeps_the_count_of_wrong_ones_s5() {
    let (mut story, _) = Story::enrolled();
    story.send(Purpose::SignIn).unwrap();
    story.fail(Purpose::SignIn, 3);
    story.pass(30);
    let proof = story.fresh(Purpose::SignIn);
    assert_eq!(story.verify(story.wrong(), None), invalid(4));
    assert_eq!(accepted(story.verify(proof, None)).failed_attempts, 4);
}

#[test]
fn the_four_codes_before_the_live_one_are_told_apart_from_wrong_ones() {
    let (mut story, _) = Story::enrolled();
    let mut earlier = Vec::new();
    for purpose in [Purpose::SignIn, Purpose::Change, Purpose::SignIn, Purpose::Confirm] {
        earlier.push(story.fresh(purpose));
        story.pass(30);
    }
    let live = story.fresh(Purpose::SignIn);
    for code in &earlier {
        assert_eq!(story.verify(code.clone(), None), superseded(Purpose::SignIn), "the live code's purpose is told");
    }
    assert_eq!(accepted(story.verify(live, None)).failed_attempts, 0, "it cost no guess");
    story.pass(30);

    let (mut story, _) = Story::enrolled_with(Policy { sms_max_per_window: 6, ..Policy::default() });
    let oldest = story.fresh(Purpose::SignIn);
    for _ in 0..5 {
        story.pass(30);
        story.send(Purpose::SignIn).unwrap();
    }
    assert_eq!(story.verify(oldest, None), invalid(4), "the fifth before it is forgotten");
}

#[test]
fn a_code_that_was_replaced_is_remembered_for_one_life_of_a_code() {
    let (mut story, _) = Story::enrolled();
    let first = story.fresh(Purpose::SignIn);
    story.pass(30);
    story.send(Purpose::SignIn).unwrap();
    story.pass(299);
    assert_eq!(story.verify(first.clone(), None), superseded(Purpose::SignIn));
    story.send(Purpose::SignIn).unwrap();
    story.pass(1);
    assert_eq!(story.verify(first, None), invalid(4));
}

#[test]
fn codes_of_another_user_are_wrong_ones_s4() {
    let (mut story, _) = Story::enrolled();
    story.user = "bob";
    let codes = story.enroll(WORK);
    let bobs = [story.code(), {
        story.pass(30);
        story.fresh(Purpose::SignIn)
    }];
    story.user = "alice";
    story.send(Purpose::SignIn).unwrap();
    for (code, left) in bobs.into_iter().zip([4, 3]) {
        assert_eq!(story.verify(code, None), invalid(left));
    }
    assert_eq!(story.verify(backup(&codes[0]), None), invalid_backup());
}

#[test]
fn the_usual_purpose_of_a_backup_code_is_signing_in_and_it_binds_nothing() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[9])).unwrap();
    for (code, said, purpose) in [
        (&codes[0], None, Purpose::SignIn),
        (&codes[1], Some(Purpose::SignIn), Purpose::SignIn),
        (&codes[2], Some(Purpose::Confirm), Purpose::Confirm),
        (&codes[3], Some(Purpose::Change), Purpose::Change),
    ] {
        let Ok(Answer::Confirmed { purpose: served, accepted, backup_codes: None, .. }) = story.verify(backup(code), said) else {
            panic!("{said:?}")
        };
        assert_eq!((served, accepted.method), (purpose, Method::BackupCode));
        assert_eq!(story.events[0].details.method, Some(Method::BackupCode));
    }
    for purpose in [Purpose::Replace, Purpose::Enroll] {
        for code in [backup(&codes[4]), wrong_backup()] {
            assert_eq!(story.verify(code, purpose), Err(Refusal::NoPendingVerification), "not judged");
        }
    }
    let status = story.status();
    assert_eq!((status.backup_codes_remaining, status.pending), (5, Some(number(WORK))));
    assert_eq!(status.live_code.unwrap().purpose, Purpose::Replace, "a code that is out stays out");
}

#[test]
fn a_backup_code_works_once_and_the_last_one_is_the_last_s17() {
    let (mut story, codes) = Story::enrolled();
    for (used, code) in codes.iter().enumerate() {
        let Ok(Answer::Confirmed { backup_codes_remaining, .. }) = story.verify(backup(code), None) else {
            panic!("code {used}")
        };
        assert_eq!(backup_codes_remaining, 9 - used);
        assert_eq!(story.verify(backup(code), None), invalid_backup(), "twice");
    }
    assert_eq!(accepted_by_sms(&mut story).failed_attempts, 1);
}

fn accepted_by_sms(story: &mut Story) -> Accepted {
    let proof = story.fresh(Purpose::SignIn);
    accepted(story.verify(proof, None))
}

#[test]
fn a_backup_code_is_nothing_without_a_factor() {
    let mut story = Story::new();
    assert_eq!(story.verify(wrong_backup(), None), Err(Refusal::NoPendingVerification));
    story.setup(HOME, None).unwrap();
    for purpose in [None, Some(Purpose::Enroll), Some(Purpose::SignIn)] {
        assert_eq!(story.verify(wrong_backup(), purpose), Err(Refusal::NoPendingVerification));
    }
    assert_eq!(story.regenerate(story.code()), wrong_purpose(Purpose::Enroll), "nor can there be new ones");
    assert!(story.verify(story.code(), None).is_ok());
}

#[test]
fn codes_and_backup_codes_survive_the_rotation_of_the_pepper() {
    let (mut story, codes) = Story::enrolled();
    let replaced = story.fresh(Purpose::SignIn);
    story.pass(30);
    let live = story.fresh(Purpose::SignIn);
    story.rules.pepper = Pepper::new(&[9; 32]).unwrap().with_previous(&[3; 32]).unwrap();
    assert_eq!(story.verify(replaced, None), superseded(Purpose::SignIn));
    assert!(story.verify(live, None).is_ok());
    assert!(story.verify(backup(&codes[0]), None).is_ok());
    assert_eq!(story.verify(backup(&codes[0]), None), invalid_backup(), "spent under either pepper");
    story.rules.pepper = Pepper::new(&[9; 32]).unwrap();
    assert_eq!(story.verify(backup(&codes[1]), None), invalid_backup(), "not once the old pepper is forgotten");
}
