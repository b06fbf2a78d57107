//! The state machine: given an account, a command and the time, what happens. Every rule about codes, guesses, sends and binding
//! is here, and nothing else is.

#[cfg(test)]
mod examples;
#[cfg(test)]
mod properties;

use std::time::Duration;

use rand::{CryptoRng, RngExt};

use super::{
    Account, AuditEvent, AuditOutcome, BackupCode, BackupCodes, Challenge, ChallengeId, Code, FailedAttempts, Pending, Pepper,
    PhoneNumber, Policy, Proof, Purpose, SendWindow, Slot, SmsFactor, Timestamp, UserId,
    account::{ActivePhone, MAX_NOTIFICATIONS},
    message::text::NotificationKind,
    sms::code::Binding,
    sms::send_window::SentCode,
};

/// What a caller, or the service itself, asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Enroll this number, or put it in the place of the active one, which takes a proof.
    Setup {
        /// The new number.
        phone: PhoneNumber,
        /// That the active factor is the caller's.
        proof: Option<Proof>,
    },
    /// Send a code: to the active number, or to the pending one if there is no active one or if `pending` asks for it.
    Send {
        /// Whether the pending number is meant even though there is an active one.
        pending: bool,
    },
    /// Judge a code.
    Verify {
        /// The code.
        proof: Proof,
        /// Whether to replace the backup codes too.
        regenerate_backup_codes: bool,
    },
    /// Turn 2FA off, which takes a proof, or drop an enrollment that was never verified.
    Disable {
        /// That the active factor is the caller's.
        proof: Option<Proof>,
    },
    /// The providers refused the code of this challenge for certain: give the send back (S12).
    GiveBack {
        /// The challenge whose code was not sent.
        challenge: ChallengeId,
        /// Where it was not sent to.
        phone: PhoneNumber,
    },
    /// An operator lifts the locks and starts the counts of failures anew. A disabled factor stays disabled.
    Unlock,
    /// An operator removes the factor and whatever is pending, for a user who has neither phone nor backup codes.
    Reset,
}

impl Command {
    /// The code that came with it, if there is one.
    pub const fn proof(&self) -> Option<&Proof> {
        match self {
            Self::Setup { proof, .. } | Self::Disable { proof } => proof.as_ref(),
            Self::Verify { proof, .. } => Some(proof),
            Self::Send { .. } | Self::GiveBack { .. } | Self::Unlock | Self::Reset => None,
        }
    }
}

/// What a decision is made on, apart from the account.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The limits.
    pub policy: &'a Policy,
    /// The key of the digests.
    pub pepper: &'a Pepper,
    /// Whose account it is.
    pub user: &'a UserId,
    /// The time.
    pub now: Timestamp,
    /// A number and its window; `None` if none was read. Counts only if the code would go to that number.
    pub phone_window: Option<(&'a PhoneNumber, &'a SendWindow)>,
    /// The window of the source address; `None` if none counts.
    pub address_window: Option<&'a SendWindow>,
}

/// A granted command: what the caller gets to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A code is on its way.
    CodeSent {
        /// To this number.
        phone: PhoneNumber,
        /// How long the code lives.
        expires_in: Duration,
        /// How long until the next one may be asked for.
        resend_in: Duration,
        /// How many sends are left in the window, as far as is known.
        sends_remaining: u16,
    },
    /// A number is active now. The backup codes are shown here and never again.
    Enabled {
        /// The number.
        phone: PhoneNumber,
        /// The fresh backup codes.
        backup_codes: Vec<BackupCode>,
    },
    /// The code was right.
    Confirmed {
        /// Which kind of code it was.
        method: Method,
        /// How many backup codes are left.
        backup_codes_remaining: usize,
        /// The fresh backup codes, if they were asked for.
        backup_codes: Option<Vec<BackupCode>>,
    },
    /// 2FA is off.
    Disabled,
    /// A command of the service itself or of an operator is done; there is nothing to say.
    Done,
}

/// The kind of code that was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// An SMS code.
    Sms,
    /// A backup code.
    BackupCode,
}

/// Which limit a send ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendLimit {
    /// The least time between two sends to a user.
    Cooldown,
    /// The user's window.
    User,
    /// The phone number's window.
    Phone,
    /// The source address's window.
    Address,
}

impl SendLimit {
    /// The limit's name in `RateLimit` headers, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown",
            Self::User => "user",
            Self::Phone => "phone",
            Self::Address => "address",
        }
    }
}

