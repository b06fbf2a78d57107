//! AWS End User Messaging: the request on the wire, and what its answers mean.

use serde_json::{Value, json as value};
use two_factor::domain::FailureClass::{
    self, AuthFailed, CountryNotPermitted, InsufficientBalance, InvalidNumber, InvalidRequest, OptedOut, RateLimited, Rejected,
    SenderMisconfigured, UnknownOutcome,
};
use wiremock::ResponseTemplate;

use super::{TEXT, aws_sms, exchange, headers, refusal};

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

#[tokio::test]
async fn each_exception_and_reason_has_its_class_and_none_is_retried() {
    let cases: &[(u16, &str, &str, FailureClass)] = &[
        (400, "ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", OptedOut),
        (400, "ConflictException", "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", CountryNotPermitted),
        (400, "ConflictException", "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE", CountryNotPermitted),
        (400, "ConflictException", "DESTINATION_PHONE_NUMBER_NOT_VERIFIED", SenderMisconfigured),
        (400, "ConflictException", "NO_ORIGINATION_IDENTITIES_FOUND", SenderMisconfigured),
        (400, "ConflictException", "RESOURCE_NOT_ACTIVE", SenderMisconfigured),
        (400, "ConflictException", "SOMETHING_NEW", Rejected),
        (400, "ValidationException", "DESTINATION_COUNTRY_BLOCKED", CountryNotPermitted),
        (400, "ValidationException", "COUNTRY_NOT_ENABLED", CountryNotPermitted),
        (400, "ValidationException", "SENDER_ID_NOT_REGISTERED", SenderMisconfigured),
        (400, "ValidationException", "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY", SenderMisconfigured),
        (400, "ValidationException", "PRICE_OVER_THRESHOLD", InsufficientBalance),
        (400, "ValidationException", "MAXIMUM_SIZE_EXCEEDED", InvalidRequest),
        (400, "ServiceQuotaExceededException", "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", InsufficientBalance),
        (400, "ServiceQuotaExceededException", "DAILY_DESTINATION_CALL_LIMIT", RateLimited),
        (400, "AccessDeniedException", "ACCOUNT_DISABLED", AuthFailed),
        (500, "InternalServerException", "X", UnknownOutcome),
        (500, "ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", UnknownOutcome),
    ];
    for (status, exception, reason, class) in cases {
        let body = format!(
            r#"{{"__type":"com.amazonaws.pinpointsmsvoicev2#{exception}","Message":"...","Reason":"{reason}","Fields":[]}}"#
        );
        let (found, code) = refusal(aws_sms, answer(*status, &body)).await;
        assert_eq!(found, *class, "HTTP {status}, {exception}, {reason}");
        let expected = if *status == 500 { (*exception).to_owned() } else { format!("{exception}:{reason}") };
        assert_eq!(code, expected);
    }
}

#[tokio::test]
async fn errors_without_a_reason_have_their_class_too() {
    for (status, exception, class) in [
        (400, "AccessDeniedException", AuthFailed),
        (400, "ThrottlingException", RateLimited),
        (400, "ResourceNotFoundException", SenderMisconfigured),
        (400, "UnrecognizedClientException", AuthFailed),
        (400, "InvalidSignatureException", AuthFailed),
        (400, "ExpiredTokenException", AuthFailed),
        (400, "SomethingNewException", Rejected),
    ] {
        let answer = answer(status, r#"{"Message":"..."}"#).insert_header("x-amzn-errortype", exception);
        assert_eq!(refusal(aws_sms, answer).await, (class, exception.to_owned()), "{exception}");
    }
}

#[tokio::test]
async fn a_validation_that_names_the_number_is_about_the_number() {
    for (reason, class) in [("CANNOT_PARSE", InvalidNumber), ("FIELD_VALIDATION_FAILED", InvalidNumber)] {
        let body = format!(
            r#"{{"__type":"ValidationException","Message":"...","Reason":"{reason}",
            "Fields":[{{"Name":"DestinationPhoneNumber","Message":"..."}}]}}"#
        );
        assert_eq!(refusal(aws_sms, answer(400, &body)).await.0, class, "{reason}");
    }
}
