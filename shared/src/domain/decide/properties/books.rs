//! The bookkeeper. It sees what goes in and what comes out: commands, answers, codes and notifications that leave. Of how an account
//! is kept it knows nothing. From what it has seen it works out what the contract says of the next command, in the contract's words.

use std::collections::HashSet;

use super::{PHONES, USERS};
use crate::domain::{
    Answer, AuditEvent, AuditKind, AuditOutcome, BackupCode, ChallengeId, Code, Command, Decision, PhoneNumber, Policy, Proof,
    Provider, Purpose, Refusal, Timestamp,
    account::{LiveCode, Status},
    audit::Method,
    decide::{
        Accepted,
        shell::{Request, Rules},
    },
    message::notification::NotificationKind,
    sms::send_window::{SendLimit, WindowKind},
};

use std::time::Duration;

/// The longest lock (S8).
const MAX_LOCK: Duration = Duration::from_hours(24);
/// How long wrong codes of an account without a factor are remembered.
const MEMORY: Duration = Duration::from_hours(30 * 24);
/// In which so many notifications of a kind go out (S18).
const DAY: Duration = Duration::from_hours(24);
const MAX_OF_A_KIND: usize = 3;
/// So many codes before the live one are told apart from wrong ones.
const MAX_SUPERSEDED: usize = 4;

/// A code that went out.
#[derive(Debug)]
pub(super) struct Sent {
    user: usize,
    pub(super) phone: PhoneNumber,
    pub(super) purpose: Purpose,
    pub(super) id: ChallengeId,
    pub(super) code: Code,
    at: Timestamp,
    dead_at: Timestamp,
    /// Whether it would bind the number, or went to the user's own.
    window: WindowKind,
    /// Whether it was sent for a replacement that brought a backup code.
    recovers: bool,
    pub(super) address: Option<u8>,
    /// Who was asked first.
    provider: Provider,
    /// Wrong codes that were handed in while it was the live one.
    wrong: u32,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It did not come back.
    Out,
    /// It came back and was accepted.
    Accepted,
    /// Nobody took it, for the recipient's sake.
    Refused,
    /// Nobody took it, for an outage of ours.
    Lost,
}

impl Sent {
    /// Whether it was accepted.
    pub(super) fn came_back(&self) -> bool {
        self.fate == Fate::Accepted
    }

    /// Whether it left, as far as anybody knows.
    fn counts(&self) -> bool {
        matches!(self.fate, Fate::Out | Fate::Accepted)
    }
}

/// A code that another one replaced.
#[derive(Debug)]
struct Replaced {
    index: usize,
    at: Timestamp,
    was_alive: bool,
}

/// What follows for one user from all answers so far.
#[derive(Debug, Default)]
struct User {
    active: Option<(PhoneNumber, Timestamp)>,
    disabled: bool,
    pending: Option<(PhoneNumber, Timestamp)>,
    /// The code that is out, as its index among all that were sent.
    live: Option<usize>,
    /// Those that it replaced, oldest first.
    replaced: Vec<Replaced>,
    wrong_sms: u32,
    wrong_sms_at: Option<Timestamp>,
    wrong_backup: u32,
    wrong_backup_at: Option<Timestamp>,
    locked_until: Option<Timestamp>,
    /// Those of the newest set that were not used.
    backup_codes: Vec<BackupCode>,
    told: Vec<(NotificationKind, Timestamp)>,
}

/// A right code.
#[derive(Clone, Copy, Debug)]
enum Right {
    Sms(usize),
    Backup(usize),
}

/// A command that is to be granted.
#[derive(Debug)]
enum Grant {
    Send { purpose: Purpose, phone: PhoneNumber, proof: Option<Right>, is_setup: bool },
    Bind { purpose: Purpose, phone: PhoneNumber, proof: Right },
    Confirm { purpose: Purpose, proof: Right, regenerates: bool },
    TurnOff { proof: Option<Right> },
    GiveBack { index: usize, is_recipients: bool },
    Unlock,
    Reset,
    Import { phone: PhoneNumber },
}

/// What a step is to have led to, beside its answer.
#[derive(Debug, Default)]
struct Consequences {
    /// What is recorded, apart from the command itself.
    recorded: Vec<AuditKind>,
    /// Of what a number is to be told.
    tell: Option<(NotificationKind, PhoneNumber)>,
}

/// All that was seen so far.
pub(super) struct Books {
    policy: Policy,
    sent: Vec<Sent>,
    users: [User; USERS.len()],
    /// Every backup code that was ever shown.
    shown: Vec<BackupCode>,
}

