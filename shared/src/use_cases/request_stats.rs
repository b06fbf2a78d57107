//! What one request did, for its log line and its metrics: numbers and names, never a code, token or clear number.

use std::time::Duration;

use crate::domain::{
    AuditEvent, Command, Country, PhoneNumber, Proof, decide::Decision, decide::Refusal, message::delivery::Attempt,
    sms::send_window::SendLimit,
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
    pub events: Vec<AuditEvent>,
    /// The limit that a send ran into.
    pub limit: Option<SendLimit>,
    /// Whether a code that had been sent came back and was accepted.
    pub sms_code_accepted: bool,
    /// Every provider that was asked to send a code, and what it answered.
    pub attempts: Vec<Attempt>,
}

impl RequestStats {
    /// The country of the number that the request was about.
    pub fn country(&self) -> Option<Country> {
        self.events.iter().rev().find_map(|event| event.phone.as_ref()).map(PhoneNumber::country)
    }

    pub(super) fn store_call(&mut self, took: Duration) {
        self.store_calls += 1;
        self.store_time += took;
    }

    pub(super) fn record(&mut self, command: &Command, decision: &Decision) {
        self.events.extend(decision.events.iter().cloned());
        if let Err(Refusal::RateLimited { limit, .. }) = decision.outcome {
            self.limit = Some(limit);
        }
        self.sms_code_accepted |= decision.outcome.is_ok() && matches!(command.proof(), Some(Proof::Sms(_)));
    }
}
