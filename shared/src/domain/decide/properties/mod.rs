//! Random sequences of commands at random times, with the invariants of the service checked after every step (S1 to S12, S15 to S18,
//! S24, S26) by a bookkeeper that knows nothing of how the state machine works.
//!
//! `PROPTEST_CASES=20000 cargo test -p two-factor --lib properties` runs more sequences than `make test` does.

mod books;

use std::{sync::LazyLock, time::Duration};

use proptest::{collection::vec, prelude::*, sample::select};
use rand::rngs::ChaCha12Rng;

use self::books::Books;
use super::{
    shell::{self, Request, Rules, Windows},
    *,
};
use crate::domain::{AllowedCountries, Country, UserId, phone_number::tests::number};

/// Two users, who know of the same numbers.
const USERS: [&str; 2] = ["alice", "bob"];
static PHONES: LazyLock<[PhoneNumber; 4]> =
    LazyLock::new(|| ["+12015550123", "+12015550124", "+12015550125", "+447400123456"].map(number));

/// Which code a caller hands in.
#[derive(Clone, Copy, Debug)]
enum Guess {
    /// The last but so many of the codes that were sent to the caller: the live one, or one that it replaced.
    Own(usize),
    /// The last but so many of the codes that were sent to anybody.
    Anybodys(usize),
    /// A code that was never sent to the caller.
    Wrong,
    /// One of the backup codes that the caller has left.
    Backup(usize),
    /// One of all backup codes that were ever shown to anybody.
    AnyBackup(usize),
    /// A backup code that nobody has.
    WrongBackup,
    /// None at all.
    Nothing,
    /// A code for a change of the factor, which the caller asks for first.
    Fresh,
}

/// Which purpose a caller names.
#[derive(Clone, Copy, Debug)]
enum Meant {
    /// None: the usual one.
    Usual,
    /// That of the last code that was sent to the caller.
    OfLastCode,
    /// This one.
    Named(Purpose),
}

/// What somebody does.
#[derive(Clone, Debug)]
enum Op {
    /// Asks for a code, and hands in so many wrong ones before this one.
    Exchange(Option<Purpose>, usize, Guess),
    /// Asks for two codes as soon as that is possible, and hands in the last but so many.
    Resend(Option<Purpose>, usize),
    /// Asks for codes again and again, each time as soon as that is possible, and hands in wrong ones only.
    Siege(Option<Purpose>, usize),
    Setup(usize, Guess),
    Send(Option<Purpose>),
    Verify(Guess, Meant),
    Regenerate(Guess),
    Disable(Guess),
    /// The last but so many of the caller's messages was taken by no provider.
    Refuse(usize, DeliveryReason),
    Unlock,
    Reset,
    Import(usize),
    /// From now on only these countries are allowed.
    Allow(&'static [&'static str]),
}

/// How much time passes before.
#[derive(Clone, Copy, Debug)]
enum Pause {
    Seconds(u64),
    /// Until the user is not locked any more.
    Lock,
    /// Until everything that was sent has left the window.
    Window,
}

#[derive(Clone, Debug)]
struct Step {
    user: usize,
    pause: Pause,
    /// The source address; `None` where none counts.
    address: Option<u8>,
    /// The number that a user without a factor enrolls first; `None` to go on without.
    enrolls: Option<usize>,
    op: Op,
}

/// Draws one step out of one number. Drawing from a tree of strategies would take proptest ten times as long as running what it drew.
/// Small numbers are plain steps, so that a failing sequence shrinks.
struct Draw(u64);

