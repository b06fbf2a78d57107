//! Random sequences of commands at random times, with the invariants checked after every step by a bookkeeper that knows nothing
//! of how the state machine works: it remembers every code that went out and everything that was accepted.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
    time::Duration,
};

use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha12Rng};

use super::*;
use crate::domain::{Code, Pepper, SendWindow, UserId, phone_number::tests::number};

const USERS: [&str; 2] = ["alice", "bob"];
static PHONES: LazyLock<[PhoneNumber; 3]> = LazyLock::new(|| ["+14155551234", "+14155551235", "+447400123456"].map(number));

/// Which code a simulated caller hands in.
#[derive(Clone, Copy, Debug)]
enum Guess {
    /// The last code that was sent to the caller.
    Last,
    /// The last but this many of all codes that were ever sent, to whomever.
    Earlier(usize),
    /// A code that is certainly not the last one.
    Wrong,
    /// One of the caller's backup codes, of the newest set.
    Backup(usize),
    /// Any backup code ever shown to anybody.
    AnyBackup(usize),
    /// A backup code that nobody has.
    WrongBackup,
    /// None at all.
    Nothing,
}

#[derive(Clone, Debug)]
enum Op {
    Setup(usize, Guess),
    Send(bool),
    Verify(Guess, bool),
    Disable(Guess),
    RefuseLastSend,
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![
        5 => Just(Guess::Last),
        2 => (0..6_usize).prop_map(Guess::Earlier),
        6 => Just(Guess::Wrong),
        3 => (0..10_usize).prop_map(Guess::Backup),
        1 => (0..40_usize).prop_map(Guess::AnyBackup),
        2 => Just(Guess::WrongBackup),
        1 => Just(Guess::Nothing),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..PHONES.len(), guess()).prop_map(|(phone, guess)| Op::Setup(phone, guess)),
        3 => prop::bool::weighted(0.3).prop_map(Op::Send),
        8 => (guess(), prop::bool::weighted(0.2)).prop_map(|(guess, regenerate)| Op::Verify(guess, regenerate)),
        1 => guess().prop_map(Op::Disable),
        1 => Just(Op::RefuseLastSend),
    ]
}

/// Seconds that pass before a command: mostly none or few, sometimes past a limit.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0), 4 => 1..40_u64, 2 => 40..400_u64, 2 => 400..4000_u64, 1 => 4000..100_000_u64]
}

/// A tight policy, so that short sequences reach every limit.
fn policy() -> impl Strategy<Value = Policy> {
    (1..4_u32, 1..4_u16, prop_oneof![Just(0), Just(30)], 0..5_u16, 1..4_u32, 4..9_u32).prop_map(
        |(code_max_attempts, sms_max_per_window, cooldown, sms_max_per_ip, lock_after_failures, disable_after_failures)| Policy {
            code_max_attempts,
            sms_max_per_window,
            sms_cooldown: Duration::from_secs(cooldown),
            sms_max_per_ip,
            lock_after_failures,
            disable_after_failures,
            ..Policy::default()
        },
    )
}

/// A code that went out, as the bookkeeper remembers it.
#[derive(Clone)]
struct Sent {
    user: usize,
    phone: PhoneNumber,
    purpose: Purpose,
    id: ChallengeId,
    code: Code,
    dead_at: Timestamp,
    judged_wrong: u32,
    spent: bool,
}

/// A send that counts: nobody gave it back.
struct Counted {
    user: usize,
    phone: PhoneNumber,
    at: Timestamp,
    id: ChallengeId,
}

/// The bookkeeper, and the storage that it stands in for.
struct World {
    policy: Policy,
    pepper: Pepper,
    rng: ChaCha12Rng,
    now: Timestamp,
    accounts: [Account; USERS.len()],
    phone_windows: HashMap<String, SendWindow>,
    address_window: SendWindow,
    sent: Vec<Sent>,
    counted: Vec<Counted>,
    /// Every backup code ever shown: whose, in which set, and whether it was spent.
    backup_codes: Vec<(usize, u32, BackupCode, bool)>,
    backup_set: [u32; USERS.len()],
    /// Consecutive failures as the bookkeeper counts them: SMS codes, backup codes.
    failures: [(u32, u32); USERS.len()],
}