/// A command that was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The code was judged, and wrong.
    InvalidCode {
        /// Wrong guesses left before nothing is judged any more.
        attempts_remaining: u32,
    },
    /// The outstanding code is too old.
    CodeExpired,
    /// The change takes a proof.
    VerificationRequired,
    /// There is nothing to send, or nothing to verify.
    NoPendingVerification,
    /// The number is the active one already.
    AlreadyEnabled,
    /// There is nothing to turn off.
    NotEnabled,
    /// A send limit is reached.
    RateLimited {
        /// Which one: the one that lasts longest.
        limit: SendLimit,
        /// How long it lasts.
        retry_after: Duration,
    },
    /// This code's guesses are used up.
    TooManyAttempts,
    /// The account's guesses are used up for now.
    Locked {
        /// For how long.
        retry_after: Duration,
    },
    /// The account's guesses are used up for good: the number must be bound anew with a backup code.
    FactorDisabled,
    /// The same of backup codes: an SMS code must have a new set of them made.
    BackupCodesDisabled,
}

impl Refusal {
    /// The refusal's stable name: the `code` of the problem document, and the outcome in the audit trail.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidCode { .. } => "invalid_code",
            Self::CodeExpired => "code_expired",
            Self::VerificationRequired => "verification_required",
            Self::NoPendingVerification => "no_pending_verification",
            Self::AlreadyEnabled => "already_enabled",
            Self::NotEnabled => "not_enabled",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooManyAttempts => "too_many_attempts",
            Self::Locked { .. } => "locked",
            Self::FactorDisabled | Self::BackupCodesDisabled => "factor_disabled",
        }
    }
}

/// A code to be sent once the decision is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingCode {
    /// The challenge that it answers.
    pub challenge: ChallengeId,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it goes.
    pub to: PhoneNumber,
    /// The code.
    pub code: Code,
    /// How long it lives.
    pub valid_for: Duration,
}

/// Somebody to be told of a change once the decision is stored (S18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The number that is active no more.
    pub to: PhoneNumber,
    /// What changed.
    pub kind: NotificationKind,
}

/// SendWindow to be taken, or given back, together with the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedSlots {
    /// The number whose window it is.
    pub phone: PhoneNumber,
    /// The slot of that window.
    pub phone_slot: Slot,
    /// The slot of the source address's window, if that counts.
    pub address_slot: Option<Slot>,
}

/// Something for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// What happened.
    pub event: AuditEvent,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The number it was about.
    pub phone: Option<PhoneNumber>,
}

/// What was decided. Nothing of it is true before it is stored; nothing may be answered or sent before that.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What to answer.
    pub outcome: Result<Answer, Refusal>,
    /// The account as it shall be; `None` if it stays as it is.
    pub account: Option<Account>,
    /// SendWindow to take.
    pub take: Option<ReservedSlots>,
    /// SendWindow to give back.
    pub give_back: Option<ReservedSlots>,
    /// The code to send.
    pub code: Option<OutgoingCode>,
    /// Whom to tell.
    pub notification: Option<Notification>,
    /// What happened, for the audit trail.
    pub events: Vec<Happened>,
}

/// Decides `command` on `account`.
///
/// The account may hold what has lapsed; the decision looks at the clock itself (S2).
pub fn decide(account: Account, command: &Command, context: &Context<'_>, rng: &mut dyn CryptoRng) -> Decision {
    let account = account.at(context.policy, context.now);
    let mut step = Step {
        context,
        rng,
        account: account.clone(),
        take: None,
        give_back: None,
        code: None,
        notification: None,
        about: None,
        events: Vec::new(),
    };
    let (event, outcome) = match command {
        Command::Setup { phone, proof } => {
            let event = if account.sms == SmsFactor::Off { AuditEvent::Setup } else { AuditEvent::Replace };
            (event, step.setup(phone, proof.as_ref()))
        }
        Command::Send { pending } => (AuditEvent::Send, step.send(*pending)),
        Command::Verify { proof, regenerate_backup_codes } => (AuditEvent::Verify, step.verify(proof, *regenerate_backup_codes)),
        Command::Disable { proof } => (AuditEvent::Disable, step.disable(proof.as_ref())),
        Command::GiveBack { challenge, phone } => (AuditEvent::Delivery, Ok(step.give_back(*challenge, phone))),
        Command::Unlock => (AuditEvent::OperatorUnlock, Ok(step.unlock())),
        Command::Reset => (AuditEvent::OperatorReset, step.reset()),
    };
    let ended = match (&outcome, command) {
        (Ok(_), Command::GiveBack { .. }) => AuditOutcome::Refused("sms_delivery_failed"),
        (Ok(_), _) => AuditOutcome::Success,
        (Err(refusal), _) => AuditOutcome::Refused(refusal.code()),
    };
    step.events.insert(0, Happened { event, outcome: ended, phone: step.about });
    Decision {
        outcome,
        account: (step.account != account).then_some(step.account),
        take: step.take,
        give_back: step.give_back,
        code: step.code,
        notification: step.notification,
        events: step.events,
    }
}

