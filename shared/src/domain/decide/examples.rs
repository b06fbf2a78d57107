//! The state machine by example: one user, one story a test.

use std::time::Duration;

use rand::{SeedableRng, rngs::ChaCha12Rng};

use super::*;
use crate::domain::{Pepper, SendWindow, UserId, phone_number::tests::number};

const HOME: &str = "+14155551234";
const WORK: &str = "+447400123456";

/// One user's account, and the world around it.
struct Story {
    policy: Policy,
    pepper: Pepper,
    user: UserId,
    rng: ChaCha12Rng,
    now: Timestamp,
    account: Account,
    phone_window: Option<(PhoneNumber, SendWindow)>,
    last_code: Option<OutgoingCode>,
    notification: Option<Notification>,
    events: Vec<(AuditEvent, &'static str)>,
    about: Vec<Option<PhoneNumber>>,
}

impl Story {
    fn new() -> Self {
        Self::with(Policy::default())
    }

    fn with(policy: Policy) -> Self {
        Self {
            policy,
            pepper: Pepper::new(&[3; 32]).unwrap(),
            user: UserId::parse("alice").unwrap(),
            rng: ChaCha12Rng::seed_from_u64(7),
            now: Timestamp::from_millis(1_800_000_000_000),
            account: Account::default(),
            phone_window: None,
            last_code: None,
            notification: None,
            events: Vec::new(),
            about: Vec::new(),
        }
    }

    /// A story that begins with 2FA on; the backup codes come with it.
    fn enrolled() -> (Self, Vec<BackupCode>) {
        Self::enrolled_with(Policy { sms_cooldown: Duration::ZERO, sms_max_per_window: 100, ..Policy::default() })
    }

