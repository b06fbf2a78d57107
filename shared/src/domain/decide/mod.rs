//! The state machine: given an account, a command and the time, what happens. Every rule about codes, attempts, sends and binding
//! is in this folder, and nothing else is: what can be asked is in `command`, who may pass in `judge`, what may be sent in `send`.

pub mod command;
mod judge;
pub mod refusal;
mod send;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod shell;

use rand::CryptoRng;

pub use command::{Accepted, Answer, Command, Context, Decision, Notification, NumberWindow, OutgoingCode, ReservedSlots};
pub use refusal::Refusal;

use super::{
    account::Account,
    audit::{AuditDetails, AuditEvent, AuditKind, AuditOutcome, Method},
    backup_code::{BackupCode, BackupCodes},
    message::{
        delivery::{Attempt, DeliveryReason},
        notification::NotificationKind,
    },
    phone_number::PhoneNumber,
    policy::Policy,
    sms::{
        challenge::{ChallengeId, Purpose},
        code::Proof,
        factor::{ActivePhone, FactorState, PendingPhone},
        lockout::FailedAttempts,
        send_window::{Allowance, SendState, Slot},
    },
    test_numbers::NumberRole,
    timestamp::Timestamp,
};

/// Decides `command` on `account`.
///
/// The account may hold what has lapsed; the decision looks at the clock itself (S2).
pub fn decide(account: Account, command: &Command, context: &Context<'_>, rng: &mut dyn CryptoRng) -> Decision {
    let before = account.at(context.policy, context.now);
    let mut draft = Draft::new(before.clone(), context, rng);
    let kind = match command {
        Command::Setup { .. } if before.has_factor() => AuditKind::Replace,
        Command::Setup { .. } => AuditKind::Setup,
        Command::Send { .. } => AuditKind::Send,
        Command::Verify { .. } => AuditKind::Verify,
        Command::Disable { .. } => AuditKind::Disable,
        Command::GiveBack { .. } => AuditKind::Delivery,
        Command::Unlock => AuditKind::OperatorUnlock,
        Command::Reset => AuditKind::OperatorReset,
        Command::Import { .. } => AuditKind::OperatorImport,
    };
    let outcome = match command {
        Command::Setup { phone, proof } => draft.setup(phone, proof.as_ref()),
        Command::Send { purpose } => draft.send(*purpose),
        Command::Verify { proof, purpose, regenerate_backup_codes } => draft.verify(proof, *purpose, *regenerate_backup_codes),
        Command::Disable { proof } => draft.disable(proof.as_ref()),
        Command::GiveBack { challenge, phone, reason, attempts } => Ok(draft.give_back(*challenge, phone, *reason, attempts)),
        Command::Unlock => Ok(draft.unlock()),
        Command::Reset => draft.reset(),
        Command::Import { phone } => draft.import(phone),
    };
    draft.finish(kind, outcome, &before)
}

/// One decision in the making: the account as it would be, and what would come of it.
struct Draft<'a> {
    context: &'a Context<'a>,
    rng: &'a mut dyn CryptoRng,
    account: Account,
    effects: Effects,
    /// What the trail says of the command itself.
    subject: Subject,
}

/// What a decision has done, apart from changing the account.
#[derive(Default)]
struct Effects {
    take: Option<ReservedSlots>,
    give_back: Option<ReservedSlots>,
    code: Option<OutgoingCode>,
    notification: Option<Notification>,
    events: Vec<AuditEvent>,
}

/// What the trail says of a command: the number that it was about, and more.
#[derive(Default)]
struct Subject {
    phone: Option<PhoneNumber>,
    details: AuditDetails,
    /// How a granted command ended, where that is not simply success.
    ended: Option<AuditOutcome>,
}

impl<'a> Draft<'a> {
    fn new(account: Account, context: &'a Context<'a>, rng: &'a mut dyn CryptoRng) -> Self {
        Self { context, rng, account, effects: Effects::default(), subject: Subject::default() }
    }

    /// The decision. Of what a refused command had in mind nothing stays but the count of a wrong code: a right proof that does not
    /// lead anywhere is not spent.
    fn finish(self, kind: AuditKind, outcome: Result<Answer, Refusal>, before: &Account) -> Decision {
        let Self { account, effects, subject, context, .. } = self;
        let is_test = |phone: &PhoneNumber| matches!(context.role(phone), NumberRole::Test(_));
        let counts = matches!(outcome, Ok(_) | Err(Refusal::InvalidCode { .. }));
        let Effects { take, give_back, code, notification, events: consequences } =
            if counts { effects } else { Effects::default() };
        let ended = match outcome {
            Ok(_) => subject.ended.unwrap_or(AuditOutcome::Success),
            Err(refusal) => AuditOutcome::Refused(refusal),
        };
        let itself = AuditEvent { kind, outcome: ended, phone: subject.phone, details: subject.details };
        Decision {
            outcome,
            account: (counts && account != *before).then_some(account),
            take,
            give_back,
            code,
            notification,
            events: std::iter::once(itself)
                .chain(consequences)
                .map(|mut event| {
                    event.details.is_test = event.phone.as_ref().is_some_and(is_test);
                    event
                })
                .collect(),
        }
    }