/// What a judged code is to be used for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Whatever it was sent for.
    Verify,
    /// To confirm a change of the factor itself: only a code that went to the active number will do (S4, S16).
    Confirm,
}

/// A send that every limit allows, not yet made.
struct Reservation {
    phone_slot: u16,
    address_slot: Option<u16>,
    sends_remaining: u16,
    resend_in: Duration,
}

/// One decision in the making.
struct Step<'a> {
    context: &'a Context<'a>,
    rng: &'a mut dyn CryptoRng,
    account: Account,
    take: Option<ReservedSlots>,
    give_back: Option<ReservedSlots>,
    code: Option<OutgoingCode>,
    notification: Option<Notification>,
    /// The number that the command turned out to be about.
    about: Option<PhoneNumber>,
    events: Vec<Happened>,
}

impl<'a> Step<'a> {
    fn setup(&mut self, phone: &PhoneNumber, proof: Option<&Proof>) -> Result<Answer, Refusal> {
        self.about = Some(phone.clone());
        let (purpose, proof) = match (&self.account.sms, proof) {
            (SmsFactor::Off, _) => (Purpose::Enroll, None),
            (SmsFactor::On(active), _) if active.phone == *phone => return Err(Refusal::AlreadyEnabled),
            (SmsFactor::On(_) | SmsFactor::Disabled(_), None) => return Err(Refusal::VerificationRequired),
            (SmsFactor::On(_) | SmsFactor::Disabled(_), Some(proof)) => (Purpose::Replace, Some(proof)),
        };
        // The limits come before the proof: a proof that could not be used is not spent, and a wrong one is not judged.
        let slot = self.find_slot(phone)?;
        if let Some(proof) = proof {
            self.confirm_change(proof)?;
            // Judging was about the old number; what follows is about the new one again.
            self.about = Some(phone.clone());
        }
        self.account.pending = Some(Pending { phone: phone.clone(), expires_at: self.now().plus(self.policy().pending_ttl) });
        self.happened(AuditEvent::Send);
        Ok(self.send_code(purpose, phone.clone(), &slot))
    }

    fn send(&mut self, to_pending: bool) -> Result<Answer, Refusal> {
        let pending = self.account.pending.as_ref().map(|pending| pending.phone.clone());
        let (purpose, phone) = match &self.account.sms {
            SmsFactor::Off => (Purpose::Enroll, pending.ok_or(Refusal::NoPendingVerification)?),
            SmsFactor::On(_) if to_pending => (Purpose::Replace, pending.ok_or(Refusal::NoPendingVerification)?),
            SmsFactor::On(active) => (Purpose::SignIn, active.phone.clone()),
            // A code to the disabled number could never be accepted, so only the number that waits to be bound can be meant.
            SmsFactor::Disabled(_) => (Purpose::Replace, pending.ok_or(Refusal::FactorDisabled)?),
        };
        self.about = Some(phone.clone());
        let slot = self.find_slot(&phone)?;
        Ok(self.send_code(purpose, phone, &slot))
    }

    fn verify(&mut self, proof: &Proof, regenerate: bool) -> Result<Answer, Refusal> {
        let method = match proof {
            Proof::Backup(code) => {
                self.judge_backup_code(code)?;
                Method::BackupCode
            }
            Proof::Sms(code) => {
                let challenge = self.judge_sms_code(code, Use::Verify)?;
                match challenge.purpose {
                    Purpose::Enroll | Purpose::Replace => return Ok(self.activate(challenge.phone)),
                    Purpose::SignIn => Method::Sms,
                }
            }
        };
        let backup_codes = regenerate.then(|| {
            self.happened(AuditEvent::BackupCodesRegenerated);
            self.issue_backup_codes()
        });
        Ok(Answer::Confirmed { method, backup_codes_remaining: self.account.backup.remaining(), backup_codes })
    }

