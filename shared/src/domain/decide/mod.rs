//! The state machine: given an account, a command and the time, what happens. Every rule about codes, guesses, sends and binding
//! is in this folder, and nothing else is: what can be asked is in `command`, who may pass in `judge`, what may be sent in `send`.

pub mod command;
mod judge;
mod send;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod properties;

use rand::CryptoRng;

pub use command::{
    Answer, Command, Context, Decision, Happened, Method, Notification, OutgoingCode, Refusal, ReservedSlots, SendLimit,
};

use super::{
    Account, AuditEvent, AuditOutcome, BackupCode, BackupCodes, ChallengeId, FailedAttempts, Pending, PhoneNumber, Policy, Proof,
    Purpose, Slot, SmsFactor, Timestamp,
    account::{ActivePhone, MAX_NOTIFICATIONS},
    message::text::NotificationKind,
};
use judge::Use;

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
