//! Plivo, the Message API v1.
//!
//! Its errors are texts without codes, told apart by the HTTP status and, for 400, by a word in them. Where the balance is used
//! up, it takes a first message and fails it later.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    gateway::{BoxFuture, SmsGateway},
    rest::{Answer, digits, exchange, message_id},
};
use crate::{
    config::sms::{PlivoConfig, PlivoSender},
    domain::{FailureClass, Provider, TextMessage, message::delivery::Failure},
};

/// Seconds that Plivo may keep a message in its queue.
const MIN_EXPIRY: u64 = 5;
const MAX_EXPIRY: u64 = 10_800;

/// Sends with one Plivo account.
pub struct Plivo {
    http: reqwest::Client,
    config: PlivoConfig,
}

impl Plivo {
    /// A gateway to the account that `config` names.
    pub const fn new(http: reqwest::Client, config: PlivoConfig) -> Self {
        Self { http, config }
    }

    async fn post(&self, message: &TextMessage, timeout: Duration) -> Result<String, Failure> {
        let PlivoConfig { auth_id, auth_token, from, base_url } = &self.config;
        let (sender_field, sender) = match from {
            PlivoSender::Powerpack(uuid) => ("powerpack_uuid", &**uuid),
            PlivoSender::Number(number) => ("src", number.without_plus()),
        };
        let request = self
            .http
            .post(format!("{}/v1/Account/{auth_id}/Message/", base_url.as_str()))
            .basic_auth(auth_id, Some(auth_token.expose()))
            .json(&json!({
                sender_field: sender,
                // Digits alone: `<` between numbers would make it a message to several.
                "dst": digits(message),
                "text": message.body,
                "type": "sms",
                // Keeps the code out of Plivo's own logs.
                "log": false,
                "message_expiry": message.valid_for.as_secs().clamp(MIN_EXPIRY, MAX_EXPIRY),
            }));
        judge(&exchange(request, timeout).await?)
    }
}

impl SmsGateway for Plivo {
    fn provider(&self) -> Provider {
        Provider::Plivo
    }

    fn send<'a>(&'a self, message: &'a TextMessage, timeout: Duration) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(self.post(message, timeout))
    }
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    message_uuid: Vec<String>,
    /// A text as documented, or an object with texts in it.
    #[serde(default)]
    error: Value,
}

pub(super) fn judge(answer: &Answer) -> Result<String, Failure> {
    // Whatever is in it: with bad credentials nothing was taken.
    if answer.status == StatusCode::UNAUTHORIZED {
        return Err(Failure::with_code(FailureClass::AuthFailed, "http_401"));
    }
    let reply = answer.json::<Reply>().ok_or_else(|| answer.unexplained())?;
    if answer.is_inconclusive() {
        return Err(answer.unexplained());
    }
    if reply.error.is_null() {
        let id = if answer.status.is_success() { reply.message_uuid.into_iter().next() } else { None };
        return message_id(id).ok_or_else(|| answer.unexplained());
    }
    if answer.status.is_success() && !reply.message_uuid.is_empty() {
        return Err(Failure::with_code(FailureClass::UnknownOutcome, "partly_refused"));
    }
    let class = match answer.status {
        StatusCode::FORBIDDEN => FailureClass::CountryNotPermitted,
        StatusCode::TOO_MANY_REQUESTS => FailureClass::RateLimited,
        StatusCode::PAYMENT_REQUIRED => FailureClass::InsufficientBalance,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => FailureClass::InvalidRequest,
        _ => class_of(&reply.error.to_string()),
    };
    Err(Failure::with_code(class, format_args!("http_{}", answer.status.as_u16())))
}

/// What Plivo's words come to.
fn class_of(error: &str) -> FailureClass {
    let error = error.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if has(&["insufficient credit"]) {
        FailureClass::InsufficientBalance
    // The sender comes first: a text about it may name the destination that it is not allowed for.
    } else if has(&["src", "source", "caller id", "powerpack"]) {
        FailureClass::SenderMisconfigured
    } else if has(&["dst", "destination"]) {
        FailureClass::InvalidNumber
    } else {
        FailureClass::InvalidRequest
    }
}