    fn disable(&mut self, proof: Option<&Proof>) -> Result<Answer, Refusal> {
        let Some(active) = self.account.sms.active().cloned() else {
            self.about = Some(self.drop_pending().ok_or(Refusal::NotEnabled)?.phone);
            return Ok(Answer::Disabled);
        };
        self.about = Some(active.phone.clone());
        self.confirm_change(proof.ok_or(Refusal::VerificationRequired)?)?;
        self.turn_off(active.phone);
        Ok(Answer::Disabled)
    }

    fn turn_off(&mut self, phone: PhoneNumber) {
        self.account.sms = SmsFactor::Off;
        self.drop_pending();
        self.account.backup = BackupCodes::default();
        self.tell(phone, NotificationKind::TurnedOff);
    }

    fn unlock(&mut self) -> Answer {
        self.account.sms_failed_attempts = FailedAttempts::default();
        self.account.backup.failed_attempts = FailedAttempts::default();
        Answer::Done
    }

    fn reset(&mut self) -> Result<Answer, Refusal> {
        match self.account.sms.active().cloned() {
            Some(active) => {
                self.about = Some(active.phone.clone());
                self.turn_off(active.phone);
            }
            None => {
                self.drop_pending().ok_or(Refusal::NotEnabled)?;
            }
        }
        Ok(self.unlock())
    }

    /// Forgets the number that waits to be verified, and with it the code that is out, whatever that was for.
    fn drop_pending(&mut self) -> Option<Pending> {
        self.account.challenge = None;
        self.account.pending.take()
    }

    fn give_back(&mut self, challenge: ChallengeId, phone: &PhoneNumber) -> Answer {
        self.about = Some(phone.clone());
        // Nobody ever saw the code, so nothing is lost with it.
        self.account.challenge = self.account.challenge.take().filter(|current| current.id != challenge);
        if let Some(send) = self.account.sends.take_out(challenge) {
            let slot = |index| Slot { index, taken_at: send.at };
            self.give_back = Some(ReservedSlots {
                phone: phone.clone(),
                phone_slot: slot(send.phone_slot),
                address_slot: send.address_slot.map(slot),
            });
        }
        Answer::Done
    }

    /// Makes the number of an accepted enrollment or replacement the active one (S15).
    fn activate(&mut self, phone: PhoneNumber) -> Answer {
        let enabled_at = self.now();
        let active = ActivePhone { phone: phone.clone(), enabled_at };
        match std::mem::replace(&mut self.account.sms, SmsFactor::On(active)) {
            SmsFactor::Off => self.happened(AuditEvent::Enabled),
            SmsFactor::On(old) | SmsFactor::Disabled(old) => {
                self.happened(AuditEvent::Replaced);
                if old.phone != phone {
                    self.tell(old.phone, NotificationKind::Replaced);
                }
            }
        }
        self.account.pending = None;
        Answer::Enabled { phone, backup_codes: self.issue_backup_codes() }
    }

    fn issue_backup_codes(&mut self) -> Vec<BackupCode> {
        let (codes, kept) = BackupCodes::issue(self.context.pepper, self.context.user, self.rng);
        self.account.backup = kept;
        codes
    }

    /// Judges the proof that a change of the factor takes (S16).
    fn confirm_change(&mut self, proof: &Proof) -> Result<(), Refusal> {
        match proof {
            Proof::Sms(code) => self.judge_sms_code(code, Use::Confirm).map(|_| ()),
            Proof::Backup(code) => {
                self.judge_backup_code(code)?;
                // This is how a disabled factor is bound anew: the new number's code must find a count that lets it be judged.
                if matches!(self.account.sms, SmsFactor::Disabled(_)) {
                    self.account.sms_failed_attempts = FailedAttempts::default();
                }
                Ok(())
            }
        }
    }

