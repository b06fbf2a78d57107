//! How many SMS may go out: a user's own log of sends, and the slots that a phone number or a source address hands out (S11).
//!
//! A rolling window of N sends is kept as N slots. Each may be taken again one window after it was last taken, so no window of
//! that length holds more than N takings. Taking one is a single conditional write, which needs no read before it.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{ChallengeId, Policy, Timestamp};

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
    pub fn free(&self, max: u16, window: Duration, now: Timestamp) -> impl Iterator<Item = u16> {
        (0..max).filter(move |index| self.0.get(index).is_none_or(|taken| taken.plus(window) <= now))
    }

    /// How long until one of the first `max` may be taken; zero if one may be taken now.
    pub fn wait(&self, max: u16, window: Duration, now: Timestamp) -> Duration {
        (0..max)
            .map(|index| self.0.get(&index).map_or(Duration::ZERO, |taken| taken.plus(window).since(now)))
            .min()
            .unwrap_or(Duration::ZERO)
    }
}

/// What storage does to a window.
#[cfg(test)]
impl SendWindow {
    /// Takes a slot.
    pub fn take(&mut self, slot: Slot) {
        self.0.insert(slot.index, slot.taken_at);
    }

    /// Puts a slot back, unless it was taken again since.
    pub fn give_back(&mut self, slot: Slot) {
        if self.0.get(&slot.index) == Some(&slot.taken_at) {
            self.0.remove(&slot.index);
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
    /// Which slot of the phone number's window it holds.
    pub phone_slot: u16,
    /// Which slot of the source address's window it holds, if that window counts.
    pub address_slot: Option<u16>,
}

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

    /// Forgets the sends that no limit looks at any more.
    pub(in crate::domain) fn prune(&mut self, policy: &Policy, now: Timestamp) {
        let memory = policy.sms_window.max(policy.sms_cooldown);
        self.0.retain(|send| send.at.plus(memory) > now);
    }

    /// Sends within the window that ends now.
    pub fn in_window(&self, policy: &Policy, now: Timestamp) -> impl DoubleEndedIterator<Item = &SentCode> {
        self.0.iter().filter(move |send| send.at.plus(policy.sms_window) > now)
    }

    pub(in crate::domain) fn record(&mut self, send: SentCode) {
        self.0.push(send);
    }

    /// Takes the send of this challenge out of the log, if it is there.
    pub(in crate::domain) fn take_out(&mut self, challenge: ChallengeId) -> Option<SentCode> {
        let index = self.0.iter().position(|send| send.challenge == challenge)?;
        Some(self.0.remove(index))
    }

    /// The slot of the phone number's window to try first without having read it: the first one that none of the user's own
    /// sends holds.
    pub(in crate::domain) fn likely_free_slot(&self, policy: &Policy, now: Timestamp) -> u16 {
        (0..policy.sms_max_per_window)
            .find(|index| self.in_window(policy, now).all(|send| send.phone_slot != *index))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(3600);

    #[test]
    fn a_lease_is_free_again_exactly_one_window_after_it_was_taken() {
        let slots = SendWindow::new([Slot { index: 0, taken_at: Timestamp::from_millis(5) }]);
        let (just_before, at) = (Timestamp::from_millis(3_600_004), Timestamp::from_millis(3_600_005));
        assert_eq!(slots.free(1, WINDOW, just_before).count(), 0);
        assert_eq!(slots.wait(1, WINDOW, just_before), Duration::from_millis(1));
        assert_eq!(slots.free(1, WINDOW, at).collect::<Vec<_>>(), [0]);
        assert_eq!(slots.wait(1, WINDOW, at), Duration::ZERO);
    }

    #[test]
    fn a_lease_that_was_taken_again_is_not_given_back() {
        let (mine, theirs) =
            (Slot { index: 0, taken_at: Timestamp::from_millis(1) }, Slot { index: 0, taken_at: Timestamp::from_millis(2) });
        let mut slots = SendWindow::new([mine]);
        slots.take(theirs);
        slots.give_back(mine);
        assert_eq!(slots, SendWindow::new([theirs]));
        slots.give_back(theirs);
        assert_eq!(slots, SendWindow::default());
    }
}
