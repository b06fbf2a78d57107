//! Between providers: who is asked next, who is not asked at all, and that nobody is sent two messages.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use two_factor::{
    adapters::sms::{BoxFuture, CredentialSource, Failover, FailoverSettings},
    config::SmsConfig,
    domain::{
        FailureClass, Provider,
        message::delivery::{Delivery, DeliveryReason, Verdict},
    },
    ports::{Channel, SmsSender},
};
use two_factor_tests::clock::ManualClock;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, header},
};

use super::{TEXT, config, form, json, message, transports};

const DEADLINE: Duration = Duration::from_secs(12);

/// The configuration that a reload finds, and how often one was asked for.
#[derive(Default)]
struct Secret {
    config: Mutex<Option<SmsConfig>>,
    reloads: AtomicUsize,
}

impl CredentialSource for Secret {
    fn reload(&self) -> BoxFuture<'_, Option<SmsConfig>> {
        Box::pin(async {
            self.reloads.fetch_add(1, Ordering::SeqCst);
            self.config.lock().unwrap().clone()
        })
    }
}

/// Three providers, in the order Twilio, Vonage, Plivo.
struct Stage {
    twilio: MockServer,
    vonage: MockServer,
    plivo: MockServer,
    clock: Arc<ManualClock>,
    secret: Arc<Secret>,
}

impl Stage {
    async fn new() -> Self {
        let [twilio, vonage, plivo] = [MockServer::start().await, MockServer::start().await, MockServer::start().await];
        Self { twilio, vonage, plivo, clock: ManualClock::new(), secret: Arc::default() }
    }

    /// Three providers that answer like this from now on.
    async fn answering(twilio: ResponseTemplate, vonage: ResponseTemplate, plivo: ResponseTemplate) -> Self {
        let stage = Self::new().await;
        for (server, answer) in [(&stage.twilio, twilio), (&stage.vonage, vonage), (&stage.plivo, plivo)] {
            Mock::given(any()).respond_with(answer).mount(server).await;
        }
        stage
    }

    fn config_with(&self, twilio_token: &str, providers: &str) -> SmsConfig {
        config(&[
            ("SMS_PROVIDERS", providers),
            ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
            ("TWILIO_AUTH_TOKEN", twilio_token),
            ("TWILIO_PHONE_NUMBER", "+15005550006"),
            ("TWILIO_BASE_URL", &self.twilio.uri()),
            ("VONAGE_API_KEY", "abcd1234"),
            ("VONAGE_API_SECRET", "secret"),
            ("VONAGE_FROM", "ACME"),
            ("VONAGE_BASE_URL", &self.vonage.uri()),
            ("PLIVO_AUTH_ID", "MA1"),
            ("PLIVO_AUTH_TOKEN", "token"),
            ("PLIVO_FROM", "ACME"),
            ("PLIVO_BASE_URL", &self.plivo.uri()),
        ])
    }

    fn sender_of(&self, config: &SmsConfig, deadline: Duration) -> Failover<Arc<ManualClock>> {
        let settings = FailoverSettings::new(deadline, false);
        Failover::new(config, transports(&self.twilio.uri()), self.secret.clone(), self.clock.clone(), settings)
    }

    fn sender(&self) -> Failover<Arc<ManualClock>> {
        self.sender_of(&self.config_with("old", "twilio,vonage,plivo"), DEADLINE)
    }

    /// How many requests each of the three got.
    async fn requests(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for (count, server) in counts.iter_mut().zip([&self.twilio, &self.vonage, &self.plivo]) {
            *count = server.received_requests().await.unwrap().len();
        }
        counts
    }
}