    fn enrolled_with(policy: Policy) -> (Self, Vec<BackupCode>) {
        let mut story = Self::with(policy);
        story.setup(HOME, None).unwrap();
        let Ok(Answer::Enabled { backup_codes, .. }) = story.verify_last() else { panic!("not enrolled") };
        (story, backup_codes)
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Refusal> {
        let context = Context {
            policy: &self.policy,
            pepper: &self.pepper,
            user: &self.user,
            now: self.now,
            phone_window: self.phone_window.as_ref().map(|(phone, window)| (phone, window)),
            address_window: None,
        };
        let decision = decide(self.account.clone(), command, &context, &mut self.rng);
        self.events = decision.events.iter().map(|happened| (happened.event, happened.outcome.as_str())).collect();
        self.about = decision.events.iter().map(|happened| happened.phone.clone()).collect();
        self.notification = decision.notification;
        if let Some(account) = decision.account {
            self.account = account;
        }
        self.last_code = decision.code.or(self.last_code.take());
        decision.outcome
    }

    fn setup(&mut self, phone: &str, proof: Option<Proof>) -> Result<Answer, Refusal> {
        self.run(&Command::Setup { phone: number(phone), proof })
    }

    fn send(&mut self) -> Result<Answer, Refusal> {
        self.run(&Command::Send { pending: false })
    }

    fn verify(&mut self, proof: Proof) -> Result<Answer, Refusal> {
        self.run(&Command::Verify { proof, regenerate_backup_codes: false })
    }

    fn verify_last(&mut self) -> Result<Answer, Refusal> {
        let proof = self.last_proof();
        self.verify(proof)
    }

    fn verify_wrong(&mut self) -> Result<Answer, Refusal> {
        let proof = self.wrong_proof();
        self.verify(proof)
    }

    fn disable(&mut self, proof: Option<Proof>) -> Result<Answer, Refusal> {
        self.run(&Command::Disable { proof })
    }

    fn last_proof(&self) -> Proof {
        Proof::Sms(self.last_code.as_ref().expect("a code was sent").code.clone())
    }

    fn wrong_proof(&self) -> Proof {
        let last = self.last_code.as_ref().map(|sent| sent.code.expose());
        Proof::parse(if last == Some("000000") { "111111" } else { "000000" }).unwrap()
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    fn active_phone(&self) -> Option<&str> {
        self.account.sms.active().map(|active| active.phone.as_e164())
    }
}

fn wrong_backup() -> Proof {
    Proof::parse("0000-0000-0000-0000").unwrap()
}

fn rate_limited(limit: SendLimit, seconds: u64) -> Result<Answer, Refusal> {
    Err(Refusal::RateLimited { limit, retry_after: Duration::from_secs(seconds) })
}

fn invalid(attempts_remaining: u32) -> Result<Answer, Refusal> {
    Err(Refusal::InvalidCode { attempts_remaining })
}

#[test]
fn setup_sends_a_code_and_the_code_turns_2fa_on() {
    let mut story = Story::new();
    let sent = story.setup(HOME, None);
    let expected = Answer::CodeSent {
        phone: number(HOME),
        expires_in: Duration::from_secs(300),
        resend_in: Duration::from_secs(30),
        sends_remaining: 4,
    };
    assert_eq!(sent, Ok(expected));
    assert_eq!(story.active_phone(), None, "S15: not before the code came back");
    assert!(matches!(story.verify_last(), Ok(Answer::Enabled { backup_codes, .. }) if backup_codes.len() == 10));
    assert_eq!(story.active_phone(), Some(HOME));
    assert_eq!(story.events, [(AuditEvent::Verify, "success"), (AuditEvent::Enabled, "success")]);
    assert_eq!(story.verify_last(), Err(Refusal::NoPendingVerification), "S3: once");
}

#[test]
fn a_sixth_wrong_code_finds_the_code_burned_s7() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    for left in [4, 3, 2, 1, 0] {
        assert_eq!(story.verify_wrong(), invalid(left));
    }
    assert_eq!(story.verify_wrong(), Err(Refusal::TooManyAttempts));
    assert_eq!(story.verify_last(), Err(Refusal::TooManyAttempts), "the right code is dead too");
}

#[test]
fn a_code_lives_until_its_last_millisecond_s2() {
    for (age, alive) in [(299_999, true), (300_000, false), (86_400_000, false)] {
        let (mut story, _) = Story::enrolled();
        story.send().unwrap();
        story.now = story.now.plus(Duration::from_millis(age));
        let answer = story.verify_last();
        assert_eq!(answer.is_ok(), alive, "{age} ms");
        assert!(alive || answer == Err(Refusal::CodeExpired));
    }
}

#[test]
fn a_new_code_kills_the_old_one_and_keeps_the_count_s5() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    let first = story.last_proof();
    story.verify_wrong().unwrap_err();
    story.pass(30);
    story.send().unwrap();
    assert_eq!(story.verify(first), invalid(4), "a fresh code has its own five guesses");
    assert_eq!(story.account.sms_failed_attempts.failures, 2);
}

#[test]
fn setting_up_another_number_kills_the_code_of_the_first_s4() {
    let mut story = Story::with(Policy { sms_cooldown: Duration::ZERO, ..Policy::default() });
    story.setup(HOME, None).unwrap();
    let first = story.last_proof();
    story.setup(WORK, None).unwrap();
    assert_eq!(story.verify(first), invalid(4));
    assert!(story.verify_last().is_ok());
    assert_eq!(story.active_phone(), Some(WORK));
}

#[test]
fn an_enrollment_lapses_and_its_code_with_it() {
    let mut story = Story::with(Policy { pending_ttl: Duration::from_secs(100), ..Policy::default() });
    let Ok(Answer::CodeSent { expires_in, .. }) = story.setup(HOME, None) else { panic!() };
    assert_eq!(expires_in.as_secs(), 100, "a code does not outlive what it is for");
    story.pass(100);
    assert_eq!(story.verify_last(), Err(Refusal::NoPendingVerification));
    assert_eq!(story.send(), Err(Refusal::NoPendingVerification));
    assert_eq!(story.disable(None), Err(Refusal::NotEnabled));
}

#[test]
fn the_cooldown_and_the_rolling_window_limit_sends_s11() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    assert_eq!(story.send(), rate_limited(SendLimit::Cooldown, 30));
    story.pass(29);
    assert_eq!(story.send(), rate_limited(SendLimit::Cooldown, 1));
    for _ in 0..4 {
        story.pass(30);
        story.send().unwrap();
    }
    assert_eq!(story.send(), rate_limited(SendLimit::User, 3600 - 149));
    story.pass(3600 - 149);
    assert_eq!(story.send(), Err(Refusal::NoPendingVerification), "the enrollment has lapsed meanwhile");
    story.setup(HOME, None).unwrap();
    assert_eq!(story.setup(HOME, None), rate_limited(SendLimit::User, 59));
}

#[test]
fn the_last_send_says_how_long_the_next_one_takes() {
    let mut story = Story::with(Policy { sms_cooldown: Duration::ZERO, sms_max_per_window: 2, ..Policy::default() });
    story.setup(HOME, None).unwrap();
    story.pass(600);
    let Ok(Answer::CodeSent { sends_remaining, resend_in, .. }) = story.send() else { panic!() };
    assert_eq!((sends_remaining, resend_in.as_secs()), (0, 3000));
}

