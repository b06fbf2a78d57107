//! Twilio Programmable Messaging, the Messages API of 2010-04-01.
//!
//! It has neither an idempotency key nor a client reference. An answer echoes the text.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::{
    gateway::{BoxFuture, SmsGateway},
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

pub(super) fn judge(answer: &Answer) -> Result<String, Failure> {
    if answer.is_inconclusive() {
        let code = answer.json::<Refused>();
        return Err(
            code.map_or_else(|| answer.unexplained(), |refused| Failure::with_code(FailureClass::UnknownOutcome, refused.code))
        );
    }
    if answer.status.is_success() {
        let accepted = answer.json::<Accepted>().ok_or_else(|| answer.unexplained())?;
        let class = accepted.error_code.and_then(class_of).unwrap_or(FailureClass::Rejected);
        let refused = match accepted.status.as_deref() {
            // Twilio gave it up before it left.
            Some("failed" | "canceled") if class == FailureClass::UnknownOutcome => FailureClass::Rejected,
            // Or a carrier did, unless the code says that nobody knows.
            Some("failed" | "canceled" | "undelivered") => class,
            _ => return message_id(accepted.sid).ok_or_else(|| answer.unexplained()),
        };
        let code = accepted.error_code.map_or_else(|| accepted.status.unwrap_or_default(), |code| code.to_string());
        return Err(Failure::with_code(refused, code));
    }
    let refused = answer.json::<Refused>().ok_or_else(|| answer.unexplained())?;
    let class = class_of(refused.code).unwrap_or(match answer.status {
        StatusCode::UNAUTHORIZED => FailureClass::AuthFailed,
        StatusCode::TOO_MANY_REQUESTS => FailureClass::RateLimited,
        _ => FailureClass::Rejected,
    });
    Err(Failure::with_code(class, refused.code))
}

/// What Twilio's error codes mean (twilio.com/docs/api/errors). Twilio adds codes and splits old ones: an unknown one is not an error of ours.
const fn class_of(code: u32) -> Option<FailureClass> {
    Some(match code {
        21211 | 21217 | 21265 | 21266 | 21268 | 21401 | 21604 | 30005 | 30014 => FailureClass::InvalidNumber,
        21614 | 21635 | 30006 => FailureClass::NotMobile,
        21610 | 30004 => FailureClass::OptedOut,
        21219 | 21608 | 572_002 | 572_005 => FailureClass::RecipientNotVerified,
        21408 => FailureClass::CountryNotPermitted,
        // No route between these two numbers: it says nothing about the country.
        21612 => FailureClass::Rejected,
        10002
        | 21210
        | 21212
        | 21213
        | 21264
        | 21267
        | 21407
        | 21601
        | 21603
        | 21606
        | 21607
        | 21616
        | 21657
        | 21659..=21661
        | 21701..=21729
        | 21910
        | 30018
        | 30024
        | 30032..=30035
        | 30124
        | 30127 => FailureClass::SenderMisconfigured,
        20003 | 20006 | 20008 | 20010 | 20101..=20107 | 20151..=20160 | 20403 | 20404 | 20423 | 30037 | 30112 => {
            FailureClass::AuthFailed
        }
        10001 | 20005 | 30002 | 90010 => FailureClass::InsufficientBalance,
        14107 | 20429 | 21611 | 30001 | 30022 | 30023 | 30027 | 63038 => FailureClass::RateLimited,
        20500 | 20503 | 21730 | 30003 | 30008 | 30017 | 30020 | 30021 | 30410 => FailureClass::UnknownOutcome,
        21618 | 30007 | 30019 | 30038 => FailureClass::ContentFiltered,
        30450 | 30453 => FailureClass::FraudBlocked,
        20001
        | 20004
        | 20413
        | 20422
        | 20426
        | 21602
        | 21605
        | 21609
        | 21617
        | 21620
        | 21623
        | 21624
        | 21626
        | 21627
        | 21652..=21656
        | 21658
        | 30010
        | 30012
        | 30013
        | 30015
        | 30016
        | 30028..=30031 => FailureClass::InvalidRequest,
        _ => return None,
    })
}
