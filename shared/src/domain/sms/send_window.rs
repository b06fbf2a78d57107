//! How many SMS may go out: a user's own log of sends, and the slots that a phone number or a source address hands out (S11).
//!
//! A rolling window of N sends is kept as N slots. Each may be taken again one window after it was last taken, so no window of
//! that length holds more than N takings. Taking one is a single conditional write, which needs no read before it.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::challenge::ChallengeId;
use crate::domain::{
    digest::Pepper, message::delivery::Provider, phone_number::PhoneNumber, policy::Policy, timestamp::Timestamp, user_id::UserId,
};

/// One slot of a window, taken for one send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Which of the window's slots, counted from 0.
    pub index: u16,
    /// When it was taken.
    pub taken_at: Timestamp,
}

/// The slots of one window, as far as they were ever taken: index and when it was last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendWindow(BTreeMap<u16, Timestamp>);

impl SendWindow {
    /// The window in which these slots were taken.
    pub fn new(taken: impl IntoIterator<Item = Slot>) -> Self {
        Self(taken.into_iter().map(|slot| (slot.index, slot.taken_at)).collect())
    }

    /// The slots out of the first `max` that may be taken now.
    fn free(&self, max: u16, window: Duration, now: Timestamp) -> Vec<u16> {
        (0..max).filter(|index| self.0.get(index).is_none_or(|taken| taken.plus(window) <= now)).collect()
    }

    /// How long until one of the first `max` may be taken; zero if one may be taken now.
    fn wait(&self, max: u16, window: Duration, now: Timestamp) -> Duration {
        let waits = (0..max).map(|index| self.0.get(&index).map_or(Duration::ZERO, |taken| taken.plus(window).since(now)));
        waits.min().unwrap_or(Duration::ZERO)
    }
}

/// What storage does to a window.
#[cfg(test)]
impl SendWindow {
    /// Takes a slot, unless it was taken within one `window` before; `false` then.
    pub fn take(&mut self, slot: Slot, window: Duration) -> bool {
        let is_free = self.0.get(&slot.index).is_none_or(|taken| taken.plus(window) <= slot.taken_at);
        if is_free {
            self.0.insert(slot.index, slot.taken_at);
        }
        is_free
    }

    /// Puts a slot back, unless it was taken again since.
    pub fn give_back(&mut self, slot: Slot) {
        if self.0.get(&slot.index) == Some(&slot.taken_at) {
            self.0.remove(&slot.index);
        }
    }
}

/// Which of a phone number's two windows a send counts in. They are apart, so that nobody but its owner can use up the sends of an
/// active number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// Sends that would bind the number, by whichever user.
    Binds,
    /// Sends to the number as an account's own.
    Sends,
}

/// Names a number in the log of one user: eight bytes of a keyed digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NumberTag([u8; 8]);

impl NumberTag {
    /// The name of `phone` in the log of `user`.
    pub fn of(phone: &PhoneNumber, user: &UserId, pepper: &Pepper) -> Self {
        Self(pepper.digest(&[b"number-tag", user.as_str().as_bytes(), phone.as_e164().as_bytes()]).prefix())
    }

    /// A name read back from storage.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The name, for storage.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for NumberTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberTag(…)")
    }
}

/// Whose limit a send counts against, apart from those of number and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allowance {
    /// The user's own window.
    User,
    /// The window of replacements that bring a backup code, as large as the user's: a thief who uses up the user's window
    /// with a stolen token does not keep the owner from binding another number.
    Recovery,
}

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendState {
    /// It was reserved, and its code has not come back.
    Unanswered,
    /// Its code came back and was right.
    Answered,
    /// Providers refused it for the recipient's sake: it was given back, but counts against [`Policy::sms_max_refused`].
    Refused,
    /// No provider could take it, which is no fault of the user: it was given back.
    GivenBack,
}

impl SendState {
    /// Whether the message went out, as far as is known.
    const fn is_spent(self) -> bool {
        match self {
            Self::Unanswered | Self::Answered => true,
            Self::Refused | Self::GivenBack => false,
        }
    }
}