#[test]
fn sends_stay_counted_through_disabling_and_enrolling_again_s11() {
    let (mut story, codes) =
        Story::enrolled_with(Policy { sms_cooldown: Duration::ZERO, sms_max_per_window: 2, ..Policy::default() });
    story.disable(Some(Proof::Backup(codes[0].clone()))).unwrap();
    story.setup(HOME, None).unwrap();
    assert_eq!(story.setup(HOME, None), rate_limited(SendLimit::User, 3600));
    story.disable(None).unwrap();
    assert_eq!(story.setup(WORK, None), rate_limited(SendLimit::User, 3600), "nor does another number help");
}

#[test]
fn a_refused_send_is_given_back_with_its_code_s12() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    let sent = story.last_code.clone().unwrap();
    story.run(&Command::GiveBack { challenge: sent.challenge, phone: sent.to.clone() }).unwrap();
    assert_eq!(story.account.challenge, None, "nobody ever saw that code");
    let Ok(Answer::CodeSent { sends_remaining, .. }) = story.send() else { panic!("the cooldown is given back too") };
    assert_eq!(sends_remaining, 4);
    let before = story.account.clone();
    story.run(&Command::GiveBack { challenge: sent.challenge, phone: sent.to }).unwrap();
    assert_eq!(story.account, before, "giving back twice gives nothing");
}

#[test]
fn replacing_takes_a_proof_and_the_old_number_serves_until_the_new_one_is_verified_s15_s16() {
    let (mut story, codes) = Story::enrolled();
    assert_eq!(story.setup(WORK, None), Err(Refusal::VerificationRequired));
    assert_eq!(story.setup(HOME, None), Err(Refusal::AlreadyEnabled));
    assert!(story.account.pending.is_none() && story.account.challenge.is_none(), "nothing changed");

    story.setup(WORK, Some(Proof::Backup(codes[0].clone()))).unwrap();
    assert_eq!((story.active_phone(), story.account.backup.remaining()), (Some(HOME), 9));
    story.send().unwrap();
    assert_eq!(story.last_code.as_ref().unwrap().to, number(HOME), "signing in does not depend on the replacement");
    assert!(matches!(story.verify_last(), Ok(Answer::Confirmed { method: Method::Sms, .. })));

    story.run(&Command::Send { pending: true }).unwrap();
    assert!(matches!(story.verify_last(), Ok(Answer::Enabled { .. })));
    assert_eq!(story.active_phone(), Some(WORK));
    assert_eq!(story.notification, Some(Notification { to: number(HOME), kind: NotificationKind::Replaced }), "S18");
    assert_eq!(story.verify(Proof::Backup(codes[1].clone())), invalid(9), "S17: the old set is gone");
}

#[test]
fn a_sign_in_code_is_a_proof_and_is_spent_by_it_s16() {
    let (mut story, _) = Story::enrolled();
    story.send().unwrap();
    let proof = story.last_proof();
    story.setup(WORK, Some(proof.clone())).unwrap();
    assert_eq!(story.about, [Some(number(WORK)), Some(number(WORK))], "the trail names the number that the code went to");
    assert_eq!(story.verify(proof), invalid(4), "spent; what is out now is the new number's code");
}

#[test]
fn a_code_to_the_new_number_proves_nothing_about_the_old_one_s4() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, Some(Proof::Backup(codes[0].clone()))).unwrap();
    let to_new = story.last_proof();
    assert_eq!(story.disable(Some(to_new.clone())), Err(Refusal::NoPendingVerification));
    assert_eq!(story.setup("+14155551235", Some(to_new)), Err(Refusal::NoPendingVerification));
    assert_eq!(story.account.sms_failed_attempts.failures, 0, "nothing was judged");
}

#[test]
fn a_proof_that_could_not_be_used_is_not_spent() {
    let (mut story, _) = Story::enrolled_with(Policy { sms_cooldown: Duration::from_secs(30), ..Policy::default() });
    story.pass(30);
    story.send().unwrap();
    let proof = story.last_proof();
    assert_eq!(story.setup(WORK, Some(proof.clone())), rate_limited(SendLimit::Cooldown, 30));
    assert_eq!(story.setup(WORK, Some(story.wrong_proof())), rate_limited(SendLimit::Cooldown, 30), "nor is a wrong one judged");
    story.pass(30);
    assert!(story.setup(WORK, Some(proof)).is_ok());
}

