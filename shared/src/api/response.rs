//! Answers: the bodies of the contract, and the headers that every answer carries.

use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;

use crate::{
    domain::{Answer, BackupCode, PhoneNumber, Timestamp, account::Status, audit::Method, timestamp::secs_ceil},
    use_cases::Granted,
};

/// An answer to a client. Its body is text: JSON, each time.
pub type Response = http::Response<String>;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a granted request answers, with the signed assertion of it, if there is one. A code is in it only where there is no provider to
/// send it, in development (S22).
pub fn granted(granted: &Granted, assertion: Option<String>, request_id: &str) -> Response {
    match &granted.answer {
        Answer::CodeSent { purpose, phone, expires_in, resend_in, sends_remaining } => {
            let warning = granted
                .development_code
                .as_ref()
                .map(|code| format!("SMS service not configured. For development, use code: {}", code.expose()));
            ok(
                &CodeSent {
                    method: "sms",
                    purpose: purpose.as_str(),
                    phone_number_masked: phone.masked(),
                    expires_in: secs_ceil(*expires_in),
                    resend_in: secs_ceil(*resend_in),
                    sends_remaining: *sends_remaining,
                    warning,
                },
                request_id,
            )
        }
        Answer::Bound { purpose, phone, backup_codes } => ok(
            &CodeAccepted {
                verified: true,
                enabled: true,
                method: Method::Sms.as_str(),
                purpose: purpose.as_str(),
                phone_number_masked: Some(phone.masked()),
                failed_attempts: None,
                last_failed_at: None,
                backup_codes_remaining: None,
                backup_codes: Some(shown(backup_codes)),
                assertion: None,
            },
            request_id,
        ),
        Answer::Confirmed { purpose, accepted, backup_codes_remaining, backup_codes } => ok(
            &CodeAccepted {
                verified: true,
                enabled: true,
                method: accepted.method.as_str(),
                purpose: purpose.as_str(),
                phone_number_masked: None,
                failed_attempts: Some(accepted.failed_attempts),
                last_failed_at: accepted.last_failed_at.map(Timestamp::to_rfc3339),
                backup_codes_remaining: match accepted.method {
                    Method::Sms => None,
                    Method::BackupCode => Some(*backup_codes_remaining),
                },
                backup_codes: backup_codes.as_deref().map(shown),
                assertion,
            },
            request_id,
        ),
        Answer::Disabled => ok(&Disabled { enabled: false }, request_id),
        Answer::Done => ok(&Nothing {}, request_id),
    }
}

/// Where the user stands.
pub fn status(status: &Status, request_id: &str) -> Response {
    let active = status.active.as_ref();
    ok(
        &StatusBody {
            enabled: active.is_some(),
            method: active.map(|_| "sms"),
            phone_number_masked: active.map(|active| active.phone.masked()),
            enabled_at: active.map(|active| active.enabled_at).map(Timestamp::to_rfc3339),
            backup_codes_remaining: status.backup_codes_remaining,
            factor_disabled: status.factor_disabled,
            locked_for: secs_ceil(status.locked_for),
            pending: status.pending.is_some(),
            pending_phone_number_masked: status.pending.as_ref().map(PhoneNumber::masked),
            live_code: status.live_code.map(|code| LiveCodeBody {
                purpose: code.purpose.as_str(),
                expires_in: secs_ceil(code.expires_in),
                attempts_remaining: code.attempts_remaining,
            }),
            sends_remaining: status.sends_remaining,
            resend_in: secs_ceil(status.resend_in),
        },
        request_id,
    )
}

