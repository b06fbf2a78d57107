//! Twilio: the request, and what its answers mean.

use two_factor::domain::FailureClass::{
    self, AuthFailed, ContentFiltered, CountryNotPermitted, FraudBlocked, InsufficientBalance, InvalidNumber, InvalidRequest,
    NotMobile, OptedOut, RateLimited, Rejected, SenderMisconfigured, UnknownOutcome,
};

use super::{TEXT, exchange, form, headers, json, pairs, refusal, twilio};

const ACCEPTED: &str = r#"{"sid":"SM0123456789abcdef0123456789abcdef","status":"queued","error_code":null,"error_message":null,
    "to":"+14155552345","from":"+15005550006","body":"...","num_segments":"1","price":null,"price_unit":"USD"}"#;

#[tokio::test]
async fn a_message_is_one_form_post_with_number_text_and_validity() {
    let (result, requests) = exchange(twilio, json(201, ACCEPTED)).await;
    assert_eq!(result.unwrap(), "SM0123456789abcdef0123456789abcdef");
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!(
        (request.method.as_str(), request.url.path(), request.url.query()),
        ("POST", "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json", None)
    );
    assert_eq!(
        headers(request, &["authorization", "content-type"]),
        ["Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpzM2NyM3QtdG9rZW4=", "application/x-www-form-urlencoded"]
    );
    let fields = [("To", "+14155552345"), ("From", "+15005550006"), ("Body", TEXT), ("ValidityPeriod", "300")];
    assert_eq!(form(request), pairs(&fields));
}

#[tokio::test]
async fn an_api_key_and_a_messaging_service_take_the_place_of_token_and_number() {
    let settings = |url: &str| {
        let mut settings = twilio(url);
        settings.extend([
            ("TWILIO_API_KEY_SID", "SK0123456789abcdef0123456789abcdef".to_owned()),
            ("TWILIO_API_KEY_SECRET", "key-secret".to_owned()),
            ("TWILIO_MESSAGING_SERVICE_SID", "MG0123456789abcdef0123456789abcdef".to_owned()),
        ]);
        settings
    };
    let accepted = ACCEPTED.replace("\"queued\"", "\"accepted\"").replace("\"+15005550006\"", "null");
    let (result, requests) = exchange(settings, json(201, &accepted)).await;
    assert!(result.is_ok());
    assert_eq!(requests[0].url.path(), "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json");
    assert_eq!(headers(&requests[0], &["authorization"]), ["Basic U0swMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjprZXktc2VjcmV0"]);
    let fields = [
        ("To", "+14155552345"),
        ("MessagingServiceSid", "MG0123456789abcdef0123456789abcdef"),
        ("Body", TEXT),
        ("ValidityPeriod", "300"),
    ];
    assert_eq!(form(&requests[0]), pairs(&fields));
}

#[tokio::test]
async fn each_error_code_has_its_class() {
    let cases: &[(u16, u32, FailureClass)] = &[
        (400, 21211, InvalidNumber),
        (400, 21217, InvalidNumber),
        (400, 21265, InvalidNumber),
        (400, 21604, InvalidNumber),
        (400, 21614, NotMobile),
        (400, 21635, NotMobile),
        (400, 21610, OptedOut),
        (400, 21408, CountryNotPermitted),
        (400, 21612, CountryNotPermitted),
        (400, 21212, SenderMisconfigured),
        (400, 21606, SenderMisconfigured),
        (400, 21608, SenderMisconfigured),
        (400, 21660, SenderMisconfigured),
        (400, 21703, SenderMisconfigured),
        (401, 20003, AuthFailed),
        (403, 20008, AuthFailed),
        (404, 20404, AuthFailed),
        (403, 20005, InsufficientBalance),
        (400, 10001, InsufficientBalance),
        (429, 20429, RateLimited),
        (400, 21611, RateLimited),
        (429, 63038, RateLimited),
        (400, 30007, ContentFiltered),
        (400, 30450, FraudBlocked),
        (400, 21602, InvalidRequest),
        (400, 21617, InvalidRequest),
        (503, 20503, UnknownOutcome),
        (500, 20500, UnknownOutcome),
        (503, 21211, UnknownOutcome),
        (408, 21211, UnknownOutcome),
        (400, 99999, Rejected),
        (401, 99999, AuthFailed),
        (429, 99999, RateLimited),
    ];
    for (status, code, class) in cases {
        let body = format!(
            r#"{{"code":{code},"message":"...","more_info":"https://www.twilio.com/docs/errors/{code}","status":{status}}}"#
        );
        assert_eq!(refusal(twilio, json(*status, &body)).await, (*class, code.to_string()), "HTTP {status}, code {code}");
    }
}

#[tokio::test]
async fn a_message_that_is_created_as_failed_was_not_taken() {
    for (status, code, class) in
        [("failed", 30007, ContentFiltered), ("failed", 30008, UnknownOutcome), ("undelivered", 99999, UnknownOutcome)]
    {
        let body = ACCEPTED
            .replace("\"queued\"", &format!("\"{status}\""))
            .replace("\"error_code\":null", &format!("\"error_code\":{code}"));
        assert_eq!(refusal(twilio, json(201, &body)).await, (class, code.to_string()), "{status} with {code}");
    }
}
