//! What the number that is or was active is told of, and how often (S18).

use super::*;

/// How each kind of notification comes about, in a story in which HOME is active. Three of each are caused and told within a day.
type Cause = fn(&mut Story, &mut Vec<BackupCode>);

const CAUSES: [(NotificationKind, Cause); 6] = [
    (NotificationKind::Replaced, |story, codes| {
        let away = if story.active() == Some(number(HOME)) { WORK } else { HOME };
        let proof = story.fresh(Purpose::Change);
        story.setup(away, proof).unwrap();
        let Ok(Answer::Bound { backup_codes, .. }) = story.verify(story.code(), Purpose::Replace) else { panic!() };
        *codes = backup_codes;
    }),
    (NotificationKind::TurnedOff, |story, codes| {
        if story.active().is_none() {
            *codes = story.enroll(HOME);
        }
        story.disable(backup(&codes[0])).unwrap();
    }),
    (NotificationKind::BackupCodesReplaced, |story, codes| {
        let Ok(Answer::Confirmed { backup_codes: Some(new), .. }) = story.regenerate(backup(&codes[0])) else { panic!() };
        *codes = new;
    }),
    (NotificationKind::BackupCodeUsed, |story, codes| {
        story.verify(backup(&codes.remove(0)), None).unwrap();
    }),
    (NotificationKind::FailedAttempts, |story, _| {
        story.run(&Command::Unlock).unwrap();
        for _ in 0..10 {
            story.verify(wrong_backup(), None).unwrap_err();
        }
    }),
    (NotificationKind::NumberDisabled, |story, codes| {
        if story.status().factor_disabled {
            story.setup(HOME, backup(&codes[0])).unwrap();
            let Ok(Answer::Bound { backup_codes, .. }) = story.verify(story.code(), None) else { panic!() };
            *codes = backup_codes;
            story.pass(30);
        }
        story.rules.policy.disable_after_failures = 1;
        story.send(Purpose::SignIn).unwrap();
        story.fail(Purpose::SignIn, 1);
    }),
];

#[test]
fn the_number_that_was_active_is_told_of_each_change_and_three_times_a_day_s18() {
    for (kind, cause) in CAUSES {
        let (mut story, mut codes) = Story::enrolled_with(Policy { sms_max_per_window: 100, ..Policy::default() });
        for time in 0..5 {
            let active = story.active().unwrap_or(number(HOME));
            cause(&mut story, &mut codes);
            if time < 3 {
                assert_eq!(story.told(), Some((kind, active)), "time {time}");
            } else {
                assert_eq!(story.told(), None, "{kind:?}");
                let untold = story.events.iter().find(|event| event.kind == AuditKind::Notification).expect("it is on record");
                assert_eq!((untold.outcome.as_str(), untold.phone.clone()), ("rate_limited", Some(active)));
                assert_eq!(untold.details.notification, Some(kind));
            }
            story.pass(600);
        }
        story.pass(DAY - 5 * 600);
        let active = story.active().unwrap_or(number(HOME));
        cause(&mut story, &mut codes);
        assert_eq!(story.told(), Some((kind, active)), "the first is a day old");
    }
}

#[test]
fn no_kind_uses_up_anothers_three_s18() {
    let (mut story, mut codes) = Story::enrolled();
    for (kind, cause) in CAUSES {
        // Numbers that were disabled prove nothing, so that comes last; what is off tells nobody.
        if story.active().is_none() {
            codes = story.enroll(HOME);
        }
        for time in 0..3 {
            cause(&mut story, &mut codes);
            assert_eq!(story.told().map(|(kind, _)| kind), Some(kind), "time {time}");
            story.pass(HOUR);
        }
    }
}

#[test]
fn the_old_number_is_told_of_its_replacement_once_the_new_one_is_verified() {
    let (mut story, _) = Story::enrolled();
    let proof = story.fresh(Purpose::Change);
    story.setup(WORK, proof).unwrap();
    assert_eq!(story.told(), None);
    story.verify(story.code(), Purpose::Replace).unwrap();
    assert_eq!(story.told(), Some((NotificationKind::Replaced, number(HOME))));
}

