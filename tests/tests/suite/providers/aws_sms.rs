//! AWS End User Messaging: the request on the wire.

use serde_json::{Value, json as value};
use wiremock::ResponseTemplate;

use super::{TEXT, aws_sms, exchange, headers};

fn answer(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/x-amz-json-1.0")
}

#[tokio::test]
async fn a_message_is_one_signed_call_with_validity_price_and_reference() {
    let (result, requests) = exchange(aws_sms, answer(200, r#"{"MessageId":"9b1d2c3e"}"#)).await;
    assert_eq!(result.unwrap(), "9b1d2c3e");
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/"));
    let [authorization, target, content_type] = headers(request, &["authorization", "x-amz-target", "content-type"])[..] else {
        panic!()
    };
    assert!(authorization.contains("/eu-central-1/sms-voice/aws4_request"), "{authorization}");
    assert_eq!((target, content_type), ("PinpointSMSVoiceV2.SendTextMessage", "application/x-amz-json-1.0"));
    let expected = value!({
        "DestinationPhoneNumber": "+14155552345",
        "OriginationIdentity": "pool-0123456789abcdef",
        "MessageBody": TEXT,
        "MessageType": "TRANSACTIONAL",
        "MaxPrice": "0.20",
        "TimeToLive": 300,
        "ConfigurationSetName": "otp",
        "Context": {"reference": "3f1c0ffee0ddba11"},
    });
    assert_eq!(request.body_json::<Value>().unwrap(), expected);
}
