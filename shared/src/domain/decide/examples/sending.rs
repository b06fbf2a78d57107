//! Sends: where a code of each purpose goes, how many may go there, and who is asked to send them (S5, S11, S12, S26).

use super::*;
use crate::domain::{FailureClass, message::delivery::Failure};

/// Five users who are not alice.
const CROWD: [&str; 5] = ["bob", "carol", "dave", "erin", "frank"];

/// Has each of the crowd set this number up.
fn crowd_sets_up(story: &mut Story, phone: &str) {
    for user in CROWD {
        story.user = user;
        story.setup(phone, None).unwrap();
    }
    story.user = "alice";
}

/// What a code is for and where it goes, or why none is sent.
type Destination = Result<(Purpose, PhoneNumber), Refusal>;

/// Asks for a code without naming a purpose, and for one of each purpose: `[usual, enroll, sign_in, confirm, change, replace]`.
fn check_destinations(state: &str, mut story: Story, expected: [Destination; 6]) {
    let purposes = [Purpose::Enroll, Purpose::SignIn, Purpose::Confirm, Purpose::Change, Purpose::Replace];
    for (said, expected) in [None].into_iter().chain(purposes.map(Some)).zip(expected) {
        story.pass(30);
        let answer = story.send(said).map(|answer| match answer {
            Answer::CodeSent { purpose, phone, .. } => (purpose, phone),
            other => panic!("{other:?}"),
        });
        assert_eq!(answer, expected, "{state}: {said:?}");
        if let Ok((purpose, phone)) = expected {
            assert_eq!((story.last_code().purpose, &story.last_code().to), (purpose, &phone));
            assert_eq!(story.trail(), [(AuditKind::Send, "success")]);
            assert_eq!(story.events[0].phone, Some(phone));
            let details = &story.events[0].details;
            assert_eq!((details.purpose, details.reference), (Some(purpose), Some(story.last_code().challenge)));
        }
    }
}

#[test]
fn a_code_of_each_purpose_goes_where_the_contract_says_in_each_state() {
    use Purpose::{Change, Confirm, Enroll, Replace, SignIn};
    let nowhere = || Err(Refusal::NoPendingVerification);
    let disabled = || Err(Refusal::FactorDisabled);
    let own = |purpose| Ok((purpose, number(HOME)));
    let new = |purpose| Ok((purpose, number(WORK)));
    let replacing = |(mut story, codes): (Story, Vec<BackupCode>)| {
        story.setup(WORK, backup(&codes[0])).unwrap();
        story
    };

    check_destinations("nothing", Story::new(), [nowhere(), nowhere(), nowhere(), nowhere(), nowhere(), nowhere()]);
    let mut enrolling = Story::new();
    enrolling.setup(WORK, None).unwrap();
    check_destinations("enrolling", enrolling, [new(Enroll), new(Enroll), nowhere(), nowhere(), nowhere(), nowhere()]);
    let on = Story::enrolled();
    check_destinations("on", on.0, [own(SignIn), nowhere(), own(SignIn), own(Confirm), own(Change), nowhere()]);
    check_destinations(
        "replacing",
        replacing(Story::enrolled()),
        [own(SignIn), nowhere(), own(SignIn), own(Confirm), own(Change), new(Replace)],
    );
    let off = Story::disabled();
    check_destinations("disabled", off.0, [disabled(), nowhere(), disabled(), disabled(), disabled(), nowhere()]);
    check_destinations(
        "disabled and replacing",
        replacing(Story::disabled()),
        [new(Replace), nowhere(), disabled(), disabled(), disabled(), new(Replace)],
    );
}

#[test]
fn each_send_makes_a_code_and_kills_the_one_before_at_once_s5() {
    let (mut story, _) = Story::enrolled();
    let first = story.fresh(Purpose::SignIn);
    story.pass(30);
    let second = story.fresh(Purpose::SignIn);
    assert_ne!(first, second);
    assert_eq!(story.verify(first, None), superseded(Purpose::SignIn));
    assert!(story.verify(second, None).is_ok());
}