fn twilio_accepts() -> ResponseTemplate {
    json(201, r#"{"sid":"SM01","status":"queued","error_code":null}"#)
}

fn twilio_refuses(status: u16, code: u32) -> ResponseTemplate {
    json(status, &format!(r#"{{"code":{code},"message":"...","status":{status}}}"#))
}

fn vonage_accepts() -> ResponseTemplate {
    vonage(r#"{"status":"0","message-id":"0A01"}"#)
}

fn vonage(part: &str) -> ResponseTemplate {
    json(200, &format!(r#"{{"message-count":"1","messages":[{part}]}}"#))
}

fn plivo_accepts() -> ResponseTemplate {
    json(202, r#"{"message":"message(s) queued","message_uuid":["db3ce55a"],"api_id":"x"}"#)
}

/// Who was asked and with which result, in order.
fn classes(delivery: &Delivery) -> Vec<(Provider, Option<FailureClass>)> {
    let class =
        |result: &Result<_, two_factor::domain::message::delivery::Failure>| result.as_ref().err().map(|failure| failure.class);
    delivery.attempts.iter().map(|attempt| (attempt.provider, class(&attempt.result))).collect()
}

#[tokio::test]
async fn the_first_provider_that_takes_the_message_is_the_last_that_is_asked() {
    let stage = Stage::answering(twilio_accepts(), vonage_accepts(), plivo_accepts()).await;
    let sender = stage.sender();
    assert_eq!(sender.channel(), Channel::Sms(Provider::Twilio));
    let delivery = sender.send(&message()).await;
    assert_eq!(delivery.verdict(), Verdict::Accepted(Provider::Twilio));
    assert_eq!(delivery.attempts[0].result.as_deref().unwrap(), "SM01", "its name for the message is known");
    assert_eq!(stage.requests().await, [1, 0, 0]);
}

#[tokio::test]
async fn a_definite_refusal_that_others_need_not_share_goes_on_at_once_with_the_same_code() {
    for (status, code, class) in [
        (401, 20003, FailureClass::AuthFailed),
        (403, 20005, FailureClass::InsufficientBalance),
        (400, 21608, FailureClass::SenderMisconfigured),
        (400, 21408, FailureClass::CountryNotPermitted),
        (429, 20429, FailureClass::RateLimited),
        (400, 99999, FailureClass::Rejected),
    ] {
        let stage = Stage::answering(twilio_refuses(status, code), vonage_accepts(), plivo_accepts()).await;
        let delivery = stage.sender().send(&message()).await;
        assert_eq!(classes(&delivery), [(Provider::Twilio, Some(class)), (Provider::Vonage, None)], "{code}");
        assert_eq!(delivery.verdict(), Verdict::Accepted(Provider::Vonage), "{code}");
        assert_eq!(stage.requests().await, [1, 1, 0], "{code}");
        let request = &stage.vonage.received_requests().await.unwrap()[0];
        assert!(form(request).contains(&("text".to_owned(), TEXT.to_owned())), "the same code");
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_passed_over() {
    let stage = Stage::answering(twilio_accepts(), vonage_accepts(), plivo_accepts()).await;
    let mut config = stage.config_with("old", "twilio,vonage");
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let elsewhere = config_at(&closed);
    config.providers[0] = elsewhere.providers[0].clone();
    let delivery = stage.sender_of(&config, DEADLINE).send(&message()).await;
    assert_eq!(classes(&delivery), [(Provider::Twilio, Some(FailureClass::NotSent)), (Provider::Vonage, None)]);
}

fn config_at(url: &str) -> SmsConfig {
    config(&[
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "old"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ("TWILIO_BASE_URL", url),
    ])
}

#[tokio::test]
async fn after_an_unknown_outcome_nobody_else_is_asked_s12() {
    for (reason, answer) in [
        ("a proxy's page", ResponseTemplate::new(502).set_body_raw("<html>", "text/html")),
        ("the provider's own 503", twilio_refuses(503, 20503)),
        ("an acceptance that cannot be read", json(201, "{}")),
        ("an acceptance that is cut", json(201, r#"{"sid":"SM0"#)),
    ] {
        let stage = Stage::answering(answer, vonage_accepts(), plivo_accepts()).await;
        let delivery = stage.sender().send(&message()).await;
        assert_eq!(delivery.verdict(), Verdict::Unknown(Provider::Twilio), "{reason}");
        assert_eq!(stage.requests().await, [1, 0, 0], "{reason}");
    }
}

#[tokio::test]
async fn after_a_slow_provider_nobody_else_is_asked_and_the_deadline_holds_s12() {
    let slow = twilio_accepts().set_delay(Duration::from_secs(30));
    let stage = Stage::answering(slow, vonage_accepts(), plivo_accepts()).await;
    let sender = stage.sender_of(&stage.config_with("old", "twilio,vonage"), Duration::from_millis(300));
    let delivery = tokio::time::timeout(Duration::from_secs(5), sender.send(&message())).await.expect("within the deadline");
    assert_eq!(delivery.verdict(), Verdict::Unknown(Provider::Twilio));
    assert_eq!(stage.requests().await, [1, 0, 0]);
}

#[tokio::test]
async fn an_unknown_outcome_later_in_the_chain_is_the_verdict_s12() {
    let lost = ResponseTemplate::new(500);
    let stage = Stage::answering(twilio_refuses(429, 20429), lost, plivo_accepts()).await;
    let delivery = stage.sender().send(&message()).await;
    assert_eq!(delivery.verdict(), Verdict::Unknown(Provider::Vonage));
    assert_eq!(stage.requests().await, [1, 1, 0]);
}

#[tokio::test]
async fn what_is_wrong_with_number_or_message_is_not_tried_elsewhere() {
    for (code, reason) in [
        (21211, DeliveryReason::InvalidNumber),
        (21614, DeliveryReason::NotMobile),
        (21610, DeliveryReason::OptedOut),
        (30007, DeliveryReason::Rejected),
        (30450, DeliveryReason::Rejected),
        (21602, DeliveryReason::Rejected),
    ] {
        let stage = Stage::answering(twilio_refuses(400, code), vonage_accepts(), plivo_accepts()).await;
        let delivery = stage.sender().send(&message()).await;
        assert_eq!(delivery.verdict(), Verdict::Refused(reason), "{code}");
        assert_eq!(stage.requests().await, [1, 0, 0], "{code}");
    }
}

#[tokio::test]
async fn when_all_refuse_each_was_asked_once_and_the_most_telling_reason_is_given() {
    let country = twilio_refuses(400, 21408);
    let balance = vonage(r#"{"status":"9","error-text":"Quota Exceeded - rejected"}"#);
    let stage = Stage::answering(country, balance, json(401, r#"{"api_id":"x","error":"authentication failed"}"#)).await;
    let delivery = stage.sender().send(&message()).await;
    assert_eq!(
        classes(&delivery),
        [
            (Provider::Twilio, Some(FailureClass::CountryNotPermitted)),
            (Provider::Vonage, Some(FailureClass::InsufficientBalance)),
            (Provider::Plivo, Some(FailureClass::AuthFailed)),
        ]
    );
    assert_eq!(delivery.verdict(), Verdict::Refused(DeliveryReason::CountryNotPermitted));
    assert_eq!(stage.requests().await, [1, 1, 1]);
}

#[tokio::test]
async fn a_provider_that_refused_for_its_own_reasons_is_passed_over_for_five_minutes() {
    for (status, code) in [(401, 20003), (403, 20005), (400, 21606)] {
        let stage = Stage::new().await;
        Mock::given(any()).respond_with(twilio_refuses(status, code)).up_to_n_times(2).mount(&stage.twilio).await;
        Mock::given(any()).respond_with(twilio_accepts()).with_priority(9).mount(&stage.twilio).await;
        Mock::given(any()).respond_with(vonage_accepts()).mount(&stage.vonage).await;
        let sender = stage.sender();

        sender.send(&message()).await;
        assert_eq!(stage.requests().await, [1, 1, 0], "{code}: both were asked");
        assert_eq!(sender.channel(), Channel::Sms(Provider::Vonage), "{code}: the circuit is open");

        stage.clock.advance(Duration::from_millis(299_999));
        sender.send(&message()).await;
        assert_eq!(stage.requests().await, [1, 2, 0], "{code}: passed over");

        stage.clock.advance(Duration::from_millis(1));
        assert_eq!(sender.channel(), Channel::Sms(Provider::Twilio), "{code}: it is tried again");
        sender.send(&message()).await;
        assert_eq!(stage.requests().await, [2, 3, 0], "{code}: it refuses again");
        assert_eq!(sender.channel(), Channel::Sms(Provider::Vonage), "{code}: and the circuit is open again");

        stage.clock.advance(Duration::from_secs(300));
        sender.send(&message()).await;
        sender.send(&message()).await;
        assert_eq!(stage.requests().await, [4, 3, 0], "{code}: it takes messages again");
        assert_eq!(sender.channel(), Channel::Sms(Provider::Twilio), "{code}: the circuit is closed");
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_message_passes_nobody_over_for_the_next() {
    for (status, code) in [(400, 21211), (400, 21610), (400, 21408), (429, 20429), (500, 20500), (400, 99999)] {
        let stage = Stage::answering(twilio_refuses(status, code), vonage_accepts(), plivo_accepts()).await;
        let sender = stage.sender();
        sender.send(&message()).await;
        assert_eq!(sender.channel(), Channel::Sms(Provider::Twilio), "{code}");
    }
}

#[tokio::test]
async fn where_every_circuit_is_open_all_are_tried_rather_than_none() {
    let stage = Stage::answering(
        twilio_refuses(403, 20005),
        vonage(r#"{"status":"9","error-text":"Quota Exceeded - rejected"}"#),
        json(400, r#"{"api_id":"x","error":"Insufficient Credit"}"#),
    )
    .await;
    let sender = stage.sender();
    sender.send(&message()).await;
    assert_eq!(sender.channel(), Channel::Sms(Provider::Twilio));
    sender.send(&message()).await;
    assert_eq!(stage.requests().await, [2, 2, 2]);
}

#[tokio::test]
async fn with_too_little_time_left_for_an_answer_nobody_else_is_asked() {
    let stage = Stage::answering(twilio_refuses(429, 20429), vonage_accepts(), plivo_accepts()).await;
    let sender = stage.sender_of(&stage.config_with("old", "twilio,vonage"), Duration::from_millis(999));
    let delivery = sender.send(&message()).await;
    assert_eq!(delivery.verdict(), Verdict::Refused(DeliveryReason::ProviderUnavailable));
    assert_eq!(stage.requests().await, [1, 0, 0]);
}

/// Basic authentication of account `AC0123456789abcdef0123456789abcdef` with this token.
fn basic(token: &str) -> impl wiremock::Match + use<> {
    let value = match token {
        "old" => "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpvbGQ=",
        "new" => "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpuZXc=",
        other => panic!("{other} is no token of these tests"),
    };
    header("authorization", value)
}

/// Twilio knows the new token only.
async fn rotated() -> Stage {
    let stage = Stage::new().await;
    Mock::given(basic("old")).respond_with(twilio_refuses(401, 20003)).mount(&stage.twilio).await;
    Mock::given(basic("new")).respond_with(twilio_accepts()).mount(&stage.twilio).await;
    Mock::given(any()).respond_with(vonage_accepts()).mount(&stage.vonage).await;
    stage
}

#[tokio::test]
async fn a_rotated_credential_is_reloaded_once_and_tried_at_the_same_provider() {
    let stage = rotated().await;
    *stage.secret.config.lock().unwrap() = Some(stage.config_with("new", "twilio,vonage,plivo"));
    let sender = stage.sender();
    let delivery = sender.send(&message()).await;
    assert_eq!(classes(&delivery), [(Provider::Twilio, Some(FailureClass::AuthFailed)), (Provider::Twilio, None)]);
    assert_eq!(delivery.verdict(), Verdict::Accepted(Provider::Twilio));
    assert_eq!(sender.channel(), Channel::Sms(Provider::Twilio), "its circuit stays closed");

    sender.send(&message()).await;
    assert_eq!(stage.requests().await, [3, 0, 0], "the next send uses the new one at once");
    assert_eq!(stage.secret.reloads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_reload_that_one_provider_caused_serves_the_other_whose_credential_was_rotated() {
    let stage = Stage::new().await;
    Mock::given(basic("old")).respond_with(twilio_refuses(401, 20003)).mount(&stage.twilio).await;
    Mock::given(basic("new")).respond_with(twilio_accepts()).mount(&stage.twilio).await;
    Mock::given(any()).respond_with(vonage(r#"{"status":"4"}"#)).mount(&stage.vonage).await;
    *stage.secret.config.lock().unwrap() = Some(stage.config_with("new", "vonage,twilio"));
    let delivery = stage.sender_of(&stage.config_with("old", "vonage,twilio"), DEADLINE).send(&message()).await;
    let refused = Some(FailureClass::AuthFailed);
    assert_eq!(classes(&delivery), [(Provider::Vonage, refused), (Provider::Twilio, refused), (Provider::Twilio, None)]);
    assert_eq!(stage.secret.reloads.load(Ordering::SeqCst), 1, "the secret says only once that it has changed");
}

#[tokio::test]
async fn a_credential_that_did_not_change_is_not_tried_twice() {
    let stage = rotated().await;
    for found in [Some(stage.config_with("old", "twilio,vonage,plivo")), None] {
        *stage.secret.config.lock().unwrap() = found;
        let before = stage.requests().await[0];
        let delivery = stage.sender().send(&message()).await;
        assert_eq!(classes(&delivery), [(Provider::Twilio, Some(FailureClass::AuthFailed)), (Provider::Vonage, None)]);
        assert_eq!(stage.requests().await[0], before + 1);
    }
}

#[tokio::test]
async fn a_new_credential_that_is_wrong_too_is_tried_once_and_then_the_next_provider() {
    let stage = Stage::answering(twilio_refuses(401, 20003), vonage_accepts(), plivo_accepts()).await;
    *stage.secret.config.lock().unwrap() = Some(stage.config_with("new", "twilio,vonage,plivo"));
    let delivery = stage.sender().send(&message()).await;
    assert_eq!(
        classes(&delivery),
        [
            (Provider::Twilio, Some(FailureClass::AuthFailed)),
            (Provider::Twilio, Some(FailureClass::AuthFailed)),
            (Provider::Vonage, None),
        ]
    );
    assert_eq!(stage.secret.reloads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_credentials_are_reloaded_for_what_uses_those_of_the_sdk() {
    let stage = Stage::new().await;
    let denied = r#"<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>
        <Code>AuthorizationError</Code><Message>...</Message></Error><RequestId>r</RequestId></ErrorResponse>"#;
    Mock::given(any()).respond_with(ResponseTemplate::new(403).set_body_raw(denied, "text/xml")).mount(&stage.twilio).await;
    Mock::given(any()).respond_with(vonage_accepts()).mount(&stage.vonage).await;
    let sender = stage.sender_of(&stage.config_with("old", "sns,vonage"), DEADLINE);
    let delivery = sender.send(&message()).await;
    assert_eq!(classes(&delivery), [(Provider::Sns, Some(FailureClass::AuthFailed)), (Provider::Vonage, None)]);
    assert_eq!(stage.secret.reloads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_providers_the_code_is_answered_in_development_only_s22() {
    let stage = Stage::new().await;
    for (development, channel) in [(true, Channel::Answer), (false, Channel::Missing)] {
        let settings = FailoverSettings::new(DEADLINE, development);
        let none = SmsConfig::default();
        let sender = Failover::new(&none, transports("http://127.0.0.1:1"), stage.secret.clone(), stage.clock.clone(), settings);
        assert_eq!(sender.channel(), channel);
    }
    let settings = FailoverSettings::new(DEADLINE, true);
    let some = config_at("http://127.0.0.1:1");
    let sender = Failover::new(&some, transports("http://127.0.0.1:1"), stage.secret.clone(), stage.clock.clone(), settings);
    assert_eq!(sender.channel(), Channel::Sms(Provider::Twilio), "with a provider never");
}