/// One send that was reserved for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentCode {
    /// The challenge whose code was sent.
    pub challenge: ChallengeId,
    /// When it was reserved.
    pub at: Timestamp,
    /// Where it went.
    pub number: NumberTag,
    /// In which of that number's windows it holds a slot.
    pub window: WindowKind,
    /// Which slot that is.
    pub slot: u16,
    /// Which slot of the source address's window it holds, if that window counts.
    pub address_slot: Option<u16>,
    /// Whose limit it counts against.
    pub allowance: Allowance,
    /// The provider to be asked first; `None` in development without a provider.
    pub provider: Option<Provider>,
    /// What became of it.
    pub state: SendState,
}

/// Which limit a send ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendLimit {
    /// The least time between two sends of a user to a number.
    Cooldown,
    /// The user's window.
    User,
    /// The phone number's window.
    Number,
    /// The source address's window.
    Address,
    /// The sends of the user that providers refused for the recipient's sake.
    Refused,
}

impl SendLimit {
    /// The limit's name in problem documents, `RateLimit` headers, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown",
            Self::User => "user",
            Self::Number => "number",
            Self::Address => "address",
            Self::Refused => "refused",
        }
    }
}

/// A send that a limit forbids for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Which limit.
    pub limit: SendLimit,
    /// How long to wait.
    pub retry_after: Duration,
}

/// A send for which a slot is wanted.
#[derive(Clone, Copy, Debug)]
pub struct SendRequest<'a> {
    /// Where it would go.
    pub number: NumberTag,
    /// In which of that number's windows it counts.
    pub window: WindowKind,
    /// Whose limit it counts against.
    pub allowance: Allowance,
    /// The number's window; `None` if it was not read, and is left to the conditional write.
    pub number_window: Option<&'a SendWindow>,
    /// The window of the source address; `None` if none counts.
    pub address_window: Option<&'a SendWindow>,
}

/// A send that every limit allows, not yet made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The slot of the number's window to take.
    pub slot: u16,
    /// The slot of the source address's window to take, if that window counts.
    pub address_slot: Option<u16>,
    /// What the user may send after this one.
    pub next: NextSend,
}

/// What a user may send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextSend {
    /// Sends left in the user's own window.
    pub remaining: u16,
    /// How long until the next one.
    pub wait: Duration,
}

/// Given-back sends that are kept for the cooldown, at most: an outage must not make the account grow.
const MAX_GIVEN_BACK: usize = 5;

/// A user's own sends, oldest first, as far back as they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendLog(Vec<SentCode>);

impl SendLog {
    /// A log read back from storage.
    pub fn new(mut sends: Vec<SentCode>) -> Self {
        sends.sort_by_key(|send| send.at);
        Self(sends)
    }