impl Books {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, sent: Vec::new(), users: Default::default(), shown: Vec::new() }
    }

    pub(super) fn sent(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        self.sent.iter()
    }

    pub(super) fn sent_to(&self, user: usize) -> impl DoubleEndedIterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.user == user)
    }

    pub(super) fn has_factor(&self, user: usize) -> bool {
        self.users[user].active.is_some()
    }

    pub(super) fn locked_until(&self, user: usize) -> Option<Timestamp> {
        self.users[user].locked_until
    }

    pub(super) fn backup_codes_of(&self, user: usize) -> &[BackupCode] {
        &self.users[user].backup_codes
    }

    pub(super) fn backup_codes(&self) -> &[BackupCode] {
        &self.shown
    }

    /// Checks one decision, and what the user is shown after it, against all that was seen before; then writes it down.
    pub(super) fn check(&mut self, user: usize, command: &Command, decision: &Decision, status: &Status, request: Request<'_>) {
        let now = request.now;
        self.forget(user, now);
        let consequences = match (self.expect(user, command, request), &decision.outcome) {
            (Err(refusals), Err(refusal)) => {
                assert!(refusals.contains(refusal), "{command:?}: {refusal:?}, and not one of {refusals:?}");
                if let Refusal::InvalidCode { .. } = refusal {
                    self.count_wrong(user, command, decision, now)
                } else {
                    check_that_nothing_happened(decision);
                    Consequences::default()
                }
            }
            (Ok(grant), Ok(answer)) => {
                assert!(decision.is_stored(), "S24: what was granted is recorded");
                self.record(user, &grant, answer, decision, request)
            }
            (expected, outcome) => panic!("{command:?}: {outcome:?}, and not {expected:?}"),
        };
        self.check_consequences(user, consequences, decision, now);
        self.check_status(user, status, now);
        self.check_send_limits(now);
    }

    /// What time takes away.
    fn forget(&mut self, user: usize, now: Timestamp) {
        let owner = &mut self.users[user];
        owner.pending.take_if(|(_, until)| *until <= now);
        let binds = |index: &usize| self.sent[*index].purpose.binds_a_number();
        if owner.pending.is_none() && owner.live.as_ref().is_some_and(binds) {
            owner.live = None;
        }
        if owner.active.is_none() && owner.wrong_sms_at.is_some_and(|at| at.plus(MEMORY) <= now) {
            (owner.wrong_sms, owner.wrong_sms_at, owner.locked_until) = (0, None, None);
        }
    }

    /// What the contract says of a command: that it is granted, or refused in one of these ways.
    fn expect(&self, user: usize, command: &Command, request: Request<'_>) -> Result<Grant, Vec<Refusal>> {
        let owner = &self.users[user];
        let refused = |refusal| Err(vec![refusal]);
        match command {
            Command::Setup { phone, proof } => {
                let Some((active, _)) = &owner.active else {
                    return self.expect_send(user, Purpose::Enroll, phone, None, true, request);
                };
                let Some(proof) = proof else { return refused(Refusal::VerificationRequired) };
                let right = self.judge(user, proof, Purpose::Change, request.now)?;
                if active == phone && !owner.disabled {
                    return refused(Refusal::AlreadyEnabled);
                }
                self.expect_send(user, Purpose::Replace, phone, Some(right), true, request)
            }
            Command::Send { purpose } => {
                if purpose.is_none() && owner.disabled && owner.pending.is_none() {
                    return refused(Refusal::FactorDisabled);
                }
                let purpose = purpose.unwrap_or(owner.usual_purpose());
                let phone = match (purpose, &owner.active) {
                    (Purpose::Enroll, None) | (Purpose::Replace, Some(_)) => owner.pending.as_ref(),
                    (Purpose::Enroll, Some(_)) | (_, None) => None,
                    (Purpose::SignIn | Purpose::Confirm | Purpose::Change, Some(_)) if owner.disabled => {
                        return refused(Refusal::FactorDisabled);
                    }
                    (Purpose::SignIn | Purpose::Confirm | Purpose::Change, Some(active)) => Some(active),
                };
                let Some((phone, _)) = phone else { return refused(Refusal::NoPendingVerification) };
                self.expect_send(user, purpose, phone, None, false, request)
            }
            Command::Verify { proof, purpose, regenerate_backup_codes: regenerates } => {
                let usual = match proof {
                    _ if *regenerates => Purpose::Change,
                    Proof::Backup(_) => Purpose::SignIn,
                    Proof::Sms(_) => owner.usual_purpose(),
                };
                let purpose = purpose.unwrap_or(usual);
                let proof = self.judge(user, proof, purpose, request.now)?;
                Ok(match &owner.pending {
                    Some((phone, _)) if purpose.binds_a_number() => Grant::Bind { purpose, phone: phone.clone(), proof },
                    _ => Grant::Confirm { purpose, proof, regenerates: *regenerates },
                })
            }
            Command::Disable { proof } => match (&owner.active, proof) {
                (None, _) if owner.pending.is_none() => refused(Refusal::NotEnabled),
                (None, _) => Ok(Grant::TurnOff { proof: None }),
                (Some(_), None) => refused(Refusal::VerificationRequired),
                (Some(_), Some(proof)) => {
                    Ok(Grant::TurnOff { proof: Some(self.judge(user, proof, Purpose::Change, request.now)?) })
                }
            },
            Command::GiveBack { challenge, reason, .. } => {
                let index = self.sent.iter().position(|sent| sent.id == *challenge).unwrap();
                Ok(Grant::GiveBack { index, is_recipients: reason.is_recipients() })
            }
            Command::Unlock => Ok(Grant::Unlock),
            Command::Reset if owner.active.is_none() && owner.pending.is_none() => refused(Refusal::NotEnabled),
            Command::Reset => Ok(Grant::Reset),
            Command::Import { .. } if owner.disabled => refused(Refusal::FactorDisabled),
            Command::Import { phone } => match &owner.active {
                Some((active, _)) if active == phone => refused(Refusal::AlreadyEnabled),
                Some(_) => refused(Refusal::VerificationRequired),
                None => Ok(Grant::Import { phone: phone.clone() }),
            },
        }
    }

    /// The order in which a code is judged, as the contract has it.
    fn judge(&self, user: usize, proof: &Proof, purpose: Purpose, now: Timestamp) -> Result<Right, Vec<Refusal>> {
        let owner = &self.users[user];
        let code = match proof {
            Proof::Sms(code) => code,
            Proof::Backup(_) if owner.active.is_none() || purpose.binds_a_number() => {
                return Err(vec![Refusal::NoPendingVerification]);
            }
            Proof::Backup(code) => {
                let right = owner.backup_codes.iter().position(|own| own == code);
                return right.map(Right::Backup).ok_or(vec![Refusal::InvalidCode { attempts_remaining: None }]);
            }
        };
        if owner.disabled && owner.pending.is_none() {
            return Err(vec![Refusal::FactorDisabled]);
        }
        if let Some(locked) = owner.locked(now) {
            return Err(vec![locked]);
        }
        let Some(index) = owner.live else { return Err(vec![Refusal::NoPendingVerification]) };
        let live = &self.sent[index];
        if live.purpose != purpose {
            return Err(vec![Refusal::WrongPurpose { live: live.purpose }]);
        }
        if live.dead_at <= now {
            return Err(vec![Refusal::CodeExpired]);
        }
        if live.wrong >= self.policy.code_max_attempts {
            return Err(vec![Refusal::TooManyAttempts]);
        }
        if live.code == *code {
            return Ok(Right::Sms(index));
        }
        let in_a_row = owner.wrong_sms + 1;
        let locks = in_a_row.is_multiple_of(self.policy.lock_after_failures);
        let disables = owner.active.is_some() && in_a_row >= self.policy.disable_after_failures;
        let left = if locks || disables { 0 } else { self.guesses_left(owner, live.wrong + 1, in_a_row) };
        let wrong = Refusal::InvalidCode { attempts_remaining: Some(left) };
        let superseded = Refusal::CodeSuperseded { live: live.purpose };
        let remembered = owner.replaced.iter().rev().take(MAX_SUPERSEDED);
        let mut remembered =
            remembered.filter(|old| now < old.at.plus(self.policy.code_ttl) && self.sent[old.index].code == *code);
        Err(match remembered.next() {
            None => vec![wrong],
            Some(old) if old.was_alive => vec![superseded],
            // The contract does not say whether one counts that was too old already when it was replaced.
            Some(_) => vec![superseded, wrong],
        })
    }

    /// After so many wrong codes, at the live one and in a row: how many more are judged before it is used up, or there is a lock, or
    /// the number is disabled, where there is one.
    fn guesses_left(&self, owner: &User, at_code: u32, in_a_row: u32) -> u32 {
        let Policy { code_max_attempts, lock_after_failures, disable_after_failures, .. } = self.policy;
        let before_lock = (code_max_attempts - at_code).min(lock_after_failures - in_a_row % lock_after_failures);
        if owner.active.is_some() { before_lock.min(disable_after_failures - in_a_row) } else { before_lock }
    }

    fn expect_send(
        &self,
        user: usize,
        purpose: Purpose,
        phone: &PhoneNumber,
        proof: Option<Right>,
        is_setup: bool,
        request: Request<'_>,
    ) -> Result<Grant, Vec<Refusal>> {
        let refusals = self.send_refusals(user, phone, proof, request);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        Ok(Grant::Send { purpose, phone: phone.clone(), proof, is_setup })
    }

    /// Why no code may be sent to `phone`. Where a limit of the user's own is reached, those that others share are not looked at;
    /// of the user's own, the one that lasts longest is told, or the waiting time would not be true.
    fn send_refusals(&self, user: usize, phone: &PhoneNumber, proof: Option<Right>, request: Request<'_>) -> Vec<Refusal> {
        let Request { now, address, rules, .. } = request;
        let owner = &self.users[user];
        let mut refusals = Vec::new();
        if !rules.allowed_countries.contains(phone.country()) {
            refusals.push(Refusal::CountryNotAllowed);
        }
        // A right code lifts the lock.
        refusals.extend(owner.locked(now).filter(|_| proof.is_none()));

        let recovers = matches!(proof, Some(Right::Backup(_)));
        let own = [
            (SendLimit::Cooldown, self.cooldown(user, phone, now)),
            (SendLimit::User, self.users_wait(user, recovers, now)),
            (SendLimit::Refused, self.refused_wait(user, now)),
        ];
        let longest = own.iter().map(|(_, wait)| *wait).max().filter(|longest| !longest.is_zero());
        if let Some(longest) = longest {
            let limited = own.into_iter().filter(|(_, wait)| *wait == longest);
            refusals.extend(limited.map(|(limit, retry_after)| Refusal::RateLimited { limit, retry_after }));
            return refusals;
        }
        let window = owner.window_of(phone);
        let max = self.policy.sms_max_per_window;
        if !self.until_below(max, now, |sent| sent.counts() && sent.phone == *phone && sent.window == window).is_zero() {
            refusals.push(Refusal::RateLimited { limit: SendLimit::Number, retry_after: self.policy.sms_window });
        }
        if self.counts_for_the_address(window, address) {
            let retry_after = self.until_below(self.policy.sms_max_per_ip, now, |sent| sent.counts() && sent.counts_for(address));
            if !retry_after.is_zero() {
                refusals.push(Refusal::RateLimited { limit: SendLimit::Address, retry_after });
            }
        }
        refusals
    }

    fn counts_for_the_address(&self, window: WindowKind, address: Option<u8>) -> bool {
        address.is_some() && window == WindowKind::Binds && self.policy.sms_max_per_ip > 0
    }

    fn cooldown(&self, user: usize, phone: &PhoneNumber, now: Timestamp) -> Duration {
        let last = self.sent_to(user).rfind(|sent| sent.phone == *phone);
        last.map(|sent| sent.at.plus(self.policy.sms_cooldown).since(now)).unwrap_or_default()
    }

    fn users_wait(&self, user: usize, recovers: bool, now: Timestamp) -> Duration {
        let max = self.policy.sms_max_per_window;
        self.until_below(max, now, |sent| sent.user == user && sent.counts() && sent.recovers == recovers)
    }

    fn refused_wait(&self, user: usize, now: Timestamp) -> Duration {
        self.until_below(self.policy.sms_max_refused, now, |sent| sent.user == user && sent.fate == Fate::Refused)
    }

    /// How long until fewer than `max` of these sends are in the window that ends then.
    fn until_below(&self, max: u16, now: Timestamp, of: impl Fn(&Sent) -> bool) -> Duration {
        let leaving: Vec<_> = self.sent.iter().filter(|sent| of(sent)).map(|sent| sent.at.plus(self.policy.sms_window)).collect();
        let in_window: Vec<_> = leaving.into_iter().filter(|leaves| *leaves > now).collect();
        let surplus = (in_window.len() + 1).saturating_sub(max.into());
        surplus.checked_sub(1).map(|last| in_window[last].since(now)).unwrap_or_default()
    }

    fn sends_remaining(&self, user: usize, now: Timestamp) -> u16 {
        let in_window = |sent: &&Sent| sent.at.plus(self.policy.sms_window) > now;
        let spent = self.sent_to(user).filter(in_window).filter(|sent| sent.counts() && !sent.recovers).count();
        self.policy.sms_max_per_window - u16::try_from(spent).unwrap()
    }

    /// Writes a wrong code down.
    fn count_wrong(&mut self, user: usize, command: &Command, decision: &Decision, now: Timestamp) -> Consequences {
        let (owner, policy) = (&mut self.users[user], &self.policy);
        let active = owner.active.as_ref().map(|(phone, _)| phone.clone());
        let is_written = match command.proof().expect("only a code can be wrong") {
            Proof::Backup(_) => {
                let is_written = owner.wrong_backup < policy.lock_after_failures;
                if is_written {
                    owner.wrong_backup += 1;
                    owner.wrong_backup_at = Some(now);
                    let tells = owner.wrong_backup == policy.lock_after_failures;
                    let tell = active.filter(|_| tells).map(|phone| (NotificationKind::FailedAttempts, phone));
                    assert!(decision.is_stored() && decision.account.is_some(), "S9: counted");
                    return Consequences { tell, ..Consequences::default() };
                }
                is_written
            }
            Proof::Sms(_) => true,
        };
        assert_eq!(decision.is_stored(), is_written, "S7, S9: stored before it is answered, or not worth a write");
        if !is_written {
            check_that_nothing_happened(decision);
            return Consequences::default();
        }
        let live = &mut self.sent[owner.live.expect("judged against a code")];
        live.wrong += 1;
        assert!(live.wrong <= policy.code_max_attempts, "S7: judged too often");
        owner.wrong_sms += 1;
        owner.wrong_sms_at = Some(now);
        let mut consequences = Consequences::default();
        if owner.wrong_sms.is_multiple_of(policy.lock_after_failures) {
            let doublings = owner.wrong_sms / policy.lock_after_failures - 1;
            owner.locked_until = Some(now.plus((policy.lock * 2_u32.pow(doublings)).min(MAX_LOCK)));
            consequences.recorded.push(AuditKind::Locked);
            consequences.tell = active.clone().map(|phone| (NotificationKind::FailedAttempts, phone));
        }
        if let Some(phone) = active
            && owner.wrong_sms >= policy.disable_after_failures
        {
            (owner.disabled, owner.pending, owner.live) = (true, None, None);
            consequences.recorded.push(AuditKind::FactorDisabled);
            consequences.tell = Some((NotificationKind::NumberDisabled, phone));
        }
        consequences
    }

    /// Checks what was granted, and writes it down.
    fn record(&mut self, user: usize, grant: &Grant, answer: &Answer, decision: &Decision, request: Request<'_>) -> Consequences {
        let now = request.now;
        assert_eq!(decision.code.is_some(), matches!(grant, Grant::Send { .. }), "a code goes out where one was asked for");
        assert_eq!(decision.take.is_some(), decision.code.is_some(), "S12: no send without its slot");
        let mut consequences = Consequences::default();
        match grant {
            Grant::Send { purpose, phone, proof, is_setup } => {
                if let Some(Right::Backup(_)) = proof {
                    let active = self.users[user].active.clone().map(|(phone, _)| phone);
                    consequences.tell = active.map(|active| (NotificationKind::BackupCodeUsed, active));
                }
                if let Some(proof) = proof {
                    self.accept(user, *proof, Purpose::Change, now);
                }
                if *is_setup {
                    self.users[user].pending = Some((phone.clone(), now.plus(self.policy.pending_ttl)));
                    consequences.recorded.push(AuditKind::Send);
                }
                self.record_send(user, *purpose, phone, matches!(proof, Some(Right::Backup(_))), answer, decision, request);
            }
            Grant::Bind { purpose, phone, proof } => {
                self.accept(user, *proof, *purpose, now);
                let owner = &mut self.users[user];
                let old = owner.active.replace((phone.clone(), now)).map(|(phone, _)| phone);
                (owner.disabled, owner.pending) = (false, None);
                let expected = if old.is_some() { Purpose::Replace } else { Purpose::Enroll };
                assert_eq!(expected, *purpose, "S4");
                consequences.recorded.push(if old.is_some() { AuditKind::Replaced } else { AuditKind::Enabled });
                consequences.tell = old.filter(|old| old != phone).map(|old| (NotificationKind::Replaced, old));
                let Answer::Bound { purpose: bound, phone: to, backup_codes } = answer else { panic!("S15: {answer:?}") };
                assert_eq!((bound, to), (purpose, phone));
                self.show(user, backup_codes);
            }
            Grant::Confirm { purpose, proof, regenerates } => {
                let expected = self.accept(user, *proof, *purpose, now);
                let (active, _) = self.users[user].active.clone().expect("S4: only an active number confirms");
                let Answer::Confirmed { purpose: served, accepted, backup_codes_remaining, backup_codes } = answer else {
                    panic!("{answer:?}")
                };
                assert_eq!((served, *accepted), (purpose, expected), "S8");
                assert_eq!(backup_codes.is_some(), *regenerates, "S16, S17");
                if let Some(backup_codes) = backup_codes {
                    self.show(user, backup_codes);
                    consequences.recorded.push(AuditKind::BackupCodesRegenerated);
                    consequences.tell = Some((NotificationKind::BackupCodesReplaced, active));
                } else if let Right::Backup(_) = proof {
                    consequences.tell = Some((NotificationKind::BackupCodeUsed, active));
                }
                assert_eq!(*backup_codes_remaining, self.users[user].backup_codes.len(), "S17");
            }
            Grant::TurnOff { proof } => {
                assert_eq!(*answer, Answer::Disabled);
                if let Some(proof) = proof {
                    self.accept(user, *proof, Purpose::Change, now);
                }
                let active = self.users[user].turn_off();
                consequences.tell = active.map(|phone| (NotificationKind::TurnedOff, phone));
            }
            Grant::GiveBack { index, is_recipients } => self.record_give_back(user, *index, *is_recipients, decision),
            Grant::Unlock => self.users[user].start_anew(),
            Grant::Reset => {
                let active = self.users[user].turn_off();
                self.users[user].start_anew();
                consequences.tell = active.map(|phone| (NotificationKind::TurnedOff, phone));
            }
            Grant::Import { phone } => {
                assert_eq!(*answer, Answer::Done);
                assert!(decision.code.is_none() && decision.take.is_none(), "S11: nothing is sent");
                let owner = &mut self.users[user];
                assert!(owner.backup_codes.is_empty(), "S17: there are none before a number is bound");
                (owner.active, owner.pending, owner.live) = (Some((phone.clone(), now)), None, None);
            }
        }
        consequences
    }

    /// S2 to S5, S7, S17: what is accepted is the caller's, alive, for this, and for the first time. Returns what is told of it.
    fn accept(&mut self, user: usize, proof: Right, purpose: Purpose, now: Timestamp) -> Accepted {
        let newest = self.sent.iter().rposition(|sent| sent.user == user);
        let owner = &mut self.users[user];
        let method = match proof {
            Right::Sms(index) => {
                assert_eq!(Some(index), newest, "S4, S5: only the newest of the caller's own counts");
                let sent = &mut self.sent[index];
                assert_eq!(sent.purpose, purpose, "S4");
                assert_eq!(std::mem::replace(&mut sent.fate, Fate::Accepted), Fate::Out, "S3: once");
                assert!(now < sent.dead_at, "S2: too old");
                assert!(sent.wrong < self.policy.code_max_attempts, "S7: used up");
                let number = if purpose.binds_a_number() { &owner.pending } else { &owner.active };
                assert_eq!(number.as_ref().map(|(phone, _)| phone), Some(&sent.phone), "S4: another number");
                assert!(purpose.binds_a_number() || !owner.disabled, "S8");
                owner.live = None;
                Method::Sms
            }
            Right::Backup(index) => {
                owner.backup_codes.remove(index);
                Method::BackupCode
            }
        };
        let accepted = Accepted {
            method,
            failed_attempts: owner.wrong_sms + owner.wrong_backup,
            last_failed_at: owner.wrong_sms_at.max(owner.wrong_backup_at),
        };
        owner.start_anew();
        accepted
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of one send")]
    fn record_send(
        &mut self,
        user: usize,
        purpose: Purpose,
        phone: &PhoneNumber,
        recovers: bool,
        answer: &Answer,
        decision: &Decision,
        request: Request<'_>,
    ) {
        let Request { now, address, .. } = request;
        let code = decision.code.as_ref().unwrap();
        assert_eq!((code.purpose, &code.to), (purpose, phone));
        assert!(code.code.expose().len() == 6 && code.code.expose().bytes().all(|byte| byte.is_ascii_digit()), "S1");
        assert!(self.sent.iter().all(|sent| sent.id != code.challenge), "S4: a challenge of its own");
        let pending = self.users[user].pending.as_ref().filter(|_| purpose.binds_a_number());
        let until = pending.map_or(now.plus(self.policy.code_ttl), |(_, until)| now.plus(self.policy.code_ttl).min(*until));
        assert_eq!(code.valid_for, until.since(now), "S2");
        self.check_provider(user, &code.order, now);

        let window = self.users[user].window_of(phone);
        let take = decision.take.as_ref().unwrap();
        assert_eq!((&take.phone, take.window, take.slot.taken_at), (phone, window, now), "S11");
        assert_eq!(take.address_slot.is_some(), self.counts_for_the_address(window, address), "S11, S13");

        let owner = &mut self.users[user];
        match owner.live.replace(self.sent.len()) {
            Some(index) => {
                owner.replaced.push(Replaced { index, at: now, was_alive: self.sent[index].dead_at > now });
            }
            None => owner.replaced.clear(),
        }
        self.sent.push(Sent {
            user,
            phone: phone.clone(),
            purpose,
            id: code.challenge,
            code: code.code.clone(),
            at: now,
            dead_at: until,
            window,
            recovers,
            address,
            provider: code.order[0],
            wrong: 0,
            fate: Fate::Out,
        });
        let wait = self.users_wait(user, false, now).max(self.policy.sms_cooldown);
        let expected = Answer::CodeSent {
            purpose,
            phone: phone.clone(),
            expires_in: until.since(now),
            resend_in: wait,
            sends_remaining: self.sends_remaining(user, now),
        };
        assert_eq!(*answer, expected);
    }

    /// S26: after a code that did not come back, the provider after the one that was asked first then is asked first.
    fn check_provider(&self, user: usize, order: &[Provider], now: Timestamp) {
        let first = |start: usize| {
            let mut providers = Rules::PROVIDERS;
            providers.rotate_left(start % Rules::PROVIDERS.len());
            providers
        };
        let operators = first(0);
        let expected = match self.sent_to(user).rfind(|sent| sent.counts()) {
            Some(last) if last.fate == Fate::Out => {
                let asked = operators.iter().position(|provider| *provider == last.provider).unwrap();
                // The contract does not say how long that is remembered.
                let is_old = last.at.plus(self.policy.sms_window) <= now;
                if is_old && *order == operators { operators } else { first(asked + 1) }
            }
            _ => operators,
        };
        assert_eq!(*order, expected, "S26");
    }

    fn record_give_back(&mut self, user: usize, index: usize, is_recipients: bool, decision: &Decision) {
        let sent = &mut self.sent[index];
        let held = sent.counts();
        if held {
            sent.fate = if is_recipients { Fate::Refused } else { Fate::Lost };
        }
        if let Some(slots) = &decision.give_back {
            assert!(held, "S12: given back twice");
            assert_eq!((&slots.phone, slots.window, slots.slot.taken_at), (&sent.phone, sent.window, sent.at), "S12");
        }
        self.users[user].live.take_if(|live| *live == index);
    }

    /// S17: ten codes a set, of which none was ever shown before.
    fn show(&mut self, user: usize, codes: &[BackupCode]) {
        let distinct: HashSet<_> = codes.iter().chain(&self.shown).map(BackupCode::expose).collect();
        assert_eq!((codes.len(), distinct.len()), (10, 10 + self.shown.len()), "S17");
        self.users[user].backup_codes = codes.to_vec();
        self.shown.extend_from_slice(codes);
    }

    /// S18, S24: what was recorded, and who was told of what.
    fn check_consequences(&mut self, user: usize, consequences: Consequences, decision: &Decision, now: Timestamp) {
        let Consequences { mut recorded, tell } = consequences;
        let (itself, others) = decision.events.split_first().expect("S24: nothing happens without a record");
        match (&decision.outcome, itself.outcome) {
            (Err(refusal), AuditOutcome::Refused(recorded)) => assert_eq!(*refusal, recorded),
            (Ok(_), AuditOutcome::Success | AuditOutcome::NotDelivered(_)) => {}
            (outcome, recorded) => panic!("S24: {outcome:?} was recorded as {recorded:?}"),
        }
        let told = tell.and_then(|(kind, phone)| {
            let log = &mut self.users[user].told;
            let is_admitted = log.iter().filter(|(told, at)| *told == kind && at.plus(DAY) > now).count() < MAX_OF_A_KIND;
            if !is_admitted {
                recorded.push(AuditKind::Notification);
                return None;
            }
            log.push((kind, now));
            Some((kind, phone))
        });
        let notification = decision.notification.as_ref().map(|told| (told.kind, told.to.clone()));
        assert_eq!(notification, told, "S18");
        let kinds = |events: &[AuditEvent]| events.iter().map(|event| event.kind).collect::<HashSet<_>>();
        assert_eq!((others.len(), kinds(others)), (recorded.len(), recorded.into_iter().collect()), "S24");
    }

    /// What the user is shown is what follows from all answers so far.
    fn check_status(&mut self, user: usize, status: &Status, now: Timestamp) {
        let owner = &self.users[user];
        let Status {
            active,
            factor_disabled,
            backup_codes_remaining,
            pending,
            locked_for,
            live_code,
            sends_remaining,
            resend_in,
        } = status;
        let active = active.as_ref().map(|active| (active.phone.clone(), active.enabled_at));
        assert_eq!((active, *factor_disabled), (owner.active.clone(), owner.disabled), "S8, S15, S16");
        assert_eq!(*backup_codes_remaining, owner.backup_codes.len(), "S17");
        assert_eq!(pending.as_ref(), owner.pending.as_ref().map(|(phone, _)| phone), "S15");
        assert_eq!(*locked_for, owner.locked_until.map(|until| until.since(now)).unwrap_or_default(), "S8");
        let live = owner.live.map(|index| &self.sent[index]).filter(|live| live.dead_at > now).map(|live| LiveCode {
            purpose: live.purpose,
            expires_in: live.dead_at.since(now),
            attempts_remaining: self.guesses_left(owner, live.wrong, owner.wrong_sms),
        });
        assert_eq!(*live_code, live, "S5");
        assert_eq!(*sends_remaining, self.sends_remaining(user, now), "S11");
        let destination = match (&owner.active, &owner.pending) {
            (Some((active, _)), _) if !owner.disabled => Some(active),
            (_, pending) => pending.as_ref().map(|(phone, _)| phone),
        };
        let cooldown = destination.map(|phone| self.cooldown(user, phone, now)).unwrap_or_default();
        assert_eq!(*resend_in, cooldown.max(self.users_wait(user, false, now)).max(self.refused_wait(user, now)));
    }

    /// S11: no rolling window holds more sends than allowed, and no two to a number come too soon after each other.
    fn check_send_limits(&self, now: Timestamp) {
        let max = usize::from(self.policy.sms_max_per_window);
        let in_window = |sent: &&Sent| sent.counts() && sent.at.plus(self.policy.sms_window) > now;
        let count = |of: &dyn Fn(&Sent) -> bool| self.sent.iter().filter(in_window).filter(|sent| of(sent)).count();
        for user in 0..USERS.len() {
            for recovers in [false, true] {
                assert!(count(&|sent| sent.user == user && sent.recovers == recovers) <= max, "S11: of a user");
            }
            for phone in PHONES.iter() {
                let mut sends: Vec<_> = self.sent_to(user).filter(|sent| sent.phone == *phone).map(|sent| sent.at).collect();
                sends.sort_unstable();
                for pair in sends.windows(2) {
                    assert!(pair[1].since(pair[0]) >= self.policy.sms_cooldown, "cooldown");
                }
            }
        }
        for phone in PHONES.iter() {
            for window in [WindowKind::Binds, WindowKind::Sends] {
                assert!(count(&|sent| sent.phone == *phone && sent.window == window) <= max, "S11: {window:?} of a number");
            }
        }
        for address in [1, 2] {
            let sends = count(&|sent| sent.counts_for(Some(address)));
            assert!(self.policy.sms_max_per_ip == 0 || sends <= self.policy.sms_max_per_ip.into(), "S11: from an address");
        }
    }
}