#[test]
fn ten_wrong_codes_lock_and_a_right_one_waits_unspent_s8_s10() {
    let policy =
        Policy { code_max_attempts: 20, sms_cooldown: Duration::ZERO, code_ttl: Duration::from_secs(3600), ..Policy::default() };
    let (mut story, _) = Story::enrolled_with(policy);
    story.send().unwrap();
    for left in (1..10).rev() {
        assert_eq!(story.verify_wrong(), invalid(left));
    }
    assert_eq!(story.verify_wrong(), invalid(0));
    assert_eq!(story.events, [(AuditEvent::Verify, "invalid_code"), (AuditEvent::Locked, "success")]);
    let locked = Err(Refusal::Locked { retry_after: Duration::from_secs(900) });
    assert_eq!(story.verify_wrong(), locked);
    assert_eq!(story.verify_last(), locked, "right and wrong look alike");
    story.pass(900);
    assert!(story.verify_last().is_ok());
    assert_eq!(story.account.sms_failed_attempts, FailedAttempts::default());
}

#[test]
fn burned_sms_guesses_do_not_lock_out_backup_codes_nor_the_other_way_round_s9() {
    let (mut story, codes) = Story::enrolled();
    for _ in 0..2 {
        story.send().unwrap();
        for _ in 0..5 {
            story.verify_wrong().unwrap_err();
        }
    }
    story.send().unwrap();
    assert!(matches!(story.verify_last(), Err(Refusal::Locked { .. })));
    assert!(story.verify(Proof::Backup(codes[0].clone())).is_ok());

    let (mut story, codes) = Story::enrolled();
    for left in (0..10).rev() {
        assert_eq!(story.verify(wrong_backup()), invalid(left));
    }
    assert!(matches!(story.verify(Proof::Backup(codes[0].clone())), Err(Refusal::Locked { .. })));
    story.send().unwrap();
    assert!(story.verify_last().is_ok());
}

#[test]
fn a_hundred_wrong_backup_codes_disable_those_until_new_ones_are_made_s9() {
    let (mut story, codes) = Story::enrolled();
    for _ in 0..100 {
        story.verify(wrong_backup()).unwrap_err();
        story.pass(24 * 3600);
    }
    assert_eq!(story.verify(Proof::Backup(codes[0].clone())), Err(Refusal::BackupCodesDisabled));
    assert!(matches!(story.account.sms, SmsFactor::On(_)), "the phone number is as good as ever");
    story.send().unwrap();
    let command = Command::Verify { proof: story.last_proof(), regenerate_backup_codes: true };
    let Ok(Answer::Confirmed { backup_codes: Some(new), .. }) = story.run(&command) else { panic!() };
    assert!(story.verify(Proof::Backup(new[0].clone())).is_ok());
}

#[test]
fn the_window_of_another_number_counts_for_nothing() {
    let (mut story, _) = Story::enrolled();
    let taken = (0..100).map(|index| Slot { index, taken_at: story.now });
    story.phone_window = Some((number(WORK), SendWindow::new(taken)));
    assert!(story.send().is_ok(), "the code goes to the number that is active");
}

/// Enters wrong codes until the factor is disabled, waiting out every lock.
fn burn(story: &mut Story) {
    while !matches!(story.account.sms, SmsFactor::Disabled(_)) {
        story.pass(24 * 3600);
        story.send().unwrap();
        for _ in 0..5 {
            let _ = story.verify_wrong();
        }
    }
}

#[test]
fn a_hundred_wrong_codes_disable_the_factor_until_it_is_bound_anew_with_a_backup_code_s8() {
    let (mut story, codes) = Story::enrolled();
    burn(&mut story);
    assert_eq!(story.account.sms_failed_attempts.failures, 100);
    assert!(story.events.contains(&(AuditEvent::FactorDisabled, "success")));
    story.pass(48 * 3600);
    assert_eq!(story.send(), Err(Refusal::FactorDisabled), "a code could never be accepted");
    assert_eq!(story.verify_last(), Err(Refusal::FactorDisabled));
    assert_eq!(story.disable(Some(story.last_proof())), Err(Refusal::FactorDisabled));
    assert_eq!(story.setup(HOME, Some(story.last_proof())), Err(Refusal::FactorDisabled));
    assert!(story.verify(Proof::Backup(codes[0].clone())).is_ok(), "backup codes still sign in");
    assert_eq!(story.send(), Err(Refusal::FactorDisabled), "but signing in does not bind");

    story.setup(HOME, Some(Proof::Backup(codes[1].clone()))).unwrap();
    story.send().unwrap();
    assert!(matches!(story.verify_last(), Ok(Answer::Enabled { .. })));
    assert_eq!(story.account.sms_failed_attempts.failures, 0);
    assert_eq!(story.notification, None, "the number is the same");
}

