//! What can be done: load, decide, commit, then send. Every race is settled in the commit, here and nowhere else.

mod delivery;
mod operator;
mod request_stats;

use std::{sync::Arc, time::Duration};

use rand::RngExt;

pub use request_stats::RequestStats;

use crate::{
    domain::{
        Answer, AuditEvent, Code, Command, Decision, MessageTemplate, Pepper, PhoneNumber, Policy, Proof, Refusal, Timestamp,
        UserId,
        account::Status,
        decide,
        decide::{Context, Happened, Notification, OutgoingCode, ReservedSlots},
        message::{delivery::DeliveryReason, route::Routes},
    },
    ports::{
        AuditRecord, Clock, Commit, CommitError, LoadRequest, Origin, Random, SlotChange, SmsSender, Snapshot, Store,
        StoreUnavailable, WindowSubject,
    },
};

/// How often a commit that lost a race is decided again before the caller is told to come back.
const MOST_ATTEMPTS: u32 = 12;
/// The longest pause before the second attempt; it doubles with each further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(8);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The service itself: the core with everything that it needs from outside.
pub struct Service<S, M> {
    /// Keeps the state.
    pub store: S,
    /// Sends text messages.
    pub sms: M,
    /// Says what time it is.
    pub clock: Arc<dyn Clock>,
    /// Draws codes.
    pub random: Arc<dyn Random>,
    /// The key of the digests.
    pub pepper: Pepper,
    /// The limits.
    pub policy: Policy,
    /// The wording of the messages.
    pub template: MessageTemplate,
}

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user that a verified token names (S20).
    pub user: UserId,
    /// Where the request came from.
    pub origin: Origin,
}

/// What the audit record of a send, or of what became of it, says besides.
#[derive(Clone, Copy)]
enum Detail<'a> {
    /// The first of these providers, for the country that it goes to.
    Routes(&'a Routes),
    /// Who was asked, and what each answered.
    Attempts(&'a str),
}

/// A command that was granted and stored: what is left to do.
struct Settled {
    answer: Answer,
    code: Option<OutgoingCode>,
    notification: Option<Notification>,
}

/// A request that was granted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What the caller gets to see.
    pub answer: Answer,
    /// The code that was not sent because there is no provider to send it: in development only (S22).
    pub development_code: Option<Code>,
}

impl From<Answer> for Granted {
    fn from(answer: Answer) -> Self {
        Self { answer, development_code: None }
    }
}

/// Why a request was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The rules forbid it.
    Refused(Refusal),
    /// Every provider refused the message, or failed before it left.
    DeliveryFailed(DeliveryReason),
    /// There is no provider to send with.
    SmsNotConfigured,
    /// Storage cannot be reached, or too many others change the same account.
    Unavailable,
}

impl From<StoreUnavailable> for Failure {
    fn from(_: StoreUnavailable) -> Self {
        Self::Unavailable
    }
}

impl<S: Store, M: SmsSender> Service<S, M> {
    /// Starts an enrollment, or the replacement of the active number, and sends a code to `phone`.
    pub async fn setup(
        &self,
        caller: &Caller,
        phone: PhoneNumber,
        proof: Option<Proof>,
        stats: &mut RequestStats,
    ) -> Result<Granted, Failure> {
        let command = Command::Setup { phone: phone.clone(), proof };
        self.send_code(caller, &command, Some(phone), stats).await
    }

    /// Sends a code: to the active number, or to the pending one if there is no active one or if `pending` asks for it.
    pub async fn send_sms(&self, caller: &Caller, pending: bool, stats: &mut RequestStats) -> Result<Granted, Failure> {
        self.send_code(caller, &Command::Send { pending }, None, stats).await
    }

    /// Judges a code, and does what it was sent for.
    pub async fn verify(
        &self,
        caller: &Caller,
        proof: Proof,
        regenerate_backup_codes: bool,
        stats: &mut RequestStats,
    ) -> Result<Granted, Failure> {
        let command = Command::Verify { proof, regenerate_backup_codes };
        self.settle_and_tell(caller, &command, stats).await
    }

    /// Turns 2FA off, or drops an enrollment that was never verified.
    pub async fn disable(&self, caller: &Caller, proof: Option<Proof>, stats: &mut RequestStats) -> Result<Granted, Failure> {
        self.settle_and_tell(caller, &Command::Disable { proof }, stats).await
    }

    /// Where the user stands.
    pub async fn status(&self, caller: &Caller, stats: &mut RequestStats) -> Result<Status, Failure> {
        let request = LoadRequest { user: &caller.user, phone: None, address: None };
        let snapshot = self.load(request, stats).await?;
        Ok(snapshot.account.status(&self.policy, self.clock.now()))
    }

    /// Settles a command that sends no code, then tells the number that is active no more, if there is one.
    async fn settle_and_tell(&self, caller: &Caller, command: &Command, stats: &mut RequestStats) -> Result<Granted, Failure> {
        let decision = self.settle(caller, command, None, None, stats).await?;
        self.deliver_notification(caller, decision.notification, stats).await;
        Ok(decision.answer.into())
    }

