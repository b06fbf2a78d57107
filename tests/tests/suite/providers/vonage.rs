//! Vonage: the request, and answers that speak of several parts.

use two_factor::domain::FailureClass::UnknownOutcome;
use wiremock::{Mock, MockServer, matchers::any};

use super::{PATIENCE, TEXT, exchange, form, gateway, headers, json, message, pairs, refusal, vonage};

const ACCEPTED: &str = r#"{"message-count":"1","messages":[{"to":"14155552345","message-id":"0A0000000123ABCD1","status":"0",
    "remaining-balance":"3.14159265","message-price":"0.03330000","network":"12345","client-ref":"3f1c0ffee0ddba11"}]}"#;

#[tokio::test]
async fn a_message_is_one_form_post_with_credentials_in_the_header_and_milliseconds() {
    let (result, requests) = exchange(vonage, json(200, ACCEPTED)).await;
    assert_eq!(result.unwrap(), "0A0000000123ABCD1");
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.url.path(), request.url.query()), ("POST", "/sms/json", None));
    assert_eq!(
        headers(request, &["authorization", "content-type"]),
        ["Basic YWJjZDEyMzQ6czNjcjN0", "application/x-www-form-urlencoded"]
    );
    let fields = [
        ("from", "15005550006"),
        ("to", "14155552345"),
        ("text", TEXT),
        ("type", "text"),
        ("ttl", "300000"),
        ("client-ref", "3f1c0ffee0ddba11"),
    ];
    assert_eq!(form(request), pairs(&fields));
}

#[tokio::test]
async fn only_a_text_outside_gsm_7_is_sent_as_unicode_and_a_short_life_is_the_least_that_vonage_takes() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(json(200, ACCEPTED)).mount(&server).await;
    let mut message = message();
    message.body = "код 012345".to_owned();
    message.valid_for = std::time::Duration::from_secs(3);
    gateway(vonage, &server.uri()).send(&message, PATIENCE).await.unwrap();
    let fields = form(&server.received_requests().await.unwrap()[0]);
    for (name, value) in [("type", "unicode"), ("ttl", "20000"), ("text", "код 012345")] {
        assert!(fields.contains(&(name.to_owned(), value.to_owned())), "{name}={value}");
    }
}

#[tokio::test]
async fn one_part_that_was_taken_is_a_message_on_its_way() {
    let (result, _) = exchange(
        vonage,
        json(200, r#"{"messages":[{"status":"1","error-text":"Throttled"},{"status":"0","message-id":"0A02"}]}"#),
    )
    .await;
    assert_eq!(result.unwrap(), "0A02");
    let doubtful = json(200, r#"{"messages":[{"status":"1"},{"status":"5"}]}"#);
    assert_eq!(refusal(vonage, doubtful).await, (UnknownOutcome, "5".to_owned()), "a part may have gone out");
    for (reason, body) in [
        ("no parts", r#"{"message-count":"0","messages":[]}"#),
        ("a status that is no number", r#"{"messages":[{"status":"ok"}]}"#),
        ("a success without a name", r#"{"messages":[{"status":"0"}]}"#),
    ] {
        assert_eq!(refusal(vonage, json(200, body)).await.0, UnknownOutcome, "{reason}");
    }
}
