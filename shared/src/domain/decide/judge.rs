//! Judging: the one way in which an SMS code, a backup code or a proof is accepted (S3, S7 to S10, S16, S17).

use super::{Refusal, Step};
use crate::domain::{AuditEvent, BackupCode, Challenge, Code, FailedAttempts, Proof, Purpose, SmsFactor};

/// What a judged code is to be used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Whatever it was sent for.
    Verify,
    /// To confirm a change of the factor itself: only a code that went to the active number will do (S4, S16).
    Confirm,
}

impl Step<'_> {
    /// Judges the proof that a change of the factor takes (S16).
    pub(super) fn confirm_change(&mut self, proof: &Proof) -> Result<(), Refusal> {
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
    pub(super) fn judge_sms_code(&mut self, code: &Code, used_for: Use) -> Result<Challenge, Refusal> {
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
    pub(super) fn judge_backup_code(&mut self, code: &BackupCode) -> Result<(), Refusal> {
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
}