impl World {
    fn new(policy: Policy, seed: u64) -> Self {
        Self {
            policy,
            pepper: Pepper::new(&[3; 32]).unwrap(),
            rng: ChaCha12Rng::seed_from_u64(seed),
            now: Timestamp::from_millis(1_800_000_000_000),
            accounts: Default::default(),
            phone_windows: HashMap::new(),
            address_window: SendWindow::default(),
            sent: Vec::new(),
            counted: Vec::new(),
            backup_codes: Vec::new(),
            backup_set: [0; USERS.len()],
            failures: [(0, 0); USERS.len()],
        }
    }

    fn proof(&self, user: usize, guess: Guess) -> Option<Proof> {
        let last = self.sent.iter().rev().find(|sent| sent.user == user);
        let nobodys = || Proof::parse("0000-0000-0000-0000").ok();
        match guess {
            Guess::Last => last.map(|sent| Proof::Sms(sent.code.clone())).or_else(|| Proof::parse("000000").ok()),
            Guess::Earlier(back) => self.sent.iter().rev().nth(back).map(|sent| Proof::Sms(sent.code.clone())),
            Guess::Wrong => {
                let wrong = if last.is_some_and(|sent| sent.code.expose() == "000000") { "000001" } else { "000000" };
                Proof::parse(wrong).ok()
            }
            Guess::Backup(index) => {
                let mine: Vec<_> =
                    self.backup_codes.iter().filter(|(owner, set, ..)| (*owner, *set) == (user, self.backup_set[user])).collect();
                mine.get(index).map(|(_, _, code, _)| Proof::Backup(code.clone())).or_else(nobodys)
            }
            Guess::AnyBackup(index) => {
                self.backup_codes.get(index).map(|(_, _, code, _)| Proof::Backup(code.clone())).or_else(nobodys)
            }
            Guess::WrongBackup => nobodys(),
            Guess::Nothing => None,
        }
    }

    fn run(&mut self, user: usize, op: &Op) {
        let command = match op {
            Op::Setup(phone, guess) => Command::Setup { phone: PHONES[*phone].clone(), proof: self.proof(user, *guess) },
            Op::Send(pending) => Command::Send { pending: *pending },
            Op::Verify(guess, regenerate) => {
                let Some(proof) = self.proof(user, *guess) else { return };
                Command::Verify { proof, regenerate_backup_codes: *regenerate }
            }
            Op::Disable(guess) => Command::Disable { proof: self.proof(user, *guess) },
            Op::RefuseLastSend => {
                let Some(sent) = self.sent.iter().rev().find(|sent| sent.user == user) else { return };
                Command::GiveBack { challenge: sent.id, phone: sent.phone.clone() }
            }
        };
        let before = self.accounts[user].clone().at(&self.policy, self.now);
        // Setup reads the window of its number; a send does not know the number yet and tries a slot that it has not seen.
        let mut phone_window = match &command {
            Command::Setup { phone, .. } => {
                Some((phone.clone(), self.phone_windows.get(phone.as_e164()).cloned().unwrap_or_default()))
            }
            _ => None,
        };
        let decision = loop {
            let user_id = UserId::parse(USERS[user]).unwrap();
            let context = Context {
                policy: &self.policy,
                pepper: &self.pepper,
                user: &user_id,
                now: self.now,
                phone_window: phone_window.as_ref().map(|(phone, window)| (phone, window)),
                address_window: Some(&self.address_window),
            };
            let decision = decide(self.accounts[user].clone(), &command, &context, &mut self.rng);
            // The conditional commit: a slot that is taken makes it fail, and the decision is made again on what is there.
            let Some(take) = &decision.take else { break decision };
            let window = self.phone_windows.entry(take.phone.as_e164().to_owned()).or_default();
            if window
                .free(self.policy.sms_max_per_window, self.policy.sms_window, self.now)
                .any(|free| free == take.phone_slot.index)
            {
                window.take(take.phone_slot);
                if let Some(slot) = take.address_slot {
                    self.address_window.take(slot);
                }
                break decision;
            }
            assert!(phone_window.is_none(), "a slot that was seen to be free is free");
            phone_window = Some((take.phone.clone(), window.clone()));
        };
        if let Some(give_back) = &decision.give_back {
            self.phone_windows.entry(give_back.phone.as_e164().to_owned()).or_default().give_back(give_back.phone_slot);
            if let Some(slot) = give_back.address_slot {
                self.address_window.give_back(slot);
            }
        }
        let after = decision.account.clone().unwrap_or_else(|| before.clone());
        self.accounts[user].clone_from(&after);
        self.check(user, &command, &before, &after, &decision);
    }

