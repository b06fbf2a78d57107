//! Plivo: the request, and what its answers mean.

use serde_json::{Value, json as value};
use two_factor::domain::FailureClass::{
    self, AuthFailed, CountryNotPermitted, InsufficientBalance, InvalidNumber, InvalidRequest, RateLimited, SenderMisconfigured,
    UnknownOutcome,
};

use super::{TEXT, exchange, headers, json, plivo, refusal};

const ACCEPTED: &str =
    r#"{"message":"message(s) queued","message_uuid":["db3ce55a-7f1d-11e1-8ea7-1231380bc196"],"api_id":"db342550"}"#;

#[tokio::test]
async fn a_message_is_one_json_post_with_digits_alone_and_its_text_kept_out_of_logs() {
    let (result, requests) = exchange(plivo, json(202, ACCEPTED)).await;
    assert_eq!(result.unwrap(), "db3ce55a-7f1d-11e1-8ea7-1231380bc196");
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/v1/Account/MAXXXXXXXXXX/Message/"));
    assert_eq!(headers(request, &["authorization", "content-type"]), ["Basic TUFYWFhYWFhYWFhYOnMzY3IzdA==", "application/json"]);
    let expected = value!({
        "src": "15005550006",
        "dst": "14155552345",
        "text": TEXT,
        "type": "sms",
        "log": false,
        "message_expiry": 300,
    });
    assert_eq!(request.body_json::<Value>().unwrap(), expected);
}

#[tokio::test]
async fn a_powerpack_takes_the_place_of_the_number() {
    let settings = |url: &str| {
        let mut settings = plivo(url);
        settings.push(("PLIVO_POWERPACK_UUID", "5ec4c8c9".to_owned()));
        settings
    };
    let (_, requests) = exchange(settings, json(202, ACCEPTED)).await;
    let body: Value = requests[0].body_json().unwrap();
    assert_eq!((&body["powerpack_uuid"], body.get("src")), (&value!("5ec4c8c9"), None));
}

#[tokio::test]
async fn each_refusal_has_its_class() {
    let cases: &[(u16, &str, FailureClass)] = &[
        (400, r#""dst is invalid""#, InvalidNumber),
        (400, r#""Invalid destination number""#, InvalidNumber),
        (400, r#"{"dst":["This field is required"]}"#, InvalidNumber),
        (400, r#""src parameter not present""#, SenderMisconfigured),
        (400, r#""This caller ID is not allowed for outbound message""#, SenderMisconfigured),
        (400, r#""Insufficient Credit""#, InsufficientBalance),
        (400, r#""text parameter not present""#, InvalidRequest),
        (401, r#""authentication failed""#, AuthFailed),
        (402, r#""payment required""#, InsufficientBalance),
        (403, r#""geo permission denied""#, CountryNotPermitted),
        (404, r#""not found""#, InvalidRequest),
        (405, r#""method not allowed""#, InvalidRequest),
        (429, r#""rate limit exceeded""#, RateLimited),
        (500, r#""server error""#, UnknownOutcome),
        (503, r#""Insufficient Credit""#, UnknownOutcome),
        (408, r#""dst is invalid""#, UnknownOutcome),
    ];
    for (status, error, class) in cases {
        let body = format!(r#"{{"api_id":"db342550","error":{error}}}"#);
        assert_eq!(refusal(plivo, json(*status, &body)).await, (*class, format!("http_{status}")), "{status}: {error}");
    }
}

#[tokio::test]
async fn an_error_inside_an_acceptance_is_no_success() {
    let refused = json(202, r#"{"api_id":"x","error":"dst is invalid","message_uuid":[]}"#);
    assert_eq!(refusal(plivo, refused).await.0, InvalidNumber);
    let both = json(202, r#"{"api_id":"x","error":"dst is invalid","message_uuid":["db3ce55a"]}"#);
    assert_eq!(refusal(plivo, both).await.0, UnknownOutcome);
}