#[test]
fn a_hundred_wrong_codes_while_binding_anew_take_another_backup_code_s8() {
    let (mut story, codes) = Story::enrolled();
    burn(&mut story);
    story.account.pending = None;
    story.policy.pending_ttl = Duration::from_secs(3600 * 24 * 100);
    story.setup(WORK, Some(Proof::Backup(codes[0].clone()))).unwrap();
    while story.account.pending.is_some() {
        let _ = story.verify_wrong();
        story.pass(24 * 3600);
        let _ = story.send();
    }
    assert_eq!(story.send(), Err(Refusal::FactorDisabled));
    assert!(story.setup(WORK, Some(Proof::Backup(codes[1].clone()))).is_ok());
}

#[test]
fn an_enrollment_is_never_disabled_only_locked() {
    let mut story = Story::with(Policy { sms_cooldown: Duration::ZERO, ..Policy::default() });
    for _ in 0..60 {
        story.pass(24 * 3600);
        story.setup(HOME, None).unwrap();
        for _ in 0..5 {
            let _ = story.verify_wrong();
        }
    }
    assert!(story.account.sms_failed_attempts.failures > 100);
    story.pass(24 * 3600);
    story.setup(HOME, None).unwrap();
    assert!(story.verify_last().is_ok());
}

#[test]
fn a_backup_code_works_once_and_the_last_one_is_the_last_s17() {
    let (mut story, codes) = Story::enrolled();
    for (used, code) in codes.iter().enumerate() {
        let Ok(Answer::Confirmed { method: Method::BackupCode, backup_codes_remaining, .. }) =
            story.verify(Proof::Backup(code.clone()))
        else {
            panic!("code {used}")
        };
        assert_eq!(backup_codes_remaining, 9 - used);
        assert_eq!(story.verify(Proof::Backup(code.clone())), invalid(9), "twice");
    }
}

#[test]
fn regenerating_replaces_all_backup_codes_and_takes_a_proof_s16_s17() {
    let (mut story, old) = Story::enrolled();
    let command = Command::Verify { proof: Proof::Backup(old[0].clone()), regenerate_backup_codes: true };
    let Ok(Answer::Confirmed { backup_codes: Some(new), backup_codes_remaining: 10, .. }) = story.run(&command) else { panic!() };
    assert_eq!(story.events[1], (AuditEvent::BackupCodesRegenerated, "success"));
    assert_eq!(story.verify(Proof::Backup(old[1].clone())), invalid(9));
    assert!(story.verify(Proof::Backup(new[1].clone())).is_ok());
    let wrong = Command::Verify { proof: wrong_backup(), regenerate_backup_codes: true };
    assert_eq!(story.run(&wrong), invalid(9));
    assert_eq!(story.account.backup.remaining(), 9);
}

#[test]
fn a_backup_code_is_nothing_without_a_factor() {
    let mut story = Story::new();
    assert_eq!(story.verify(wrong_backup()), Err(Refusal::NoPendingVerification));
    story.setup(HOME, None).unwrap();
    assert_eq!(story.verify(wrong_backup()), invalid(9), "a wrong code is a wrong guess");
    assert!(story.verify_last().is_ok());
    assert_eq!(story.account.backup.failed_attempts, FailedAttempts::default(), "fresh codes have a fresh count");
}

#[test]
fn codes_and_backup_codes_survive_the_rotation_of_the_pepper() {
    let (mut story, codes) = Story::enrolled();
    story.send().unwrap();
    story.pepper = Pepper::new(&[9; 32]).unwrap().with_previous(&[3; 32]).unwrap();
    assert!(story.verify_last().is_ok());
    assert!(story.verify(Proof::Backup(codes[0].clone())).is_ok());
    assert_eq!(story.verify(Proof::Backup(codes[0].clone())), invalid(9), "spent under either pepper");
    story.pepper = Pepper::new(&[9; 32]).unwrap();
    assert_eq!(story.verify(Proof::Backup(codes[1].clone())), invalid(8), "not once the old pepper is forgotten");
}