    fn check(&mut self, user: usize, command: &Command, before: &Account, after: &Account, decision: &Decision) {
        let proof = match command {
            Command::Setup { proof, .. } | Command::Disable { proof } => proof.as_ref(),
            Command::Verify { proof, .. } => Some(proof),
            Command::Send { .. } | Command::GiveBack { .. } | Command::Unlock | Command::Reset => None,
        };
        let refused = decision.outcome.as_ref().err();
        let locked_before = |proof: &Proof| match proof {
            Proof::Sms(_) => before.sms_failed_attempts.lock_remaining(self.now).is_some(),
            Proof::Backup(_) => before.backup.failed_attempts.lock_remaining(self.now).is_some(),
        };

        if let Some(proof) = proof {
            // S10: while locked nothing is accepted, judged or consumed.
            if locked_before(proof)
                && !matches!((command, &before.sms), (Command::Setup { .. } | Command::Disable { .. }, SmsFactor::Off))
            {
                assert!(decision.outcome.is_err(), "accepted while locked");
                assert!(!matches!(refused, Some(Refusal::InvalidCode { .. })), "judged while locked");
                assert_eq!(after.challenge, before.challenge, "consumed while locked");
                assert_eq!(after.backup.digests, before.backup.digests, "spent while locked");
            }
            if let Some(Refusal::InvalidCode { attempts_remaining }) = refused {
                self.count_wrong_guess(user, proof, before, *attempts_remaining);
            }
        }
        if decision.outcome.is_ok() {
            self.check_acceptance(user, command, before, after);
        }
        self.check_send(user, decision, after);
        self.check_backup_codes(user, decision, after);
        self.check_failures(user, command, before, after, decision);
        if let Some(error) = refused
            && !matches!(error, Refusal::InvalidCode { .. })
        {
            assert_eq!(decision.account, None, "{error:?} changed the account");
            assert!(
                decision.code.is_none() && decision.take.is_none() && decision.notification.is_none(),
                "{error:?} had an effect"
            );
        }
        if let Command::GiveBack { challenge, .. } = command {
            self.counted.retain(|send| send.id != *challenge);
        }
        assert!(!decision.events.is_empty(), "S24: nothing happens without a record");
        self.check_send_limits();
    }

    /// S7: no code is judged wrong more often than it has guesses.
    fn count_wrong_guess(&mut self, user: usize, proof: &Proof, before: &Account, attempts_remaining: u32) {
        match proof {
            Proof::Sms(_) => {
                let id = before.challenge.as_ref().expect("a wrong SMS code was judged against a challenge").id;
                let sent = self.sent.iter_mut().find(|sent| sent.id == id).unwrap();
                sent.judged_wrong += 1;
                assert!(sent.judged_wrong <= self.policy.code_max_attempts, "S7: a code was judged too often");
                assert!(attempts_remaining <= self.policy.code_max_attempts - sent.judged_wrong);
                self.failures[user].0 += 1;
            }
            Proof::Backup(_) => self.failures[user].1 += 1,
        }
    }

