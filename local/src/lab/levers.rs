//! What can be moved around the service: time, the provider, and everything at once.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use two_factor::{
    adapters::dynamodb::table::{TableError, ensure_table},
    observability::log::RequestSummary,
    ports::Clock as _,
};

use super::events::{Event, Events};
use crate::{
    clock::MovableClock,
    sms_inbox::{Reply, SmsInbox, lock},
};

/// The furthest that one request moves the clock: a year.
const MAX_STEP: Duration = Duration::from_hours(366 * 24);

/// How late an answer is that nobody waits for: later than the service's patience with a provider.
const TOO_LATE: Duration = Duration::from_secs(10);

/// Moves what is around the service.
pub(super) struct Levers {
    clock: Arc<MovableClock>,
    events: Events,
    inbox: OnceLock<Arc<SmsInbox>>,
    table: OnceLock<Table>,
    trouble: Mutex<Option<Trouble>>,
}

/// A table that may be thrown away.
pub(crate) struct Table {
    /// The database that it is in.
    pub(crate) client: Client,
    /// Its name.
    pub(crate) name: String,
}

/// What the provider does instead of its work.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
struct Trouble {
    failure: &'static str,
    until: Until,
}

/// How long it does so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Until {
    /// For one message.
    NextMessage,
    /// Until it is told otherwise.
    #[default]
    Reset,
}

/// A way for the provider to fail.
#[derive(Serialize)]
struct Failure {
    name: &'static str,
    title: &'static str,
    /// What it does, and what the service makes of it, in one sentence.
    does: &'static str,
    #[serde(skip)]
    how: How,
}

enum How {
    /// Twilio's answer: status and code.
    Refuse(u16, u32),
    AnswerTooLate,
    CutAnswer,
    BeDown,
}

impl Failure {
    const fn new(name: &'static str, title: &'static str, how: How, does: &'static str) -> Self {
        Self { name, title, does, how }
    }

    fn reply(&self) -> Option<Reply> {
        match self.how {
            How::Refuse(status, code) => Some(Reply::refusal(status, code)),
            How::AnswerTooLate => Some(Reply::QueuedAfter(TOO_LATE)),
            How::CutAnswer => Some(Reply::Cut),
            How::BeDown => None,
        }
    }
}

/// Every class of failure that a provider can show, named as logs and audit records name it; an outcome that nobody knows in three ways.
const FAILURES: [Failure; 17] = [
    Failure::new(
        "invalid_number",
        "No such number",
        How::Refuse(400, 21211),
        "The provider takes the number for unassigned: 502, and the send is given back.",
    ),
    Failure::new(
        "not_mobile",
        "Not a mobile number",
        How::Refuse(400, 21614),
        "The provider takes the number for a landline: 502, and no other provider would be asked.",
    ),
    Failure::new(
        "opted_out",
        "Opted out",
        How::Refuse(400, 21610),
        "The phone has answered STOP: 502, and no other provider is asked, which would go around that.",
    ),
    Failure::new(
        "content_filtered",
        "Text filtered",
        How::Refuse(400, 30007),
        "A carrier refuses the text: 502, and no other provider is asked.",
    ),
    Failure::new(
        "fraud_blocked",
        "Blocked as fraud",
        How::Refuse(403, 30450),
        "The provider suspects SMS pumping: 502, and no other provider is asked.",
    ),
    Failure::new(
        "country_not_permitted",
        "Country not permitted",
        How::Refuse(400, 21408),
        "The account may not send to this country: 502, and the provider goes last for this country for a while.",
    ),
    Failure::new(
        "sender_misconfigured",
        "Sender not set up",
        How::Refuse(400, 21606),
        "The sender's number cannot send there: 502, and a fault of whoever runs the service.",
    ),
    Failure::new(
        "recipient_not_verified",
        "Trial account",
        How::Refuse(400, 21608),
        "A trial account sends to verified numbers only: 502.",
    ),
    Failure::new(
        "auth_failed",
        "Wrong credentials",
        How::Refuse(401, 20003),
        "The provider does not know the account: 502, after its credentials were read again.",
    ),
    Failure::new(
        "insufficient_balance",
        "No credit",
        How::Refuse(403, 90010),
        "The account has no credit left: 502, and the provider goes last for everybody for a while.",
    ),
    Failure::new(
        "rate_limited",
        "Throttled",
        How::Refuse(429, 20429),
        "The provider is overloaded and takes nothing: 502, and the user may ask again.",
    ),
    Failure::new(
        "invalid_request",
        "Not understood",
        How::Refuse(400, 21605),
        "The provider does not understand the request, which is a fault of the service: 502.",
    ),
    Failure::new(
        "rejected",
        "Refused without a known reason",
        How::Refuse(400, 29999),
        "The provider refuses with a code that nobody knows: 502.",
    ),
    Failure::new(
        "not_sent",
        "Down",
        How::BeDown,
        "Nobody listens where the provider was: nothing has left, so 502, and the send is given back.",
    ),
    Failure::new(
        "server_error",
        "Internal error",
        How::Refuse(503, 20503),
        "The provider answers 503, which says nothing of the message: 200, and the send counts, as it may have left.",
    ),
    Failure::new(
        "timeout",
        "No answer in time",
        How::AnswerTooLate,
        "The message leaves and the answer comes after the service's 8 seconds: 200, and the send counts.",
    ),
    Failure::new(
        "cut",
        "Answer cut off",
        How::CutAnswer,
        "The message leaves and the answer breaks off: 200, and the send counts.",
    ),
];