    /// Loads, decides and commits, again and again until the commit wins or there is no point in going on. Nothing that was
    /// decided is true before this returns it.
    ///
    /// `phone` is the number whose window to read; where it is not known yet, a lost race makes it known. `extra` is for the
    /// audit record of a send.
    async fn settle(
        &self,
        caller: &Caller,
        command: &Command,
        mut phone: Option<PhoneNumber>,
        extra: Option<Detail<'_>>,
        stats: &mut RequestStats,
    ) -> Result<Settled, Failure> {
        let counts_addresses = self.policy.sms_max_per_ip > 0 && matches!(command, Command::Setup { .. } | Command::Send { .. });
        let address = caller.origin.address.filter(|_| counts_addresses);
        for attempt in 0..MOST_ATTEMPTS {
            self.pause_before(attempt).await;
            let request = LoadRequest { user: &caller.user, phone: phone.as_ref(), address };
            let snapshot = self.load(request, stats).await?;
            let (decision, commit) = self.decide(caller, command, snapshot, phone.as_ref(), extra);
            let result = match self.commit(&commit, stats).await {
                Err(CommitError::Unavailable) if self.is_stored(&commit, stats).await => Ok(()),
                result => result,
            };
            match result {
                Ok(()) => {
                    stats.record(command, &decision);
                    let answer = decision.outcome.map_err(Failure::Refused)?;
                    return Ok(Settled { answer, code: decision.code, notification: decision.notification });
                }
                Err(CommitError::Conflict) => {
                    stats.conflicts += 1;
                    // Whose window it takes to decide is known now, or has changed.
                    phone = decision.take.map(|slots| slots.phone).or(phone);
                }
                Err(CommitError::Unavailable) => return Err(Failure::Unavailable),
            }
        }
        tracing::warn!(attempts = MOST_ATTEMPTS, "gave up on a contended account");
        Err(Failure::Unavailable)
    }

    /// Decides, and writes down what is to be stored.
    fn decide(
        &self,
        caller: &Caller,
        command: &Command,
        snapshot: Snapshot,
        phone: Option<&PhoneNumber>,
        extra: Option<Detail<'_>>,
    ) -> (Decision, Commit) {
        let now = self.clock.now();
        let mut rng = self.random.rng();
        let context = Context {
            policy: &self.policy,
            pepper: &self.pepper,
            user: &caller.user,
            now,
            phone_window: phone.zip(snapshot.phone_window.as_ref()),
            address_window: snapshot.address_window.as_ref(),
        };
        let decision = decide(snapshot.account, command, &context, &mut *rng);
        let audit = decision.events.iter().map(|happened| {
            let details = match (extra, happened.event, &decision.code) {
                (Some(Detail::Routes(routes)), AuditEvent::Send, Some(code)) => {
                    let order = routes.order(code.to.country(), None);
                    order.first().map(|provider| ("provider", provider.as_str().to_owned()))
                }
                (Some(Detail::Attempts(attempts)), AuditEvent::Delivery, _) => Some(("attempts", attempts.to_owned())),
                _ => None,
            };
            audit_record(caller, now, rng.random(), happened.clone(), details.into_iter().collect())
        });
        let commit = Commit {
            user: caller.user.clone(),
            expected: snapshot.version,
            audit: audit.collect(),
            account: decision.account.clone().map(|account| {
                // Never in the past: DynamoDB does not delete what has been stale for years.
                let stale_at = account.stale_at(&self.policy).map(|at| at.max(now));
                (account, stale_at)
            }),
            take: slot_changes(decision.take.as_ref(), caller),
            give_back: slot_changes(decision.give_back.as_ref(), caller),
            window: self.policy.sms_window,
            now,
        };
        (decision, commit)
    }

    /// Whether a commit whose answer was lost was stored all the same. A code that was accepted is spent and backup codes were
    /// made: its user should not be told that nothing happened (S21).
    async fn is_stored(&self, commit: &Commit, stats: &mut RequestStats) -> bool {
        let Some((account, _)) = &commit.account else { return false };
        let request = LoadRequest { user: &commit.user, phone: None, address: None };
        self.load(request, stats).await.is_ok_and(|snapshot| snapshot.account == *account)
    }

    async fn load(&self, request: LoadRequest<'_>, stats: &mut RequestStats) -> Result<Snapshot, Failure> {
        let started = self.clock.now();
        let snapshot = self.store.load(request).await;
        stats.store_call(self.clock.now().since(started));
        Ok(snapshot?)
    }

    async fn commit(&self, commit: &Commit, stats: &mut RequestStats) -> Result<(), CommitError> {
        let started = self.clock.now();
        let result = self.store.commit(commit).await;
        stats.store_call(self.clock.now().since(started));
        result
    }

    /// Steps back, a random while, from others who want to change the same account.
    async fn pause_before(&self, attempt: u32) {
        if attempt > 0 {
            let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(LONGEST_PAUSE);
            let fraction: f64 = self.random.rng().random();
            tokio::time::sleep(longest.mul_f64(fraction)).await;
        }
    }
}

fn audit_record(
    caller: &Caller,
    at: Timestamp,
    nonce: u64,
    happened: Happened,
    details: Vec<(&'static str, String)>,
) -> AuditRecord {
    let Happened { event, outcome, phone } = happened;
    AuditRecord {
        user: caller.user.clone(),
        at,
        nonce,
        event,
        outcome,
        phone_masked: phone.as_ref().map(PhoneNumber::masked),
        origin: caller.origin.clone(),
        details,
    }
}

fn slot_changes(slots: Option<&ReservedSlots>, caller: &Caller) -> Vec<SlotChange> {
    let Some(slots) = slots else { return Vec::new() };
    let phone = SlotChange { subject: WindowSubject::Phone(slots.phone.clone()), slot: slots.phone_slot };
    let address = caller.origin.address.zip(slots.address_slot);
    let address = address.map(|(address, slot)| SlotChange { subject: WindowSubject::Address(address), slot });
    [phone].into_iter().chain(address).collect()
}
