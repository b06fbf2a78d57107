//! Where a user stands, as GET setup tells it, and what storage may forget (S2).

use super::*;
use crate::domain::account::LiveCode;

fn nothing() -> Status {
    Status {
        active: None,
        factor_disabled: false,
        backup_codes_remaining: 0,
        pending: None,
        locked_for: secs(0),
        live_code: None,
        sends_remaining: 5,
        resend_in: secs(0),
    }
}

fn live(purpose: Purpose, expires_in: u64, attempts_remaining: u32) -> LiveCode {
    LiveCode { purpose, expires_in: secs(expires_in), attempts_remaining }
}

#[test]
fn the_page_can_be_drawn_again_at_every_step_of_an_enrollment_and_a_replacement() {
    let mut story = Story::new();
    assert_eq!(story.run(&Command::Disable { proof: None }), Err(Refusal::NotEnabled));
    assert_eq!(story.status(), nothing());

    story.setup(HOME, None).unwrap();
    story.pass(12);
    let enrolling = Status {
        pending: Some(number(HOME)),
        live_code: Some(live(Purpose::Enroll, 288, 5)),
        sends_remaining: 4,
        resend_in: secs(18),
        ..nothing()
    };
    assert_eq!(story.status(), enrolling);
    story.fail(Purpose::Enroll, 2);
    assert_eq!(story.status(), Status { live_code: Some(live(Purpose::Enroll, 288, 3)), ..enrolling });

    story.verify(story.code(), None).unwrap();
    let active = Some(ActivePhone { phone: number(HOME), enabled_at: story.now });
    let on = Status { active, backup_codes_remaining: 10, sends_remaining: 4, resend_in: secs(18), ..nothing() };
    assert_eq!(story.status(), on);

    story.pass(18);
    let proof = story.fresh(Purpose::Change);
    let change = Status { live_code: Some(live(Purpose::Change, 300, 5)), sends_remaining: 3, resend_in: secs(30), ..on.clone() };
    assert_eq!(story.status(), change);
    story.pass(10);
    story.setup(WORK, proof).unwrap();
    let replacing = Status {
        pending: Some(number(WORK)),
        live_code: Some(live(Purpose::Replace, 300, 5)),
        sends_remaining: 2,
        resend_in: secs(20),
        ..on.clone()
    };
    assert_eq!(story.status(), replacing, "the next usual code goes to the active number");
    story.pass(300);
    assert_eq!(story.status(), Status { live_code: None, resend_in: secs(0), ..replacing.clone() }, "too old is not live");
    story.pass(3300);
    assert_eq!(story.status(), Status { sends_remaining: 5, resend_in: secs(0), ..on }, "lapsed");
}

#[test]
fn a_lock_and_a_disabled_number_are_shown_for_what_they_are() {
    let (mut story, codes) = Story::enrolled();
    for _ in 0..2 {
        story.pass(30);
        story.send(None).unwrap();
        story.fail(Purpose::SignIn, 5);
    }
    let status = story.status();
    assert_eq!((status.locked_for, status.live_code), (secs(900), Some(live(Purpose::SignIn, 300, 0))));
    story.pass(899);
    assert_eq!(story.status().locked_for, secs(1));
    story.pass(1);
    assert_eq!(story.status().locked_for, secs(0));

    let (mut disabled, _) = Story::disabled();
    let status = disabled.status();
    assert_eq!((status.factor_disabled, status.active.is_some(), status.backup_codes_remaining), (true, true, 10));
    disabled.setup(WORK, wrong_backup()).unwrap_err();
    assert!(disabled.status().pending.is_none());
    story.verify(backup(&codes[0]), None).unwrap();
    assert_eq!(story.status().backup_codes_remaining, 9);
}

#[test]
fn guesses_left_are_those_of_the_code_or_those_before_the_lock_whichever_are_fewer() {
    let (mut story, _) = Story::enrolled_with(Policy { lock_after_failures: 7, ..Policy::default() });
    story.send(None).unwrap();
    story.fail(Purpose::SignIn, 4);
    story.pass(30);
    story.send(None).unwrap();
    assert_eq!(story.status().live_code.unwrap().attempts_remaining, 3);
    assert_eq!(story.verify(story.wrong(), None), invalid(2));
}

#[test]
fn guesses_left_end_where_the_number_is_disabled_which_an_enrollment_never_is() {
    let policy = || Policy { disable_after_failures: 3, ..Policy::default() };
    let (mut story, _) = Story::enrolled_with(policy());
    story.send(None).unwrap();
    assert_eq!(story.verify(story.wrong(), None), invalid(2));
    assert_eq!(story.status().live_code.unwrap().attempts_remaining, 2);

    let mut story = Story::with(policy());
    story.setup(HOME, None).unwrap();
    assert_eq!(story.verify(story.wrong(), None), invalid(4));
    assert_eq!(story.status().live_code.unwrap().attempts_remaining, 4);
}

#[test]
fn how_long_until_the_usual_code_is_told_from_the_users_own_limits() {
    let (mut story, _) = Story::enrolled();
    for _ in 0..5 {
        story.send(None).unwrap();
        story.pass(60);
    }
    let status = story.status();
    assert_eq!((status.sends_remaining, status.resend_in), (0, secs(3300)));
    story.pass(3300);
    let status = story.status();
    assert_eq!((status.sends_remaining, status.resend_in), (1, secs(0)));
}

#[test]
fn storage_may_drop_an_account_only_when_nothing_in_it_counts() {
    let policy = Policy::default();
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    assert_eq!(story.account().stale_at(&policy), Some(story.now.plus(secs(HOUR))), "the pending number, the send");
    story.verify(story.wrong(), None).unwrap_err();
    let month = story.now.plus(secs(30 * DAY));
    assert_eq!(story.account().stale_at(&policy), Some(month), "wrong codes are remembered for a month");
    let just_before = Timestamp::from_millis(month.as_millis() - 1);
    assert_eq!(story.account().clone().at(&policy, just_before).sms.failed_attempts.count, 1);
    assert_eq!(story.account().clone().at(&policy, month), Account::default(), "by our own clock, whatever storage still has");

    let codes = story.enroll_again(WORK);
    assert_eq!(story.account().stale_at(&policy), None, "a factor stays");
    story.verify(wrong_backup(), None).unwrap_err();
    story.pass(31 * DAY);
    story.send(None).unwrap();
    story.fail(Purpose::SignIn, 1);
    story.pass(31 * DAY);
    let answer = story.verify(backup(&codes[0]), None);
    assert_eq!(accepted(answer).failed_attempts, 2, "and wrong codes with it");
    story.disable(backup(&codes[1])).unwrap();
    assert_eq!(story.account().stale_at(&policy), Some(story.now.plus(secs(DAY))), "what its number was told of counts a day");
}

impl Story {
    fn enroll_again(&mut self, phone: &str) -> Vec<BackupCode> {
        self.pass(DAY);
        self.enroll(phone)
    }
}
