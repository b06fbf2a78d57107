//! The ports: each call waits until it is let on, and then goes well or wrong, as is chosen.

use std::{future::poll_fn, task::Poll, time::Duration};

use rand::{CryptoRng, SeedableRng as _, rngs::ChaCha8Rng};
use two_factor::{
    domain::{
        FailureClass, Provider, TextMessage, Timestamp, UserId,
        message::{
            delivery::{Attempt, Delivery, DeliveryEnd, Failure},
            route::Routes,
        },
    },
    ports::{
        AuditEntry, Channel, Clock, Commit, CommitError, Deadline, LoadRequest, Random, SmsSender, Snapshot, Store,
        StoreUnavailable,
    },
};

use crate::world::{Gate, Message, Shared};

/// What one client sees of the world.
#[derive(Clone)]
pub struct Ports {
    /// The world.
    pub shared: Shared,
    /// Which client it is.
    pub client: usize,
    /// Whose requests it makes.
    pub user: UserId,
    /// The name of its request.
    pub request: String,
}

impl Ports {
    /// Waits until the client is let on.
    async fn wait(&self, gate: Gate) {
        let mut has_waited = false;
        poll_fn(|_| {
            if has_waited {
                return Poll::Ready(());
            }
            has_waited = true;
            if let Some(waits) = self.shared.world().gates.get_mut(self.client) {
                *waits = Some(gate);
            }
            Poll::Pending
        })
        .await;
    }

    fn note(&self, what: &str) {
        self.shared.note(self.client, what);
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        self.shared.world().now
    }
}

impl Random for Ports {
    fn rng(&self) -> Box<dyn CryptoRng + Send> {
        Box::new(ChaCha8Rng::seed_from_u64(self.shared.world().fresh()))
    }
}

impl Store for Ports {
    async fn load(&self, request: LoadRequest<'_>, _: Deadline) -> Result<Snapshot, StoreUnavailable> {
        self.wait(Gate::Load).await;
        let mut world = self.shared.world();
        if world.fault(1) == 1 {
            drop(world);
            self.note("reads, and storage does not answer");
            return Err(StoreUnavailable);
        }
        let snapshot = world.table.load(request.user, request.number);
        drop(world);
        self.note(&format!("reads version {:?}", snapshot.version.map(|version| version.0)));
        Ok(snapshot)
    }

    async fn commit(&self, commit: &Commit, _: Deadline) -> Result<(), CommitError> {
        // One token for one commit: it says of a commit that is sent again whether it is stored.
        let token = self.shared.world().fresh();
        loop {
            self.wait(Gate::Commit).await;
            let mut world = self.shared.world();
            let (what, outcome) = match world.fault(5) {
                0 if world.table.transact(commit, token) => ("stored", Some(Ok(()))),
                0 => ("not stored, a condition does not hold", Some(Err(CommitError::Conflict))),
                1 => ("not stored, storage throttles until the deadline", Some(Err(CommitError::NotStored))),
                2 => {
                    let stored = world.table.transact(commit, token);
                    (if stored { "stored, and the answer is lost" } else { "not stored, and the answer is lost" }, None)
                }
                3 => ("lost on its way, and so is the answer", None),
                4 => {
                    let stored = world.table.transact(commit, token);
                    let what =
                        if stored { "stored, and the answer does not come" } else { "not stored, and the answer does not come" };
                    (what, Some(Err(CommitError::Unknown)))
                }
                _ => ("lost on its way, and the answer does not come", Some(Err(CommitError::Unknown))),
            };
            drop(world);
            let events: Vec<_> = commit
                .audit
                .iter()
                .map(|record| format!("{} {}", record.event.kind.as_str(), record.event.outcome.as_str()))
                .collect();
            self.note(&format!(
                "commits [{}] on version {:?}: {what}",
                events.join(", "),
                commit.expected.map(|version| version.0)
            ));
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    async fn audit_trail(&self, _: &UserId, _: usize, _: Deadline) -> Result<Vec<AuditEntry>, StoreUnavailable> {
        Ok(Vec::new())
    }

    async fn redact_audit_trail(&self, _: &UserId, _: Deadline) -> Result<u64, StoreUnavailable> {
        Ok(0)
    }
}

impl SmsSender for Ports {
    fn channel(&self) -> Channel {
        Channel::Sms(Routes::new(vec![Provider::Twilio], [].into()))
    }

    async fn send(&self, message: &TextMessage, _: &[Provider], _: Deadline) -> Delivery {
        self.wait(Gate::Send).await;
        let mut world = self.shared.world();
        let (what, result, arrives) = match world.fault(5) {
            0 => ("takes it", Ok("SM1".to_owned()), true),
            1 => ("refuses the recipient", Err(Failure::of(FailureClass::OptedOut)), false),
            2 => ("is down", Err(Failure::of(FailureClass::NotSent)), false),
            3 => ("takes it, and its answer is lost", Err(Failure::of(FailureClass::UnknownOutcome)), true),
            4 => ("loses it, and its answer", Err(Failure::of(FailureClass::UnknownOutcome)), false),
            _ => ("is not asked, for lack of time", Ok(String::new()), false),
        };
        let is_asked = !what.starts_with("is not asked");
        let counts = is_asked && result.as_ref().err().is_none_or(|failure| failure.class == FailureClass::UnknownOutcome);
        let code = message
            .body
            .split(' ')
            .next()
            .filter(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()))
            .map(str::to_owned);
        let challenge = code.is_some().then(|| message.reference.clone());
        let commits = world.table.commits.len();
        if is_asked {
            world.messages.push(Message {
                user: self.user.clone(),
                request: self.request.clone(),
                to: message.to.clone(),
                code,
                challenge: challenge.clone(),
                arrives,
                counts,
                commits,
            });
        }
        drop(world);
        let kind = if challenge.is_some() { "a code" } else { "a notice" };
        self.note(&format!("sends {kind} to {}: the provider {what}", message.to.as_e164()));
        if is_asked {
            let attempt = Attempt { provider: Provider::Twilio, result, duration: Duration::ZERO };
            Delivery { attempts: vec![attempt], end: DeliveryEnd::Settled }
        } else {
            Delivery { attempts: Vec::new(), end: DeliveryEnd::OutOfTime }
        }
    }
}
