//! Refusals: the one place that maps what went wrong to a status, a code and headers (RFC 9457). The words are in `words`.

use std::{borrow::Cow, time::Duration};

use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

mod words;

use super::{
    auth::AuthError,
    response::{self, Response},
};
use crate::{
    config::Environment,
    domain::{
        PhoneNumberError, Policy, Purpose, Refusal, message::delivery::DeliveryReason, sms::send_window::SendLimit,
        timestamp::secs_ceil,
    },
    use_cases::Failure,
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// When to come back after a 503.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a request was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The body cannot be understood.
    InvalidRequest {
        /// What is wrong, field by field.
        errors: Vec<FieldError>,
    },
    /// The phone number cannot be enrolled.
    PhoneNumber(PhoneNumberError),
    /// It is not known who is calling.
    Unauthorized {
        /// What the client may act on.
        reason: UnauthorizedReason,
        /// Exactly why, as half a sentence about the token; `None` where clients are not told.
        explanation: Option<&'static str>,
    },
    /// There is no such path.
    NotFound,
    /// The path does not know this method.
    MethodNotAllowed {
        /// The methods that it knows, for the `Allow` header.
        allow: String,
    },
    /// The body has more than 4 KiB.
    PayloadTooLarge,
    /// The body is not declared to be JSON.
    UnsupportedMediaType,
    /// The state of the second factor forbids it.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The limit that was reached, if it was a send limit.
        quota: Option<Quota>,
    },
    /// Every provider refused the message, or failed.
    DeliveryFailed(DeliveryReason),
    /// There is no provider, and the service runs in production.
    SmsNotConfigured,
    /// Storage, secrets or keys cannot be reached.
    Unavailable,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name; `body` if it is the body as a whole.
    pub field: &'static str,
    /// What is wrong with it, as a sentence for a person.
    pub detail: Cow<'static, str>,
}

/// A send limit, as `RateLimit-Policy` states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The limit's name.
    pub limit: SendLimit,
    /// Sends that a window holds.
    pub sends: u16,
    /// The length of the window.
    pub window: Duration,
}

/// Why it is not known who is calling, as far as every client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnauthorizedReason {
    /// There are no credentials.
    Missing,
    /// The token's time is over: a new one will do.
    Expired,
    /// The credentials are no good.
    Invalid,
}

impl UnauthorizedReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
        }
    }
}

impl From<PhoneNumberError> for Problem {
    fn from(error: PhoneNumberError) -> Self {
        Self::PhoneNumber(error)
    }
}

impl Problem {
    /// The problem of a request whose caller is not known. Only developers are told exactly why: for an attacker it would be a hint.
    pub const fn from_auth(error: AuthError, environment: Environment) -> Self {
        let (reason, explanation) = match error {
            AuthError::Missing => (UnauthorizedReason::Missing, None),
            AuthError::Expired => (UnauthorizedReason::Expired, None),
            AuthError::Invalid(why) => match environment {
                Environment::Development => (UnauthorizedReason::Invalid, Some(why)),
                Environment::Production => (UnauthorizedReason::Invalid, None),
            },
            AuthError::KeysUnavailable => return Self::Unavailable,
        };
        Self::Unauthorized { reason, explanation }
    }

