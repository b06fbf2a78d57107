//! What became of a text message: who took it, or in which way each provider failed.

use std::{fmt, time::Duration};

/// A service that sends text messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// Twilio Programmable Messaging.
    Twilio,
    /// Amazon SNS.
    Sns,
    /// AWS End User Messaging SMS.
    AwsSms,
    /// Vonage SMS API.
    Vonage,
    /// `MessageBird`: the classic REST API, or Bird's of 2026.
    MessageBird,
    /// Plivo.
    Plivo,
}

impl Provider {
    /// All of them, in the order in which they are tried when `SMS_PROVIDERS` says nothing.
    pub const ALL: [Self; 6] = [Self::Twilio, Self::Sns, Self::AwsSms, Self::Vonage, Self::MessageBird, Self::Plivo];

    /// Its name in `SMS_PROVIDERS`, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Sns => "sns",
            Self::AwsSms => "aws-sms",
            Self::Vonage => "vonage",
            Self::MessageBird => "messagebird",
            Self::Plivo => "plivo",
        }
    }

    /// The provider with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a provider failed to take a message: one classification for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// This provider takes the number for malformed or unassigned. Some say so of a prefix that they do not know.
    InvalidNumber,
    /// A landline, or another line that gets no SMS.
    NotMobile,
    /// The subscriber asked to get no messages. Trying another provider would go around that.
    OptedOut,
    /// The provider or carrier refused the text.
    ContentFiltered,
    /// The provider's protection against SMS pumping stepped in.
    FraudBlocked,
    /// The provider does not send to this country, or has no route there.
    CountryNotPermitted,
    /// The sender's number or name, or another setting of the account, is not set up for this country.
    SenderMisconfigured,
    /// A trial account or a sandbox, which sends to numbers only that were verified there.
    RecipientNotVerified,
    /// Wrong credentials, or the account is suspended.
    AuthFailed,
    /// No credit, or a spend limit is reached.
    InsufficientBalance,
    /// The provider is throttling or overloaded, and did not process the request.
    RateLimited,
    /// The provider did not understand the request: a fault of ours.
    InvalidRequest,
    /// An explicit refusal with a code that we do not know.
    Rejected,
    /// The request never left: no connection could be made.
    NotSent,
    /// The request left and no clear answer came back. The message may be on its way.
    UnknownOutcome,
}

/// What may be done after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing was sent, and another provider may do better: try it at once, with the same code.
    TryNext,
    /// Nothing was sent, and no other provider may be asked.
    Stop,
    /// Something may have been sent: no second message in this request.
    AssumeSent,
}

/// How far a failure reaches: which other messages the provider would fail to take for the same reason. One user whose number or
/// country is not served must not turn a provider off for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This message alone, or this moment.
    Message,
    /// Every message to the same country.
    Country,
    /// Every message: the account is at fault.
    Account,
    /// Perhaps every message: the provider may be down, or this one got lost. The next one will tell.
    Service,
}