    /// Judges a code against the outstanding challenge. The one way in which an SMS code is accepted; the challenge is gone then
    /// (S3) and the count of failures starts anew.
    fn judge_sms_code(&mut self, code: &Code, used_for: Use) -> Result<Challenge, Refusal> {
        let challenge = self.account.challenge.as_ref().filter(|challenge| match challenge.purpose {
            Purpose::SignIn => true,
            Purpose::Enroll | Purpose::Replace => used_for == Use::Verify,
        });
        let binds_anew = challenge.is_some_and(|challenge| challenge.purpose == Purpose::Replace);
        if matches!(self.account.sms, SmsFactor::Disabled(_)) && !binds_anew {
            return Err(Refusal::FactorDisabled);
        }
        if let Some(retry_after) = self.account.sms_failed_attempts.lock_remaining(self.now()) {
            return Err(Refusal::Locked { retry_after });
        }
        let challenge = challenge.ok_or(Refusal::NoPendingVerification)?;
        self.about = Some(challenge.phone.clone());
        if challenge.expires_at <= self.now() {
            return Err(Refusal::CodeExpired);
        }
        if challenge.failed_attempts >= self.policy().code_max_attempts {
            return Err(Refusal::TooManyAttempts);
        }
        if !challenge.is_answered_by(code, self.context.pepper, self.context.user) {
            return Err(self.count_wrong_sms_code());
        }
        self.account.sms_failed_attempts = FailedAttempts::default();
        self.account.challenge.take().ok_or(Refusal::NoPendingVerification)
    }

    fn count_wrong_sms_code(&mut self) -> Refusal {
        let (policy, now) = (self.policy(), self.now());
        let mut attempts_remaining = 0;
        if let Some(challenge) = &mut self.account.challenge {
            challenge.failed_attempts += 1;
            attempts_remaining = policy.code_max_attempts.saturating_sub(challenge.failed_attempts);
        }
        if self.account.sms_failed_attempts.count_failure(policy, now).is_some() {
            attempts_remaining = 0;
            self.happened(AuditEvent::Locked);
        }
        attempts_remaining = attempts_remaining.min(self.account.sms_failed_attempts.left_before_lock(policy));
        if self.account.sms_failed_attempts.is_exhausted(policy)
            && let SmsFactor::On(active) | SmsFactor::Disabled(active) = &self.account.sms
        {
            // What waits to be bound is dropped too: binding it takes another backup code (S8).
            self.account.sms = SmsFactor::Disabled(active.clone());
            self.drop_pending();
            attempts_remaining = 0;
            self.happened(AuditEvent::FactorDisabled);
        }
        Refusal::InvalidCode { attempts_remaining }
    }

    /// Judges a backup code. The one way in which one is accepted; it is spent then (S17).
    fn judge_backup_code(&mut self, code: &BackupCode) -> Result<(), Refusal> {
        let (policy, now) = (self.policy(), self.now());
        let active = self.account.sms.active().map(|active| active.phone.clone());
        if active.is_none() && self.account.challenge.is_none() {
            return Err(Refusal::NoPendingVerification);
        }
        self.about = active;
        if self.account.backup.failed_attempts.is_exhausted(policy) {
            return Err(Refusal::BackupCodesDisabled);
        }
        if let Some(retry_after) = self.account.backup.failed_attempts.lock_remaining(now) {
            return Err(Refusal::Locked { retry_after });
        }
        if self.account.backup.spend(code, self.context.pepper, self.context.user) {
            self.account.backup.failed_attempts = FailedAttempts::default();
            return Ok(());
        }
        let locked = self.account.backup.failed_attempts.count_failure(policy, now).is_some();
        let attempts_remaining = if locked { 0 } else { self.account.backup.failed_attempts.left_before_lock(policy) };
        if locked {
            self.happened(AuditEvent::Locked);
        }
        Err(Refusal::InvalidCode { attempts_remaining })
    }

