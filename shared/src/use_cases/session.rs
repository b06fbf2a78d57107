//! One request: loads, decides and commits, again and again until the commit wins or there is no point in going on.

use std::time::Duration;

use rand::RngExt;

use super::{
    request_stats::RequestStats,
    service::{Caller, Failure, Granted, Service},
};
use crate::{
    domain::{
        Answer, AuditEvent, Command, Decision, PhoneNumber, Proof, Purpose, Refusal, Timestamp,
        account::Status,
        decide,
        decide::{Context, Notification, NumberWindow, OutgoingCode, ReservedSlots},
        message::route::Routes,
        sms::send_window::WindowKind,
    },
    ports::{
        AuditRecord, Channel, Commit, CommitError, Deadline, LoadRequest, SlotChange, SmsSender, Snapshot, Store, WindowSubject,
    },
};

/// How often a commit that lost a race is decided again before the caller is told to come back.
const MAX_ATTEMPTS: u32 = 12;
/// The longest pause before the second attempt; it doubles with each further one, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(8);
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// What belongs to one request.
pub struct Session<'a, S, M> {
    pub(super) service: &'a Service<S, M>,
    pub(super) caller: &'a Caller,
    pub(super) deadline: Deadline,
    /// How messages leave, once it was asked: once a request, as the sender wants it.
    channel: Option<Channel>,
    pub(super) stats: &'a mut RequestStats,
}

/// A command that was decided and stored: what is left to do.
pub(super) struct Settled {
    pub(super) outcome: Result<Answer, Refusal>,
    pub(super) code: Option<OutgoingCode>,
    pub(super) notification: Option<Notification>,
}

/// A window of a number that is read beforehand.
type NumberToRead = Option<(PhoneNumber, WindowKind)>;

impl<S: Store, M: SmsSender> Service<S, M> {
    /// One request of `caller`, which is answered before `deadline`; what it does is written down in `stats`.
    pub fn session<'a>(&'a self, caller: &'a Caller, deadline: Deadline, stats: &'a mut RequestStats) -> Session<'a, S, M> {
        Session { service: self, caller, deadline, channel: None, stats }
    }
}