    fn setup(&mut self, phone: &PhoneNumber, proof: Option<&Proof>) -> Result<Answer, Refusal> {
        let (purpose, allowance) = match &self.account.sms.state {
            // A proof that is not needed is ignored.
            FactorState::Off => (Purpose::Enroll, Allowance::User),
            FactorState::On(_) | FactorState::Disabled(_) => {
                let accepted = self.judge(proof.ok_or(Refusal::VerificationRequired)?, Purpose::Change)?;
                let allowance = match accepted.method {
                    Method::Sms => Allowance::User,
                    Method::BackupCode => {
                        self.tell_active(NotificationKind::BackupCodeUsed);
                        Allowance::Recovery
                    }
                };
                (Purpose::Replace, allowance)
            }
        };
        if matches!(&self.account.sms.state, FactorState::On(active) if active.phone == *phone) {
            return Err(Refusal::AlreadyEnabled);
        }
        // Judging the proof was about the number that is active; what follows is about the new one.
        self.subject.phone = Some(phone.clone());
        self.account.sms.pending =
            Some(PendingPhone { phone: phone.clone(), expires_at: self.now().plus(self.policy().pending_ttl) });
        let (answer, details) = self.send_code(purpose, phone, allowance)?;
        let sent = AuditEvent::new(AuditKind::Send, AuditOutcome::Success, Some(phone.clone()));
        self.effects.events.push(AuditEvent { details, ..sent });
        Ok(answer)
    }

    fn send(&mut self, purpose: Option<Purpose>) -> Result<Answer, Refusal> {
        let sms = &self.account.sms;
        if purpose.is_none() && sms.is_disabled() && sms.pending.is_none() {
            return Err(Refusal::FactorDisabled);
        }
        let purpose = purpose.unwrap_or(sms.usual_purpose());
        let phone = self.destination(purpose)?;
        self.subject.phone = Some(phone.clone());
        let (answer, details) = self.send_code(purpose, &phone, Allowance::User)?;
        self.subject.details = details;
        Ok(answer)
    }

    fn verify(&mut self, proof: &Proof, purpose: Option<Purpose>, regenerate: bool) -> Result<Answer, Refusal> {
        let purpose = match (purpose, proof) {
            _ if regenerate => Purpose::Change,
            (Some(purpose), _) => purpose,
            (None, Proof::Backup(_)) => Purpose::SignIn,
            (None, Proof::Sms(_)) => self.account.sms.usual_purpose(),
        };
        let accepted = self.judge(proof, purpose)?;
        if purpose.binds_a_number()
            && let Some(pending) = self.account.sms.pending.take()
        {
            return Ok(self.bind(purpose, pending.phone));
        }
        let backup_codes = regenerate.then(|| {
            self.happened(AuditKind::BackupCodesRegenerated);
            self.issue_backup_codes()
        });
        if backup_codes.is_some() {
            self.tell_active(NotificationKind::BackupCodesReplaced);
        } else if accepted.method == Method::BackupCode {
            self.tell_active(NotificationKind::BackupCodeUsed);
        }
        let backup_codes_remaining = self.account.backup.remaining();
        Ok(Answer::Confirmed { purpose, accepted, backup_codes_remaining, backup_codes })
    }

    fn disable(&mut self, proof: Option<&Proof>) -> Result<Answer, Refusal> {
        let Some(active) = self.account.sms.active().cloned() else {
            self.subject.phone = Some(self.account.sms.drop_pending().ok_or(Refusal::NotEnabled)?.phone);
            return Ok(Answer::Disabled);
        };
        self.judge(proof.ok_or(Refusal::VerificationRequired)?, Purpose::Change)?;
        self.turn_off(active.phone);
        Ok(Answer::Disabled)
    }

    fn turn_off(&mut self, phone: PhoneNumber) {
        self.account.sms.state = FactorState::Off;
        self.account.sms.drop_pending();
        self.account.backup = BackupCodes::default();
        self.tell(phone, NotificationKind::TurnedOff);
    }

