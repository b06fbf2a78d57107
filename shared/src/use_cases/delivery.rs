//! Sending what was decided, after it is stored: codes, and notifications.

use std::time::Duration;

use rand::RngExt;

use super::{
    request_stats::MessageKind,
    service::{Failure, Granted},
    session::{Session, Settled},
};
use crate::{
    domain::{
        AuditEvent, AuditKind, AuditOutcome, ChallengeId, Command, NumberRole, PhoneNumber, Provider, TextMessage,
        audit::AuditDetails,
        decide::{Notification, OutgoingCode},
        message::{
            delivery::{Delivery, DeliveryReason, Verdict},
            route::Routes,
        },
        sms::{factor::Destination, send_window::WindowKind},
    },
    ports::{Channel, Commit, Deadline, SmsSender, Store},
};

/// The longest that an answer waits for a notification to be taken.
const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a notification is of use.
const NOTIFICATION_TTL: Duration = Duration::from_hours(4);
/// What is kept of a request's time to store what became of a send.
const STORING: Duration = Duration::from_secs(2);

/// The longest that an answer waits for a record of what cannot be undone. It may hold backup codes, which are shown this once.
const RECORDING_TIMEOUT: Duration = Duration::from_secs(3);

impl<S: Store, M: SmsSender> Session<'_, S, M> {
    /// Settles a command that sends a code, then sends it.
    pub(super) async fn send_code(
        &mut self,
        command: &Command,
        number: Option<(PhoneNumber, WindowKind)>,
    ) -> Result<Granted, Failure> {
        let channel = self.channel();
        if channel == Channel::Missing && !self.is_for_a_test_number(command).await? {
            return Err(Failure::SmsNotConfigured);
        }
        let routes = if let Channel::Sms(routes) = &channel { routes.clone() } else { Routes::default() };
        let Settled { outcome, code, notification } = self.settle(command, number, &routes).await?;
        // The code first: somebody waits for it.
        let unsent = match (code, channel) {
            (None, _) => Ok(None),
            (Some(code), Channel::Answer) => Ok(Some(code.code)),
            (Some(code), _) if code.is_test => Ok(None),
            // Without a provider, each of them fails, and the send is given back.
            (Some(code), Channel::Sms(_) | Channel::Missing) => self.deliver_code(code, &routes).await.map(|()| None),
        };
        self.deliver_notification(notification).await;
        Ok(Granted { answer: outcome?, development_code: unsent? })
    }

    /// Whether the command sends to a number for tests, which takes no provider (S28). Where there are such numbers and no provider, this
    /// costs a look at the account.
    async fn is_for_a_test_number(&mut self, command: &Command) -> Result<bool, Failure> {
        if self.service.rules.test_numbers.is_none() {
            return Ok(false);
        }
        let now = self.service.now();
        let phone = match command {
            Command::Setup { phone, .. } => Some(phone.clone()),
            Command::Send { purpose } => {
                let account = self.load(None, false).await?.account.at(&self.service.rules.policy, now);
                match account.sms.destination(purpose.unwrap_or(account.sms.usual_purpose())) {
                    Destination::Phone(phone) => Some(phone.clone()),
                    Destination::Nowhere | Destination::Disabled => None,
                }
            }
            Command::Verify { .. }
            | Command::Disable { .. }
            | Command::GiveBack { .. }
            | Command::Unlock
            | Command::Reset
            | Command::Import { .. } => None,
        };
        let role = |phone: &PhoneNumber| self.service.rules.role(phone, &self.caller.user, now);
        Ok(phone.is_some_and(|phone| matches!(role(&phone), NumberRole::Test(_))))
    }

    /// Sends a code whose send is reserved. A definite refusal gives the send back; an unknown outcome does not (S12).
    async fn deliver_code(&mut self, code: OutgoingCode, routes: &Routes) -> Result<(), Failure> {
        let OutgoingCode { challenge, purpose, to, code, valid_for, order, is_test: _ } = code;
        let template = &self.service.rules.template;
        let message = template.code_message(to.clone(), &code, purpose, valid_for, challenge.to_string());
        let delivery = self.hand_over(MessageKind::Code, &message, &order, self.deadline.earlier_by(STORING)).await;
        let (reason, failure) = match delivery.verdict() {
            Verdict::Accepted(_) if delivery.attempts.len() == 1 => return Ok(()),
            Verdict::Accepted(_) => {
                self.append(delivery_ended(AuditOutcome::Success, to, challenge, delivery)).await;
                return Ok(());
            }
            Verdict::Unknown(_) => {
                self.append(delivery_ended(AuditOutcome::UnknownOutcome, to, challenge, delivery)).await;
                return Ok(());
            }
            Verdict::Refused(reason) => (reason, Failure::DeliveryFailed(reason)),
            Verdict::OutOfTime => (DeliveryReason::ProviderUnavailable, Failure::Unavailable),
        };
        let command = Command::GiveBack { challenge, phone: to, reason, attempts: delivery.attempts };
        if self.settle(&command, None, routes).await.is_err() {
            tracing::error!(reference = %challenge, "a send that no provider took could not be given back");
        }
        Err(failure)
    }

    /// Tells a number of what happened to its account. Failing to tell undoes nothing (S18).
    pub(super) async fn deliver_notification(&mut self, notification: Option<Notification>) {
        let Some(Notification { to, kind }) = notification else { return };
        let what = kind.as_str();
        let Channel::Sms(routes) = self.channel() else {
            tracing::info!(?to, what, "there is no provider to send a notification");
            return;
        };
        let message = TextMessage {
            to: to.clone(),
            body: self.service.rules.template.notification_body(kind),
            valid_for: NOTIFICATION_TTL,
            // Not the request's identifier: a client may have a say in that, and providers send what has one reference once.
            reference: format!("notification-{:016x}", self.service.random.rng().random::<u64>()),
        };
        let order = routes.order(to.country(), None);
        let started = self.service.now();
        let sending = self.service.sms.send(&message, &order, self.deadline);
        let delivery = tokio::time::timeout(NOTIFICATION_TIMEOUT, sending).await.ok();
        let attempts = delivery.as_ref().map(|delivery| delivery.attempts.clone()).unwrap_or_default();
        self.stats.message(MessageKind::Notification(kind), to.country(), self.service.now().since(started), &attempts);
        let outcome = match delivery.as_ref().map(Delivery::verdict) {
            Some(Verdict::Accepted(_)) => return,
            Some(Verdict::Refused(reason)) => AuditOutcome::NotDelivered(reason),
            Some(Verdict::OutOfTime) => AuditOutcome::NotDelivered(DeliveryReason::ProviderUnavailable),
            Some(Verdict::Unknown(_)) | None => AuditOutcome::UnknownOutcome,
        };
        tracing::warn!(?to, what, outcome = outcome.as_str(), "a notification may not have arrived");
        let details = AuditDetails { notification: Some(kind), attempts, ..AuditDetails::default() };
        self.append(AuditEvent { kind: AuditKind::Notification, outcome, phone: Some(to), details }).await;
    }

    pub(super) async fn hand_over(
        &mut self,
        kind: MessageKind,
        message: &TextMessage,
        order: &[Provider],
        deadline: Deadline,
    ) -> Delivery {
        let started = self.service.now();
        let delivery = self.service.sms.send(message, order, deadline).await;
        self.stats.message(kind, message.to.country(), self.service.now().since(started), &delivery.attempts);
        delivery
    }

    /// Adds a record to the trail of something that has happened already and cannot be undone by failing to record it.
    pub(super) async fn append(&mut self, event: AuditEvent) {
        self.append_before(Deadline::after(self.deadline.remaining().min(RECORDING_TIMEOUT)), event).await;
    }

    /// The same for somebody who can wait.
    pub(super) async fn append_before(&mut self, deadline: Deadline, event: AuditEvent) {
        let (kind, outcome) = (event.kind.as_str(), event.outcome.as_str());
        self.stats.events.push(event.clone());
        let nonce = self.service.random.rng().random();
        let record = self.audit_record(event, self.service.now(), nonce);
        let commit = Commit::audit_only(record, self.service.rules.policy.sms_window);
        if self.commit_before(deadline, &commit).await.is_err() {
            tracing::error!(event = kind, outcome, "an audit record was lost");
        }
    }
}

fn delivery_ended(outcome: AuditOutcome, to: PhoneNumber, challenge: ChallengeId, delivery: Delivery) -> AuditEvent {
    let details = AuditDetails { reference: Some(challenge), attempts: delivery.attempts, ..AuditDetails::default() };
    AuditEvent { kind: AuditKind::Delivery, outcome, phone: Some(to), details }
}
