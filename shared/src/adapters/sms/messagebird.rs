//! `MessageBird`: the classic REST API, and Bird's of 2026.
//!
//! Bird's has an idempotency key, the only one of all the providers': a request whose outcome is unknown is repeated there, once
//! and with the same key, which sends nothing twice.

use std::time::{Duration, Instant};

use reqwest::{StatusCode, header::AUTHORIZATION};
use serde::Deserialize;
use serde_json::json;

use super::{
    gateway::{BoxFuture, SmsGateway},
    rest::{Answer, digits, exchange, message_id},
};
use crate::{
    config::sms::{MessageBirdApi, MessageBirdConfig},
    domain::{FailureClass, Provider, TextMessage, message::delivery::Failure},
};

/// Sends with one account.
pub struct MessageBird {
    http: reqwest::Client,
    config: MessageBirdConfig,
}

impl MessageBird {
    /// A gateway to the account that `config` names.
    pub const fn new(http: reqwest::Client, config: MessageBirdConfig) -> Self {
        Self { http, config }
    }

    async fn post_classic(&self, message: &TextMessage, timeout: Duration) -> Result<String, Failure> {
        let MessageBirdConfig { access_key, from, base_url, .. } = &self.config;
        let request = self
            .http
            .post(format!("{}/messages", base_url.as_str()))
            .header(AUTHORIZATION, format!("AccessKey {}", access_key.expose()))
            .json(&json!({
                "originator": from.without_plus(),
                "recipients": [digits(message)],
                "body": message.body,
                "type": "sms",
                // The default replaces what is not GSM-7; with `auto` the text decides.
                "datacoding": "auto",
                "validity": message.valid_for.as_secs().max(1),
                "reference": message.reference,
            }));
        judge_classic(&exchange(request, timeout).await?)
    }

    async fn post_bird(&self, message: &TextMessage, timeout: Duration) -> Result<String, Failure> {
        let started = Instant::now();
        let first = self.post_bird_once(message, timeout / 2).await.and_then(|answer| judge_bird(&answer));
        match first {
            Err(unknown) if unknown.class == FailureClass::UnknownOutcome => {
                // Only an answer about the message settles what became of the first request: an error may be about the second alone.
                match self.post_bird_once(message, timeout.saturating_sub(started.elapsed())).await {
                    Ok(answer) if answer.status.is_success() => judge_bird(&answer),
                    _ => Err(unknown),
                }
            }
            settled => settled,
        }
    }

    async fn post_bird_once(&self, message: &TextMessage, timeout: Duration) -> Result<Answer, Failure> {
        let MessageBirdConfig { access_key, from, base_url, .. } = &self.config;
        let request = self
            .http
            .post(format!("{}/v1/sms/messages", base_url.as_str()))
            .bearer_auth(access_key.expose())
            .header("Idempotency-Key", &message.reference)
            .json(&json!({
                "to": message.to.as_e164(),
                "from": from.with_plus(),
                "text": message.body,
                "category": "authentication",
                "metadata": {"reference": message.reference},
            }));
        exchange(request, timeout).await
    }
}

impl SmsGateway for MessageBird {
    fn provider(&self) -> Provider {
        Provider::MessageBird
    }

    fn send<'a>(&'a self, message: &'a TextMessage, timeout: Duration) -> BoxFuture<'a, Result<String, Failure>> {
        match self.config.api {
            MessageBirdApi::Classic => Box::pin(self.post_classic(message, timeout)),
            MessageBirdApi::Bird => Box::pin(self.post_bird(message, timeout)),
        }
    }
}

/// A message of the classic API, with what became of it for each recipient so far.
#[derive(Deserialize)]
struct ClassicMessage {
    id: Option<String>,
    #[serde(default)]
    recipients: Option<Recipients>,
}

#[derive(Deserialize)]
struct Recipients {
    #[serde(default)]
    items: Vec<Recipient>,
}

#[derive(Deserialize)]
struct Recipient {
    status: String,
    #[serde(rename = "statusErrorCode", default)]
    error_code: Option<u32>,
}

impl Recipient {
    /// Why the message will not come, where that is certain already (developers.messagebird.com, SMS status reports).
    fn refusal(&self) -> Option<Failure> {
        if !matches!(&*self.status, "delivery_failed" | "expired") {
            return None;
        }
        let class = match self.error_code {
            Some(1) => FailureClass::InvalidNumber,
            Some(9 | 11) => FailureClass::NotMobile,
            Some(13 | 103) => FailureClass::OptedOut,
            _ => FailureClass::Rejected,
        };
        Some(match self.error_code {
            Some(code) => Failure::with_code(class, format_args!("{}:{code}", self.status)),
            None => Failure::with_code(class, &self.status),
        })
    }
}

#[derive(Deserialize)]
struct Refused {
    errors: Vec<ClassicError>,
}

#[derive(Deserialize)]
struct ClassicError {
    code: u32,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameter: Option<String>,
}

pub(super) fn judge_classic(answer: &Answer) -> Result<String, Failure> {
    let errors = answer.json::<Refused>().map(|refused| refused.errors).unwrap_or_default();
    // What is wrong with the sender is wrong whatever else is.
    let of_sender = errors.iter().find(|error| error.class(answer.status) == FailureClass::SenderMisconfigured);
    if let Some(error) = of_sender.or_else(|| errors.first()) {
        let class = if answer.is_inconclusive() { FailureClass::UnknownOutcome } else { error.class(answer.status) };
        return Err(Failure::with_code(class, error.code));
    }
    let message = answer.status.is_success().then(|| answer.json::<ClassicMessage>()).flatten();
    let message = message.ok_or_else(|| answer.unexplained())?;
    match message.recipients.iter().flat_map(|recipients| &recipients.items).find_map(Recipient::refusal) {
        Some(refusal) => Err(refusal),
        None => message_id(message.id).ok_or_else(|| answer.unexplained()),
    }
}