    /// The sends, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &SentCode> + ExactSizeIterator {
        self.0.iter()
    }

    /// The instant from which no limit looks at the log any more; `None` if it is empty.
    pub(in crate::domain) fn stale_at(&self, policy: &Policy) -> Option<Timestamp> {
        self.0.iter().map(|send| forgotten_at(send, policy)).max()
    }

    /// Forgets the sends that no limit looks at any more.
    pub(in crate::domain) fn prune(&mut self, policy: &Policy, now: Timestamp) {
        self.0.retain(|send| forgotten_at(send, policy) > now);
        let given_back = self.0.iter().filter(|send| send.state == SendState::GivenBack).count();
        let mut surplus = given_back.saturating_sub(MAX_GIVEN_BACK);
        self.0.retain(|send| {
            let drop = surplus > 0 && send.state == SendState::GivenBack;
            surplus -= usize::from(drop);
            !drop
        });
    }

    /// Sends that count against `allowance` within the window that ends now.
    pub fn spent(&self, allowance: Allowance, policy: &Policy, now: Timestamp) -> impl Iterator<Item = &SentCode> {
        self.within_window(policy, now).filter(move |send| send.allowance == allowance && send.state.is_spent())
    }

    fn within_window(&self, policy: &Policy, now: Timestamp) -> impl Iterator<Item = &SentCode> {
        self.0.iter().filter(move |send| send.at.plus(policy.sms_window) > now)
    }

    pub(in crate::domain) fn record(&mut self, send: SentCode) {
        self.0.push(send);
    }

    /// Notes that the code of this challenge came back and was right.
    pub(in crate::domain) fn mark_answered(&mut self, challenge: ChallengeId) {
        if let Some(send) = self.find(challenge) {
            send.state = SendState::Answered;
        }
    }

    /// Gives the send of this challenge back. Returns it as it was; `None` if it is not there, or was given back before.
    pub(in crate::domain) fn give_back(&mut self, challenge: ChallengeId, state: SendState) -> Option<SentCode> {
        let send = self.find(challenge).filter(|send| send.state.is_spent())?;
        let was = *send;
        send.state = state;
        Some(was)
    }

    fn find(&mut self, challenge: ChallengeId) -> Option<&mut SentCode> {
        self.0.iter_mut().find(|send| send.challenge == challenge)
    }

    /// Who was asked first for the last code that went out, if that code never came back (S26).
    pub fn unanswered(&self) -> Option<Provider> {
        let last = self.0.iter().rev().find(|send| send.state.is_spent())?;
        last.provider.filter(|_| last.state == SendState::Unanswered)
    }

    /// Reserves a send, or says which limit forbids it. `pick` chooses one of several free slots of the source address: taking one
    /// at random keeps the users of a busy address out of each other's way.
    ///
    /// The user's own limits are looked at first, and of those the one that lasts longest is named. Only then come those that others
    /// share, so that a refusal tells of others' sends no more than that there were some.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn reserve(
        &self,
        request: &SendRequest<'_>,
        policy: &Policy,
        now: Timestamp,
        pick: impl FnOnce(usize) -> usize,
    ) -> Result<Reservation, LimitReached> {
        let own = [
            (SendLimit::Refused, self.refused_wait(policy, now)),
            (SendLimit::User, self.allowance_wait(request.allowance, policy, now)),
            (SendLimit::Cooldown, self.cooldown_wait(request.number, policy, now)),
        ];
        if let Some((limit, retry_after)) = own.into_iter().filter(|(_, wait)| !wait.is_zero()).max_by_key(|(_, wait)| *wait) {
            return Err(LimitReached { limit, retry_after });
        }
        let max = policy.sms_max_per_window;
        let slot = match request.number_window {
            None => self.likely_free_slot(request, policy, now),
            Some(window) => {
                let free = window.free(max, policy.sms_window, now).first().copied();
                free.ok_or(LimitReached { limit: SendLimit::Number, retry_after: policy.sms_window })?
            }
        };
        let address_slot = match request.address_window.filter(|_| policy.sms_max_per_ip > 0) {
            None => None,
            Some(window) => {
                let free = window.free(policy.sms_max_per_ip, policy.sms_window, now);
                let wait = || window.wait(policy.sms_max_per_ip, policy.sms_window, now);
                let slot = free.get(pick(free.len())).or(free.first()).copied();
                Some(slot.ok_or_else(|| LimitReached { limit: SendLimit::Address, retry_after: wait() })?)
            }
        };
        Ok(Reservation { slot, address_slot, next: self.next_after(request.allowance, policy, now) })
    }

    /// What the user may send next to `number`; to any number that nothing was sent to, where none is named.
    pub fn next(&self, number: Option<NumberTag>, policy: &Policy, now: Timestamp) -> NextSend {
        let cooldown = number.map(|number| self.cooldown_wait(number, policy, now)).unwrap_or_default();
        let window = self.allowance_wait(Allowance::User, policy, now).max(self.refused_wait(policy, now));
        NextSend { remaining: self.remaining(policy, now, 0), wait: cooldown.max(window) }
    }

    /// The same once a send to the same number is made now.
    fn next_after(&self, allowance: Allowance, policy: &Policy, now: Timestamp) -> NextSend {
        let made = usize::from(allowance == Allowance::User);
        let remaining = self.remaining(policy, now, made);
        let oldest = self.spent(Allowance::User, policy, now).map(|send| send.at).next().unwrap_or(now);
        let window = if remaining == 0 { oldest.plus(policy.sms_window).since(now) } else { Duration::ZERO };
        NextSend { remaining, wait: policy.sms_cooldown.max(window) }
    }

    fn remaining(&self, policy: &Policy, now: Timestamp, made: usize) -> u16 {
        let spent = self.spent(Allowance::User, policy, now).count() + made;
        policy.sms_max_per_window.saturating_sub(u16::try_from(spent).unwrap_or(u16::MAX))
    }

    fn cooldown_wait(&self, number: NumberTag, policy: &Policy, now: Timestamp) -> Duration {
        let last = self.0.iter().filter(|send| send.number == number).map(|send| send.at).max();
        last.map(|at| at.plus(policy.sms_cooldown).since(now)).unwrap_or_default()
    }

    fn allowance_wait(&self, allowance: Allowance, policy: &Policy, now: Timestamp) -> Duration {
        until_one_leaves(self.spent(allowance, policy, now), policy.sms_max_per_window, policy, now)
    }

    fn refused_wait(&self, policy: &Policy, now: Timestamp) -> Duration {
        let refused = self.within_window(policy, now).filter(|send| send.state == SendState::Refused);
        until_one_leaves(refused, policy.sms_max_refused, policy, now)
    }

    /// The slot of the number's window to try first without having read it: the first one that none of the user's own sends holds.
    fn likely_free_slot(&self, request: &SendRequest<'_>, policy: &Policy, now: Timestamp) -> u16 {
        let held: Vec<_> = self
            .within_window(policy, now)
            .filter(|send| send.number == request.number && send.window == request.window && send.state.is_spent())
            .map(|send| send.slot)
            .collect();
        (0..policy.sms_max_per_window).find(|index| !held.contains(index)).unwrap_or(0)
    }
}