#[test]
fn a_country_that_is_allowed_no_more_gets_no_code_of_any_purpose_and_backup_codes_go_on() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, backup(&codes[0])).unwrap();
    story.pass(30);
    story.rules.allowed_countries = AllowedCountries::Only([Country::parse("GB").unwrap()].into());
    for purpose in [None, Some(Purpose::SignIn), Some(Purpose::Confirm), Some(Purpose::Change)] {
        assert_eq!(story.send(purpose), Err(Refusal::CountryNotAllowed), "{purpose:?}");
    }
    assert!(story.verify(backup(&codes[1]), None).is_ok());
    assert_eq!(sent(story.send(Purpose::Replace)).0, number(WORK), "the new number's country counts for the new number");
    story.rules.allowed_countries = AllowedCountries::Only([Country::parse("US").unwrap()].into());
    story.pass(30);
    assert_eq!(story.send(Purpose::Replace), Err(Refusal::CountryNotAllowed));
    assert!(story.verify(story.code(), Purpose::Replace).is_ok(), "the code that is out is as good as before");
}

#[test]
fn two_sends_to_one_number_are_thirty_seconds_apart_and_other_numbers_wait_for_nothing() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    assert_eq!(story.send(None), rate_limited(SendLimit::Cooldown, 30));
    assert_eq!(story.setup(HOME, None), rate_limited(SendLimit::Cooldown, 30));
    story.pass(29);
    assert_eq!(story.send(None), rate_limited(SendLimit::Cooldown, 1));
    story.setup(WORK, None).unwrap();
    story.pass(1);
    assert_eq!(story.send(None), rate_limited(SendLimit::Cooldown, 29), "to the number that is pending now");
    story.setup(HOME, None).unwrap();
    story.user = "bob";
    assert!(story.setup(HOME, None).is_ok(), "it is a cooldown of one user");
}

#[test]
fn five_sends_an_hour_go_to_a_user_whatever_the_number_and_purpose_s11() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    assert_eq!(sent(story.setup(WORK, None)).1, 3);
    story.verify(story.code(), None).unwrap();
    for (purpose, left) in [(Purpose::SignIn, 2), (Purpose::Change, 1), (Purpose::Confirm, 0)] {
        story.pass(600);
        assert_eq!(sent(story.send(purpose)).1, left);
    }
    assert_eq!(story.send(None), rate_limited(SendLimit::User, 1800), "until the first two leave the window");
    story.pass(1799);
    assert_eq!(story.send(None), rate_limited(SendLimit::User, 1));
    story.pass(1);
    assert_eq!(sent(story.send(None)).1, 1);
}

#[test]
fn the_last_send_says_how_long_the_next_one_takes() {
    let (mut story, _) = Story::enrolled();
    for resend in [30, 30, 30, 30, 3600 - 4 * 100] {
        let Ok(Answer::CodeSent { resend_in, .. }) = story.send(None) else { panic!() };
        assert_eq!(resend_in, secs(resend));
        story.pass(100);
    }
}

#[test]
fn sends_stay_counted_through_turning_off_enrolling_again_and_another_number_s11() {
    let mut story = Story::new();
    for phone in [HOME, WORK] {
        let codes = story.enroll(phone);
        story.pass(30);
        story.send(Purpose::SignIn).unwrap();
        story.disable(backup(&codes[0])).unwrap();
    }
    assert_eq!(sent(story.setup(OTHER, None)).1, 0);
    story.disable(None).unwrap();
    for phone in [HOME, WORK, OTHER] {
        story.pass(30);
        assert!(matches!(story.setup(phone, None), Err(Refusal::RateLimited { limit: SendLimit::User, .. })));
    }
}