/// How often something is chosen, and how it is drawn then.
type Choice<T> = (u64, fn(&mut Draw) -> T);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        let drawn = self.0 % bound;
        self.0 /= bound;
        drawn
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// One of these, each as often as its weight says.
    fn weighted<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let mut left = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            match left.checked_sub(*weight) {
                Some(less) => left = less,
                None => return *choice,
            }
        }
        unreachable!("what is left is below the sum of the weights")
    }

    /// Mostly no time passes, or little; sometimes enough to leave a limit behind.
    fn pause(&mut self) -> Pause {
        let kinds: [Choice<Pause>; 7] = [
            (12, |_| Pause::Seconds(0)),
            (8, |draw| Pause::Seconds(1 + draw.below(40))),
            (2, |draw| Pause::Seconds(40 + draw.below(400))),
            (1, |draw| Pause::Seconds(400 + draw.below(4000))),
            (1, |draw| Pause::Seconds(4000 + draw.below(100_000))),
            (3, |_| Pause::Lock),
            (1, |_| Pause::Window),
        ];
        self.weighted(&kinds)(self)
    }

    fn guess(&mut self) -> Guess {
        let kinds: [Choice<Guess>; 7] = [
            (8, |_| Guess::Own(0)),
            (4, |draw| Guess::Own(1 + draw.index(5))),
            (1, |draw| Guess::Anybodys(draw.index(6))),
            (5, |_| Guess::Wrong),
            (3, |draw| Guess::Backup(draw.index(10))),
            (1, |draw| Guess::AnyBackup(draw.index(40))),
            (2, |_| Guess::WrongBackup),
        ];
        self.weighted(&kinds)(self)
    }

    /// A guess that goes with a change of the factor.
    fn proof(&mut self) -> Guess {
        match self.below(8) {
            0..3 => Guess::Fresh,
            3..5 => Guess::Backup(self.index(10)),
            5 => Guess::Nothing,
            _ => self.guess(),
        }
    }

    fn meant(&mut self) -> Meant {
        match self.below(10) {
            0..3 => Meant::Usual,
            3..9 => Meant::OfLastCode,
            _ => self.purpose().map_or(Meant::Usual, Meant::Named),
        }
    }

    fn purpose(&mut self) -> Option<Purpose> {
        use Purpose::{Change, Confirm, Enroll, Replace, SignIn};
        self.weighted(&[
            (4, None),
            (1, Some(SignIn)),
            (1, Some(Confirm)),
            (2, Some(Change)),
            (4, Some(Replace)),
            (1, Some(Enroll)),
        ])
    }

    fn op(&mut self) -> Op {
        const REASONS: [DeliveryReason; 7] = [
            DeliveryReason::ProviderUnavailable,
            DeliveryReason::ProviderUnavailable,
            DeliveryReason::InvalidNumber,
            DeliveryReason::NotMobile,
            DeliveryReason::OptedOut,
            DeliveryReason::CountryNotPermitted,
            DeliveryReason::Rejected,
        ];
        let kinds: [Choice<Op>; 13] = [
            (20, |draw| Op::Exchange(draw.purpose(), draw.index(3), draw.guess())),
            (14, |draw| Op::Setup(draw.index(PHONES.len()), draw.proof())),
            (10, |draw| Op::Send(draw.purpose())),
            (10, |draw| Op::Verify(draw.guess(), draw.meant())),
            (6, |draw| Op::Resend(draw.purpose(), draw.index(6))),
            (3, |draw| Op::Siege(draw.purpose(), 1 + draw.index(8))),
            (4, |draw| Op::Regenerate(draw.proof())),
            (2, |draw| Op::Disable(draw.proof())),
            (5, |draw| Op::Refuse(draw.index(2), draw.of(&REASONS))),
            (1, |_| Op::Unlock),
            (1, |_| Op::Reset),
            (2, |draw| Op::Import(draw.index(PHONES.len()))),
            (1, |draw| Op::Allow(draw.of(&[&["US", "GB"], &["US", "GB"], &["US"], &["GB"]]))),
        ];
        self.weighted(&kinds)(self)
    }

    fn step(mut self) -> Step {
        let (user, pause, address) = (self.index(USERS.len()), self.pause(), self.of(&[None, Some(1), Some(2)]));
        let phone = self.index(PHONES.len());
        let enrolls = self.weighted(&[(2, Some(phone)), (1, None)]);
        Step { user, pause, address, enrolls, op: self.op() }
    }
}