impl Sent {
    /// Whether it counts for this source address.
    fn counts_for(&self, address: Option<u8>) -> bool {
        self.window == WindowKind::Binds && self.address == address
    }
}

impl User {
    fn usual_purpose(&self) -> Purpose {
        match (&self.active, self.disabled) {
            (None, _) => Purpose::Enroll,
            (Some(_), false) => Purpose::SignIn,
            (Some(_), true) => Purpose::Replace,
        }
    }

    fn window_of(&self, phone: &PhoneNumber) -> WindowKind {
        let is_own = self.active.as_ref().is_some_and(|(active, _)| active == phone);
        if is_own { WindowKind::Sends } else { WindowKind::Binds }
    }

    /// S10: the answer to every SMS code while there is a lock.
    fn locked(&self, now: Timestamp) -> Option<Refusal> {
        let until = self.locked_until.filter(|until| *until > now)?;
        Some(Refusal::Locked { retry_after: until.since(now), has_backup_codes: !self.backup_codes.is_empty() })
    }

    /// S8: a right code of either kind, or an operator, sets both counts to zero and lifts the lock.
    fn start_anew(&mut self) {
        (self.wrong_sms, self.wrong_sms_at, self.locked_until) = (0, None, None);
        (self.wrong_backup, self.wrong_backup_at) = (0, None);
    }

    /// Nothing is left but what limits and counts remember. Returns the number that was active.
    fn turn_off(&mut self) -> Option<PhoneNumber> {
        (self.disabled, self.pending, self.live) = (false, None, None);
        self.backup_codes.clear();
        self.active.take().map(|(phone, _)| phone)
    }
}

/// S10, S12, S24: a refusal that judged nothing changes nothing, sends nothing and costs no write.
fn check_that_nothing_happened(decision: &Decision) {
    let Decision { outcome, account, take, give_back, code, notification, events } = decision;
    assert!(!decision.is_stored() && account.is_none(), "S24: {outcome:?} was stored");
    assert!(take.is_none() && give_back.is_none() && code.is_none() && notification.is_none(), "{outcome:?} had an effect");
    assert_eq!(events.len(), 1, "S24: it is one line of the log");
}