    /// S2 to S5, S15, S16: what was accepted was the caller's, alive, for this and for the first time.
    fn check_acceptance(&mut self, user: usize, command: &Command, before: &Account, after: &Account) {
        let (proof, needs_proof) = match command {
            Command::Verify { proof, .. } => (Some(proof), true),
            Command::Setup { proof, .. } | Command::Disable { proof } => (proof.as_ref(), before.sms.active().is_some()),
            Command::Send { .. } | Command::GiveBack { .. } | Command::Unlock | Command::Reset => (None, false),
        };
        if !needs_proof {
            // S15, S16: without a proof neither factor nor backup codes change.
            assert_eq!((&after.sms, &after.backup.digests), (&before.sms, &before.backup.digests));
            return;
        }
        let proof = proof.expect("S16: a change was made without a proof");
        match proof {
            Proof::Sms(code) => {
                let newest = self.sent.iter().rfind(|sent| sent.user == user).expect("S4: nothing was sent to this user").id;
                let sent = self.sent.iter_mut().find(|sent| sent.id == newest).unwrap();
                assert_eq!(&sent.code, code, "S5: only the newest code counts");
                assert!(self.now < sent.dead_at, "S2: too old");
                assert!(!std::mem::replace(&mut sent.spent, true), "S3: accepted twice");
                assert!(sent.judged_wrong < self.policy.code_max_attempts, "S7: a burned code was accepted");
                assert_ne!(after.challenge.as_ref().map(|challenge| challenge.id), Some(newest), "S3: the code is gone");
                match (command, sent.purpose) {
                    (Command::Verify { .. }, Purpose::Enroll | Purpose::Replace) => {
                        assert_eq!(
                            before.pending.as_ref().map(|pending| &pending.phone),
                            Some(&sent.phone),
                            "S4: another number"
                        );
                        let active = after.sms.active().expect("S15: active now");
                        assert_eq!((&active.phone, active.enabled_at), (&sent.phone, self.now));
                        assert!(matches!(after.sms, SmsFactor::On(_)) && after.pending.is_none());
                    }
                    (_, Purpose::Enroll | Purpose::Replace) => {
                        panic!("S4: a code to a number that is not active confirmed a change");
                    }
                    (_, Purpose::SignIn) => {
                        assert!(matches!(&before.sms, SmsFactor::On(active) if active.phone == sent.phone), "S4: another number");
                    }
                }
                if !matches!(command, Command::Verify { .. })
                    || self.sent.iter().any(|s| s.id == newest && s.purpose == Purpose::SignIn)
                {
                    check_active_number_kept(command, before, after);
                }
            }
            Proof::Backup(code) => {
                let (owner, set, _, spent) =
                    self.backup_codes.iter_mut().find(|(_, _, shown, _)| shown == code).expect("S17: never shown");
                assert_eq!((*owner, *set), (user, self.backup_set[user]), "S17: of the caller's newest set");
                assert!(!std::mem::replace(spent, true), "S17: spent twice");
                check_active_number_kept(command, before, after);
            }
        }
    }

    fn check_send(&mut self, user: usize, decision: &Decision, after: &Account) {
        let Some(code) = &decision.code else { return };
        let challenge = after.challenge.as_ref().expect("a code that is out has a challenge");
        assert_eq!((challenge.id, &challenge.phone), (code.challenge, &code.to));
        assert!(code.code.expose().len() == 6 && code.code.expose().bytes().all(|byte| byte.is_ascii_digit()), "S1");
        assert!(code.valid_for <= self.policy.code_ttl, "S2");
        self.sent.push(Sent {
            user,
            phone: code.to.clone(),
            purpose: code.purpose,
            id: code.challenge,
            code: code.code.clone(),
            dead_at: self.now.plus(code.valid_for),
            judged_wrong: 0,
            spent: false,
        });
        self.counted.push(Counted { user, phone: code.to.clone(), at: self.now, id: code.challenge });
    }

    /// S17: ten codes a set, shown when they are made; what is stored is always what was shown less what was spent.
    fn check_backup_codes(&mut self, user: usize, decision: &Decision, after: &Account) {
        let shown = match &decision.outcome {
            Ok(Answer::Enabled { backup_codes, .. }) => Some(backup_codes),
            Ok(Answer::Confirmed { backup_codes, .. }) => backup_codes.as_ref(),
            _ => None,
        };
        if let Some(codes) = shown {
            self.backup_set[user] += 1;
            let distinct: HashSet<_> = codes.iter().map(BackupCode::expose).collect();
            assert_eq!((codes.len(), distinct.len()), (10, 10));
            self.backup_codes.extend(codes.iter().map(|code| (user, self.backup_set[user], code.clone(), false)));
            self.failures[user].1 = 0;
        }
        let left = self
            .backup_codes
            .iter()
            .filter(|(owner, set, _, spent)| (*owner, *set, *spent) == (user, self.backup_set[user], false));
        let expected = if after.sms.active().is_some() { left.count() } else { 0 };
        assert_eq!(after.backup.remaining(), expected, "S17");
        if after.sms == SmsFactor::Off {
            self.backup_set[user] += 1;
        }
    }