#[test]
fn five_sends_an_hour_would_bind_a_number_by_whomever_and_a_refusal_says_the_whole_window_s11() {
    let mut story = Story::new();
    for user in CROWD {
        story.user = user;
        story.pass(60);
        assert_eq!(sent(story.setup(HOME, None)).1, 4, "sends of others are none of the user's");
    }
    story.pass(60);
    for user in ["alice", "bob"] {
        story.user = user;
        assert_eq!(story.setup(HOME, None), rate_limited(SendLimit::Number, 3600), "and tell nothing of when they were");
    }
    assert_eq!(story.send(None), rate_limited(SendLimit::Number, 3600), "nor does a resend help");
    story.pass(3600 - 300);
    story.user = "alice";
    assert!(story.setup(HOME, None).is_ok(), "the first has left the window");
    story.user = "bob";
    assert_eq!(story.setup(HOME, None), rate_limited(SendLimit::Number, 3600));
}

#[test]
fn nobody_but_its_owner_uses_up_an_active_numbers_sends_s11() {
    let (mut story, codes) = Story::enrolled();
    crowd_sets_up(&mut story, HOME);
    for left in (0..5).rev() {
        story.pass(30);
        assert_eq!(sent(story.send(None)), (number(HOME), left));
    }
    story.user = "bob";
    story.pass(30);
    assert_eq!(story.send(None), rate_limited(SendLimit::Number, 3600), "those who would bind it have five of their own");
    story.user = "alice";
    assert!(story.setup(WORK, backup(&codes[0])).is_ok());
}

#[test]
fn accounts_that_share_an_active_number_share_its_sends_s11() {
    let (mut story, _) = Story::enrolled();
    story.user = "bob";
    story.enroll(HOME);
    story.pass(DAY);
    for user in ["alice", "bob", "alice", "bob", "alice"] {
        story.user = user;
        story.pass(30);
        story.send(Purpose::SignIn).unwrap();
    }
    for (user, left) in [("alice", 2), ("bob", 3)] {
        story.user = user;
        story.pass(30);
        assert_eq!(story.send(Purpose::SignIn), rate_limited(SendLimit::Number, 3600));
        assert_eq!(story.status().sends_remaining, left, "the user's own alone");
    }
}

#[test]
fn binding_a_disabled_number_again_is_a_send_to_an_own_number_s11() {
    let (mut story, codes) = Story::disabled();
    story.rules.policy.sms_max_per_ip = 1;
    story.address = Some(1);
    crowd_sets_up_from_everywhere(&mut story, HOME);
    story.user = "zoe";
    story.setup(OTHER, None).unwrap();
    story.user = "alice";
    assert_eq!(story.setup(WORK, backup(&codes[0])), rate_limited(SendLimit::Address, 3600), "the address is used up");
    assert_eq!(sent(story.setup(HOME, backup(&codes[0]))).0, number(HOME), "and so are the sends that would bind the number");
    story.pass(30);
    assert!(story.send(None).is_ok());
}

/// The same as [`crowd_sets_up`], each from an address of their own.
fn crowd_sets_up_from_everywhere(story: &mut Story, phone: &str) {
    let here = story.address;
    for (user, address) in CROWD.into_iter().zip(100..) {
        (story.user, story.address) = (user, Some(address));
        story.setup(phone, None).unwrap();
    }
    (story.user, story.address) = ("alice", here);
}

#[test]
fn an_address_binds_so_many_numbers_an_hour_and_signs_in_without_end() {
    let mut story = Story::with(Policy { sms_max_per_ip: 2, ..Policy::default() });
    story.address = Some(1);
    story.enroll(HOME);
    story.pass(60);
    story.user = "bob";
    let codes = story.enroll(WORK);
    story.pass(60);
    story.user = "carol";
    assert_eq!(story.setup(OTHER, None), rate_limited(SendLimit::Address, 3600 - 120));
    for user in ["alice", "bob", "alice", "bob", "alice", "bob"] {
        story.user = user;
        story.pass(30);
        assert!(story.send(Purpose::SignIn).is_ok(), "sends to active numbers do not count");
    }
    story.user = "bob";
    assert_eq!(story.setup(OTHER, backup(&codes[0])), rate_limited(SendLimit::Address, 3600 - 300), "replacing counts");
    story.user = "carol";
    story.address = Some(2);
    assert!(story.setup(OTHER, None).is_ok(), "another address");
    story.address = Some(1);
    story.pass(3600 - 300);
    assert!(story.setup(WORK, None).is_ok(), "the first has left the window");

    let mut story = Story::with(Policy { sms_max_per_ip: 0, ..Policy::default() });
    story.address = Some(1);
    for user in CROWD {
        story.user = user;
        story.setup(HOME, None).unwrap();
    }
}