    /// The problem that a request which was not granted is. The policy tells which limit a refused send ran into.
    pub fn from_failure(failure: Failure, policy: &Policy) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::refused(refusal, policy),
            Failure::DeliveryFailed(reason) => Self::DeliveryFailed(reason),
            Failure::SmsNotConfigured => Self::SmsNotConfigured,
            Failure::Unavailable => Self::Unavailable,
        }
    }

    fn refused(refusal: Refusal, policy: &Policy) -> Self {
        let quota = match refusal {
            Refusal::RateLimited { limit, .. } => {
                let (sends, window) = match limit {
                    SendLimit::Cooldown => (1, policy.sms_cooldown),
                    SendLimit::User | SendLimit::Number => (policy.sms_max_per_window, policy.sms_window),
                    SendLimit::Address => (policy.sms_max_per_ip, policy.sms_window),
                    SendLimit::Refused => (policy.sms_max_refused, policy.sms_window),
                };
                Some(Quota { limit, sends, window })
            }
            Refusal::InvalidCode { .. }
            | Refusal::CodeExpired
            | Refusal::CodeSuperseded { .. }
            | Refusal::WrongPurpose { .. }
            | Refusal::VerificationRequired
            | Refusal::NoPendingVerification
            | Refusal::AlreadyEnabled
            | Refusal::NotEnabled
            | Refusal::CountryNotAllowed
            | Refusal::NoSms
            | Refusal::TooManyAttempts
            | Refusal::Locked { .. }
            | Refusal::FactorDisabled => None,
        };
        Self::Refused { refusal, quota }
    }

    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::InvalidRequest { .. } | Self::PhoneNumber(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused { refusal, .. } => match refusal {
                Refusal::InvalidCode { .. }
                | Refusal::CodeExpired
                | Refusal::CodeSuperseded { .. }
                | Refusal::CountryNotAllowed
                | Refusal::NoSms => StatusCode::BAD_REQUEST,
                Refusal::VerificationRequired | Refusal::FactorDisabled => StatusCode::FORBIDDEN,
                Refusal::NoPendingVerification | Refusal::WrongPurpose { .. } | Refusal::AlreadyEnabled | Refusal::NotEnabled => {
                    StatusCode::CONFLICT
                }
                Refusal::RateLimited { .. } | Refusal::TooManyAttempts | Refusal::Locked { .. } => StatusCode::TOO_MANY_REQUESTS,
            },
            Self::DeliveryFailed(_) => StatusCode::BAD_GATEWAY,
            Self::SmsNotConfigured | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The problem's stable name: `code` of the document, and the outcome in the log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest { .. } => "invalid_request",
            Self::PhoneNumber(PhoneNumberError::NotE164 | PhoneNumberError::NoSuchNumber) => "invalid_phone_number",
            Self::PhoneNumber(PhoneNumberError::CountryNotAllowed | PhoneNumberError::NoSms) => "phone_number_not_allowed",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Refused { refusal, .. } => refusal.code(),
            Self::DeliveryFailed(_) => "sms_delivery_failed",
            Self::SmsNotConfigured => "sms_not_configured",
            Self::Unavailable => "service_unavailable",
        }
    }

    /// Which of the situations of its code this is, so that a client can act without reading `detail`; `None` where there is one.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorized { reason, .. } => Some(reason.as_str()),
            Self::PhoneNumber(error) => Some(match error {
                PhoneNumberError::NotE164 => "format",
                PhoneNumberError::NoSuchNumber => "no_such_number",
                PhoneNumberError::CountryNotAllowed => "country",
                PhoneNumberError::NoSms => "line_type",
            }),
            Self::Refused { refusal: Refusal::CountryNotAllowed, .. } => Some("country"),
            Self::Refused { refusal: Refusal::NoSms, .. } => Some("line_type"),
            Self::Refused { refusal: Refusal::RateLimited { limit, .. }, .. } => Some(limit.as_str()),
            Self::DeliveryFailed(reason) => Some(reason.as_str()),
            Self::InvalidRequest { .. }
            | Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::Refused { .. }
            | Self::SmsNotConfigured
            | Self::Unavailable => None,
        }
    }

    /// The purpose of the live code, where that is what the caller has to know.
    const fn purpose(&self) -> Option<Purpose> {
        match self {
            Self::Refused { refusal: Refusal::CodeSuperseded { live } | Refusal::WrongPurpose { live }, .. } => Some(*live),
            _ => None,
        }
    }

    /// How long to wait before trying again, if waiting helps.
    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { refusal: Refusal::RateLimited { retry_after, .. } | Refusal::Locked { retry_after, .. }, .. } => {
                Some(*retry_after)
            }
            Self::SmsNotConfigured | Self::Unavailable => Some(UNAVAILABLE_RETRY_AFTER),
            Self::InvalidRequest { .. }
            | Self::PhoneNumber(_)
            | Self::Unauthorized { .. }
            | Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::Refused { .. }
            | Self::DeliveryFailed(_) => None,
        }
    }

    /// The answer.
    pub fn into_response(self, request_id: &str) -> Response {
        let retry_after = self.retry_after().map(|wait| secs_ceil(wait).max(1));
        let document = Document {
            kind: format!("urn:2fa:problem:{}", self.code()),
            title: self.title(),
            status: self.status().as_u16(),
            detail: self.detail(),
            code: self.code(),
            request_id,
            errors: if let Self::InvalidRequest { errors } = &self { Some(errors) } else { None },
            attempts_remaining: if let Self::Refused { refusal: Refusal::InvalidCode { attempts_remaining }, .. } = &self {
                *attempts_remaining
            } else {
                None
            },
            purpose: self.purpose().map(Purpose::as_str),
            retry_after: retry_after.filter(|_| self.status() == StatusCode::TOO_MANY_REQUESTS),
            reason: self.reason(),
        };
        let mut response = response::json(self.status(), "application/problem+json", &document, request_id);
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let mut insert = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        match &self {
            Self::Unauthorized { reason: UnauthorizedReason::Missing, .. } => insert(WWW_AUTHENTICATE, "Bearer"),
            Self::Unauthorized { reason: UnauthorizedReason::Expired | UnauthorizedReason::Invalid, .. } => {
                insert(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
            }
            Self::MethodNotAllowed { allow } => insert(ALLOW, allow),
            Self::Refused { quota: Some(quota), .. } => {
                // Structured fields of draft-ietf-httpapi-ratelimit-headers: q(uota) in w(indow); r(emaining) until t(ime).
                let name = quota.limit.as_str();
                insert(RATE_LIMIT_POLICY, &format!("\"{name}\";q={};w={}", quota.sends, secs_ceil(quota.window)));
                insert(RATE_LIMIT, &format!("\"{name}\";r=0;t={}", retry_after.unwrap_or(0)));
            }
            Self::InvalidRequest { .. }
            | Self::PhoneNumber(_)
            | Self::NotFound
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::Refused { quota: None, .. }
            | Self::DeliveryFailed(_)
            | Self::SmsNotConfigured
            | Self::Unavailable => {}
        }
        response
    }
}