impl ClassicError {
    /// What the error codes of the classic API mean (developers.messagebird.com, API errors).
    fn class(&self, status: StatusCode) -> FailureClass {
        match self.code {
            2 => FailureClass::AuthFailed,
            9 | 10 => self.class_by_parameter(),
            20 | 21 => FailureClass::InvalidRequest,
            25 => FailureClass::InsufficientBalance,
            99 => FailureClass::UnknownOutcome,
            _ if status == StatusCode::UNAUTHORIZED => FailureClass::AuthFailed,
            _ if status == StatusCode::TOO_MANY_REQUESTS => FailureClass::RateLimited,
            _ => FailureClass::Rejected,
        }
    }

    fn class_by_parameter(&self) -> FailureClass {
        match self.parameter.as_deref() {
            Some("originator") => FailureClass::SenderMisconfigured,
            Some(parameter) if parameter.starts_with("recipient") => FailureClass::InvalidNumber,
            _ if self.description.as_deref().is_some_and(|text| text.contains("recipients found")) => FailureClass::InvalidNumber,
            _ => FailureClass::InvalidRequest,
        }
    }
}

/// Bird's error, in its envelope or without one.
#[derive(Deserialize)]
#[serde(untagged)]
enum BirdRefused {
    Wrapped { error: BirdError },
    Flat(BirdError),
}

#[derive(Deserialize)]
struct BirdError {
    code: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    param: Option<String>,
    #[serde(default)]
    details: Option<Vec<BirdDetail>>,
}

/// One field that is not as it should be.
#[derive(Deserialize)]
struct BirdDetail {
    #[serde(default)]
    param: String,
}

/// A message of Bird's, with what became of it so far.
#[derive(Deserialize)]
struct BirdMessage {
    id: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    last_error: Option<BirdLastError>,
}

#[derive(Deserialize)]
struct BirdLastError {
    code: String,
}

impl BirdMessage {
    /// Why the message will not come, where that is certain already.
    fn refusal(&self) -> Option<Failure> {
        let code = self.last_error.as_ref().map(|error| &*error.code);
        let class = code.and_then(class_of_bird_code).unwrap_or(FailureClass::Rejected);
        let class = match (&*self.status, code) {
            // A carrier's word, which says that nobody knows.
            ("undelivered", Some("unknown" | "unreachable")) => FailureClass::UnknownOutcome,
            ("rejected" | "failed" | "canceled" | "expired" | "undelivered", _) => class,
            _ => return None,
        };
        Some(match code {
            Some(code) => Failure::with_code(class, format_args!("{}:{code}", self.status)),
            None => Failure::with_code(class, &self.status),
        })
    }
}

pub(super) fn judge_bird(answer: &Answer) -> Result<String, Failure> {
    if answer.status.is_success() {
        let message = answer.json::<BirdMessage>().ok_or_else(|| answer.unexplained())?;
        return match message.refusal() {
            Some(refusal) => Err(refusal),
            None => message_id(message.id).ok_or_else(|| answer.unexplained()),
        };
    }
    let error = match answer.json::<BirdRefused>().ok_or_else(|| answer.unexplained())? {
        BirdRefused::Wrapped { error } | BirdRefused::Flat(error) => error,
    };
    let class = if answer.is_inconclusive() { FailureClass::UnknownOutcome } else { error.class(answer.status) };
    Err(Failure::with_code(class, error.name.as_deref().unwrap_or(&error.code)))
}

impl BirdError {
    /// What Bird's errors mean: by name where one tells more than the status, then by the field that is wrong. Of several fields
    /// the sender's counts.
    fn class(&self, status: StatusCode) -> FailureClass {
        if let Some(class) = class_of_bird_code(self.name.as_deref().unwrap_or(&self.code)) {
            return class;
        }
        let params = || self.param.iter().chain(self.details.iter().flatten().map(|detail| &detail.param));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FailureClass::AuthFailed,
            StatusCode::PAYMENT_REQUIRED => FailureClass::InsufficientBalance,
            StatusCode::TOO_MANY_REQUESTS => FailureClass::RateLimited,
            // The key is in use, or was used: a message with it exists.
            StatusCode::CONFLICT => FailureClass::UnknownOutcome,
            StatusCode::UNPROCESSABLE_ENTITY if params().any(|param| param == "from") => FailureClass::SenderMisconfigured,
            StatusCode::UNPROCESSABLE_ENTITY if params().any(|param| param == "to") => FailureClass::InvalidNumber,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                FailureClass::InvalidRequest
            }
            _ => FailureClass::Rejected,
        }
    }
}

/// What Bird's names mean, of errors and of what became of a message. `unknown`, `unreachable` and new ones are in none of them.
fn class_of_bird_code(code: &str) -> Option<FailureClass> {
    Some(match code {
        "SMSInvalidRecipient" | "invalid_destination" => FailureClass::InvalidNumber,
        "landline_unreachable" => FailureClass::NotMobile,
        "recipient_opted_out" | "blocked_by_recipient" => FailureClass::OptedOut,
        "blocked_by_carrier" | "content_rejected" => FailureClass::ContentFiltered,
        "blocked_by_fraud_protection" => FailureClass::FraudBlocked,
        "SMSSenderNotConfigured" | "SMSNoEligibleSender" | "SenderCategoryNotPermitted" | "sender_unregistered" => {
            FailureClass::SenderMisconfigured
        }
        "insufficient_balance" => FailureClass::InsufficientBalance,
        "provider_unavailable" => FailureClass::RateLimited,
        _ => return None,
    })
}
