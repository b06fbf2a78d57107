//! The state machine by example: one story a test. What a story expects is what the contract says of it, under the limits that the
//! service has by default unless the story names others.

use std::{collections::HashMap, time::Duration};

use rand::rngs::ChaCha12Rng;

use super::{
    shell::{self, Request, Rules, Windows},
    *,
};
use crate::domain::{
    AllowedCountries, Country, Pepper, Provider, UserId, account::Status, phone_number::tests::number,
    sms::send_window::SendLimit,
};

mod binding;
mod disabling;
mod judging;
mod locking;
mod notifying;
mod sending;
mod standing;

/// The number of whoever a story is about.
const HOME: &str = "+12015550123";
/// The number that takes its place.
const WORK: &str = "+447400123456";
/// One more.
const OTHER: &str = "+12015550124";

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// What happens to one user and to those around, told from the first request on.
struct Story {
    rules: Rules,
    windows: Windows,
    rng: ChaCha12Rng,
    now: Timestamp,
    people: HashMap<&'static str, Person>,
    /// Who asks.
    user: &'static str,
    /// From which source address; `None` where none counts.
    address: Option<u8>,
    /// What the last command told the user's number of.
    told: Option<Notification>,
    /// What the last command left in the trail, or in the log alone.
    events: Vec<AuditEvent>,
    /// Whether anything was stored.
    stored: bool,
}

#[derive(Default)]
struct Person {
    account: Account,
    last_code: Option<OutgoingCode>,
}

impl Story {
    fn new() -> Self {
        Self::with(Policy::default())
    }

    fn with(policy: Policy) -> Self {
        Self {
            rules: Rules::new(policy),
            windows: Windows::default(),
            rng: shell::rng(7),
            now: Timestamp::from_millis(1_800_000_000_000),
            people: HashMap::new(),
            user: "alice",
            address: None,
            told: None,
            events: Vec::new(),
            stored: false,
        }
    }

    /// A story that begins a day after HOME was verified. The backup codes come with it.
    fn enrolled() -> (Self, Vec<BackupCode>) {
        Self::enrolled_with(Policy::default())
    }

    fn enrolled_with(policy: Policy) -> (Self, Vec<BackupCode>) {
        let mut story = Self::with(policy);
        let codes = story.enroll(HOME);
        story.pass(DAY);
        (story, codes)
    }

    /// A story in which HOME is disabled: 100 wrong codes were entered, each lock waited out. A day has passed since.
    fn disabled() -> (Self, Vec<BackupCode>) {
        let (mut story, codes) = Self::enrolled();
        story.fail_until_disabled(Purpose::SignIn);
        story.pass(DAY);
        (story, codes)
    }

    /// Runs a command of the user. Whatever it is refused for, but for a wrong code, leaves no trace (S24).
    fn run(&mut self, command: &Command) -> Result<Answer, Refusal> {
        let user = UserId::parse(self.user).unwrap();
        let request = Request { rules: &self.rules, user: &user, now: self.now, address: self.address };
        let person = self.people.entry(self.user).or_default();
        let decision = self.windows.settle(&person.account, command, request, &mut self.rng);
        self.stored = decision.is_stored();
        if !matches!(decision.outcome, Ok(_) | Err(Refusal::InvalidCode { .. })) {
            assert!(!self.stored && decision.account.is_none(), "{:?} was stored", decision.outcome);
            assert!(decision.code.is_none() && decision.take.is_none() && decision.give_back.is_none());
            assert!(decision.notification.is_none() && decision.events.len() == 1);
        }
        if let Some(account) = decision.account {
            person.account = account;
        }
        person.last_code = decision.code.or(person.last_code.take());
        self.told = decision.notification;
        self.events = decision.events;
        decision.outcome
    }

    fn setup(&mut self, phone: &str, proof: impl Into<Option<Proof>>) -> Result<Answer, Refusal> {
        self.run(&Command::Setup { phone: number(phone), proof: proof.into() })
    }

    fn send(&mut self, purpose: impl Into<Option<Purpose>>) -> Result<Answer, Refusal> {
        self.run(&Command::Send { purpose: purpose.into() })
    }

    fn verify(&mut self, proof: Proof, purpose: impl Into<Option<Purpose>>) -> Result<Answer, Refusal> {
        self.run(&Command::Verify { proof, purpose: purpose.into(), regenerate_backup_codes: false })
    }

    fn regenerate(&mut self, proof: Proof) -> Result<Answer, Refusal> {
        self.run(&Command::Verify { proof, purpose: None, regenerate_backup_codes: true })
    }

    fn disable(&mut self, proof: impl Into<Option<Proof>>) -> Result<Answer, Refusal> {
        self.run(&Command::Disable { proof: proof.into() })
    }