#[test]
fn a_backup_code_is_told_of_wherever_it_is_used_unless_there_is_graver_to_tell() {
    let (mut story, codes) = Story::enrolled();
    for (code, purpose) in codes.iter().zip([Purpose::SignIn, Purpose::Confirm, Purpose::Change]) {
        story.verify(backup(code), purpose).unwrap();
        assert_eq!(story.told(), Some((NotificationKind::BackupCodeUsed, number(HOME))), "{purpose:?}");
    }
    story.pass(DAY);
    assert_eq!(story.setup(HOME, backup(&codes[3])), Err(Refusal::AlreadyEnabled));
    assert_eq!(story.told(), None, "it was not used");
    story.setup(WORK, backup(&codes[3])).unwrap();
    assert_eq!(story.told(), Some((NotificationKind::BackupCodeUsed, number(HOME))), "as the proof of a replacement");
    story.regenerate(backup(&codes[4])).map(|_| ()).unwrap();
    assert_eq!(story.told(), Some((NotificationKind::BackupCodesReplaced, number(HOME))));

    let (mut story, codes) = Story::enrolled();
    story.disable(backup(&codes[0])).unwrap();
    assert_eq!(story.told(), Some((NotificationKind::TurnedOff, number(HOME))));
}

#[test]
fn a_disabled_number_is_told_too_and_binding_it_again_tells_of_the_backup_code_alone() {
    let (mut story, codes) = Story::disabled();
    story.verify(backup(&codes[0]), None).unwrap();
    assert_eq!(story.told(), Some((NotificationKind::BackupCodeUsed, number(HOME))));
    story.setup(HOME, backup(&codes[1])).unwrap();
    assert_eq!(story.told(), Some((NotificationKind::BackupCodeUsed, number(HOME))));
    story.verify(story.code(), None).unwrap();
    assert_eq!(story.told(), None, "the number is the same");
}

#[test]
fn each_lock_and_the_hundredth_wrong_code_are_told_and_one_thing_at_a_time() {
    let (mut story, _) = Story::enrolled();
    for count in 1..=100 {
        if count % 5 == 1 {
            story.pass(DAY);
            story.send(Purpose::SignIn).unwrap();
        }
        story.fail(Purpose::SignIn, 1);
        let kind = match count {
            100 => Some(NotificationKind::NumberDisabled),
            count if count % 10 == 0 => Some(NotificationKind::FailedAttempts),
            _ => None,
        };
        assert_eq!(story.told(), kind.map(|kind| (kind, number(HOME))), "wrong code {count}");
    }
}

#[test]
fn what_concerns_no_active_number_is_told_to_none() {
    let mut story = Story::new();
    for phone in [HOME, WORK] {
        story.setup(phone, None).unwrap();
        for _ in 0..5 {
            story.verify(story.wrong(), None).unwrap_err();
            assert_eq!(story.told(), None, "a number that was never verified");
        }
    }
    assert!(!story.status().locked_for.is_zero());
    story.disable(None).unwrap();
    assert_eq!(story.told(), None);

    let (mut story, _) = Story::enrolled();
    let proof = story.fresh(Purpose::SignIn);
    story.verify(proof, None).unwrap();
    assert_eq!(story.told(), None, "signing in is nothing to tell of");
}

#[test]
fn a_notification_counts_against_no_send_limit_but_its_own() {
    let (mut story, codes) = Story::enrolled();
    for code in &codes[..3] {
        story.verify(backup(code), None).unwrap();
        assert!(story.told().is_some());
    }
    assert_eq!(sent(story.send(None)).1, 4);
}

#[test]
fn an_operators_reset_is_told_to_the_number_that_was_active() {
    let (mut story, _) = Story::enrolled();
    story.run(&Command::Reset).unwrap();
    assert_eq!(story.told(), Some((NotificationKind::TurnedOff, number(HOME))));
}