    /// S5, S8, S9: only a success of its own kind starts a count anew, and enough failures lock and disable.
    fn check_failures(&mut self, user: usize, command: &Command, before: &Account, after: &Account, decision: &Decision) {
        let accepted = decision.outcome.is_ok() && before.sms.active().is_some();
        let sms_success = match command {
            Command::Verify { proof: Proof::Sms(_), .. } => decision.outcome.is_ok(),
            Command::Setup { proof: Some(Proof::Sms(_)), .. } | Command::Disable { proof: Some(Proof::Sms(_)) } => accepted,
            _ => false,
        };
        let backup_success = match command {
            Command::Verify { proof: Proof::Backup(_), .. } => decision.outcome.is_ok(),
            Command::Setup { proof: Some(Proof::Backup(_)), .. } | Command::Disable { proof: Some(Proof::Backup(_)) } => accepted,
            _ => false,
        };
        let bound_anew =
            backup_success && matches!(before.sms, SmsFactor::Disabled(_)) && !matches!(command, Command::Verify { .. });
        let turned_off = before.sms.active().is_some() && after.sms == SmsFactor::Off;
        if sms_success || bound_anew {
            self.failures[user].0 = 0;
        }
        if backup_success || turned_off {
            self.failures[user].1 = 0;
        }
        assert_eq!(
            (after.sms_failed_attempts.failures, after.backup.failed_attempts.failures),
            self.failures[user],
            "S8, S9: {command:?}"
        );
        if after.sms_failed_attempts.failures > before.sms_failed_attempts.failures {
            let count = after.sms_failed_attempts;
            assert_eq!(
                count.failures.is_multiple_of(self.policy.lock_after_failures),
                count.lock_remaining(self.now).is_some(),
                "S8: locks"
            );
            let disabled = count.failures >= self.policy.disable_after_failures && before.sms.active().is_some();
            assert_eq!(disabled, matches!(after.sms, SmsFactor::Disabled(_)) && after.challenge.is_none(), "S8: disables");
        }
        if matches!(before.sms, SmsFactor::Disabled(_)) && matches!(after.sms, SmsFactor::On(_)) {
            assert!(before.pending.is_some() && sms_success, "S8: bound anew, which took a backup code");
        }
    }

    /// S11: no rolling window holds more sends than allowed, per user and per number.
    fn check_send_limits(&self) {
        let window_start = |at: Timestamp| self.now.since(at) < self.policy.sms_window;
        let max = usize::from(self.policy.sms_max_per_window);
        let recent = || self.counted.iter().filter(|send| window_start(send.at));
        for user in 0..USERS.len() {
            assert!(recent().filter(|send| send.user == user).count() <= max, "S11: per user");
        }
        for phone in PHONES.iter() {
            assert!(recent().filter(|send| send.phone == *phone).count() <= max, "S11: per number");
        }
        if self.policy.sms_max_per_ip > 0 {
            assert!(recent().count() <= usize::from(self.policy.sms_max_per_ip), "per address");
        }
        for pair in self.counted.windows(2) {
            let [first, second] = pair else { continue };
            if first.user == second.user {
                assert!(second.at.since(first.at) >= self.policy.sms_cooldown, "cooldown");
            }
        }
    }
}

/// S15: the active number stays until another one is verified or 2FA is turned off.
fn check_active_number_kept(command: &Command, before: &Account, after: &Account) {
    match command {
        Command::Disable { .. } => {
            assert_eq!((&after.sms, after.backup.remaining()), (&SmsFactor::Off, 0));
        }
        _ => assert_eq!(after.sms, before.sms),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_commands_breaks_an_invariant_s1_to_s11_s15_to_s17(
        policy in policy(),
        seed in any::<u64>(),
        steps in prop::collection::vec((0..USERS.len(), pause(), op()), 1..120),
    ) {
        let mut world = World::new(policy, seed);
        for (user, seconds, op) in &steps {
            world.now = world.now.plus(Duration::from_secs(*seconds));
            world.run(*user, op);
        }
    }
}