/// What OPTIONS answers: the methods that the path takes, as an `Allow` header, and no content (RFC 9110, 9.3.7).
pub fn methods(allow: &str, request_id: &str) -> Response {
    let mut response = json(StatusCode::NO_CONTENT, "application/json", &(), request_id);
    response.body_mut().clear();
    response.headers_mut().remove(CONTENT_TYPE);
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// A document that anybody may read, and keep for an hour.
pub fn public(content_type: &'static str, document: &impl Serialize, request_id: &str) -> Response {
    let mut response = json(StatusCode::OK, content_type, document, request_id);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

fn ok(body: &impl Serialize, request_id: &str) -> Response {
    json(StatusCode::OK, "application/json", body, request_id)
}

/// An answer with the headers that every answer carries: no cache may store it, since it may hold codes (RFC 9111, 5.2.2.5), and no
/// browser may take it for anything but JSON.
pub(super) fn json(status: StatusCode, content_type: &'static str, body: &impl Serialize, request_id: &str) -> Response {
    let text = serde_json::to_string(body).unwrap_or_else(|_| "{}".to_owned());
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, request_id);
    }
    response
}

fn shown(codes: &[BackupCode]) -> Vec<String> {
    codes.iter().map(BackupCode::expose).collect()
}

#[derive(Serialize)]
struct CodeSent {
    method: &'static str,
    purpose: &'static str,
    phone_number_masked: String,
    expires_in: u64,
    resend_in: u64,
    sends_remaining: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize)]
struct CodeAccepted {
    verified: bool,
    enabled: bool,
    method: &'static str,
    purpose: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number_masked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_codes_remaining: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_codes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assertion: Option<String>,
}

#[derive(Serialize)]
struct Disabled {
    enabled: bool,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct StatusBody {
    enabled: bool,
    method: Option<&'static str>,
    phone_number_masked: Option<String>,
    enabled_at: Option<String>,
    backup_codes_remaining: usize,
    factor_disabled: bool,
    locked_for: u64,
    pending: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_phone_number_masked: Option<String>,
    live_code: Option<LiveCodeBody>,
    sends_remaining: u16,
    resend_in: u64,
}

#[derive(Serialize)]
struct LiveCodeBody {
    purpose: &'static str,
    expires_in: u64,
    attempts_remaining: u32,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{
        BackupCodes, Pepper, Proof, Purpose, UserId, account::LiveCode, decide::Accepted, phone_number::tests::number,
        sms::factor::ActivePhone,
    };

    fn body(response: &Response) -> Value {
        serde_json::from_str(response.body()).unwrap()
    }

    fn answered(answer: Answer) -> Value {
        body(&granted(&answer.into(), None, "r-1"))
    }

    fn backup_codes() -> Vec<BackupCode> {
        use rand::{SeedableRng, rngs::ChaCha12Rng};
        let (pepper, user) = (Pepper::new(&[1; 32]).unwrap(), UserId::parse("alice").unwrap());
        BackupCodes::issue(&pepper, &user, &mut ChaCha12Rng::seed_from_u64(1)).0
    }

    fn code_sent() -> Answer {
        Answer::CodeSent {
            purpose: Purpose::Enroll,
            phone: number("+14155551234"),
            expires_in: Duration::from_secs(300),
            resend_in: Duration::from_millis(29_001),
            sends_remaining: 4,
        }
    }

    #[test]
    fn a_sent_code_is_answered_with_the_masked_number_and_no_code_s22() {
        assert_eq!(
            answered(code_sent()),
            json!({"method": "sms", "purpose": "enroll", "phone_number_masked": "+1****1234", "expires_in": 300, "resend_in": 30,
                "sends_remaining": 4})
        );
    }

    #[test]
    fn in_development_the_code_is_in_the_warning() {
        let Ok(Proof::Sms(code)) = Proof::parse("012345") else { panic!("a code") };
        let granted_in_development = Granted { answer: code_sent(), development_code: Some(code) };
        assert_eq!(
            body(&granted(&granted_in_development, None, "r-1"))["warning"],
            "SMS service not configured. For development, use code: 012345"
        );
    }