    /// No provider took the message with the last code.
    fn refuse_last(&mut self, reason: DeliveryReason) {
        let sent = self.last_code().clone();
        let attempts = Vec::new();
        let command = Command::GiveBack { challenge: sent.challenge, phone: sent.to, reason, attempts };
        self.run(&command).unwrap();
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(secs(seconds));
    }

    /// Enrolls a number of the user, and returns the backup codes.
    fn enroll(&mut self, phone: &str) -> Vec<BackupCode> {
        self.setup(phone, None).unwrap();
        let Ok(Answer::Bound { backup_codes, .. }) = self.verify(self.code(), None) else { panic!("not enrolled") };
        backup_codes
    }

    /// Asks for a code of this purpose, and reads it off the phone.
    fn fresh(&mut self, purpose: Purpose) -> Proof {
        self.send(purpose).unwrap();
        assert_eq!(self.last_code().purpose, purpose);
        self.code()
    }

    /// Enters so many wrong codes for this purpose, one after the other.
    fn fail(&mut self, purpose: Purpose, times: usize) {
        for _ in 0..times {
            let refusal = self.verify(self.wrong(), purpose).unwrap_err();
            assert!(matches!(refusal, Refusal::InvalidCode { .. }), "{refusal:?}");
        }
    }

    /// Enters wrong codes, five a day, until the number is disabled.
    fn fail_until_disabled(&mut self, purpose: Purpose) {
        for _ in 0..20 {
            self.pass(DAY);
            self.send(purpose).unwrap();
            self.fail(purpose, 5);
        }
        assert!(self.status().factor_disabled);
    }

    fn last_code(&self) -> &OutgoingCode {
        self.people[self.user].last_code.as_ref().expect("a code was sent")
    }

    /// The last code that was sent to the user.
    fn code(&self) -> Proof {
        Proof::Sms(self.last_code().code.clone())
    }

    /// A code that is none that was sent lately, whatever those are.
    fn wrong(&self) -> Proof {
        let last = self.people[self.user].last_code.as_ref().map(|sent| sent.code.expose());
        Proof::parse(if last == Some("000000") { "111111" } else { "000000" }).unwrap()
    }

    fn account(&self) -> &Account {
        &self.people[self.user].account
    }

    fn status(&self) -> Status {
        let user = UserId::parse(self.user).unwrap();
        self.account().clone().status(&user, &self.rules.policy, &self.rules.pepper, self.now)
    }

    fn active(&self) -> Option<PhoneNumber> {
        self.status().active.map(|active| active.phone)
    }

    fn pending(&self) -> Option<PhoneNumber> {
        self.status().pending
    }

    /// What the user's number was told of by the last command, and which number that is.
    fn told(&self) -> Option<(NotificationKind, PhoneNumber)> {
        self.told.as_ref().map(|told| (told.kind, told.to.clone()))
    }

    /// What the last command left in the trail.
    fn trail(&self) -> Vec<(AuditKind, &'static str)> {
        self.events.iter().map(|event| (event.kind, event.outcome.as_str())).collect()
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn backup(code: &BackupCode) -> Proof {
    Proof::Backup(code.clone())
}

/// A backup code that nobody has.
fn wrong_backup() -> Proof {
    Proof::parse("0000-0000-0000-0000").unwrap()
}

/// A wrong SMS code, with so many guesses left.
fn invalid(attempts_remaining: u32) -> Result<Answer, Refusal> {
    Err(Refusal::InvalidCode { attempts_remaining: Some(attempts_remaining) })
}

/// A wrong backup code: guesses at those are not limited.
fn invalid_backup() -> Result<Answer, Refusal> {
    Err(Refusal::InvalidCode { attempts_remaining: None })
}

fn wrong_purpose(live: Purpose) -> Result<Answer, Refusal> {
    Err(Refusal::WrongPurpose { live })
}

fn superseded(live: Purpose) -> Result<Answer, Refusal> {
    Err(Refusal::CodeSuperseded { live })
}

fn rate_limited(limit: SendLimit, seconds: u64) -> Result<Answer, Refusal> {
    Err(Refusal::RateLimited { limit, retry_after: secs(seconds) })
}

/// What an accepted code tells of the wrong ones before it.
fn accepted(answer: Result<Answer, Refusal>) -> Accepted {
    match answer {
        Ok(Answer::Confirmed { accepted, .. }) => accepted,
        other => panic!("{other:?}"),
    }
}

/// To which number a code went, and how many sends the user has left.
fn sent(answer: Result<Answer, Refusal>) -> (PhoneNumber, u16) {
    let Ok(Answer::CodeSent { phone, sends_remaining, .. }) = answer else { panic!("{answer:?}") };
    (phone, sends_remaining)
}