#[test]
fn a_users_own_limit_is_named_before_those_that_others_share() {
    let (mut story, codes) = Story::enrolled();
    for _ in 0..5 {
        story.send(Purpose::Change).unwrap();
        story.pass(30);
    }
    crowd_sets_up(&mut story, WORK);
    assert_eq!(story.setup(WORK, story.code()), rate_limited(SendLimit::User, 3600 - 150));
    story.pass(3600 - 150);
    assert_eq!(story.setup(WORK, backup(&codes[0])), rate_limited(SendLimit::Number, 3600));
}

#[test]
fn a_replacement_with_a_backup_code_has_a_window_of_its_own_s11() {
    let (mut story, codes) = Story::enrolled();
    for _ in 0..5 {
        story.send(Purpose::Change).unwrap();
        story.pass(60);
    }
    assert_eq!(story.setup(WORK, story.code()), rate_limited(SendLimit::User, 3300), "with an SMS code it counts in the user's");
    let other_numbers = ["+12015550125", "+12015550126", "+12015550127", OTHER, WORK];
    for (phone, code) in other_numbers.iter().zip(&codes) {
        let Ok(Answer::CodeSent { phone: to, sends_remaining, resend_in, .. }) = story.setup(phone, backup(code)) else {
            panic!("{phone}")
        };
        assert_eq!((to, sends_remaining, resend_in), (number(phone), 0, secs(3300)), "and not in the user's");
    }
    assert_eq!(story.setup("+12015550128", backup(&codes[5])), rate_limited(SendLimit::User, 3600), "as large as the user's");
    story.pass(30);
    assert_eq!(story.send(Purpose::Replace), rate_limited(SendLimit::User, 3270), "resends count in the user's");
    assert!(story.verify(story.code(), Purpose::Replace).is_ok());
    story.pass(3270);
    assert_eq!(sent(story.send(Purpose::SignIn)).1, 0, "the user's window knows nothing of the other");
}

#[test]
fn a_refused_send_is_given_back_to_every_limit_but_the_cooldown_s12() {
    let mut story = Story::with(Policy { sms_max_per_ip: 1, ..Policy::default() });
    story.address = Some(1);
    for reason in [DeliveryReason::InvalidNumber, DeliveryReason::ProviderUnavailable] {
        assert_eq!(sent(story.setup(HOME, None)).1, 4);
        story.refuse_last(reason);
        assert_eq!(story.trail(), [(AuditKind::Delivery, "sms_delivery_failed")]);
        assert_eq!(story.events[0].phone, Some(number(HOME)));
        assert_eq!(story.events[0].details.reference, Some(story.last_code().challenge));
        assert_eq!(story.status().live_code, None, "nobody ever saw that code");
        assert_eq!(story.status().sends_remaining, 5);
        assert_eq!(story.setup(HOME, None), rate_limited(SendLimit::Cooldown, 30));
        story.pass(30);
    }
    for user in CROWD {
        (story.user, story.address) = (user, None);
        assert!(story.setup(HOME, None).is_ok(), "the number's window is untouched");
    }
}

#[test]
fn a_send_is_given_back_once_and_leaves_the_code_after_it_alone_s12() {
    let (mut story, _) = Story::enrolled();
    story.send(None).unwrap();
    let first = story.last_code().clone();
    story.pass(30);
    let second = story.fresh(Purpose::SignIn);
    let failed = Attempt { provider: Rules::PROVIDERS[0], result: Err(Failure::of(FailureClass::NotSent)), duration: secs(3) };
    let give_back = Command::GiveBack {
        challenge: first.challenge,
        phone: first.to,
        reason: DeliveryReason::ProviderUnavailable,
        attempts: vec![failed.clone()],
    };
    for _ in 0..2 {
        story.run(&give_back).unwrap();
        assert_eq!(story.events[0].details.attempts, std::slice::from_ref(&failed), "the trail tells who was asked");
        assert_eq!(story.status().sends_remaining, 4, "given back once");
    }
    assert!(story.verify(second, None).is_ok());
}

