//! Plivo: the request, and answers that speak of an error and of a message.

use serde_json::{Value, json as value};
use two_factor::domain::FailureClass::{InvalidNumber, UnknownOutcome};

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
async fn an_error_inside_an_acceptance_is_no_success() {
    let refused = json(202, r#"{"api_id":"x","error":"dst is invalid","message_uuid":[]}"#);
    assert_eq!(refusal(plivo, refused).await.0, InvalidNumber);
    let both = json(202, r#"{"api_id":"x","error":"dst is invalid","message_uuid":["db3ce55a"]}"#);
    assert_eq!(refusal(plivo, both).await.0, UnknownOutcome);
}