impl Levers {
    pub(super) fn new(clock: Arc<MovableClock>, events: Events) -> Self {
        Self { clock, events, inbox: OnceLock::new(), table: OnceLock::new(), trouble: Mutex::default() }
    }

    /// Connects what there is: the provider, where it is the inbox, and the table, where it may be thrown away.
    pub(super) fn connect(&self, inbox: Option<Arc<SmsInbox>>, table: Option<Table>) {
        // Once: there is one lab around them.
        inbox.map(|inbox| self.inbox.set(inbox));
        table.map(|table| self.table.set(table));
    }

    pub(super) fn can_reset(&self) -> bool {
        self.table.get().is_some()
    }

    /// A request has ended. Where the provider has failed it, a failure for one message is over.
    pub(super) fn ended(&self, request: &RequestSummary<'_>) {
        let mut attempts = request.stats.messages.iter().flat_map(|message| &message.attempts);
        let has_failed = attempts.any(|attempt| attempt.result.is_err());
        let mut trouble = lock(&self.trouble);
        if has_failed && trouble.is_some_and(|trouble| trouble.until == Until::NextMessage) {
            *trouble = None;
            if let Some(inbox) = self.inbox.get() {
                inbox.come_back();
            }
            self.events.publish(Event::Levers);
        }
    }

    /// Moves time.
    ///
    /// # Errors
    /// With what to say, where that is too far.
    pub(super) fn advance(&self, by: Duration) -> Result<(), String> {
        if by > MAX_STEP {
            return Err(format!("advance_seconds is at most {}, a year.", MAX_STEP.as_secs()));
        }
        self.clock.advance(by);
        self.events.publish(Event::Levers);
        Ok(())
    }

    /// What time it is.
    pub(super) fn time(&self) -> Value {
        json!({"now": self.clock.now().to_rfc3339(), "ahead_seconds": self.clock.ahead().as_secs()})
    }

    /// What the provider does, and what it could.
    pub(super) fn provider(&self) -> Value {
        json!({"trouble": *lock(&self.trouble), "failures": FAILURES})
    }

    /// Makes the provider fail as the name says, or work again where there is none.
    pub(super) async fn trouble(&self, failure: Option<&str>, until: Until) -> Result<(), NoTrouble> {
        let inbox = self.inbox.get().ok_or(NoTrouble::NoProvider)?;
        let find = |name| FAILURES.iter().find(|failure| failure.name == name).ok_or(NoTrouble::Unknown);
        let failure = failure.map(find).transpose()?;
        *lock(&self.trouble) = failure.map(|failure| Trouble { failure: failure.name, until });
        inbox.stand(None);
        match (failure.and_then(Failure::reply), until) {
            (Some(reply), Until::NextMessage) => inbox.script([reply]),
            (reply, _) => inbox.stand(reply),
        }
        inbox.be_reachable(failure.is_none_or(|failure| !matches!(failure.how, How::BeDown))).await;
        self.events.publish(Event::Levers);
        Ok(())
    }

    /// Empties the table and returns to the present, with a provider that works.
    ///
    /// # Errors
    /// When there is no table that may be emptied; or it cannot be made again.
    pub(super) async fn reset(&self) -> Result<(), NoReset> {
        let Table { client, name } = self.table.get().ok_or(NoReset::Kept)?;
        // A table that is gone already is as good as a deleted one; that a new one can be made is what counts.
        let _ = client.delete_table().table_name(name).send().await;
        ensure_table(client, name).await.map_err(NoReset::Table)?;
        // Where there is no provider, it cannot fail.
        let _ = self.trouble(None, Until::Reset).await;
        self.clock.return_to_the_present();
        Ok(())
    }
}

/// Why the provider does not fail.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTrouble {
    /// There is none, or a real one.
    #[error("There is no provider that could fail: start the server with SMS_INBOX=1.")]
    NoProvider,
    /// There is no such failure.
    #[error("GET /_provider lists the failures that there are.")]
    Unknown,
}

/// Why nothing was thrown away.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoReset {
    /// It may be of worth to somebody.
    #[error("Only the embedded database is thrown away, and only where nothing is really sent.")]
    Kept,
    /// The new table cannot be made.
    #[error("{0}")]
    Table(TableError),
}
