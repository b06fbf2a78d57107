//! Amazon SNS: the request on the wire, and answers that only look like successes.

use two_factor::domain::FailureClass::UnknownOutcome;
use wiremock::ResponseTemplate;

use super::{TEXT, exchange, form, headers, pairs, refusal, sns};

const ACCEPTED: &str = r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
    <PublishResult><MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult>
    <ResponseMetadata><RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata></PublishResponse>"#;

fn xml(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "text/xml")
}

#[tokio::test]
async fn a_message_is_one_signed_publish_marked_as_transactional() {
    let (result, requests) = exchange(sns, xml(200, ACCEPTED)).await;
    assert_eq!(result.unwrap(), "94f20ce6-13c5-43a0-9a9e-ca52d816e90b");
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/"));
    let [authorization, content_type] = headers(request, &["authorization", "content-type"])[..] else { panic!() };
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/eu-central-1/sns/aws4_request"), "{authorization}");
    assert_eq!(content_type, "application/x-www-form-urlencoded");
    let fields = [
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("PhoneNumber", "+14155552345"),
        ("Message", TEXT),
        ("MessageAttributes.entry.1.Name", "AWS.SNS.SMS.SMSType"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "Transactional"),
    ];
    assert_eq!(form(request), pairs(&fields));
}

#[tokio::test]
async fn sender_number_and_greatest_price_are_attributes_of_each_publish() {
    let settings = |url: &str| {
        let mut settings = sns(url);
        settings.extend([
            ("SNS_SENDER_ID", "ACME".to_owned()),
            ("SNS_ORIGINATION_NUMBER", "+15005550006".to_owned()),
            ("SNS_MAX_PRICE", "0.20".to_owned()),
        ]);
        settings
    };
    let (_, requests) = exchange(settings, xml(200, ACCEPTED)).await;
    let fields = form(&requests[0]);
    let value = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| field.1.clone()).unwrap_or_default();
    let mut attributes: Vec<_> = (1..=4)
        .map(|n| {
            ["Name", "Value.DataType", "Value.StringValue"].map(|part| value(&format!("MessageAttributes.entry.{n}.{part}")))
        })
        .collect();
    attributes.sort();
    assert_eq!(
        attributes,
        [
            ["AWS.MM.SMS.OriginationNumber", "String", "+15005550006"],
            ["AWS.SNS.SMS.MaxPrice", "Number", "0.20"],
            ["AWS.SNS.SMS.SMSType", "String", "Transactional"],
            ["AWS.SNS.SMS.SenderID", "String", "ACME"],
        ]
    );
}

#[tokio::test]
async fn a_success_without_a_name_or_with_an_error_inside_is_none() {
    for (reason, body) in [
        ("no name", ACCEPTED.replace("<MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId>", "")),
        ("an error", "<ErrorResponse><Error><Code>InternalError</Code></Error></ErrorResponse>".to_owned()),
        ("another document", "<hello/>".to_owned()),
    ] {
        assert_eq!(refusal(sns, xml(200, &body)).await.0, UnknownOutcome, "{reason}");
    }
}