impl FailureClass {
    /// A short stable name, for logs, metrics and the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidNumber => "invalid_number",
            Self::NotMobile => "not_mobile",
            Self::OptedOut => "opted_out",
            Self::ContentFiltered => "content_filtered",
            Self::FraudBlocked => "fraud_blocked",
            Self::CountryNotPermitted => "country_not_permitted",
            Self::SenderMisconfigured => "sender_misconfigured",
            Self::RecipientNotVerified => "recipient_not_verified",
            Self::AuthFailed => "auth_failed",
            Self::InsufficientBalance => "insufficient_balance",
            Self::RateLimited => "rate_limited",
            Self::InvalidRequest => "invalid_request",
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::UnknownOutcome => "unknown_outcome",
        }
    }

    /// What may be done after this failure (S12).
    pub const fn next_step(self) -> NextStep {
        match self {
            // A number that is refused here was accepted by libphonenumber: the provider may not know it yet, or not have it.
            Self::InvalidNumber
            | Self::CountryNotPermitted
            | Self::SenderMisconfigured
            | Self::RecipientNotVerified
            | Self::AuthFailed
            | Self::InsufficientBalance
            | Self::RateLimited
            | Self::Rejected
            | Self::NotSent => NextStep::TryNext,
            Self::NotMobile | Self::OptedOut | Self::ContentFiltered | Self::FraudBlocked | Self::InvalidRequest => {
                NextStep::Stop
            }
            Self::UnknownOutcome => NextStep::AssumeSent,
        }
    }

    /// Which other messages the provider would fail to take for the same reason.
    pub const fn scope(self) -> Scope {
        match self {
            Self::InvalidNumber
            | Self::NotMobile
            | Self::OptedOut
            | Self::ContentFiltered
            | Self::FraudBlocked
            | Self::RecipientNotVerified
            | Self::RateLimited
            | Self::InvalidRequest
            | Self::Rejected => Scope::Message,
            Self::CountryNotPermitted | Self::SenderMisconfigured => Scope::Country,
            Self::AuthFailed | Self::InsufficientBalance => Scope::Account,
            Self::NotSent | Self::UnknownOutcome => Scope::Service,
        }
    }

    /// What a client may be told: a class it can act on, never the provider's own words.
    pub const fn reason(self) -> DeliveryReason {
        match self {
            Self::InvalidNumber => DeliveryReason::InvalidNumber,
            Self::NotMobile => DeliveryReason::NotMobile,
            Self::OptedOut => DeliveryReason::OptedOut,
            Self::CountryNotPermitted => DeliveryReason::CountryNotPermitted,
            Self::ContentFiltered | Self::FraudBlocked | Self::InvalidRequest | Self::Rejected => DeliveryReason::Rejected,
            Self::SenderMisconfigured
            | Self::RecipientNotVerified
            | Self::AuthFailed
            | Self::InsufficientBalance
            | Self::RateLimited
            | Self::NotSent
            | Self::UnknownOutcome => DeliveryReason::ProviderUnavailable,
        }
    }
}

/// Why a message could not be delivered, as the client is told (`reason` of `sms_delivery_failed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryReason {
    /// Check the number.
    InvalidNumber,
    /// Use a mobile number.
    NotMobile,
    /// The subscriber has blocked our messages.
    OptedOut,
    /// No provider sends to this country.
    CountryNotPermitted,
    /// No provider could take the message now; trying later may help.
    ProviderUnavailable,
    /// The message was refused.
    Rejected,
}

impl DeliveryReason {
    /// The value of the `reason` member.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidNumber => "invalid_number",
            Self::NotMobile => "not_mobile",
            Self::OptedOut => "opted_out",
            Self::CountryNotPermitted => "country_not_permitted",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::Rejected => "rejected",
        }
    }

    /// Whether the message was refused for the recipient's sake, rather than by an outage of ours: a number that providers do not
    /// take, a subscriber who wants no messages. Refusals of this kind are what somebody who tries numbers out collects.
    pub const fn is_recipients(self) -> bool {
        match self {
            Self::InvalidNumber | Self::NotMobile | Self::OptedOut | Self::CountryNotPermitted | Self::Rejected => true,
            Self::ProviderUnavailable => false,
        }
    }
}

/// How one provider answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who was asked.
    pub provider: Provider,
    /// The provider's name for the message it took, or how it failed.
    pub result: Result<String, Failure>,
    /// How long it took to answer.
    pub duration: Duration,
}

impl Attempt {
    /// `accepted`, or the class of the failure: the outcome in logs and metrics.
    pub fn outcome(&self) -> &'static str {
        self.result.as_ref().map_or_else(|failure| failure.class.as_str(), |_| "accepted")
    }
}

impl fmt::Display for Attempt {
    /// Who was asked and what the answer was, for the trail: `twilio auth_failed 20003`, `sns accepted 5f1c…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(message_id) => write!(f, "{} accepted {message_id}", self.provider),
            Err(failure) => {
                write!(f, "{} {}", self.provider, failure.class.as_str())?;
                failure.code().map_or(Ok(()), |code| write!(f, " {code}"))
            }
        }
    }
}

