//! Sending what was decided, after it is stored: codes, and notifications of changes.

use std::time::Duration;

use rand::RngExt;

use super::{Caller, Detail, Failure, Granted, RequestStats, Service, audit_record};
use crate::{
    domain::{
        AuditEvent, AuditOutcome, ChallengeId, Command, PhoneNumber, Provider, TextMessage,
        decide::{Happened, Notification, OutgoingCode},
        message::{
            delivery::{Attempt, Delivery, Verdict},
            route::Routes,
        },
    },
    ports::{Channel, Commit, Deadline, SmsSender, Store},
};

/// How long providers may be asked for a message: enough for one that cannot be connected to and the next one's answer.
const SENDING: Duration = Duration::from_secs(12);
/// The longest that an answer waits for a notification to be taken.
const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a notification is of use.
const NOTIFICATION_TTL: Duration = Duration::from_hours(4);

impl<S: Store, M: SmsSender> Service<S, M> {
    /// Settles a command that sends a code, then sends it.
    pub(super) async fn send_code(
        &self,
        caller: &Caller,
        command: &Command,
        phone: Option<PhoneNumber>,
        stats: &mut RequestStats,
    ) -> Result<Granted, Failure> {
        let channel = self.sms.channel();
        // The audit record of the send names the provider that is asked first; one that tells what became of it follows only
        // where that was not simply that this provider took the message.
        let route = match &channel {
            Channel::Sms(routes) => Some(Detail::Routes(routes)),
            Channel::Answer => None,
            Channel::Missing => return Err(Failure::SmsNotConfigured),
        };
        let settled = self.settle(caller, command, phone, route, stats).await?;
        let development_code = match (&channel, settled.code) {
            (Channel::Sms(routes), Some(code)) => {
                self.deliver_code(caller, code, routes, stats).await?;
                None
            }
            (Channel::Answer, code) => code.map(|code| code.code),
            (Channel::Sms(_) | Channel::Missing, _) => None,
        };
        Ok(Granted { answer: settled.answer, development_code })
    }

    /// Sends a code whose send is reserved. A definite refusal gives the send back; an unknown outcome does not (S12).
    async fn deliver_code(
        &self,
        caller: &Caller,
        code: OutgoingCode,
        routes: &Routes,
        stats: &mut RequestStats,
    ) -> Result<(), Failure> {
        let OutgoingCode { challenge, purpose, to, code, valid_for } = code;
        let message = self.template.code_message(to.clone(), &code, purpose, valid_for, challenge.to_string());
        let delivery = self.hand_over(&message, &routes.order(to.country(), None), stats).await;
        stats.attempts.clone_from(&delivery.attempts);
        let described = describe(&delivery.attempts);
        let details = Some(("attempts", described.clone()));
        match delivery.verdict() {
            Verdict::Accepted(_) if delivery.attempts.len() == 1 => Ok(()),
            Verdict::Accepted(_) => {
                self.append(caller, delivery_ended(AuditOutcome::Success, to), details, stats).await;
                Ok(())
            }
            Verdict::Unknown(_) => {
                self.append(caller, delivery_ended(AuditOutcome::Refused("unknown_outcome"), to), details, stats).await;
                Ok(())
            }
            Verdict::Refused(reason) => {
                self.give_back(caller, challenge, to, Some(Detail::Attempts(&described)), stats).await;
                Err(Failure::DeliveryFailed(reason))
            }
            Verdict::OutOfTime => {
                self.give_back(caller, challenge, to, None, stats).await;
                Err(Failure::Unavailable)
            }
        }
    }

    /// Gives back a send of which nothing left.
    async fn give_back(
        &self,
        caller: &Caller,
        challenge: ChallengeId,
        phone: PhoneNumber,
        detail: Option<Detail<'_>>,
        stats: &mut RequestStats,
    ) {
        if self.settle(caller, &Command::GiveBack { challenge, phone }, None, detail, stats).await.is_err() {
            tracing::error!(reference = %challenge, "a send that no provider took could not be given back");
        }
    }

    /// Tells the old number of a change. Failing to tell undoes nothing (S18).
    pub(super) async fn deliver_notification(
        &self,
        caller: &Caller,
        notification: Option<Notification>,
        stats: &mut RequestStats,
    ) {
        let Some(notification) = notification else { return };
        let Channel::Sms(routes) = self.sms.channel() else {
            tracing::info!(to = ?notification.to, "no provider to tell the old number of the change");
            return;
        };
        let message = TextMessage {
            to: notification.to.clone(),
            body: self.template.notification_body(notification.kind),
            valid_for: NOTIFICATION_TTL,
            reference: format!("notification-{}", caller.origin.request_id),
        };
        let order = routes.order(message.to.country(), None);
        let delivery = tokio::time::timeout(NOTIFICATION_TIMEOUT, self.hand_over(&message, &order, stats)).await.ok();
        let outcome = match delivery.as_ref().map(Delivery::verdict) {
            Some(Verdict::Accepted(_)) => return,
            Some(Verdict::Refused(_) | Verdict::OutOfTime) => "sms_delivery_failed",
            Some(Verdict::Unknown(_)) | None => "unknown_outcome",
        };
        tracing::warn!(to = ?notification.to, outcome, "the old number could not be told of the change");
        let details = delivery.map(|delivery| ("attempts", describe(&delivery.attempts)));
        let happened =
            Happened { event: AuditEvent::Notification, outcome: AuditOutcome::Refused(outcome), phone: Some(notification.to) };
        self.append(caller, happened, details, stats).await;
    }

    async fn hand_over(&self, message: &TextMessage, order: &[Provider], stats: &mut RequestStats) -> Delivery {
        let started = self.clock.now();
        let delivery = self.sms.send(message, order, Deadline::after(SENDING)).await;
        stats.sms_time += self.clock.now().since(started);
        delivery
    }

    /// Adds a record to the trail of something that has happened already and cannot be undone by failing to record it.
    async fn append(
        &self,
        caller: &Caller,
        happened: Happened,
        details: Option<(&'static str, String)>,
        stats: &mut RequestStats,
    ) {
        stats.events.push((happened.event, happened.outcome));
        let (event, outcome) = (happened.event.as_str(), happened.outcome.as_str());
        let nonce = self.random.rng().random();
        let record = audit_record(caller, self.clock.now(), nonce, happened, details.into_iter().collect());
        if self.commit(&Commit::audit_only(record, self.policy.sms_window), stats).await.is_err() {
            tracing::error!(event, outcome, "an audit record was lost");
        }
    }
}

fn delivery_ended(outcome: AuditOutcome, to: PhoneNumber) -> Happened {
    Happened { event: AuditEvent::Delivery, outcome, phone: Some(to) }
}

/// Who was asked and what each answered, for the audit trail: `twilio auth_failed 20003, sns accepted 5f1c…`.
fn describe(attempts: &[Attempt]) -> String {
    let described: Vec<_> = attempts
        .iter()
        .map(|attempt| match &attempt.result {
            Ok(message_id) => format!("{} accepted {message_id}", attempt.provider),
            Err(failure) => {
                let code = failure.code().map(|code| format!(" {code}")).unwrap_or_default();
                format!("{} {}{code}", attempt.provider, failure.class.as_str())
            }
        })
        .collect();
    described.join(", ")
}
