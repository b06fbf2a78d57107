//! The text messages as their reader has them: what each is for, and whether its code is still good.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use two_factor::{
    domain::{Account, ChallengeId, PhoneNumber, Purpose, Timestamp, UserId},
    observability::log::RequestSummary,
    ports::Clock,
    use_cases::MessageKind,
};

use super::events::{Event, Events};
use crate::sms_inbox::{ReceivedMessage, lock};

/// The most messages that are kept.
const KEPT: usize = 1000;

/// A phone with every number: what was delivered.
pub(super) struct Phone {
    entries: Mutex<Vec<Entry>>,
    clock: Arc<dyn Clock>,
    events: Events,
}

/// A message, and what is known of it.
#[derive(Clone)]
struct Entry {
    id: String,
    at: Timestamp,
    number: String,
    text: String,
    valid_for: Duration,
    /// Known when the request has ended that sent it.
    sent: Option<Sent>,
    is_used: bool,
}

/// What a message was sent for.
#[derive(Clone)]
struct Sent {
    user: UserId,
    /// Of a code; `None` for a notice.
    code: Option<(Purpose, ChallengeId)>,
}

/// What can be done with the code of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum CodeState {
    /// It is the one that works.
    Live,
    /// It worked, once.
    Used,
    /// A later one took its place.
    Superseded,
    /// It is too old.
    Expired,
    /// Too many wrong codes came in its place.
    Exhausted,
    /// What it was for is no more: 2FA was turned off, or the number not verified in time.
    Withdrawn,
}

/// A message as it is shown.
#[derive(Serialize)]
pub(super) struct Shown {
    id: String,
    time: String,
    number: String,
    user: Option<String>,
    purpose: Option<&'static str>,
    code: Option<String>,
    state: Option<CodeState>,
    expires_at: Option<String>,
    text: String,
}

impl Phone {
    pub(super) fn new(clock: Arc<dyn Clock>, events: Events) -> Self {
        Self { entries: Mutex::default(), clock, events }
    }

    /// A message came to the provider, and reaches its phone unless that refuses it.
    pub(super) fn receive(&self, message: &ReceivedMessage) {
        if !message.is_delivered {
            return;
        }
        let entry = Entry {
            id: message.id.clone(),
            at: self.clock.now(),
            number: message.to().to_owned(),
            text: message.body().to_owned(),
            valid_for: message.valid_for(),
            sent: None,
            is_used: false,
        };
        let shown = entry.shown(None);
        let mut entries = lock(&self.entries);
        if entries.len() == KEPT {
            entries.remove(0);
        }
        entries.push(entry);
        drop(entries);
        self.events.publish(Event::Message(serde_json::to_string(&shown).unwrap_or_default()));
    }

    /// A request has ended: what it sent is known now, and whose code came back.
    pub(super) fn ended(&self, request: &RequestSummary<'_>) {
        let Some(user) = request.user else { return };
        let stats = request.stats;
        let mut entries = lock(&self.entries);
        if stats.sms_code_accepted {
            // The live code of a user is the latest one: what this request itself has sent is not known yet.
            let latest = entries.iter_mut().rev().find(|entry| entry.is_code_of(user));
            if let Some(entry) = latest {
                entry.is_used = true;
            }
        }
        for message in &stats.messages {
            let code = match message.kind {
                MessageKind::Code => stats.purpose.zip(stats.reference),
                MessageKind::Notification(_) | MessageKind::Test => None,
            };
            let entry = if let Some(id) = message.message_id() {
                entries.iter_mut().find(|entry| entry.id == id)
            } else {
                // Delivered, and the provider's answer was lost: the number tells.
                let number = stats.phone().map(PhoneNumber::as_e164);
                entries.iter_mut().rev().find(|entry| entry.sent.is_none() && Some(&*entry.number) == number)
            };
            if let Some(entry) = entry {
                entry.sent = Some(Sent { user: user.clone(), code });
            }
        }
    }