/// A tight policy, so that short sequences reach every limit.
fn policies() -> impl Strategy<Value = Policy> {
    let seconds = |choices: &[u64]| select(choices.to_vec()).prop_map(Duration::from_secs);
    let guesses = (1..4_u32, 1..4_u32, 4..9_u32, seconds(&[20, 900, 50_000]));
    let sends = (1..8_u16, 0..5_u16, 1..4_u16, seconds(&[600, 3600]), seconds(&[0, 30]));
    let lives = (seconds(&[60, 300]), seconds(&[200, 3600]));
    (guesses, sends, lives).prop_map(|(guesses, sends, lives)| {
        let (code_max_attempts, lock_after_failures, disable_after_failures, lock) = guesses;
        let (sms_max_per_window, sms_max_per_ip, sms_max_refused, sms_window, sms_cooldown) = sends;
        let (code_ttl, pending_ttl) = lives;
        Policy {
            code_ttl,
            code_max_attempts,
            pending_ttl,
            sms_max_per_window,
            sms_window,
            sms_cooldown,
            sms_max_per_ip,
            sms_max_refused,
            lock_after_failures,
            lock,
            disable_after_failures,
        }
    })
}

/// The accounts and windows as they are stored, and the books.
struct World {
    rules: Rules,
    windows: Windows,
    rng: ChaCha12Rng,
    now: Timestamp,
    users: [UserId; USERS.len()],
    accounts: [Account; USERS.len()],
    books: Books,
}

impl World {
    fn new(policy: Policy, seed: u64) -> Self {
        Self {
            books: Books::new(policy.clone()),
            rules: Rules::new(policy),
            windows: Windows::default(),
            rng: shell::rng(seed),
            now: Timestamp::from_millis(1_800_000_000_000),
            users: USERS.map(|user| UserId::parse(user).unwrap()),
            accounts: Default::default(),
        }
    }

    fn take(&mut self, step: &Step) {
        let Step { user, pause, address, enrolls, ref op } = *step;
        self.now = match pause {
            Pause::Seconds(seconds) => self.now.plus(Duration::from_secs(seconds)),
            Pause::Lock => self.books.locked_until(user).map_or(self.now, |until| until.max(self.now)),
            Pause::Window => self.now.plus(self.rules.policy.sms_window),
        };
        if let Some(phone) = enrolls.filter(|_| !self.books.has_factor(user)) {
            self.run(user, address, &Command::Setup { phone: PHONES[phone].clone(), proof: None });
            self.verify(user, address, Guess::Own(0), Meant::Usual);
        }
        match op {
            Op::Exchange(purpose, wrong, guess) => {
                self.run(user, address, &Command::Send { purpose: *purpose });
                for _ in 0..*wrong {
                    self.verify(user, address, Guess::Wrong, Meant::OfLastCode);
                }
                self.verify(user, address, *guess, Meant::OfLastCode);
            }
            Op::Resend(purpose, back) => {
                for _ in 0..2 {
                    self.now = self.now.plus(self.rules.policy.sms_cooldown);
                    self.run(user, address, &Command::Send { purpose: *purpose });
                }
                self.verify(user, address, Guess::Own(*back), Meant::OfLastCode);
            }
            Op::Siege(purpose, codes) => {
                for _ in 0..*codes {
                    self.now = self.now.plus(self.rules.policy.sms_window);
                    self.now = self.books.locked_until(user).map_or(self.now, |until| until.max(self.now));
                    self.run(user, address, &Command::Send { purpose: *purpose });
                    for _ in 0..self.rules.policy.code_max_attempts {
                        self.verify(user, address, Guess::Wrong, Meant::OfLastCode);
                    }
                }
            }
            Op::Setup(phone, guess) => {
                let proof = self.proof(user, address, *guess);
                self.run(user, address, &Command::Setup { phone: PHONES[*phone].clone(), proof });
            }
            Op::Send(purpose) => self.run(user, address, &Command::Send { purpose: *purpose }),
            Op::Verify(guess, meant) => self.verify(user, address, *guess, *meant),
            Op::Regenerate(guess) => {
                if let Some(proof) = self.proof(user, address, *guess) {
                    self.run(user, address, &Command::Verify { proof, purpose: None, regenerate_backup_codes: true });
                }
            }
            Op::Disable(guess) => {
                let proof = self.proof(user, address, *guess);
                self.run(user, address, &Command::Disable { proof });
            }
            Op::Refuse(back, reason) => {
                let sent = self.books.sent_to(user).rev().nth(*back).filter(|sent| !sent.came_back());
                // It is the request that reserved the send.
                if let Some((challenge, phone, address)) = sent.map(|sent| (sent.id, sent.phone.clone(), sent.address)) {
                    let command = Command::GiveBack { challenge, phone, reason: *reason, attempts: Vec::new() };
                    self.run(user, address, &command);
                }
            }
            Op::Unlock => self.run(user, address, &Command::Unlock),
            Op::Reset => self.run(user, address, &Command::Reset),
            Op::Import(phone) => self.run(user, address, &Command::Import { phone: PHONES[*phone].clone() }),
            Op::Allow(countries) => {
                let countries = countries.iter().filter_map(|code| Country::parse(code)).collect();
                self.rules.allowed_countries = AllowedCountries::Only(countries);
            }
        }
    }