/// How long until fewer than `max` of these sends, oldest first, are in the window; zero if that is so now.
fn until_one_leaves<'a>(sends: impl Iterator<Item = &'a SentCode>, max: u16, policy: &Policy, now: Timestamp) -> Duration {
    let sends: Vec<_> = sends.collect();
    let leaving = sends.len().checked_sub(max.into()).and_then(|index| sends.get(index));
    leaving.map(|send| send.at.plus(policy.sms_window).since(now)).unwrap_or_default()
}

/// The instant from which no limit looks at this send any more.
fn forgotten_at(send: &SentCode, policy: &Policy) -> Timestamp {
    let memory = match send.state {
        SendState::Unanswered | SendState::Answered | SendState::Refused => policy.sms_window.max(policy.sms_cooldown),
        SendState::GivenBack => policy.sms_cooldown,
    };
    send.at.plus(memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(3600);
    const HOME: NumberTag = NumberTag([1; 8]);
    const WORK: NumberTag = NumberTag([2; 8]);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + seconds * 1000)
    }

    /// A send to HOME as an account's own, in the slot of this index.
    fn sent(seconds: u64, slot: u16) -> SentCode {
        SentCode {
            challenge: ChallengeId::from_bytes([u8::try_from(seconds % 256).unwrap(); 16]),
            at: at(seconds),
            number: HOME,
            window: WindowKind::Sends,
            slot,
            address_slot: None,
            allowance: Allowance::User,
            provider: Some(Provider::Twilio),
            state: SendState::Unanswered,
        }
    }

    fn request() -> SendRequest<'static> {
        SendRequest {
            number: HOME,
            window: WindowKind::Sends,
            allowance: Allowance::User,
            number_window: None,
            address_window: None,
        }
    }

    fn slots(taken: &[(u16, u64)]) -> SendWindow {
        SendWindow::new(taken.iter().map(|(index, seconds)| Slot { index: *index, taken_at: at(*seconds) }))
    }

    #[test]
    fn a_send_counts_for_exactly_one_window_and_tells_nothing_of_its_number() {
        let policy = Policy { sms_window: WINDOW, ..Policy::default() };
        let log = SendLog::new(vec![sent(100, 0)]);
        let spent = |now: u64| log.spent(Allowance::User, &policy, at(now)).count();
        assert_eq!((spent(100), spent(3699), spent(3700)), (1, 1, 0));
        assert_eq!(format!("{HOME:?}"), "NumberTag(…)");
    }

    #[test]
    fn a_slot_is_free_again_exactly_one_window_after_it_was_taken() {
        let window = SendWindow::new([Slot { index: 0, taken_at: Timestamp::from_millis(5) }]);
        let (just_before, then) = (Timestamp::from_millis(3_600_004), Timestamp::from_millis(3_600_005));
        assert!(window.free(1, WINDOW, just_before).is_empty());
        assert_eq!(window.wait(1, WINDOW, just_before), Duration::from_millis(1));
        assert_eq!(window.free(1, WINDOW, then), [0]);
        assert_eq!(window.wait(1, WINDOW, then), Duration::ZERO);
    }

    #[test]
    fn a_slot_that_was_taken_again_is_not_given_back() {
        let (mine, theirs) = (
            Slot { index: 0, taken_at: Timestamp::from_millis(1) },
            Slot { index: 0, taken_at: Timestamp::from_millis(3_600_001) },
        );
        let mut window = SendWindow::new([mine]);
        assert!(!window.take(Slot { index: 0, taken_at: Timestamp::from_millis(3_600_000) }, WINDOW), "within the window");
        assert!(window.take(theirs, WINDOW));
        window.give_back(mine);
        assert_eq!(window, SendWindow::new([theirs]));
        window.give_back(theirs);
        assert_eq!(window, SendWindow::default());
    }

    #[test]
    fn each_limit_refuses_at_its_number_and_the_users_own_come_first_s11() {
        use SendLimit::{Address, Cooldown, Number, Refused, User};
        let policy = Policy { sms_max_per_ip: 2, sms_max_refused: 2, ..Policy::default() };
        let five = || (0..5).map(|n| sent(u64::from(n) * 100, n)).collect::<Vec<_>>();
        let refused = |seconds, number| SentCode { state: SendState::Refused, number, ..sent(seconds, 0) };
        let full = slots(&[(0, 0), (1, 10), (2, 20), (3, 30), (4, 40)]);
        let busy = slots(&[(0, 0), (1, 10)]);
        let recovery = SendRequest { allowance: Allowance::Recovery, number: WORK, ..request() };
        let to_work = SendRequest { number: WORK, ..request() };
        let limited = |limit, seconds| Some((limit, seconds));
        for (log, request, now, expected, reason) in [
            (vec![], request(), 500, None, "nothing was sent"),
            (vec![sent(480, 0)], request(), 500, limited(Cooldown, 10), "20 seconds after the last to the number"),
            (vec![sent(470, 0)], request(), 500, None, "30 seconds after it"),
            (vec![sent(480, 0)], to_work, 500, None, "another number waits for nothing"),
            (vec![refused(480, HOME)], request(), 500, limited(Cooldown, 10), "a refused send keeps the cooldown"),
            (five(), request(), 500, limited(User, 3100), "five in the window"),
            (five(), to_work, 500, limited(User, 3100), "to whichever number"),
            (five(), request(), 3600, None, "the first has left the window"),
            (five(), recovery, 500, None, "a replacement with a backup code has a window of its own"),
            (vec![refused(0, WORK), refused(1, WORK)], request(), 500, limited(Refused, 3100), "two were refused"),
            (vec![refused(0, WORK), refused(1, WORK)], request(), 3600, None, "one of them has left the window"),
            (
                vec![],
                SendRequest { number_window: Some(&full), ..request() },
                500,
                limited(Number, 3600),
                "the whole window is said",
            ),
            (vec![], SendRequest { number_window: Some(&full), ..request() }, 3600, None, "one slot is free again"),
            (vec![], SendRequest { address_window: Some(&busy), ..request() }, 500, limited(Address, 3100), "the address's"),
            (five(), SendRequest { number_window: Some(&full), ..request() }, 500, limited(User, 3100), "the user's own first"),
        ] {
            let result = SendLog::new(log).reserve(&request, &policy, at(now), |_| 0);
            let limit = result.err().map(|reached| (reached.limit, reached.retry_after.as_secs()));
            assert_eq!(limit, expected, "{reason}");
        }
    }

    #[test]
    fn a_reservation_says_which_slots_it_takes_and_what_is_left_to_the_user_alone() {
        let policy = Policy::default();
        let reserve = |log: Vec<SentCode>, request: SendRequest<'_>, now| {
            SendLog::new(log).reserve(&request, &policy, at(now), |free| free - 1).unwrap()
        };
        let next = |remaining, seconds| NextSend { remaining, wait: Duration::from_secs(seconds) };
        let first = reserve(vec![], request(), 0);
        assert_eq!(first, Reservation { slot: 0, address_slot: None, next: next(4, 30) });

        let own = vec![sent(0, 0), SentCode { window: WindowKind::Binds, ..sent(1, 1) }, SentCode { number: WORK, ..sent(2, 1) }];
        assert_eq!(reserve(own.clone(), request(), 100).slot, 1, "the first that none of the user's own holds in that window");
        let given_back = vec![SentCode { state: SendState::GivenBack, ..sent(0, 0) }];
        assert_eq!(reserve(given_back, request(), 100).slot, 0, "what was given back holds nothing");

        let others = slots(&[(0, 0), (1, 0), (2, 0), (3, 0)]);
        let read = reserve(own, SendRequest { number_window: Some(&others), ..request() }, 100);
        assert_eq!((read.slot, read.next), (4, next(1, 30)), "sends of others do not count in what is left");

        let four: Vec<_> = (0..4).map(|n| sent(u64::from(n) * 100, n)).collect();
        assert_eq!(reserve(four.clone(), request(), 500).next, next(0, 3100), "with none left the window says how long");
        let recovery = SendRequest { allowance: Allowance::Recovery, ..request() };
        assert_eq!(reserve(four, recovery, 500).next, next(1, 30), "a replacement with a backup code costs the user no send");

        let busy = slots(&[(0, 0), (2, 0)]);
        let address = reserve(vec![], SendRequest { address_window: Some(&busy), ..request() }, 100).address_slot;
        assert_eq!(address, Some(19), "the one that was picked out of the free ones");
    }

    #[test]
    fn the_log_tells_who_was_asked_for_a_code_that_never_came_back_s26() {
        let log = |sends: &[SentCode]| SendLog::new(sends.to_vec()).unanswered();
        assert_eq!(log(&[]), None);
        assert_eq!(log(&[sent(1, 0)]), Some(Provider::Twilio));
        let answered = SentCode { state: SendState::Answered, ..sent(1, 0) };
        assert_eq!(log(&[answered]), None);
        let refused = SentCode { state: SendState::GivenBack, provider: Some(Provider::Sns), ..sent(2, 0) };
        assert_eq!(log(&[sent(1, 0), refused]), Some(Provider::Twilio), "what never left says nothing of its provider");
        assert_eq!(log(&[sent(1, 0), SentCode { at: at(2), ..answered }]), None);
    }

    #[test]
    fn the_log_forgets_what_no_limit_looks_at_and_keeps_few_that_an_outage_gave_back() {
        let policy = Policy::default();
        let given_back = |seconds| SentCode { state: SendState::GivenBack, ..sent(seconds, 0) };
        let mut log = SendLog::new(vec![sent(0, 0), given_back(3560), sent(3570, 1), given_back(3580)]);
        assert_eq!(log.stale_at(&policy), Some(at(7170)));
        log.prune(&policy, at(3600));
        assert_eq!(log.iter().map(|send| send.at).collect::<Vec<_>>(), [at(3570), at(3580)]);

        let mut log = SendLog::new((0..8).map(given_back).collect());
        log.prune(&policy, at(10));
        assert_eq!(log.iter().map(|send| send.at).collect::<Vec<_>>(), (3..8).map(at).collect::<Vec<_>>(), "the newest");
    }

    #[test]
    fn a_send_is_given_back_once() {
        let mut log = SendLog::new(vec![sent(7, 3)]);
        let challenge = ChallengeId::from_bytes([7; 16]);
        assert_eq!(log.give_back(challenge, SendState::Refused), Some(sent(7, 3)));
        assert_eq!(log.give_back(challenge, SendState::Refused), None);
        assert_eq!(log.next(Some(HOME), &Policy::default(), at(17)), NextSend { remaining: 5, wait: Duration::from_secs(20) });
    }
}
