//! `MessageBird`: both APIs' requests, what their answers mean, and the one repetition that Bird's idempotency key allows.

use serde_json::{Value, json as value};
use two_factor::domain::FailureClass::{
    self, AuthFailed, ContentFiltered, FraudBlocked, InsufficientBalance, InvalidNumber, InvalidRequest, NotMobile, OptedOut,
    RateLimited, Rejected, SenderMisconfigured, UnknownOutcome,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::{PATIENCE, TEXT, bird, exchange, gateway, headers, json, message, messagebird, refusal};

const ACCEPTED: &str = r#"{"id":"f28bbe526fc14974b3e7e663a6139b53","direction":"mt","type":"sms","body":"...","recipients":
    {"totalCount":1,"totalSentCount":1,"items":[{"recipient":14155552345,"status":"sent","messagePartCount":1}]}}"#;
const BIRD_ACCEPTED: &str = r#"{"id":"sms_01hzy","status":"accepted","text":"**REDACTED**"}"#;

#[tokio::test]
async fn a_classic_message_is_one_json_post_with_validity_and_reference() {
    let (result, requests) = exchange(messagebird, json(201, ACCEPTED)).await;
    assert_eq!(result.unwrap(), "f28bbe526fc14974b3e7e663a6139b53");
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/messages"));
    assert_eq!(headers(request, &["authorization", "content-type"]), ["AccessKey live_s3cr3t", "application/json"]);
    let expected = value!({
        "originator": "15005550006",
        "recipients": ["14155552345"],
        "body": TEXT,
        "type": "sms",
        "datacoding": "auto",
        "validity": 300,
        "reference": "3f1c0ffee0ddba11",
    });
    assert_eq!(request.body_json::<Value>().unwrap(), expected);
}

#[tokio::test]
async fn each_classic_error_has_its_class() {
    let cases: &[(u16, u32, &str, &str, FailureClass)] = &[
        (401, 2, "Request not allowed (incorrect access_key)", r#""access_key""#, AuthFailed),
        (422, 9, "no (correct) recipients found", r#""recipients""#, InvalidNumber),
        (422, 9, "no (correct) recipients found", "null", InvalidNumber),
        (422, 9, "originator is required", r#""originator""#, SenderMisconfigured),
        (422, 9, "body is required", r#""body""#, InvalidRequest),
        (422, 10, "recipient is invalid", r#""recipient""#, InvalidNumber),
        (422, 10, "originator is invalid", r#""originator""#, SenderMisconfigured),
        (422, 10, "validity is invalid", r#""validity""#, InvalidRequest),
        (404, 20, "not found", "null", InvalidRequest),
        (400, 21, "Bad request", "null", InvalidRequest),
        (400, 25, "Not enough balance", "null", InsufficientBalance),
        (422, 25, "Not enough balance", "null", InsufficientBalance),
        (429, 77, "Too many requests", "null", RateLimited),
        (400, 99, "Internal error", "null", UnknownOutcome),
        (500, 99, "Internal error", "null", UnknownOutcome),
        (503, 9, "no (correct) recipients found", r#""recipients""#, UnknownOutcome),
        (422, 77, "Something new", "null", Rejected),
        (201, 9, "no (correct) recipients found", r#""recipients""#, InvalidNumber),
    ];
    for (status, code, text, parameter, class) in cases {
        let body = format!(r#"{{"errors":[{{"code":{code},"description":"{text}","parameter":{parameter}}}]}}"#);
        let refused = refusal(messagebird, json(*status, &body)).await;
        assert_eq!(refused, (*class, code.to_string()), "HTTP {status}, {code}: {text}");
    }
}

#[tokio::test]
async fn a_bird_message_is_one_json_post_whose_reference_is_the_idempotency_key() {
    let (result, requests) = exchange(bird, json(202, BIRD_ACCEPTED)).await;
    assert_eq!(result.unwrap(), "sms_01hzy");
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/v1/sms/messages"));
    assert_eq!(
        headers(request, &["authorization", "content-type", "idempotency-key"]),
        ["Bearer bk_eu1_s3cr3t", "application/json", "3f1c0ffee0ddba11"]
    );
    let expected = value!({
        "to": "+14155552345",
        "from": "+15005550006",
        "text": TEXT,
        "category": "authentication",
        "metadata": {"reference": "3f1c0ffee0ddba11"},
    });
    assert_eq!(request.body_json::<Value>().unwrap(), expected);
}

#[tokio::test]
async fn each_bird_error_has_its_class_in_an_envelope_or_without_one() {
    let cases: &[(u16, &str, FailureClass)] = &[
        (401, "Unauthenticated", AuthFailed),
        (403, "PermissionDenied", AuthFailed),
        (402, "PaymentRequired", InsufficientBalance),
        (422, "insufficient_balance", InsufficientBalance),
        (422, "SMSInvalidRecipient", InvalidNumber),
        (422, "landline_unreachable", NotMobile),
        (422, "recipient_opted_out", OptedOut),
        (422, "content_rejected", ContentFiltered),
        (403, "blocked_by_fraud_protection", FraudBlocked),
        (422, "SMSSenderNotConfigured", SenderMisconfigured),
        (422, "SMSNoEligibleSender", SenderMisconfigured),
        (422, "SenderCategoryNotPermitted", SenderMisconfigured),
        (422, "SMSUnsupportedFeature", InvalidRequest),
        (429, "RateLimited", RateLimited),
        (404, "NotFound", Rejected),
    ];
    for (status, name, class) in cases {
        let error = format!(r#"{{"type":"x","code":"E01234","name":"{name}","message":"...","request_id":"r"}}"#);
        for body in [format!(r#"{{"error":{error}}}"#), error] {
            assert_eq!(refusal(bird, json(*status, &body)).await, (*class, (*name).to_owned()), "{name}");
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_at_bird_is_settled_by_one_repetition_with_the_same_key_s12() {
    let conflict = json(409, r#"{"error":{"type":"x","code":"E9","name":"idempotency_key_in_use"}}"#);
    let refused = json(429, r#"{"error":{"type":"x","code":"E8","name":"RateLimited"}}"#);
    for (reason, second, settled) in [
        ("accepted", json(202, BIRD_ACCEPTED), Ok("sms_01hzy")),
        ("unknown again", ResponseTemplate::new(502), Err(UnknownOutcome)),
        ("still in progress", conflict, Err(UnknownOutcome)),
        ("a refusal that is about the second request alone", refused, Err(UnknownOutcome)),
    ] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(500)).up_to_n_times(1).mount(&server).await;
        Mock::given(any()).respond_with(second).with_priority(9).mount(&server).await;
        let result = gateway(bird, &server.uri()).send(&message(), PATIENCE).await;
        assert_eq!(result.as_deref().map_err(|failure| failure.class), settled, "{reason}");
        let requests = server.received_requests().await.unwrap();
        let keys: Vec<_> = requests.iter().map(|request| headers(request, &["idempotency-key"])[0]).collect();
        assert_eq!(keys, ["3f1c0ffee0ddba11", "3f1c0ffee0ddba11"], "{reason}: once more, with the same key");
        assert_eq!(requests[0].body, requests[1].body, "{reason}: and the same message");
    }
}