    /// Finds out whether a code may be sent to `phone` now (S11). Where several limits forbid it, the one that lasts longest is named.
    fn find_slot(&mut self, phone: &PhoneNumber) -> Result<Reservation, Refusal> {
        let (policy, now) = (self.policy(), self.now());
        let phone_window = self.context.phone_window.filter(|(number, _)| *number == phone).map(|(_, slots)| slots);
        let sends = &self.account.sends;
        let last = sends.iter().next_back().map(|send| send.at.plus(policy.sms_cooldown).since(now)).unwrap_or_default();
        let mut in_window: Vec<_> = sends.in_window(policy, now).map(|send| send.at).collect();
        let max = usize::from(policy.sms_max_per_window);
        let until_one_leaves = |sends: &[Timestamp]| {
            let leaving = sends.len().checked_sub(max).and_then(|index| sends.get(index));
            leaving.map(|at| at.plus(policy.sms_window).since(now)).unwrap_or_default()
        };
        let address_window = self.context.address_window.filter(|_| policy.sms_max_per_ip > 0);
        // Of limits that last equally long the last one here is named: the one that is most the user's own.
        let waits = [
            (SendLimit::Address, wait(address_window, policy.sms_max_per_ip, policy, now)),
            (SendLimit::Phone, wait(phone_window, policy.sms_max_per_window, policy, now)),
            (SendLimit::User, until_one_leaves(&in_window)),
            (SendLimit::Cooldown, last),
        ];
        if let Some((limit, retry_after)) = waits.into_iter().filter(|(_, wait)| !wait.is_zero()).max_by_key(|(_, wait)| *wait) {
            return Err(Refusal::RateLimited { limit, retry_after });
        }

        let free_for_phone: Option<Vec<_>> =
            phone_window.map(|slots| slots.free(policy.sms_max_per_window, policy.sms_window, now).collect());
        let phone_slot = match &free_for_phone {
            Some(free) => free.first().copied().unwrap_or_default(),
            None => sends.likely_free_slot(policy, now),
        };
        // Any free slot of a busy address will do; taking one at random keeps its users out of each other's way.
        let address_slot = address_window.and_then(|slots| {
            let free: Vec<_> = slots.free(policy.sms_max_per_ip, policy.sms_window, now).collect();
            free.get(self.rng.random_range(0..free.len().max(1))).copied()
        });
        in_window.push(now);
        let left_for_user = max.saturating_sub(in_window.len());
        let left_for_phone = free_for_phone.map_or(usize::MAX, |free| free.len().saturating_sub(1));
        Ok(Reservation {
            phone_slot,
            address_slot,
            sends_remaining: u16::try_from(left_for_user.min(left_for_phone)).unwrap_or(u16::MAX),
            resend_in: policy.sms_cooldown.max(until_one_leaves(&in_window)),
        })
    }

    /// Makes a code, and with it the one live challenge: whatever code was out before is dead (S5).
    fn send_code(&mut self, purpose: Purpose, phone: PhoneNumber, slot: &Reservation) -> Answer {
        let Context { policy, pepper, user, now, .. } = *self.context;
        let id = ChallengeId::generate(self.rng);
        let code = Code::generate(self.rng);
        let pending_until = match purpose {
            Purpose::Enroll | Purpose::Replace => self.account.pending.as_ref().map(|pending| pending.expires_at),
            Purpose::SignIn => None,
        };
        let expires_at = pending_until.into_iter().fold(now.plus(policy.code_ttl), Timestamp::min);
        let valid_for = expires_at.since(now);
        let digest = code.digest(pepper, &Binding { user, phone: &phone, purpose, id });
        self.account.challenge = Some(Challenge { id, purpose, phone: phone.clone(), digest, expires_at, failed_attempts: 0 });
        self.account.sends.record(SentCode {
            challenge: id,
            at: now,
            phone_slot: slot.phone_slot,
            address_slot: slot.address_slot,
        });
        let taken = |index| Slot { index, taken_at: now };
        self.take = Some(ReservedSlots {
            phone: phone.clone(),
            phone_slot: taken(slot.phone_slot),
            address_slot: slot.address_slot.map(taken),
        });
        self.code = Some(OutgoingCode { challenge: id, purpose, to: phone.clone(), code, valid_for });
        Answer::CodeSent { phone, expires_in: valid_for, resend_in: slot.resend_in, sends_remaining: slot.sends_remaining }
    }

    /// Has the number that is active no more told of the change, unless the user caused enough notifications today (S18).
    fn tell(&mut self, to: PhoneNumber, kind: NotificationKind) {
        if self.account.notifications.len() < MAX_NOTIFICATIONS {
            self.account.notifications.push(self.now());
            self.notification = Some(Notification { to, kind });
        } else {
            self.events.push(Happened {
                event: AuditEvent::Notification,
                outcome: AuditOutcome::Refused("rate_limited"),
                phone: Some(to),
            });
        }
    }

    fn happened(&mut self, event: AuditEvent) {
        self.events.push(Happened { event, outcome: AuditOutcome::Success, phone: self.about.clone() });
    }

    fn policy(&self) -> &'a Policy {
        self.context.policy
    }

    fn now(&self) -> Timestamp {
        self.context.now
    }
}

/// How long a window has no free slot; no time at all if it was not read.
fn wait(window: Option<&SendWindow>, max: u16, policy: &Policy, now: Timestamp) -> Duration {
    window.map(|slots| slots.wait(max, policy.sms_window, now)).unwrap_or_default()
}