/// How one provider failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class of the failure.
    pub class: FailureClass,
    code: Option<String>,
}

impl Failure {
    /// A failure for which there is nothing more to say than its class.
    pub const fn of(class: FailureClass) -> Self {
        Self { class, code: None }
    }

    /// A failure with the provider's own code. Anything but an identifier is dropped: a code goes into logs, and a provider's free
    /// text could hold a number or the message.
    pub fn with_code(class: FailureClass, code: impl fmt::Display) -> Self {
        Self { class, code: Some(code.to_string()).filter(|code| is_identifier(code)) }
    }

    /// The provider's own code, or what became of the connection: an identifier for logs and the audit trail.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

/// Whether `text` is short and of letters, digits and a few signs, so that it is fit for a log.
pub fn is_identifier(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// What became of one message: every provider that was asked, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// One entry for each provider that was asked; none if there was none that could be.
    pub attempts: Vec<Attempt>,
    /// Why no other provider was asked.
    pub end: DeliveryEnd,
}

/// Why no other provider was asked for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The last attempt settled it, or there was nobody left to ask.
    #[default]
    Settled,
    /// The next one might not have answered before the deadline, and then nobody would know what became of the message (S25).
    OutOfTime,
}

/// What the attempts come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This provider took the message.
    Accepted(Provider),
    /// This provider may have taken it: the send stays counted and the code valid (S12).
    Unknown(Provider),
    /// No provider took it, for certain.
    Refused(DeliveryReason),
    /// Nobody was asked, for lack of time.
    OutOfTime,
}

impl Delivery {
    /// What the attempts come to. Where all refused, the number is called invalid only if every provider that was asked calls it
    /// so. Otherwise the reason is that of the last attempt that says something else about the number or message, or else that
    /// nobody could take it.
    pub fn verdict(&self) -> Verdict {
        if self.attempts.is_empty() && self.end == DeliveryEnd::OutOfTime {
            return Verdict::OutOfTime;
        }
        let (mut says_invalid, mut says_other) = (false, None);
        let mut attempts = self.attempts.iter().peekable();
        while let Some(attempt) = attempts.next() {
            let failure = match &attempt.result {
                Ok(_) => return Verdict::Accepted(attempt.provider),
                Err(failure) if failure.class == FailureClass::UnknownOutcome => return Verdict::Unknown(attempt.provider),
                Err(failure) => failure,
            };
            match failure.class.reason() {
                // The same provider was asked again, with credentials that were changed in between: that answer counts.
                _ if attempts.peek().is_some_and(|next| next.provider == attempt.provider) => {}
                DeliveryReason::InvalidNumber => says_invalid = true,
                DeliveryReason::ProviderUnavailable => says_other = says_other.or(Some(DeliveryReason::ProviderUnavailable)),
                telling => says_other = Some(telling),
            }
        }
        Verdict::Refused(match says_other {
            Some(other) => other,
            None if says_invalid => DeliveryReason::InvalidNumber,
            None => DeliveryReason::ProviderUnavailable,
        })
    }
}

#[cfg(test)]
mod tests {
    use FailureClass::{AuthFailed, CountryNotPermitted, InvalidNumber, NotMobile, NotSent, RateLimited, UnknownOutcome};
    use Provider::{Plivo, Sns, Twilio};

    use super::*;

    fn delivery(attempts: &[(Provider, Result<(), FailureClass>)]) -> Delivery {
        let attempt = |(provider, result): &(Provider, Result<(), FailureClass>)| Attempt {
            provider: *provider,
            result: result.map(|()| "id".to_owned()).map_err(Failure::of),
            duration: Duration::ZERO,
        };
        Delivery { attempts: attempts.iter().map(attempt).collect(), end: DeliveryEnd::Settled }
    }

