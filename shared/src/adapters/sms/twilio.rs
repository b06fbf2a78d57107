//! Twilio Programmable Messaging, the Messages API of 2010-04-01.
//!
//! It has neither an idempotency key nor a client reference. An answer echoes the text.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::{
    BoxFuture, SmsGateway,
    rest::{Answer, exchange, message_id},
};
use crate::{
    config::sms::{TwilioAuth, TwilioConfig, TwilioSender},
    domain::{FailureClass, Provider, TextMessage, message::delivery::Failure},
};

/// Seconds that Twilio may keep a message in its queue.
const MIN_VALIDITY: u64 = 1;
const MAX_VALIDITY: u64 = 36_000;

/// Sends with one Twilio account.
pub struct Twilio {
    http: reqwest::Client,
    config: TwilioConfig,
}

impl Twilio {
    /// A gateway to the account that `config` names.
    pub const fn new(http: reqwest::Client, config: TwilioConfig) -> Self {
        Self { http, config }
    }

    async fn post(&self, message: &TextMessage, timeout: Duration) -> Result<String, Failure> {
        let TwilioConfig { account_sid, auth, from, base_url } = &self.config;
        let (user, password) = match auth {
            TwilioAuth::ApiKey(sid, secret) => (sid, secret),
            TwilioAuth::AuthToken(token) => (account_sid, token),
        };
        let (sender_field, sender) = match from {
            TwilioSender::MessagingService(sid) => ("MessagingServiceSid", sid.clone()),
            TwilioSender::Number(number) => ("From", number.with_plus()),
        };
        let validity = message.valid_for.as_secs().clamp(MIN_VALIDITY, MAX_VALIDITY).to_string();
        let request = self
            .http
            .post(format!("{}/2010-04-01/Accounts/{account_sid}/Messages.json", base_url.as_str()))
            .basic_auth(user, Some(password.expose()))
            .form(&[
                ("To", message.to.as_e164()),
                (sender_field, &sender),
                ("Body", &message.body),
                ("ValidityPeriod", &validity),
            ]);
        judge(&exchange(request, timeout).await?)
    }
}

impl SmsGateway for Twilio {
    fn provider(&self) -> Provider {
        Provider::Twilio
    }

    fn send<'a>(&'a self, message: &'a TextMessage, timeout: Duration) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(self.post(message, timeout))
    }
}

#[derive(Deserialize)]
struct Accepted {
    sid: Option<String>,
    status: Option<String>,
    error_code: Option<u32>,
}

#[derive(Deserialize)]
struct Refused {
    code: u32,
}

fn judge(answer: &Answer) -> Result<String, Failure> {
    if answer.is_inconclusive() {
        let code = answer.json::<Refused>();
        return Err(
            code.map_or_else(|| answer.unexplained(), |refused| Failure::with_code(FailureClass::UnknownOutcome, refused.code))
        );
    }
    if answer.status.is_success() {
        let accepted = answer.json::<Accepted>().ok_or_else(|| answer.unexplained())?;
        return match (accepted.status.as_deref(), accepted.error_code) {
            (Some("failed" | "undelivered"), Some(code)) => {
                Err(Failure::with_code(class_of(code).unwrap_or(FailureClass::UnknownOutcome), code))
            }
            _ => message_id(accepted.sid).ok_or_else(|| answer.unexplained()),
        };
    }
    let refused = answer.json::<Refused>().ok_or_else(|| answer.unexplained())?;
    let class = class_of(refused.code).unwrap_or(match answer.status {
        StatusCode::UNAUTHORIZED => FailureClass::AuthFailed,
        StatusCode::TOO_MANY_REQUESTS => FailureClass::RateLimited,
        _ => FailureClass::Rejected,
    });
    Err(Failure::with_code(class, refused.code))
}

/// What Twilio's error codes mean (twilio.com/docs/api/errors). Twilio adds codes and splits old ones: an unknown one is no fault.
const fn class_of(code: u32) -> Option<FailureClass> {
    Some(match code {
        21211 | 21217 | 21265 | 21266 | 21268 | 21401 | 21604 | 30005 => FailureClass::InvalidNumber,
        21614 | 21635 | 30006 => FailureClass::NotMobile,
        21610 | 30004 => FailureClass::OptedOut,
        21408 | 21612 => FailureClass::CountryNotPermitted,
        10002
        | 21212
        | 21264
        | 21267
        | 21603
        | 21606
        | 21607
        | 21608
        | 21616
        | 21659..=21661
        | 21701..=21705
        | 21709
        | 21711
        | 30018
        | 30024
        | 30032..=30035 => FailureClass::SenderMisconfigured,
        20003 | 20006 | 20008 | 20404 => FailureClass::AuthFailed,
        10001 | 20005 | 30002 => FailureClass::InsufficientBalance,
        14107 | 20429 | 21611 | 30001 | 30022 | 30023 | 30027 | 63038 => FailureClass::RateLimited,
        20500 | 20503 | 21730 | 30003 | 30008 | 30017 | 30410 => FailureClass::UnknownOutcome,
        30007 | 30019 => FailureClass::ContentFiltered,
        30450 | 30453 => FailureClass::FraudBlocked,
        21602 | 21605 | 21609 | 21617 | 30010 => FailureClass::InvalidRequest,
        _ => return None,
    })
}
