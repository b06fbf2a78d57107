//! Judging: the one way in which an SMS code or a backup code is accepted (S3, S7 to S10, S16, S17).

use super::{Accepted, Draft, Refusal};
use crate::domain::{
    audit::{AuditKind, Method},
    backup_code::BackupCode,
    message::notification::NotificationKind,
    sms::{
        challenge::Purpose,
        code::{Code, Proof},
        factor::{Destination, FactorState},
        lockout::FailedAttempts,
    },
};

impl Draft<'_> {
    /// Judges a code that is to serve `purpose`. A right one is spent, and starts the counts of wrong ones anew; a wrong one is
    /// counted.
    pub(super) fn judge(&mut self, proof: &Proof, purpose: Purpose) -> Result<Accepted, Refusal> {
        self.subject.details.purpose = Some(purpose);
        let method = match proof {
            Proof::Sms(code) => {
                self.subject.details.method = Some(Method::Sms);
                self.judge_sms_code(code, purpose)?;
                Method::Sms
            }
            Proof::Backup(code) => {
                self.subject.details.method = Some(Method::BackupCode);
                self.judge_backup_code(code, purpose)?;
                Method::BackupCode
            }
        };
        let (sms, backup) = (&mut self.account.sms.failed_attempts, &mut self.account.backup);
        let accepted = Accepted {
            method,
            failed_attempts: sms.count.saturating_add(backup.failed_attempts),
            last_failed_at: sms.last_at.max(backup.last_failed_at),
        };
        *sms = FailedAttempts::default();
        backup.forget_failures();
        Ok(accepted)
    }

    /// Judges a code against the outstanding challenge, which is gone once it is right (S3). The first rule that holds is the
    /// answer; only the last counts a guess.
    fn judge_sms_code(&mut self, code: &Code, purpose: Purpose) -> Result<(), Refusal> {
        let (context, now) = (self.context, self.now());
        let sms = &self.account.sms;
        if sms.is_disabled() && sms.pending.is_none() {
            return Err(Refusal::FactorDisabled);
        }
        self.refuse_while_locked()?;
        let challenge = sms.challenge.as_ref().ok_or(Refusal::NoPendingVerification)?;
        if challenge.purpose != purpose {
            return Err(Refusal::WrongPurpose { live: challenge.purpose });
        }
        let Destination::Phone(phone) = sms.destination(purpose) else { return Err(Refusal::NoPendingVerification) };
        self.subject.phone = Some(phone.clone());
        if challenge.expires_at <= now {
            return Err(Refusal::CodeExpired);
        }
        if challenge.failed_attempts >= context.policy.code_max_attempts {
            return Err(Refusal::TooManyAttempts);
        }
        if challenge.is_answered_by(code, phone, context.user, context.pepper) {
            let answered = challenge.id;
            self.account.sends.mark_answered(answered);
            self.account.sms.challenge = None;
            return Ok(());
        }
        if challenge.has_superseded(code, context.user, context.pepper, now) {
            return Err(Refusal::CodeSuperseded { live: challenge.purpose });
        }
        Err(self.count_wrong_sms_code())
    }

    /// Refuses while SMS codes are locked: none is judged, so none is sent either.
    pub(super) fn refuse_while_locked(&self) -> Result<(), Refusal> {
        let has_backup_codes = self.account.backup.remaining() > 0;
        let lock = self.account.sms.failed_attempts.lock_remaining(self.now());
        lock.map_or(Ok(()), |retry_after| Err(Refusal::Locked { retry_after, has_backup_codes }))
    }

    fn count_wrong_sms_code(&mut self) -> Refusal {
        let (policy, now) = (self.policy(), self.now());
        let sms = &mut self.account.sms;
        if let Some(challenge) = &mut sms.challenge {
            challenge.failed_attempts += 1;
        }
        let locks = sms.failed_attempts.count_failure(policy, now).is_some();
        let attempts_remaining = if locks { 0 } else { sms.attempts_remaining(policy) };
        let exhausted = sms.failed_attempts.is_exhausted(policy);
        if locks {
            self.happened(AuditKind::Locked);
        }
        match &self.account.sms.state {
            FactorState::On(active) | FactorState::Disabled(active) if exhausted => {
                // What waits to be bound is dropped too: binding it takes another backup code (S8).
                self.account.sms.state = FactorState::Disabled(active.clone());
                self.account.sms.drop_pending();
                self.happened(AuditKind::FactorDisabled);
                self.tell_active(NotificationKind::NumberDisabled);
                return Refusal::InvalidCode { attempts_remaining: Some(0) };
            }
            FactorState::Off | FactorState::On(_) | FactorState::Disabled(_) => {}
        }
        if locks {
            self.tell_active(NotificationKind::FailedAttempts);
        }
        Refusal::InvalidCode { attempts_remaining: Some(attempts_remaining) }
    }

    /// Judges a backup code, which is spent once it is right (S17). Wrong ones are counted until the owner is told, and no further:
    /// they neither lock nor disable (S9).
    fn judge_backup_code(&mut self, code: &BackupCode, purpose: Purpose) -> Result<(), Refusal> {
        let (context, now) = (self.context, self.now());
        // A number is bound by the code that was sent to it, and there are no backup codes before one is.
        let active = self.account.sms.active().filter(|_| !purpose.binds_a_number());
        let phone = active.ok_or(Refusal::NoPendingVerification)?.phone.clone();
        self.subject.phone = Some(phone);
        let backup = &mut self.account.backup;
        if backup.spend(code, context.pepper, context.user) {
            return Ok(());
        }
        if backup.failed_attempts < context.policy.lock_after_failures {
            backup.failed_attempts += 1;
            backup.last_failed_at = Some(now);
            if backup.failed_attempts == context.policy.lock_after_failures {
                self.tell_active(NotificationKind::FailedAttempts);
            }
        }
        Err(Refusal::InvalidCode { attempts_remaining: None })
    }
}