    #[test]
    fn only_what_is_fit_for_a_log_is_kept_as_a_code() {
        let longest = "a".repeat(128);
        for (code, kept) in [
            ("30003", true),
            ("connection-reset", true),
            ("Some_Error.4:x", true),
            (&longest, true),
            (&format!("{longest}a"), false),
            ("", false),
            ("two words", false),
            ("+12015550123", false),
            ("ü", false),
        ] {
            let failure = Failure::with_code(NotSent, code);
            assert_eq!(failure.code(), kept.then_some(code), "{code:?}");
        }
    }

    #[test]
    fn an_attempt_is_written_as_provider_outcome_and_code() {
        let attempt = |result| Attempt { provider: Twilio, result, duration: Duration::ZERO }.to_string();
        assert_eq!(attempt(Ok("SM1".to_owned())), "twilio accepted SM1");
        assert_eq!(attempt(Err(Failure::with_code(AuthFailed, 20003))), "twilio auth_failed 20003");
        assert_eq!(attempt(Err(Failure::of(NotSent))), "twilio not_sent");
    }

    #[test]
    fn a_number_is_called_invalid_only_if_all_that_were_asked_agree() {
        for (attempts, reason) in [
            (vec![(Twilio, InvalidNumber)], DeliveryReason::InvalidNumber),
            (vec![(Twilio, InvalidNumber), (Sns, InvalidNumber)], DeliveryReason::InvalidNumber),
            (vec![(Twilio, InvalidNumber), (Sns, RateLimited)], DeliveryReason::ProviderUnavailable),
            (vec![(Twilio, NotSent), (Sns, InvalidNumber)], DeliveryReason::ProviderUnavailable),
            (vec![(Twilio, InvalidNumber), (Sns, NotMobile)], DeliveryReason::NotMobile),
            (vec![(Twilio, CountryNotPermitted), (Sns, InvalidNumber)], DeliveryReason::CountryNotPermitted),
            (vec![(Twilio, CountryNotPermitted), (Sns, InvalidNumber), (Plivo, NotSent)], DeliveryReason::CountryNotPermitted),
            // With the credentials that were changed in between, Twilio knows.
            (vec![(Twilio, AuthFailed), (Twilio, InvalidNumber), (Sns, InvalidNumber)], DeliveryReason::InvalidNumber),
            (vec![(Twilio, AuthFailed), (Sns, InvalidNumber)], DeliveryReason::ProviderUnavailable),
            (vec![], DeliveryReason::ProviderUnavailable),
        ] {
            let refused: Vec<_> = attempts.iter().map(|(provider, class)| (*provider, Err(*class))).collect();
            assert_eq!(delivery(&refused).verdict(), Verdict::Refused(reason), "{attempts:?}");
        }
    }

    #[test]
    fn one_that_took_the_message_or_may_have_is_the_verdict_whatever_came_before_s12() {
        let refused = (Twilio, Err(InvalidNumber));
        assert_eq!(delivery(&[refused, (Sns, Ok(()))]).verdict(), Verdict::Accepted(Sns));
        assert_eq!(delivery(&[refused, (Sns, Err(UnknownOutcome))]).verdict(), Verdict::Unknown(Sns));
    }

    #[test]
    fn lack_of_time_is_the_verdict_only_if_nobody_was_asked() {
        let out_of_time = |delivery: Delivery| Delivery { end: DeliveryEnd::OutOfTime, ..delivery }.verdict();
        assert_eq!(out_of_time(delivery(&[])), Verdict::OutOfTime);
        let refused = Verdict::Refused(DeliveryReason::InvalidNumber);
        assert_eq!(out_of_time(delivery(&[(Twilio, Err(InvalidNumber))])), refused);
    }

    #[test]
    fn only_an_outage_of_ours_is_not_for_the_recipients_sake() {
        use DeliveryReason as Reason;
        for reason in [Reason::InvalidNumber, Reason::NotMobile, Reason::OptedOut, Reason::CountryNotPermitted, Reason::Rejected]
        {
            assert!(reason.is_recipients(), "{}", reason.as_str());
        }
        assert!(!Reason::ProviderUnavailable.is_recipients());
    }
}
