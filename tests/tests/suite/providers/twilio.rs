//! Twilio: the request.

use super::{TEXT, exchange, form, headers, json, pairs, twilio};

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