#[test]
fn a_slot_that_another_send_holds_by_now_is_not_given_back() {
    let mut story = Story::with(Policy { sms_max_per_window: 1, sms_cooldown: secs(0), ..Policy::default() });
    story.setup(HOME, None).unwrap();
    let late = story.last_code().clone();
    story.pass(HOUR);
    story.user = "bob";
    story.setup(HOME, None).unwrap();
    story.user = "alice";
    let reason = DeliveryReason::ProviderUnavailable;
    story.run(&Command::GiveBack { challenge: late.challenge, phone: late.to, reason, attempts: Vec::new() }).unwrap();
    assert_eq!(story.setup(HOME, None), rate_limited(SendLimit::Number, 3600), "bob's send counts");
}

#[test]
fn ten_sends_an_hour_may_be_refused_for_the_recipients_sake_and_outages_count_against_nobody() {
    let mut story = Story::new();
    let reasons = [
        DeliveryReason::InvalidNumber,
        DeliveryReason::NotMobile,
        DeliveryReason::OptedOut,
        DeliveryReason::CountryNotPermitted,
        DeliveryReason::Rejected,
    ];
    for reason in reasons.iter().chain(&reasons) {
        for reason in [DeliveryReason::ProviderUnavailable, *reason] {
            story.setup(HOME, None).unwrap();
            story.refuse_last(reason);
            story.pass(30);
        }
    }
    // The first of them was refused 30 seconds in, 570 seconds ago.
    assert_eq!(story.setup(HOME, None), rate_limited(SendLimit::Refused, 3600 - 570));
    assert_eq!(story.setup(WORK, None), rate_limited(SendLimit::Refused, 3600 - 570), "to whichever number");
    let status = story.status();
    assert_eq!((status.sends_remaining, status.resend_in), (5, secs(3600 - 570)));
    story.user = "bob";
    assert!(story.setup(HOME, None).is_ok(), "it is a limit of one user");
    story.user = "alice";
    story.pass(3600 - 570);
    assert!(story.setup(HOME, None).is_ok());
}

#[test]
fn a_code_that_never_came_back_has_the_next_provider_asked_first_s26() {
    let (mut story, _) = Story::enrolled();
    let [twilio, sns, plivo] = Rules::PROVIDERS;
    let orders = [[twilio, sns, plivo], [sns, plivo, twilio], [plivo, twilio, sns], [twilio, sns, plivo], [sns, plivo, twilio]];
    for order in orders {
        story.send(Purpose::SignIn).unwrap();
        assert_eq!(story.last_code().order, order);
        assert_eq!(story.events[0].details.provider, Some(order[0]));
        story.pass(30);
    }
    story.pass(HOUR - 60);
    let proof = story.fresh(Purpose::Confirm);
    assert_eq!(story.last_code().order, [plivo, twilio, sns]);
    story.fail(Purpose::Confirm, 1);
    story.verify(proof, Purpose::Confirm).unwrap();
    story.pass(30);
    let proof = story.fresh(Purpose::Change);
    assert_eq!(story.last_code().order, [twilio, sns, plivo], "a right code shows that messages arrive");

    assert_eq!(story.setup(HOME, proof.clone()), Err(Refusal::AlreadyEnabled));
    story.setup(WORK, proof).unwrap();
    assert_eq!(story.last_code().order, [twilio, sns, plivo]);
    story.refuse_last(DeliveryReason::ProviderUnavailable);
    story.pass(30);
    story.send(Purpose::Replace).unwrap();
    assert_eq!(story.last_code().order, [twilio, sns, plivo], "what no provider took tells nothing of its first");
    story.pass(30);
    story.user = "bob";
    story.setup(WORK, None).unwrap();
    assert_eq!(story.last_code().order, [twilio, sns, plivo], "nor does one user's code tell of another's");
}
