//! `MessageBird`: both APIs' requests, what their answers mean, and the one repetition that Bird's idempotency key allows.

use serde_json::{Value, json as value};
use two_factor::domain::FailureClass::{InvalidNumber, UnknownOutcome};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::{PATIENCE, TEXT, bird, exchange, gateway, headers, json, message, messagebird};

const ACCEPTED: &str = r#"{"id":"f28bbe526fc14974b3e7e663a6139b53","direction":"mt","type":"sms","body":"...","recipients":
    {"totalCount":1,"totalSentCount":1,"items":[{"recipient":14155552345,"status":"sent","messagePartCount":1}]}}"#;
const BIRD_REFUSED: &str = r#"{"id":"sms_01hzy","status":"rejected","last_error":{"code":"invalid_destination"}}"#;
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
async fn an_unknown_outcome_at_bird_is_settled_by_one_repetition_with_the_same_key_s12() {
    let conflict = json(409, r#"{"error":{"type":"x","code":"E9","name":"idempotency_key_in_use"}}"#);
    let refused = json(429, r#"{"error":{"type":"x","code":"E8","name":"RateLimited"}}"#);
    for (reason, second, settled) in [
        ("accepted", json(202, BIRD_ACCEPTED), Ok("sms_01hzy")),
        ("refused as a message", json(202, BIRD_REFUSED), Err(InvalidNumber)),
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