#[test]
fn turning_off_takes_a_proof_and_leaves_nothing_s16_s18() {
    let (mut story, codes) = Story::enrolled();
    assert_eq!(story.disable(None), Err(Refusal::VerificationRequired));
    assert_eq!(story.disable(Some(wrong_backup())), invalid(9));
    assert_eq!(story.active_phone(), Some(HOME));
    assert_eq!(story.disable(Some(Proof::Backup(codes[0].clone()))), Ok(Answer::Disabled));
    assert_eq!((story.active_phone(), story.account.backup.remaining()), (None, 0));
    assert_eq!(story.notification, Some(Notification { to: number(HOME), kind: NotificationKind::TurnedOff }));
    assert_eq!(story.disable(Some(Proof::Backup(codes[1].clone()))), Err(Refusal::NotEnabled));
}

#[test]
fn an_unverified_enrollment_is_dropped_without_a_code() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    assert_eq!(story.disable(None), Ok(Answer::Disabled));
    assert_eq!(story.verify_last(), Err(Refusal::NoPendingVerification));
    assert_eq!(story.disable(None), Err(Refusal::NotEnabled));
}

#[test]
fn three_notices_a_day_are_enough_s18() {
    let (mut story, _) = Story::enrolled();
    let mut told = 0;
    for _ in 0..5 {
        story.send().unwrap();
        let proof = story.last_proof();
        story.disable(Some(proof)).unwrap();
        told += u32::from(story.notification.is_some());
        story.setup(HOME, None).unwrap();
        story.verify_last().unwrap();
    }
    assert_eq!(told, 3);
    story.send().unwrap();
    let proof = story.last_proof();
    story.disable(Some(proof)).unwrap();
    assert!(story.events.contains(&(AuditEvent::Notification, "rate_limited")), "what is not told is on record");
    story.setup(HOME, None).unwrap();
    story.verify_last().unwrap();
    story.pass(24 * 3600);
    story.send().unwrap();
    let proof = story.last_proof();
    story.disable(Some(proof)).unwrap();
    assert!(story.notification.is_some(), "the next day is another");
}

#[test]
fn an_operator_lifts_locks_and_removes_factors() {
    let (mut story, _) =
        Story::enrolled_with(Policy { lock_after_failures: 1, sms_cooldown: Duration::ZERO, ..Policy::default() });
    story.send().unwrap();
    story.verify_wrong().unwrap_err();
    assert!(matches!(story.verify_last(), Err(Refusal::Locked { .. })));
    story.run(&Command::Unlock).unwrap();
    assert!(story.verify_last().is_ok());
    assert_eq!(story.run(&Command::Reset), Ok(Answer::Done));
    assert_eq!((story.active_phone(), story.notification.is_some()), (None, true));
    assert_eq!(story.run(&Command::Reset), Err(Refusal::NotEnabled));
}

#[test]
fn the_status_tells_what_is_active_pending_and_disabled() {
    let (mut story, codes) = Story::enrolled();
    story.setup(WORK, Some(Proof::Backup(codes[0].clone()))).unwrap();
    let status = story.account.clone().status(&story.policy, story.now);
    assert_eq!(status.active.map(|active| active.phone), Some(number(HOME)));
    assert_eq!((status.backup_codes_remaining, status.pending, status.factor_disabled), (9, Some(number(WORK)), false));
    story.pass(3600);
    assert_eq!(story.account.clone().status(&story.policy, story.now).pending, None, "lapsed");
    burn(&mut story);
    let status = story.account.clone().status(&story.policy, story.now);
    assert!(status.factor_disabled && status.active.is_some(), "2FA is on all the same: signing in needs a backup code");
}

#[test]
fn storage_may_drop_an_account_only_when_nothing_in_it_counts() {
    let mut story = Story::new();
    story.setup(HOME, None).unwrap();
    assert_eq!(story.account.stale_at(&story.policy), Some(story.now.plus(Duration::from_secs(3600))));
    story.verify_wrong().unwrap_err();
    let month = Duration::from_secs(30 * 24 * 3600);
    assert_eq!(story.account.stale_at(&story.policy), Some(story.now.plus(month)), "failures are remembered for a month");
    story.now = story.now.plus(month);
    let forgotten = story.account.clone().at(&story.policy, story.now);
    assert_eq!(forgotten, Account::default(), "and by our own clock, whether storage dropped them or not (S2)");
    story.account = Account::default();
    story.setup(HOME, None).unwrap();
    story.verify_last().unwrap();
    assert_eq!(story.account.stale_at(&story.policy), None, "an active factor stays");
}
