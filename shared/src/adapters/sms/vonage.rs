//! Vonage SMS API.
//!
//! It answers 200 whatever happened: the status of each part of the message says what did.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::{
    gateway::{BoxFuture, SmsGateway},
    rest::{Answer, digits, exchange, message_id},
};
use crate::{
    config::sms::VonageConfig,
    domain::{
        FailureClass, Provider, TextMessage,
        message::{delivery::Failure, gsm7::gsm7_septets},
    },
};

/// Milliseconds that Vonage may keep a message in its queue.
const MIN_TTL: u128 = 20_000;
const MAX_TTL: u128 = 604_800_000;

/// Sends with one Vonage account.
pub struct Vonage {
    http: reqwest::Client,
    config: VonageConfig,
}

impl Vonage {
    /// A gateway to the account that `config` names.
    pub const fn new(http: reqwest::Client, config: VonageConfig) -> Self {
        Self { http, config }
    }

    async fn post(&self, message: &TextMessage, timeout: Duration) -> Result<String, Failure> {
        let VonageConfig { api_key, api_secret, from, base_url } = &self.config;
        let ttl = message.valid_for.as_millis().clamp(MIN_TTL, MAX_TTL).to_string();
        // Without the flag a character outside GSM-7 arrives as a question mark; with it, a message that does not need it costs
        // more segments.
        let kind = if gsm7_septets(&message.body).is_some() { "text" } else { "unicode" };
        let request =
            self.http.post(format!("{}/sms/json", base_url.as_str())).basic_auth(api_key, Some(api_secret.expose())).form(&[
                ("from", from.without_plus()),
                ("to", digits(message)),
                ("text", &message.body),
                ("type", kind),
                ("ttl", &ttl),
                ("client-ref", &message.reference),
            ]);
        judge(&exchange(request, timeout).await?)
    }
}

impl SmsGateway for Vonage {
    fn provider(&self) -> Provider {
        Provider::Vonage
    }

    fn send<'a>(&'a self, message: &'a TextMessage, timeout: Duration) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(self.post(message, timeout))
    }
}

#[derive(Deserialize)]
struct Parts {
    messages: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    status: String,
    #[serde(rename = "message-id")]
    message_id: Option<String>,
    #[serde(rename = "error-text", default)]
    error_text: String,
}

pub(super) fn judge(answer: &Answer) -> Result<String, Failure> {
    if answer.status == StatusCode::UNAUTHORIZED {
        return Err(Failure::with_code(FailureClass::AuthFailed, "http_401"));
    }
    if answer.status != StatusCode::OK {
        return Err(answer.unexplained());
    }
    let parts = answer.json::<Parts>().ok_or_else(|| answer.unexplained())?.messages;
    // Parts fail separately: one that was taken is a message on its way.
    if let Some(taken) = parts.iter().find(|part| part.status == "0") {
        return message_id(taken.message_id.clone()).ok_or_else(|| answer.unexplained());
    }
    let refused = parts.iter().find(|part| part.class() == FailureClass::UnknownOutcome).or_else(|| parts.first());
    let refused = refused.ok_or_else(|| answer.unexplained())?;
    Err(Failure::with_code(refused.class(), &refused.status))
}

impl Part {
    /// What a status other than 0 means (developer.vonage.com, SMS API, error codes).
    fn class(&self) -> FailureClass {
        match &*self.status {
            "1" | "10" => FailureClass::RateLimited,
            "2" | "3" if self.names_the_sender() => FailureClass::SenderMisconfigured,
            "3" if self.names_the_recipient() => FailureClass::InvalidNumber,
            // 6 is also said of a prefix that Vonage does not know.
            "6" | "33" => FailureClass::InvalidNumber,
            "2" | "3" | "12" | "22" | "23" => FailureClass::InvalidRequest,
            "4" | "8" | "11" | "14" | "32" => FailureClass::AuthFailed,
            "5" => FailureClass::UnknownOutcome,
            "7" => FailureClass::OptedOut,
            "9" => FailureClass::InsufficientBalance,
            "15" => FailureClass::SenderMisconfigured,
            "29" => FailureClass::RecipientNotVerified,
            status if !status.is_empty() && status.bytes().all(|byte| byte.is_ascii_digit()) => FailureClass::Rejected,
            _ => FailureClass::UnknownOutcome,
        }
    }

    fn words(&self) -> Vec<&str> {
        self.error_text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect()
    }

    fn names_the_sender(&self) -> bool {
        self.words().contains(&"from")
    }

    /// Whether `to` is there as a parameter, and not as a word of English.
    fn names_the_recipient(&self) -> bool {
        let words = self.words();
        let follows = |[before, word]: [&str; 2]| matches!(before, "param" | "parameter") && word == "to";
        let precedes =
            |[word, after]: [&str; 2]| word == "to" && matches!(after, "param" | "parameter" | "address" | "number" | "is");
        words == ["to"] || words.array_windows().any(|pair| follows(*pair) || precedes(*pair))
    }
}