    #[test]
    fn what_verify_answers_depends_on_what_was_verified() {
        let backup_codes = backup_codes();
        let shown: Vec<_> = backup_codes.iter().map(BackupCode::expose).collect();
        let bound =
            Answer::Bound { purpose: Purpose::Replace, phone: number("+14155551234"), backup_codes: backup_codes.clone() };
        assert_eq!(
            answered(bound),
            json!({"verified": true, "enabled": true, "method": "sms", "purpose": "replace", "phone_number_masked": "+1****1234",
                "backup_codes": shown})
        );
        let confirmed = |purpose, method, failed_attempts, backup_codes| Answer::Confirmed {
            purpose,
            accepted: Accepted {
                method,
                failed_attempts,
                last_failed_at: (failed_attempts > 0).then(|| Timestamp::from_millis(1_767_323_045_000)),
            },
            backup_codes_remaining: 9,
            backup_codes,
        };
        assert_eq!(
            answered(confirmed(Purpose::SignIn, Method::Sms, 0, None)),
            json!({"verified": true, "enabled": true, "method": "sms", "purpose": "sign_in", "failed_attempts": 0})
        );
        assert_eq!(
            answered(confirmed(Purpose::Confirm, Method::BackupCode, 3, None)),
            json!({"verified": true, "enabled": true, "method": "backup_code", "purpose": "confirm", "failed_attempts": 3,
                "last_failed_at": "2026-01-02T03:04:05Z", "backup_codes_remaining": 9})
        );
        assert_eq!(
            answered(confirmed(Purpose::Change, Method::Sms, 0, Some(backup_codes))),
            json!({"verified": true, "enabled": true, "method": "sms", "purpose": "change", "failed_attempts": 0,
                "backup_codes": shown})
        );
        assert_eq!(answered(Answer::Disabled), json!({"enabled": false}));
    }

    #[test]
    fn the_status_shows_what_there_is_and_null_where_there_is_nothing() {
        let off = Status {
            active: None,
            factor_disabled: false,
            backup_codes_remaining: 0,
            pending: None,
            locked_for: Duration::ZERO,
            live_code: None,
            sends_remaining: 5,
            resend_in: Duration::ZERO,
        };
        assert_eq!(
            body(&status(&off, "r-1")),
            json!({"enabled": false, "method": null, "phone_number_masked": null, "enabled_at": null,
                "backup_codes_remaining": 0, "factor_disabled": false, "locked_for": 0, "pending": false, "live_code": null,
                "sends_remaining": 5, "resend_in": 0})
        );
        let active = ActivePhone { phone: number("+14155551234"), enabled_at: Timestamp::from_millis(1_767_323_045_000) };
        let live = LiveCode { purpose: Purpose::SignIn, expires_in: Duration::from_millis(211_001), attempts_remaining: 5 };
        let all = Status {
            active: Some(active),
            factor_disabled: true,
            backup_codes_remaining: 10,
            pending: Some(number("+447400123456")),
            locked_for: Duration::from_secs(900),
            live_code: Some(live),
            sends_remaining: 4,
            resend_in: Duration::from_millis(17_500),
        };
        assert_eq!(
            body(&status(&all, "r-1")),
            json!({"enabled": true, "method": "sms", "phone_number_masked": "+1****1234",
                "enabled_at": "2026-01-02T03:04:05Z", "backup_codes_remaining": 10, "factor_disabled": true, "locked_for": 900,
                "pending": true, "pending_phone_number_masked": "+44****3456",
                "live_code": {"purpose": "sign_in", "expires_in": 212, "attempts_remaining": 5}, "sends_remaining": 4,
                "resend_in": 18})
        );
    }

    #[test]
    fn no_answer_may_be_stored_or_taken_for_anything_but_json() {
        let response = granted(&Answer::Disabled.into(), None, "r-1");
        let headers: Vec<_> = response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            headers,
            [
                ("content-type", "application/json"),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("x-request-id", "r-1")
            ]
        );
    }
}
