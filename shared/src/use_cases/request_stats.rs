//! What one request did, for its log line and its metrics: numbers and names, never a code, token or clear number.

use std::time::Duration;

use crate::domain::{
    AuditEvent, AuditOutcome, Command, Country, Proof,
    decide::{Decision, Refusal, SendLimit},
    message::delivery::Attempt,
};

/// Collected while a request runs.
#[derive(Clone, Debug, Default)]
pub struct RequestStats {
    /// Calls to storage.
    pub store_calls: u32,
    /// Commits that lost a race.
    pub conflicts: u32,
    /// Time spent waiting for storage.
    pub store_time: Duration,
    /// Time spent waiting for providers.
    pub sms_time: Duration,
    /// What happened, and how it ended.
    pub events: Vec<(AuditEvent, AuditOutcome)>,
    /// The country of the number that it was about.
    pub country: Option<Country>,
    /// The limit that a send ran into.
    pub limit: Option<SendLimit>,
    /// Whether a code that had been sent came back and was accepted.
    pub sms_code_accepted: bool,
    /// Every provider that was asked to send a code, and what it answered.
    pub attempts: Vec<Attempt>,
}

impl RequestStats {
    pub(super) fn store_call(&mut self, took: Duration) {
        self.store_calls += 1;
        self.store_time += took;
    }

    pub(super) fn record(&mut self, command: &Command, decision: &Decision) {
        for happened in &decision.events {
            self.events.push((happened.event, happened.outcome));
            self.country = happened.phone.as_ref().map(crate::domain::PhoneNumber::country).or(self.country);
        }
        if let Err(Refusal::RateLimited { limit, .. }) = decision.outcome {
            self.limit = Some(limit);
        }
        self.sms_code_accepted |= decision.outcome.is_ok() && matches!(command.proof(), Some(Proof::Sms(_)));
    }
}