/// A problem document (RFC 9457, 3.1) with the extension members of the contract.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a Vec<FieldError>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_remaining: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FAR: Duration = Duration::from_millis(89_001);

    fn refused(refusal: Refusal) -> Problem {
        Problem::from_failure(Failure::Refused(refusal), &Policy::default())
    }

    fn limited(limit: SendLimit) -> Problem {
        refused(Refusal::RateLimited { limit, retry_after: FAR })
    }

    /// The headers that only this problem has, and the document.
    fn answered(problem: Problem) -> (Value, Value) {
        let response = problem.into_response("r-1");
        let common = ["content-type", "cache-control", "x-content-type-options", "x-request-id"];
        let names = response.headers().keys().filter(|name| !common.contains(&name.as_str()));
        let headers = names.map(|name| (name.to_string(), response.headers()[name].to_str().unwrap().into())).collect();
        (Value::Object(headers), serde_json::from_str(response.body()).unwrap())
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "it is one table")]
    fn every_problem_has_the_status_code_extras_and_headers_of_the_contract() {
        let unknown = |error| Problem::from_auth(error, Environment::Production);
        let challenge = |challenge: &str| json!({"www-authenticate": challenge});
        let reason = |reason: &str| json!({"reason": reason});
        let rate = |name: &str, policy: &str| {
            json!({"retry-after": "90", "ratelimit-policy": format!("\"{name}\";{policy}"),
                "ratelimit": format!("\"{name}\";r=0;t=90")})
        };
        let limit = |limit, name: &str, policy| {
            let extras = json!({"retry_after": 90, "reason": name});
            (limited(limit), 429, "rate_limited", extras, rate(name, policy))
        };
        let errors = vec![FieldError { field: "code", detail: "This field is required.".into() }];
        let soon = json!({"retry-after": "5"});
        for (problem, status, code, extras, headers) in [
            (
                Problem::InvalidRequest { errors },
                400,
                "invalid_request",
                json!({"errors": [{"field": "code", "detail": "This field is required."}]}),
                json!({}),
            ),
            (PhoneNumberError::NotE164.into(), 400, "invalid_phone_number", reason("format"), json!({})),
            (PhoneNumberError::NoSuchNumber.into(), 400, "invalid_phone_number", reason("no_such_number"), json!({})),
            (
                PhoneNumberError::CountryNotAllowed.into(),
                400,
                "phone_number_not_allowed",
                json!({"reason": "country"}),
                json!({}),
            ),
            (refused(Refusal::CountryNotAllowed), 400, "phone_number_not_allowed", json!({"reason": "country"}), json!({})),
            (refused(Refusal::NoSms), 400, "phone_number_not_allowed", json!({"reason": "line_type"}), json!({})),
            (PhoneNumberError::NoSms.into(), 400, "phone_number_not_allowed", json!({"reason": "line_type"}), json!({})),
            (
                refused(Refusal::InvalidCode { attempts_remaining: Some(4) }),
                400,
                "invalid_code",
                json!({"attempts_remaining": 4}),
                json!({}),
            ),
            (refused(Refusal::InvalidCode { attempts_remaining: None }), 400, "invalid_code", json!({}), json!({})),
            (refused(Refusal::CodeExpired), 400, "code_expired", json!({}), json!({})),
            (
                refused(Refusal::CodeSuperseded { live: Purpose::SignIn }),
                400,
                "code_superseded",
                json!({"purpose": "sign_in"}),
                json!({}),
            ),
            (
                refused(Refusal::WrongPurpose { live: Purpose::Enroll }),
                409,
                "wrong_purpose",
                json!({"purpose": "enroll"}),
                json!({}),
            ),
            (unknown(AuthError::Missing), 401, "unauthorized", reason("missing"), challenge("Bearer")),
            (unknown(AuthError::Expired), 401, "unauthorized", reason("expired"), challenge("Bearer error=\"invalid_token\"")),
            (
                unknown(AuthError::Invalid("x")),
                401,
                "unauthorized",
                reason("invalid"),
                challenge("Bearer error=\"invalid_token\""),
            ),
            (unknown(AuthError::KeysUnavailable), 503, "service_unavailable", json!({}), soon.clone()),
            (refused(Refusal::VerificationRequired), 403, "verification_required", json!({}), json!({})),
            (refused(Refusal::FactorDisabled), 403, "factor_disabled", json!({}), json!({})),
            (Problem::NotFound, 404, "not_found", json!({}), json!({})),
            (Problem::MethodNotAllowed { allow: "POST".into() }, 405, "method_not_allowed", json!({}), json!({"allow": "POST"})),
            (refused(Refusal::NoPendingVerification), 409, "no_pending_verification", json!({}), json!({})),
            (refused(Refusal::AlreadyEnabled), 409, "already_enabled", json!({}), json!({})),
            (refused(Refusal::NotEnabled), 409, "not_enabled", json!({}), json!({})),
            (Problem::PayloadTooLarge, 413, "payload_too_large", json!({}), json!({})),
            (Problem::UnsupportedMediaType, 415, "unsupported_media_type", json!({}), json!({})),
            limit(SendLimit::Cooldown, "cooldown", "q=1;w=30"),
            limit(SendLimit::User, "user", "q=5;w=3600"),
            limit(SendLimit::Number, "number", "q=5;w=3600"),
            limit(SendLimit::Address, "address", "q=20;w=3600"),
            limit(SendLimit::Refused, "refused", "q=10;w=3600"),
            (refused(Refusal::TooManyAttempts), 429, "too_many_attempts", json!({}), json!({})),
            (
                refused(Refusal::Locked { retry_after: FAR, has_backup_codes: true }),
                429,
                "locked",
                json!({"retry_after": 90}),
                json!({"retry-after": "90"}),
            ),
            (
                Problem::DeliveryFailed(DeliveryReason::OptedOut),
                502,
                "sms_delivery_failed",
                json!({"reason": "opted_out"}),
                json!({}),
            ),
            (Problem::SmsNotConfigured, 503, "sms_not_configured", json!({}), soon.clone()),
            (Problem::Unavailable, 503, "service_unavailable", json!({}), soon),
        ] {
            let (answered_headers, mut document) = answered(problem);
            assert_eq!(answered_headers, headers, "{code}");
            let members = document.as_object_mut().unwrap();
            for text in ["title", "detail"] {
                let text = members.remove(text).unwrap();
                assert!(!text.as_str().unwrap().is_empty(), "{code}");
            }
            let mut expected = extras;
            expected["type"] = format!("urn:2fa:problem:{code}").into();
            expected["status"] = status.into();
            expected["code"] = code.into();
            expected["request_id"] = "r-1".into();
            assert_eq!(document, expected);
        }
    }

    #[test]
    fn details_tell_a_person_what_to_do() {
        let unknown = Problem::from_auth;
        for (problem, detail) in [
            (refused(Refusal::InvalidCode { attempts_remaining: Some(1) }), "The code is wrong. 1 attempt is left."),
            (refused(Refusal::InvalidCode { attempts_remaining: Some(0) }), "The code is wrong. No attempts are left."),
            (limited(SendLimit::Cooldown), "You can ask for another text message in 90 seconds."),
            (
                refused(Refusal::Locked { retry_after: FAR, has_backup_codes: true }),
                "Too many wrong codes were entered. Codes sent by text message work again in 90 seconds. A backup code works now.",
            ),
            (
                refused(Refusal::Locked { retry_after: FAR, has_backup_codes: false }),
                "Too many wrong codes were entered. Codes sent by text message work again in 90 seconds.",
            ),
            (
                refused(Refusal::WrongPurpose { live: Purpose::SignIn }),
                "The code that was sent last is for signing in. Ask for one for what you want to do.",
            ),
            (Problem::MethodNotAllowed { allow: "POST, GET".into() }, "Use one of these methods here: POST, GET."),
            (unknown(AuthError::Expired, Environment::Production), "The access token has expired. Sign in again."),
            (unknown(AuthError::Invalid("it is late"), Environment::Production), "The access token is not valid. Sign in again."),
            (unknown(AuthError::Invalid("it is late"), Environment::Development), "The access token is not valid: it is late."),
        ] {
            assert_eq!(answered(problem).1["detail"], detail);
        }
    }

    #[test]
    fn a_wait_of_nothing_is_told_as_a_second_because_zero_would_say_at_once() {
        let (headers, document) = answered(refused(Refusal::Locked { retry_after: Duration::ZERO, has_backup_codes: false }));
        assert_eq!((&headers["retry-after"], &document["retry_after"]), (&json!("1"), &json!(1)));
    }
}