impl<S: Store, M: SmsSender> Session<'_, S, M> {
    /// Starts an enrollment, or the replacement of the active number, and sends a code to `phone`.
    pub async fn setup(&mut self, phone: PhoneNumber, proof: Option<Proof>) -> Result<Granted, Failure> {
        let number = Some((phone.clone(), WindowKind::Binds));
        self.send_code(&Command::Setup { phone, proof }, number).await
    }

    /// Sends a code of this purpose; of the usual one where none is named.
    pub async fn send_sms(&mut self, purpose: Option<Purpose>) -> Result<Granted, Failure> {
        self.send_code(&Command::Send { purpose }, None).await
    }

    /// Judges a code, and does what it was sent for.
    pub async fn verify(
        &mut self,
        proof: Proof,
        purpose: Option<Purpose>,
        regenerate_backup_codes: bool,
    ) -> Result<Granted, Failure> {
        self.settle_and_tell(&Command::Verify { proof, purpose, regenerate_backup_codes }).await
    }

    /// Turns 2FA off, or drops an enrollment that was never verified.
    pub async fn disable(&mut self, proof: Option<Proof>) -> Result<Granted, Failure> {
        self.settle_and_tell(&Command::Disable { proof }).await
    }

    /// Where the user stands.
    pub async fn status(&mut self) -> Result<Status, Failure> {
        let snapshot = self.load(None, false).await?;
        let rules = &self.service.rules;
        Ok(snapshot.account.status(&self.caller.user, &rules.policy, &rules.pepper, self.service.now()))
    }

    /// Settles a command that sends no code, then tells the user's number, if there is something to tell.
    pub(super) async fn settle_and_tell(&mut self, command: &Command) -> Result<Granted, Failure> {
        let settled = self.settle(command, None, &Routes::default()).await?;
        self.deliver_notification(settled.notification).await;
        Ok(settled.outcome?.into())
    }

    /// How messages leave.
    pub(super) fn channel(&mut self) -> Channel {
        self.channel.get_or_insert_with(|| self.service.sms.channel()).clone()
    }

    /// Loads, decides and commits. Nothing that was decided is true before this returns it.
    ///
    /// `number` is the window to read beforehand; where it is not known yet, a lost race makes it known. `routes` are for a
    /// command that sends a code.
    pub(super) async fn settle(
        &mut self,
        command: &Command,
        mut number: NumberToRead,
        routes: &Routes,
    ) -> Result<Settled, Failure> {
        let reads_address = self.service.rules.policy.sms_max_per_ip > 0 && may_bind_a_number(command);
        for attempt in 0..MAX_ATTEMPTS {
            self.pause_before(attempt).await;
            let snapshot = self.load(number.as_ref(), reads_address).await?;
            let live = snapshot.account.sms.challenge.as_ref().map(|challenge| challenge.id);
            let (decision, commit) = self.decide(command, snapshot, number.as_ref(), routes);
            let result = match &commit {
                Some(commit) => self.commit(commit).await,
                None => Ok(()),
            };
            match result {
                Ok(()) => {
                    self.stats.record(command, &decision, live);
                    let Decision { outcome, code, notification, .. } = decision;
                    return Ok(Settled { outcome, code, notification });
                }
                Err(CommitError::Conflict) => {
                    self.stats.conflicts += 1;
                    // Whose window it takes to decide is known now, or has changed.
                    number = decision.take.map(|slots| (slots.phone, slots.window)).or(number);
                }
                Err(CommitError::NotStored | CommitError::Unknown) => return Err(Failure::Unavailable),
            }
        }
        tracing::warn!(attempts = MAX_ATTEMPTS, "gave up on a contended account");
        Err(Failure::Unavailable)
    }

    /// Decides, and writes down what is to be stored, if anything is.
    pub(super) fn decide(
        &self,
        command: &Command,
        snapshot: Snapshot,
        number: Option<&(PhoneNumber, WindowKind)>,
        routes: &Routes,
    ) -> (Decision, Option<Commit>) {
        let rules = &self.service.rules;
        let now = self.service.now();
        let mut rng = self.service.random.rng();
        let number_window = number.zip(snapshot.number_window.as_ref());
        let context = Context {
            policy: &rules.policy,
            allowed_countries: &rules.allowed_countries,
            pepper: &rules.pepper,
            user: &self.caller.user,
            now,
            test_numbers: rules.test_numbers.as_ref(),
            routes,
            number_window: number_window.map(|((phone, kind), window)| NumberWindow { phone, kind: *kind, window }),
            address_window: snapshot.address_window.as_ref(),
        };
        let decision = decide(snapshot.account, command, &context, &mut *rng);
        let commit = decision.is_stored().then(|| Commit {
            user: self.caller.user.clone(),
            expected: snapshot.version,
            audit: decision.events.iter().map(|event| self.audit_record(event.clone(), now, rng.random())).collect(),
            account: decision.account.clone().map(|account| {
                // Never in the past: DynamoDB does not delete what has been stale for years.
                let stale_at = account.stale_at(&rules.policy).map(|at| at.max(now));
                (account, stale_at)
            }),
            take: self.slot_changes(decision.take.as_ref()),
            give_back: self.slot_changes(decision.give_back.as_ref()),
            window: rules.policy.sms_window,
            now,
        });
        (decision, commit)
    }

    pub(super) async fn load(
        &mut self,
        number: Option<&(PhoneNumber, WindowKind)>,
        with_address: bool,
    ) -> Result<Snapshot, Failure> {
        let request = LoadRequest {
            user: &self.caller.user,
            number: number.map(|(phone, kind)| (phone, *kind)),
            address: self.caller.origin.address.filter(|_| with_address),
        };
        let started = self.service.now();
        let snapshot = self.service.store.load(request, self.deadline).await;
        self.stats.store_call(self.service.now().since(started));
        Ok(snapshot?)
    }

    pub(super) async fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        self.commit_before(self.deadline, commit).await
    }

    pub(super) async fn commit_before(&mut self, deadline: Deadline, commit: &Commit) -> Result<(), CommitError> {
        let started = self.service.now();
        let result = self.service.store.commit(commit, deadline).await;
        self.stats.store_call(self.service.now().since(started));
        result
    }

    pub(super) fn audit_record(&self, event: AuditEvent, at: Timestamp, nonce: u64) -> AuditRecord {
        AuditRecord { user: self.caller.user.clone(), at, nonce, event, origin: self.caller.origin.clone() }
    }

    fn slot_changes(&self, slots: Option<&ReservedSlots>) -> Vec<SlotChange> {
        let Some(slots) = slots else { return Vec::new() };
        let number = SlotChange { subject: WindowSubject::Number(slots.phone.clone(), slots.window), slot: slots.slot };
        let address = self.caller.origin.address.zip(slots.address_slot);
        let address = address.map(|(address, slot)| SlotChange { subject: WindowSubject::Address(address), slot });
        [number].into_iter().chain(address).collect()
    }

    /// Steps back, a random while, from others who want to change the same account.
    async fn pause_before(&self, attempt: u32) {
        if attempt > 0 {
            let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(MAX_PAUSE);
            let fraction: f64 = self.service.random.rng().random();
            tokio::time::sleep(longest.mul_f64(fraction).min(self.deadline.remaining())).await;
        }
    }
}

/// Whether the command may send to a number that it would bind, which counts for the source address.
fn may_bind_a_number(command: &Command) -> bool {
    match command {
        Command::Setup { .. } => true,
        Command::Send { purpose } => purpose.is_none_or(Purpose::binds_a_number),
        Command::Verify { .. }
        | Command::Disable { .. }
        | Command::GiveBack { .. }
        | Command::Unlock
        | Command::Reset
        | Command::Import { .. } => false,
    }
}