    fn verify(&mut self, user: usize, address: Option<u8>, guess: Guess, meant: Meant) {
        let proof = self.proof(user, address, guess);
        let purpose = match meant {
            Meant::Usual => None,
            Meant::OfLastCode => self.books.sent_to(user).last().map(|sent| sent.purpose),
            Meant::Named(purpose) => Some(purpose),
        };
        if let Some(proof) = proof {
            self.run(user, address, &Command::Verify { proof, purpose, regenerate_backup_codes: false });
        }
    }

    fn run(&mut self, user: usize, address: Option<u8>, command: &Command) {
        let request = Request { rules: &self.rules, user: &self.users[user], now: self.now, address };
        let decision = self.windows.settle(&self.accounts[user], command, request, &mut self.rng);
        if let Some(account) = decision.account.clone() {
            self.accounts[user] = account;
        }
        let status = self.accounts[user].clone().status(request.user, &self.rules.policy, &self.rules.pepper, self.now);
        self.books.check(user, command, &decision, &status, request);
    }

    fn proof(&mut self, user: usize, address: Option<u8>, guess: Guess) -> Option<Proof> {
        if let Guess::Fresh = guess {
            self.run(user, address, &Command::Send { purpose: Some(Purpose::Change) });
        }
        let parse = |text| Proof::parse(text).ok();
        let nobodys = || parse("0000-0000-0000-0000");
        let wrong = || {
            let is_wrong = |digits: &&str| self.books.sent_to(user).all(|sent| sent.code.expose() != *digits);
            ["000000", "000001", "000002"].into_iter().find(is_wrong).and_then(parse)
        };
        match guess {
            Guess::Fresh => self.books.sent_to(user).last().map(|sent| Proof::Sms(sent.code.clone())),
            Guess::Own(back) => self.books.sent_to(user).rev().nth(back).map(|sent| Proof::Sms(sent.code.clone())).or_else(wrong),
            Guess::Anybodys(back) => self.books.sent().rev().nth(back).map(|sent| Proof::Sms(sent.code.clone())),
            Guess::Wrong => wrong(),
            Guess::Backup(index) => self.books.backup_codes_of(user).get(index).cloned().map(Proof::Backup).or_else(nobodys),
            Guess::AnyBackup(index) => self.books.backup_codes().get(index).cloned().map(Proof::Backup).or_else(nobodys),
            Guess::WrongBackup => nobodys(),
            Guess::Nothing => None,
        }
    }
}

/// So many sequences as the environment says, or else as many as a test run has time for.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_sequence_of_commands_breaks_an_invariant(
        policy in policies(),
        seed in any::<u64>(),
        steps in vec(any::<u64>().prop_map(|number| Draw(number).step()), 1..80),
    ) {
        let mut world = World::new(policy, seed);
        for step in &steps {
            world.take(step);
        }
    }
}
