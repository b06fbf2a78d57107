//! Every SMS provider at the wire: what is sent, what each answer means, and what happens between providers.

use std::time::Duration;

use two_factor::{
    adapters::{
        aws::Aws,
        http::public_client,
        sms::{SmsGateway, Transports},
    },
    config::{SmsConfig, Vars},
    domain::{AllowedCountries, FailureClass, PhoneNumber, TextMessage, message::delivery::Failure},
};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

mod aws_sms;
mod errors;
mod failover;
mod faults;
mod logs;
mod messagebird;
mod moto;
mod plivo;
mod sns;
mod twilio;
mod vonage;
mod wire;

/// Long enough for any answer on this machine, short enough that a hanging test is noticed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) const TEXT: &str = "012345 is your ACME & Söhne code to sign in or confirm a change. Never share it.";

/// A message to the number that the providers' own examples use.
pub(crate) fn message() -> TextMessage {
    TextMessage {
        to: PhoneNumber::parse("+14155552345", &AllowedCountries::All).unwrap(),
        body: TEXT.to_owned(),
        valid_for: Duration::from_secs(300),
        reference: "3f1c0ffee0ddba11".to_owned(),
    }
}

pub(crate) fn vars(settings: &[(&str, &str)]) -> Vars {
    Vars::new(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

pub(crate) fn config(settings: &[(&str, &str)]) -> SmsConfig {
    SmsConfig::from_vars(&vars(settings)).unwrap()
}

/// The clients that the functions use, with the AWS ones' endpoints at `aws_url`.
pub(crate) fn transports(aws_url: &str) -> Transports {
    let vars = vars(&[
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "s3cr3t"),
        ("AWS_ENDPOINT_URL_SNS", aws_url),
        ("AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2", aws_url),
    ]);
    Transports { http: public_client(&vars).unwrap(), aws: Aws::from_environment(&vars).unwrap().sending().clone() }
}

/// The settings of one provider whose API is at a URL.
pub(crate) type Settings = fn(&str) -> Vec<(&'static str, String)>;

pub(crate) fn gateway(settings: Settings, url: &str) -> Box<dyn SmsGateway> {
    let settings = settings(url);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let config = config(&settings);
    transports(url).gateway(&config.providers[0])
}

pub(crate) fn twilio(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef".to_owned()),
        ("TWILIO_AUTH_TOKEN", "s3cr3t-token".to_owned()),
        ("TWILIO_PHONE_NUMBER", "+15005550006".to_owned()),
        ("TWILIO_BASE_URL", url.to_owned()),
    ]
}

pub(crate) fn vonage(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("VONAGE_API_KEY", "abcd1234".to_owned()),
        ("VONAGE_API_SECRET", "s3cr3t".to_owned()),
        ("VONAGE_FROM", "+15005550006".to_owned()),
        ("VONAGE_BASE_URL", url.to_owned()),
    ]
}

pub(crate) fn messagebird(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("MESSAGEBIRD_ACCESS_KEY", "live_s3cr3t".to_owned()),
        ("MESSAGEBIRD_FROM", "+15005550006".to_owned()),
        ("MESSAGEBIRD_BASE_URL", url.to_owned()),
    ]
}

pub(crate) fn bird(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("MESSAGEBIRD_ACCESS_KEY", "bk_eu1_s3cr3t".to_owned()),
        ("MESSAGEBIRD_FROM", "+15005550006".to_owned()),
        ("MESSAGEBIRD_BASE_URL", url.to_owned()),
    ]
}

pub(crate) fn plivo(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("PLIVO_AUTH_ID", "MAXXXXXXXXXX".to_owned()),
        ("PLIVO_AUTH_TOKEN", "s3cr3t".to_owned()),
        ("PLIVO_FROM", "+15005550006".to_owned()),
        ("PLIVO_BASE_URL", url.to_owned()),
    ]
}

pub(crate) fn sns(_: &str) -> Vec<(&'static str, String)> {
    vec![("SMS_PROVIDERS", "sns".to_owned())]
}

pub(crate) fn aws_sms(_: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SMS_PROVIDERS", "aws-sms".to_owned()),
        ("AWS_SMS_ORIGINATION_IDENTITY", "pool-0123456789abcdef".to_owned()),
        ("AWS_SMS_CONFIGURATION_SET", "otp".to_owned()),
        ("AWS_SMS_MAX_PRICE", "0.20".to_owned()),
    ]
}

/// Sends the message to a provider that answers like this. Gives what came of it, and the requests that the provider got.
pub(crate) async fn exchange(settings: Settings, answer: ResponseTemplate) -> (Result<String, Failure>, Vec<Request>) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let result = gateway(settings, &server.uri()).send(&message(), PATIENCE).await;
    (result, server.received_requests().await.unwrap())
}

/// The class and code of the failure that this answer leads to, after exactly one request.
pub(crate) async fn refusal(settings: Settings, answer: ResponseTemplate) -> (FailureClass, String) {
    let (result, requests) = exchange(settings, answer).await;
    assert_eq!(requests.len(), 1, "a send is never repeated");
    let failure = result.expect_err("this is no success");
    (failure.class, failure.code().unwrap_or_default().to_owned())
}

/// An answer with a JSON body.
pub(crate) fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

/// The one request, which is a POST to this path, and its value of each header named.
pub(crate) fn headers<'a>(request: &'a Request, names: &[&str]) -> Vec<&'a str> {
    names.iter().map(|name| request.headers.get(*name).map_or("", |value| value.to_str().unwrap())).collect()
}

/// The fields of a form, decoded, in their order.
pub(crate) fn form(request: &Request) -> Vec<(String, String)> {
    let body = std::str::from_utf8(&request.body).unwrap();
    let url = reqwest::Url::parse(&format!("http://form/?{body}")).unwrap();
    url.query_pairs().into_owned().collect()
}

/// Pairs of text, to be compared with a form.
pub(crate) fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
