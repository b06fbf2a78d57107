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
    /// The number is malformed or nobody's.
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
    /// The sender's number or name is not set up for this.
    SenderMisconfigured,
    /// Wrong credentials, or the account is suspended.
    AuthFailed,
    /// No credit, or a spend limit is reached.
    InsufficientBalance,
    /// The provider is throttling and did not process the request.
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
            Self::CountryNotPermitted
            | Self::SenderMisconfigured
            | Self::AuthFailed
            | Self::InsufficientBalance
            | Self::RateLimited
            | Self::Rejected
            | Self::NotSent => NextStep::TryNext,
            Self::InvalidNumber
            | Self::NotMobile
            | Self::OptedOut
            | Self::ContentFiltered
            | Self::FraudBlocked
            | Self::InvalidRequest => NextStep::Stop,
            Self::UnknownOutcome => NextStep::AssumeSent,
        }
    }

    /// Whether the provider refused for a reason of its own that will hold for the next messages too, so that another one should
    /// be asked first for a while.
    pub const fn is_providers_own(self) -> bool {
        matches!(self, Self::SenderMisconfigured | Self::AuthFailed | Self::InsufficientBalance)
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
    /// Whether the message was refused for the sake of its recipient, and not because of an outage of ours.
    pub const fn is_recipients(self) -> bool {
        match self {
            Self::InvalidNumber | Self::NotMobile | Self::OptedOut | Self::CountryNotPermitted | Self::Rejected => true,
            Self::ProviderUnavailable => false,
        }
    }

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

    /// A failure with the provider's own code. What is no identifier is dropped: a code goes into logs, and a provider's free
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
    /// No provider was asked: there was not time enough to wait for an answer.
    OutOfTime,
}

impl Delivery {
    /// What the attempts come to. Where all refused, the reason is that of the last attempt that says something about the
    /// number or message, or else that of the last one.
    pub fn verdict(&self) -> Verdict {
        let mut reason = DeliveryReason::ProviderUnavailable;
        for attempt in &self.attempts {
            match &attempt.result {
                Ok(_) => return Verdict::Accepted(attempt.provider),
                Err(failure) if failure.class == FailureClass::UnknownOutcome => return Verdict::Unknown(attempt.provider),
                Err(failure) => {
                    if failure.class.reason() != DeliveryReason::ProviderUnavailable {
                        reason = failure.class.reason();
                    }
                }
            }
        }
        Verdict::Refused(reason)
    }
}