    fn unlock(&mut self) -> Answer {
        self.account.sms.failed_attempts = FailedAttempts::default();
        self.account.backup.forget_failures();
        Answer::Done
    }

    fn reset(&mut self) -> Result<Answer, Refusal> {
        match self.account.sms.active().cloned() {
            Some(active) => {
                self.subject.phone = Some(active.phone.clone());
                self.turn_off(active.phone);
            }
            None => {
                self.account.sms.drop_pending().ok_or(Refusal::NotEnabled)?;
            }
        }
        Ok(self.unlock())
    }

    /// Makes the number the active one on the operator's word (S15). A factor that is there stays as it is: replacing it takes a proof,
    /// and an import must not bring back a number that was disabled. Wrong codes stay counted (S8).
    fn import(&mut self, phone: &PhoneNumber) -> Result<Answer, Refusal> {
        self.subject.phone = Some(phone.clone());
        match &self.account.sms.state {
            FactorState::Off => {}
            FactorState::On(active) if active.phone == *phone => return Err(Refusal::AlreadyEnabled),
            FactorState::On(_) => return Err(Refusal::VerificationRequired),
            FactorState::Disabled(_) => return Err(Refusal::FactorDisabled),
        }
        self.account.sms.drop_pending();
        self.account.sms.state = FactorState::On(ActivePhone { phone: phone.clone(), enabled_at: self.now() });
        Ok(Answer::Done)
    }

    fn give_back(&mut self, challenge: ChallengeId, phone: &PhoneNumber, reason: DeliveryReason, attempts: &[Attempt]) -> Answer {
        self.subject = Subject {
            phone: Some(phone.clone()),
            details: AuditDetails { reference: Some(challenge), attempts: attempts.to_vec(), ..AuditDetails::default() },
            ended: Some(AuditOutcome::NotDelivered(reason)),
        };
        // Nobody ever saw the code, so nothing is lost with it.
        self.account.sms.challenge.take_if(|current| current.id == challenge);
        let state = if reason.is_recipients() { SendState::Refused } else { SendState::GivenBack };
        if let Some(send) = self.account.sends.give_back(challenge, state) {
            let taken = |index| Slot { index, taken_at: send.at };
            self.effects.give_back = Some(ReservedSlots {
                phone: phone.clone(),
                window: send.window,
                slot: taken(send.slot),
                address_slot: send.address_slot.map(taken),
            });
        }
        Answer::Done
    }

    /// Makes the number of an accepted enrollment or replacement the active one (S15).
    fn bind(&mut self, purpose: Purpose, phone: PhoneNumber) -> Answer {
        let active = ActivePhone { phone: phone.clone(), enabled_at: self.now() };
        match std::mem::replace(&mut self.account.sms.state, FactorState::On(active)) {
            FactorState::Off => self.happened(AuditKind::Enabled),
            FactorState::On(old) | FactorState::Disabled(old) => {
                self.happened(AuditKind::Replaced);
                if old.phone != phone {
                    self.tell(old.phone, NotificationKind::Replaced);
                }
            }
        }
        Answer::Bound { purpose, phone, backup_codes: self.issue_backup_codes() }
    }

    fn issue_backup_codes(&mut self) -> Vec<BackupCode> {
        let (codes, kept) = BackupCodes::issue(self.context.pepper, self.context.user, self.rng);
        self.account.backup = kept;
        codes
    }

    /// Has the active number told of something.
    fn tell_active(&mut self, kind: NotificationKind) {
        if let Some(active) = self.account.sms.active() {
            self.tell(active.phone.clone(), kind);
        }
    }

    /// Has a number told of something, unless it was told enough of that kind today (S18). Of several things that one command
    /// does, the last one told is the gravest, and is told alone.
    fn tell(&mut self, to: PhoneNumber, kind: NotificationKind) {
        // A number for tests needs no message and makes none (S28).
        if self.context.role(&to) != NumberRole::Ordinary {
            return;
        }
        if self.account.notifications.admit(kind, self.now()) {
            self.effects.notification = Some(Notification { to, kind });
        } else {
            let details = AuditDetails { notification: Some(kind), ..AuditDetails::default() };
            let untold = AuditEvent::new(AuditKind::Notification, AuditOutcome::TooMany, Some(to));
            self.effects.events.push(AuditEvent { details, ..untold });
        }
    }

    /// Notes a consequence of the command, about the same number.
    fn happened(&mut self, kind: AuditKind) {
        self.effects.events.push(AuditEvent::new(kind, AuditOutcome::Success, self.subject.phone.clone()));
    }

    fn policy(&self) -> &'a Policy {
        self.context.policy
    }

    fn now(&self) -> Timestamp {
        self.context.now
    }
}