    /// Forgets messages.
    pub(super) fn forget(&self, unwanted: &Filter) {
        lock(&self.entries).retain(|entry| !unwanted.matches(entry));
        self.events.publish(Event::Change);
    }

    /// The users whose accounts tell what can be done with their codes.
    pub(super) fn users(&self) -> Vec<UserId> {
        let mut users: Vec<UserId> = Vec::new();
        for entry in lock(&self.entries).iter().filter(|entry| !entry.is_used) {
            if let Some(Sent { user, code: Some(_) }) = &entry.sent
                && !users.contains(user)
            {
                users.push(user.clone());
            }
        }
        users
    }

    /// The messages, newest first. A code is judged by its user's account, and dies of `guesses` wrong ones.
    pub(super) fn shown(&self, wanted: &Filter, accounts: &[(UserId, Account)], guesses: u32) -> Vec<Shown> {
        let entries = lock(&self.entries).clone();
        let now = self.clock.now();
        let states = entries.iter().enumerate().map(|(index, entry)| {
            let later = entries.get(index + 1..).unwrap_or_default();
            entry.state(accounts, later, now, guesses)
        });
        let shown =
            entries.iter().zip(states).filter(|(entry, _)| wanted.matches(entry)).map(|(entry, state)| entry.shown(state));
        let mut shown: Vec<_> = shown.collect();
        shown.reverse();
        shown
    }
}

impl Entry {
    fn is_code_of(&self, user: &UserId) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.code.is_some() && sent.user == *user)
    }

    /// Its code, if it has one: the first thing that it says.
    fn code(&self) -> Option<&str> {
        let may_have_one = self.sent.as_ref().is_none_or(|sent| sent.code.is_some());
        let code = self.text.split(' ').next().filter(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()));
        code.filter(|_| may_have_one)
    }

    fn state(&self, accounts: &[(UserId, Account)], later: &[Self], now: Timestamp, guesses: u32) -> Option<CodeState> {
        let Sent { user, code } = self.sent.as_ref()?;
        let (_, reference) = (*code)?;
        if self.is_used {
            return Some(CodeState::Used);
        }
        let account = accounts.iter().find_map(|(owner, account)| (owner == user).then_some(account));
        let live = account.and_then(|account| account.sms.challenge.as_ref()).filter(|challenge| challenge.id == reference);
        let is_old = now >= self.at.plus(self.valid_for);
        Some(match live {
            Some(live) if live.expires_at <= now => CodeState::Expired,
            Some(live) if live.failed_attempts >= guesses => CodeState::Exhausted,
            Some(_) => CodeState::Live,
            None if later.iter().any(|entry| entry.is_code_of(user)) => CodeState::Superseded,
            None if is_old => CodeState::Expired,
            None => CodeState::Withdrawn,
        })
    }

    fn shown(&self, state: Option<CodeState>) -> Shown {
        let code = self.code().map(str::to_owned);
        Shown {
            id: self.id.clone(),
            time: self.at.to_rfc3339(),
            number: self.number.clone(),
            user: self.sent.as_ref().map(|sent| sent.user.as_str().to_owned()),
            purpose: self.sent.as_ref().and_then(|sent| sent.code).map(|(purpose, _)| purpose.as_str()),
            state,
            expires_at: code.as_ref().map(|_| self.at.plus(self.valid_for).to_rfc3339()),
            code,
            text: self.text.clone(),
        }
    }
}

/// Which messages are meant: those to a number, or all of them.
#[derive(Default, Deserialize)]
pub(super) struct Filter {
    to: Option<String>,
}

impl Filter {
    /// Numbers are compared by their digits: an unescaped `+` in a query is a space.
    fn matches(&self, entry: &Entry) -> bool {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        self.to.as_deref().is_none_or(|to| to.is_empty() || digits(to) == digits(&entry.number))
    }
}
