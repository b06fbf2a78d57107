//! What one request did, for its log line and its metrics: numbers and names, never a code, token or clear number.

use std::time::Duration;

use crate::domain::{
    AuditEvent, ChallengeId, Command, Country, PhoneNumber, Proof, Provider, Purpose,
    decide::{Decision, Refusal},
    message::{delivery::Attempt, notification::NotificationKind},
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
    /// What the code is for that was sent, or judged; or else what the caller wanted one for.
    pub purpose: Option<Purpose>,
    /// Our name for the message whose code was sent, or judged.
    pub reference: Option<ChallengeId>,
    /// The messages that providers were asked to send, in order.
    pub messages: Vec<MessageStats>,
}

/// What became of a message that providers were asked to send.
#[derive(Clone, Debug)]
pub struct MessageStats {
    /// What was in it.
    pub kind: MessageKind,
    /// Where it went.
    pub country: Country,
    /// Every provider that was asked, and what it answered; none if there was no answer in time.
    pub attempts: Vec<Attempt>,
}

impl MessageStats {
    /// Who was asked last.
    pub fn provider(&self) -> Option<Provider> {
        self.attempts.last().map(|attempt| attempt.provider)
    }

    /// What was answered last: `accepted`, or the class of the failure.
    pub fn outcome(&self) -> Option<&'static str> {
        self.attempts.last().map(Attempt::outcome)
    }

    /// The provider's name for the message, if one took it.
    pub fn message_id(&self) -> Option<&str> {
        self.attempts.last()?.result.as_deref().ok()
    }
}

/// What is in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A code.
    Code,
    /// What the owner of a number is told of.
    Notification(NotificationKind),
    /// An operator's test.
    Test,
}

impl RequestStats {
    /// The number that the request was about.
    pub fn phone(&self) -> Option<&PhoneNumber> {
        self.events.iter().find_map(|event| event.phone.as_ref())
    }

    /// The message that had a code, if one was sent.
    pub fn code(&self) -> Option<&MessageStats> {
        self.messages.iter().find(|message| message.kind == MessageKind::Code)
    }

    /// What the owner of a number was told of, with what became of the message.
    pub fn notification(&self) -> Option<(NotificationKind, &MessageStats)> {
        self.messages.iter().find_map(|message| match message.kind {
            MessageKind::Notification(kind) => Some((kind, message)),
            MessageKind::Code | MessageKind::Test => None,
        })
    }

    pub(super) fn store_call(&mut self, took: Duration) {
        self.store_calls += 1;
        self.store_time += took;
    }

    pub(super) fn message(&mut self, kind: MessageKind, country: Country, took: Duration, attempts: &[Attempt]) {
        self.sms_time += took;
        self.messages.push(MessageStats { kind, country, attempts: attempts.to_vec() });
    }

    /// Notes a decision, which is stored. `live` is the challenge that was live before it.
    pub(super) fn record(&mut self, command: &Command, decision: &Decision, live: Option<ChallengeId>) {
        self.events.extend(decision.events.iter().cloned());
        if let Err(Refusal::RateLimited { limit, .. }) = decision.outcome {
            self.limit = Some(limit);
        }
        let judges_sms_code = matches!(command.proof(), Some(Proof::Sms(_)));
        // The codes of numbers for tests are not sent, and so are none that come back.
        let is_test = decision.events.iter().any(|event| event.details.is_test);
        self.sms_code_accepted |= decision.outcome.is_ok() && judges_sms_code && !is_test;
        let told = decision.events.iter().find_map(|event| event.details.purpose);
        let sent = decision.code.as_ref();
        self.purpose = self.purpose.or(sent.map(|code| code.purpose)).or(told).or(wanted(command));
        self.reference = self.reference.or(sent.map(|code| code.challenge)).or(live.filter(|_| judges_sms_code));
    }
}

/// What the caller says a code is for.
const fn wanted(command: &Command) -> Option<Purpose> {
    match command {
        Command::Send { purpose } | Command::Verify { purpose, .. } => *purpose,
        Command::Setup { .. }
        | Command::Disable { .. }
        | Command::GiveBack { .. }
        | Command::Unlock
        | Command::Reset
        | Command::Import { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::domain::{
        message::delivery::{Failure, FailureClass},
        phone_number::tests::number,
    };

    fn attempt(provider: Provider, result: Result<&str, FailureClass>) -> Attempt {
        Attempt { provider, result: result.map(str::to_owned).map_err(Failure::of), duration: Duration::ZERO }
    }

    #[test]
    fn time_and_calls_add_up() {
        let (mut stats, country) = (RequestStats::default(), number("+12015550123").country());
        for (at_store, at_providers) in [(2, 30), (3, 50)] {
            stats.store_call(Duration::from_millis(at_store));
            stats.message(MessageKind::Test, country, Duration::from_millis(at_providers), &[]);
        }
        assert_eq!(
            (stats.store_calls, stats.store_time, stats.sms_time),
            (2, Duration::from_millis(5), Duration::from_millis(80))
        );
        assert_eq!(stats.messages.len(), 2);
    }

    #[test]
    fn a_message_is_told_by_who_was_asked_last_and_found_by_what_was_in_it() {
        let (mut stats, country) = (RequestStats::default(), number("+12015550123").country());
        assert!(stats.code().is_none() && stats.notification().is_none() && stats.phone().is_none());
        let failed = attempt(Provider::Twilio, Err(FailureClass::AuthFailed));
        stats.message(MessageKind::Notification(NotificationKind::Replaced), country, Duration::ZERO, slice::from_ref(&failed));
        assert!(stats.code().is_none(), "a notification is no code");
        let taken = attempt(Provider::Plivo, Ok("id"));
        stats.message(MessageKind::Code, country, Duration::ZERO, &[failed, taken]);
        let told = |message: &MessageStats| (message.provider(), message.outcome(), message.message_id().map(str::to_owned));
        assert_eq!(stats.code().map(told), Some((Some(Provider::Plivo), Some("accepted"), Some("id".to_owned()))));
        let (kind, message) = stats.notification().unwrap();
        assert_eq!((kind, told(message)), (NotificationKind::Replaced, (Some(Provider::Twilio), Some("auth_failed"), None)));
        let unanswered = MessageStats { kind: MessageKind::Test, country, attempts: Vec::new() };
        assert_eq!(told(&unanswered), (None, None, None));
    }
}
