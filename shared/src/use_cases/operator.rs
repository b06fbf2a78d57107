//! What an operator may do: every act is an audit event that says who did it (S29), and none shows or makes a code.

use std::time::Duration;

use rand::RngExt;

use super::{
    request_stats::MessageKind,
    service::{Failure, Granted},
    session::Session,
};
use crate::{
    domain::{
        Account, AuditEvent, AuditKind, AuditOutcome, Command, PhoneNumber, Refusal, TextMessage,
        audit::AuditDetails,
        message::{
            delivery::{Delivery, DeliveryReason, Verdict},
            route::Routes,
        },
    },
    ports::{AuditEntry, Channel, Commit, SmsSender, Store},
};

/// How long a test message is of use.
const TEST_MESSAGE_TTL: Duration = Duration::from_mins(10);

/// Whether the number of a user learns of what an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A message went out, or enough did today.
    Sent,
    /// A message could not be sent; the audit trail says why.
    Failed,
    /// There is no provider to send with.
    NoProvider,
}

/// What an erasure did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Whether the number that was active was told; `None` where the account had no number.
    pub told: Option<Told>,
    /// How many records of the trail had something to take out.
    pub records: u64,
    /// Whether the user set up a number again before the erasure was over, which was removed, too.
    pub came_back: bool,
}

impl<S: Store, M: SmsSender> Session<'_, S, M> {
    /// The user's account as it is now; `None` if nothing is stored of the user.
    pub async fn account(&mut self) -> Result<Option<Account>, Failure> {
        let snapshot = self.load(None, false).await?;
        let now = self.service.now();
        Ok(snapshot.version.map(|_| snapshot.account.at(&self.service.rules.policy, now)))
    }

    /// The latest entries of the user's audit trail, at most `limit` of them, newest last.
    pub async fn audit_trail(&mut self, limit: usize) -> Result<Vec<AuditEntry>, Failure> {
        Ok(self.service.store.audit_trail(&self.caller.user, limit, self.deadline).await?)
    }

    /// Lifts the user's lock and starts the counts of wrong codes anew. A disabled number stays disabled.
    pub async fn unlock(&mut self) -> Result<Granted, Failure> {
        self.settle_and_tell(&Command::Unlock).await
    }

    /// Removes the user's factor and whatever is pending, and tells the number that was active.
    pub async fn reset(&mut self) -> Result<Told, Failure> {
        self.settle_and_tell(&Command::Reset).await?;
        let failed = self.stats.events.iter().any(|event| event.kind == AuditKind::Notification);
        Ok(match self.channel() {
            Channel::Sms(_) if failed => Told::Failed,
            Channel::Sms(_) => Told::Sent,
            Channel::Answer | Channel::Missing => Told::NoProvider,
        })
    }

    /// Makes a number that another service verified the user's factor. No message is sent and no backup codes are made: the user asks
    /// for them once signed in. A user who has a number here keeps it: then this is refused, as [`Session::would_import`] tells before.
    pub async fn import(&mut self, phone: PhoneNumber) -> Result<(), Failure> {
        self.settle_and_tell(&Command::Import { phone }).await.map(|_| ())
    }

    /// What an import of this number would be refused for now; `None` if it would not. Changes nothing.
    pub async fn would_import(&mut self, phone: PhoneNumber) -> Result<Option<Refusal>, Failure> {
        let snapshot = self.load(None, false).await?;
        let (decision, _) = self.decide(&Command::Import { phone }, snapshot, None, &Routes::default());
        Ok(decision.outcome.err())
    }

    /// Erases what tells who the user is: removes the factor as [`Session::reset`] does, which leaves no number in the account and
    /// tells the one that was active, and takes numbers, addresses and user agents out of the trail, whose events stay. Requests of the
    /// user that were under way may still write what they had read: so all of it is done once more after `requests_take`, which is as
    /// long as a request may take. Doing it again changes nothing more, and finishes what was cut short.
    pub async fn erase(&mut self, requests_take: Duration) -> Result<Erased, Failure> {
        let told = self.reset_if_any().await?;
        self.record_act(AuditKind::OperatorErase).await?;
        let redacted = self.service.store.redact_audit_trail(&self.caller.user, self.deadline).await?;
        tokio::time::sleep(requests_take).await;
        let came_back = self.reset_if_any().await?.is_some();
        let late = self.service.store.redact_audit_trail(&self.caller.user, self.deadline).await?;
        Ok(Erased { told, records: redacted + late, came_back })
    }

    /// Resets the account; `None` where there is no number in it.
    async fn reset_if_any(&mut self) -> Result<Option<Told>, Failure> {
        match self.reset().await {
            Ok(told) => Ok(Some(told)),
            Err(Failure::Refused(Refusal::NotEnabled)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Records an act that no decision records. It is not to be done unless this succeeds (S29).
    async fn record_act(&mut self, kind: AuditKind) -> Result<(), Failure> {
        let nonce = self.service.random.rng().random();
        let event = AuditEvent::new(kind, AuditOutcome::Success, None);
        let record = self.audit_record(event, self.service.now(), nonce);
        let commit = Commit::audit_only(record, self.service.rules.policy.sms_window);
        self.commit(&commit).await.map_err(|_| Failure::Unavailable)
    }

    /// Sends a message to `to` that says it is a test, through the providers in their order. It is recorded in the trail of
    /// the session's user: the one of the operators.
    pub async fn send_test_message(&mut self, to: PhoneNumber) -> Result<Delivery, Failure> {
        let Channel::Sms(routes) = self.channel() else { return Err(Failure::SmsNotConfigured) };
        let order = routes.order(to.country(), None);
        let number: u64 = self.service.random.rng().random();
        let message = TextMessage {
            to: to.clone(),
            body: self.service.rules.template.test_body(),
            valid_for: TEST_MESSAGE_TTL,
            reference: format!("operator-{number:016x}"),
        };
        let delivery = self.hand_over(MessageKind::Test, &message, &order, self.deadline).await;
        let outcome = match delivery.verdict() {
            Verdict::Accepted(_) => AuditOutcome::Success,
            Verdict::Unknown(_) => AuditOutcome::UnknownOutcome,
            Verdict::Refused(reason) => AuditOutcome::NotDelivered(reason),
            Verdict::OutOfTime => AuditOutcome::NotDelivered(DeliveryReason::ProviderUnavailable),
        };
        let details = AuditDetails { attempts: delivery.attempts.clone(), ..AuditDetails::default() };
        let event = AuditEvent { kind: AuditKind::OperatorTestMessage, outcome, phone: Some(to), details };
        self.append_before(self.deadline, event).await;
        Ok(delivery)
    }
}
