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
        AllowedCountries, FailureClass, PhoneNumber, Provider, TextMessage,
        message::delivery::{Delivery, DeliveryEnd, DeliveryReason, Verdict},
    },
    ports::{Channel, Deadline, SmsSender},
};
use two_factor_local::sms_inbox::Reply;
use two_factor_tests::{clock::ManualClock, service::TestService};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, header},
};

use super::{TEXT, config, form, json, message, transports};

/// Time for every provider.
const DEADLINE: Duration = Duration::from_secs(60);

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

    fn sender_of(&self, config: &SmsConfig) -> Sender {
        self.sender_with(config, FailoverSettings::new(false))
    }

    fn sender_with(&self, config: &SmsConfig, settings: FailoverSettings) -> Sender {
        Failover::new(config, transports(&self.twilio.uri()), self.secret.clone(), self.clock.clone(), settings)
    }

    fn sender(&self) -> Sender {
        self.sender_of(&self.config_with("old", "twilio,vonage,plivo"))
    }

    /// One that gives each provider no more than 300 ms.
    fn impatient_sender(&self) -> Sender {
        let settings = FailoverSettings { patience: Duration::from_millis(300), ..FailoverSettings::new(false) };
        self.sender_with(&self.config_with("old", "twilio,vonage,plivo"), settings)
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

type Sender = Failover<Arc<ManualClock>>;

/// The order that a request gets for its message.
fn order_to(sender: &Sender, message: &TextMessage) -> Vec<Provider> {
    let Channel::Sms(routes) = sender.channel() else { panic!("there are providers") };
    routes.order(message.to.country(), None)
}

/// Who is asked first for a message to the USA.
fn first(sender: &Sender) -> Provider {
    order_to(sender, &message())[0]
}

/// What a request does with a message: it gets an order, and hands it over in that order.
async fn send_to(sender: &Sender, number: &str) -> Delivery {
    let message = TextMessage { to: PhoneNumber::parse(number, &AllowedCountries::All).unwrap(), ..message() };
    sender.send(&message, &order_to(sender, &message), Deadline::after(DEADLINE)).await
}

async fn send(sender: &Sender) -> Delivery {
    send_to(sender, US).await
}

const US: &str = "+14155552345";
const GB: &str = "+447400123456";

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
    assert_eq!(first(&sender), Provider::Twilio);
    let delivery = send(&sender).await;
    assert_eq!(delivery.verdict(), Verdict::Accepted(Provider::Twilio));
    assert_eq!(delivery.attempts[0].result.as_deref().unwrap(), "SM01", "its name for the message is known");
    assert_eq!(stage.requests().await, [1, 0, 0]);
}

#[tokio::test]
async fn a_definite_refusal_that_others_need_not_share_goes_on_at_once_with_the_same_code() {
    for (status, code, class) in [
        (401, 20003, FailureClass::AuthFailed),
        (403, 20005, FailureClass::InsufficientBalance),
        (400, 21606, FailureClass::SenderMisconfigured),
        (400, 21608, FailureClass::RecipientNotVerified),
        (400, 21211, FailureClass::InvalidNumber),
        (400, 21408, FailureClass::CountryNotPermitted),
        (429, 20429, FailureClass::RateLimited),
        (400, 99999, FailureClass::Rejected),
    ] {
        let stage = Stage::answering(twilio_refuses(status, code), vonage_accepts(), plivo_accepts()).await;
        let delivery = send(&stage.sender()).await;
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
    config.providers[0] = config_at(&nobody()).providers[0].clone();
    let delivery = send(&stage.sender_of(&config)).await;
    assert_eq!(classes(&delivery), [(Provider::Twilio, Some(FailureClass::NotSent)), (Provider::Vonage, None)]);
}

/// Where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
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
        let delivery = send(&stage.sender()).await;
        assert_eq!(delivery.verdict(), Verdict::Unknown(Provider::Twilio), "{reason}");
        assert_eq!(stage.requests().await, [1, 0, 0], "{reason}");
    }
}

#[tokio::test]
async fn a_slow_provider_is_waited_for_no_longer_than_its_time_and_nobody_else_is_asked_s12() {
    let slow = twilio_accepts().set_delay(Duration::from_secs(30));
    let stage = Stage::answering(slow, vonage_accepts(), plivo_accepts()).await;
    let sender = stage.impatient_sender();
    let delivery = tokio::time::timeout(Duration::from_secs(5), send(&sender)).await.expect("within its patience");
    assert_eq!(delivery.verdict(), Verdict::Unknown(Provider::Twilio));
    assert_eq!(stage.requests().await, [1, 0, 0]);
}

#[tokio::test]
async fn an_unknown_outcome_later_in_the_chain_is_the_verdict_s12() {
    let lost = ResponseTemplate::new(500);
    let stage = Stage::answering(twilio_refuses(429, 20429), lost, plivo_accepts()).await;
    let delivery = send(&stage.sender()).await;
    assert_eq!(delivery.verdict(), Verdict::Unknown(Provider::Vonage));
    assert_eq!(stage.requests().await, [1, 1, 0]);
}

#[tokio::test]
async fn what_is_wrong_with_number_or_message_is_not_tried_elsewhere() {
    for (code, reason) in [
        (21614, DeliveryReason::NotMobile),
        (21610, DeliveryReason::OptedOut),
        (30007, DeliveryReason::Rejected),
        (30450, DeliveryReason::Rejected),
        (21602, DeliveryReason::Rejected),
    ] {
        let stage = Stage::answering(twilio_refuses(400, code), vonage_accepts(), plivo_accepts()).await;
        let delivery = send(&stage.sender()).await;
        assert_eq!(delivery.verdict(), Verdict::Refused(reason), "{code}");
        assert_eq!(stage.requests().await, [1, 0, 0], "{code}");
    }
}

#[tokio::test]
async fn a_number_that_one_provider_calls_invalid_is_tried_at_the_next_and_invalid_only_if_all_agree() {
    let invalid = || twilio_refuses(400, 21211);
    let unroutable = || vonage(r#"{"status":"6","error-text":"Unroutable message - rejected"}"#);
    let busy = || vonage(r#"{"status":"1","error-text":"Throttled"}"#);
    let plivo_refuses = || json(400, r#"{"api_id":"x","error":"dst is invalid"}"#);
    for (vonage, plivo, verdict) in [
        (vonage_accepts(), plivo_refuses(), Verdict::Accepted(Provider::Vonage)),
        (unroutable(), plivo_accepts(), Verdict::Accepted(Provider::Plivo)),
        (unroutable(), plivo_refuses(), Verdict::Refused(DeliveryReason::InvalidNumber)),
        (busy(), plivo_refuses(), Verdict::Refused(DeliveryReason::ProviderUnavailable)),
        (ResponseTemplate::new(500), plivo_accepts(), Verdict::Unknown(Provider::Vonage)),
    ] {
        let stage = Stage::answering(invalid(), vonage, plivo).await;
        assert_eq!(send(&stage.sender()).await.verdict(), verdict);
    }
}

#[tokio::test]
async fn when_all_refuse_each_was_asked_once_and_the_most_telling_reason_is_given() {
    let country = twilio_refuses(400, 21408);
    let balance = vonage(r#"{"status":"9","error-text":"Quota Exceeded - rejected"}"#);
    let stage = Stage::answering(country, balance, json(401, r#"{"api_id":"x","error":"authentication failed"}"#)).await;
    let delivery = send(&stage.sender()).await;
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
async fn a_provider_that_refused_for_its_own_reasons_is_asked_last_for_five_minutes() {
    for (status, code) in [(401, 20003), (403, 20005), (400, 21606), (400, 21408)] {
        let stage = Stage::new().await;
        Mock::given(any()).respond_with(twilio_refuses(status, code)).up_to_n_times(2).mount(&stage.twilio).await;
        Mock::given(any()).respond_with(twilio_accepts()).with_priority(9).mount(&stage.twilio).await;
        Mock::given(any()).respond_with(vonage_accepts()).mount(&stage.vonage).await;
        let sender = stage.sender();

        send(&sender).await;
        assert_eq!(stage.requests().await, [1, 1, 0], "{code}: both were asked");
        assert_eq!(order_to(&sender, &message()), [Provider::Vonage, Provider::Plivo, Provider::Twilio], "{code}");

        stage.clock.advance(Duration::from_millis(299_999));
        send(&sender).await;
        assert_eq!(stage.requests().await, [1, 2, 0], "{code}: passed over");

        stage.clock.advance(Duration::from_millis(1));
        assert_eq!(first(&sender), Provider::Twilio, "{code}: it is tried again");
        send(&sender).await;
        assert_eq!(stage.requests().await, [2, 3, 0], "{code}: it refuses again");
        assert_eq!(first(&sender), Provider::Vonage, "{code}: and is passed over again");

        stage.clock.advance(Duration::from_secs(300));
        send(&sender).await;
        send(&sender).await;
        assert_eq!(stage.requests().await, [4, 3, 0], "{code}: it takes messages again");
        assert_eq!(first(&sender), Provider::Twilio, "{code}: and is in its place");
    }
}

#[tokio::test]
async fn a_user_in_a_country_without_a_sender_turns_the_provider_off_for_that_country_alone() {
    let over_threshold = r#"{"__type":"ValidationException","Message":"...","Reason":"PRICE_OVER_THRESHOLD","Fields":[]}"#;
    let no_identity = r#"{"__type":"ConflictException","Message":"...","Reason":"NO_ORIGINATION_IDENTITIES_FOUND"}"#;
    let not_verified = r#"{"__type":"ConflictException","Message":"...","Reason":"DESTINATION_PHONE_NUMBER_NOT_VERIFIED"}"#;
    let aws = |body: &str| ResponseTemplate::new(400).set_body_raw(body, "application/x-amz-json-1.0");
    for (provider, refuses, country_too, reason) in [
        ("twilio", twilio_refuses(400, 21606), true, "no number for this destination"),
        ("twilio", twilio_refuses(400, 21703), true, "no number in the service"),
        ("twilio", twilio_refuses(400, 21608), false, "a trial account"),
        ("aws-sms", aws(no_identity), true, "no identity for the country"),
        ("aws-sms", aws(over_threshold), true, "dearer than the operator pays"),
        ("aws-sms", aws(not_verified), false, "a sandbox"),
        ("vonage", vonage(r#"{"status":"15","error-text":"Illegal Sender Address"}"#), true, "no sender for the country"),
        ("vonage", vonage(r#"{"status":"29","error-text":"Non White-listed Destination"}"#), false, "a trial account"),
    ] {
        let stage = Stage::new().await;
        // Twilio's server is also where AWS is.
        let server = if provider == "vonage" { &stage.vonage } else { &stage.twilio };
        Mock::given(any()).respond_with(refuses).mount(server).await;
        Mock::given(any()).respond_with(plivo_accepts()).mount(&stage.plivo).await;
        let sender = stage.sender_of(&stage.config_with("old", &format!("{provider},plivo")));
        let refusing = Provider::from_name(provider).unwrap();

        assert_eq!(send_to(&sender, GB).await.verdict(), Verdict::Accepted(Provider::Plivo), "{reason}");
        assert_eq!(first(&sender), refusing, "{reason}: everybody elsewhere is served as before");
        let in_country = TextMessage { to: PhoneNumber::parse(GB, &AllowedCountries::All).unwrap(), ..message() };
        let expected = if country_too { Provider::Plivo } else { refusing };
        assert_eq!(order_to(&sender, &in_country)[0], expected, "{reason}");
    }
}

#[tokio::test]
async fn credentials_and_balance_concern_every_country() {
    for (status, code) in [(401, 20003), (403, 20005)] {
        let stage = Stage::answering(twilio_refuses(status, code), vonage_accepts(), plivo_accepts()).await;
        let sender = stage.sender();
        send_to(&sender, GB).await;
        assert_eq!(first(&sender), Provider::Vonage, "{code}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_message_passes_nobody_over_for_the_next() {
    for (status, code) in [(400, 21211), (400, 21610), (400, 21608), (429, 20429), (500, 20500), (400, 99999)] {
        let stage = Stage::answering(twilio_refuses(status, code), vonage_accepts(), plivo_accepts()).await;
        let sender = stage.sender();
        send(&sender).await;
        assert_eq!(first(&sender), Provider::Twilio, "{code}");
    }
}

#[tokio::test]
async fn of_forty_users_during_an_outage_two_are_delayed_and_none_gets_two_messages_s12_s26() {
    let stage = Stage::answering(twilio_refuses(503, 20503), vonage_accepts(), plivo_accepts()).await;
    let sender = stage.sender();
    for user in 0..40 {
        let delivery = send(&sender).await;
        assert_eq!(delivery.attempts.len(), 1, "user {user}: one message at most");
        let expected = if user < 2 { Verdict::Unknown(Provider::Twilio) } else { Verdict::Accepted(Provider::Vonage) };
        assert_eq!(delivery.verdict(), expected, "user {user}");
    }
    assert_eq!(stage.requests().await, [2, 38, 0]);

    stage.clock.advance(Duration::from_secs(300));
    let trial = order_to(&sender, &message());
    assert_eq!(trial[0], Provider::Twilio, "one request is to find out");
    assert_eq!(first(&sender), Provider::Vonage, "while the others are served by the next provider");
    sender.send(&message(), &trial, Deadline::after(DEADLINE)).await;
    assert_eq!(stage.requests().await, [3, 38, 0]);
    assert_eq!(first(&sender), Provider::Vonage, "it is down still");

    stage.twilio.reset().await;
    Mock::given(any()).respond_with(twilio_accepts()).mount(&stage.twilio).await;
    stage.clock.advance(Duration::from_secs(300));
    assert_eq!(send(&sender).await.verdict(), Verdict::Accepted(Provider::Twilio), "the next trial");
    assert_eq!([first(&sender), first(&sender)], [Provider::Twilio; 2], "it is back, for everybody");
}

#[tokio::test]
async fn a_provider_that_could_not_be_reached_twice_is_asked_last_s26() {
    let stage = Stage::answering(twilio_accepts(), vonage_accepts(), plivo_accepts()).await;
    let mut config = stage.config_with("old", "twilio,vonage");
    config.providers[0] = config_at(&nobody()).providers[0].clone();
    let sender = stage.sender_of(&config);
    for asked in [2, 2, 1] {
        let delivery = send(&sender).await;
        assert_eq!((delivery.verdict(), delivery.attempts.len()), (Verdict::Accepted(Provider::Vonage), asked));
    }
}

#[tokio::test]
async fn where_all_are_to_be_asked_last_all_are_asked_rather_than_none() {
    let stage = Stage::answering(
        twilio_refuses(403, 20005),
        vonage(r#"{"status":"9","error-text":"Quota Exceeded - rejected"}"#),
        json(400, r#"{"api_id":"x","error":"Insufficient Credit"}"#),
    )
    .await;
    let sender = stage.sender();
    send(&sender).await;
    assert_eq!(first(&sender), Provider::Twilio);
    send(&sender).await;
    assert_eq!(stage.requests().await, [2, 2, 2]);
}

#[tokio::test]
async fn nobody_is_asked_with_less_time_left_than_an_answer_may_take_s25() {
    let stage = Stage::answering(twilio_refuses(429, 20429), vonage_accepts(), plivo_accepts()).await;
    let delivery = stage.sender().send(&message(), &[Provider::Twilio], Deadline::after(Duration::from_millis(7900))).await;
    assert_eq!((delivery.verdict(), delivery.attempts.len()), (Verdict::OutOfTime, 0));
    assert_eq!(stage.requests().await, [0, 0, 0], "nothing was sent");

    stage.twilio.reset().await;
    let slow = twilio_refuses(429, 20429).set_delay(Duration::from_millis(250));
    Mock::given(any()).respond_with(slow).mount(&stage.twilio).await;
    let order = [Provider::Twilio, Provider::Vonage];
    let delivery = stage.impatient_sender().send(&message(), &order, Deadline::after(Duration::from_millis(500))).await;
    assert_eq!(classes(&delivery), [(Provider::Twilio, Some(FailureClass::RateLimited))]);
    assert_eq!(delivery.end, DeliveryEnd::OutOfTime);
    assert_eq!(delivery.verdict(), Verdict::Refused(DeliveryReason::ProviderUnavailable), "what the attempts say");
    assert_eq!(stage.requests().await, [1, 0, 0]);
}

#[tokio::test]
async fn exactly_the_providers_of_the_order_are_asked_and_those_that_are_configured() {
    let stage = Stage::answering(twilio_accepts(), vonage(r#"{"status":"1"}"#), plivo_accepts()).await;
    let order = [Provider::Sns, Provider::Vonage, Provider::Plivo];
    let delivery = stage.sender().send(&message(), &order, Deadline::after(DEADLINE)).await;
    assert_eq!(classes(&delivery), [(Provider::Vonage, Some(FailureClass::RateLimited)), (Provider::Plivo, None)]);
    let nobody = stage.sender().send(&message(), &[Provider::Sns], Deadline::after(DEADLINE)).await;
    assert_eq!(nobody, Delivery::default());
    assert_eq!(nobody.verdict(), Verdict::Refused(DeliveryReason::ProviderUnavailable));
    assert_eq!(stage.requests().await, [0, 1, 1]);
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
    let delivery = send(&sender).await;
    assert_eq!(classes(&delivery), [(Provider::Twilio, Some(FailureClass::AuthFailed)), (Provider::Twilio, None)]);
    assert_eq!(delivery.verdict(), Verdict::Accepted(Provider::Twilio));
    assert_eq!(first(&sender), Provider::Twilio, "it stays in its place");

    send(&sender).await;
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
    let delivery = send(&stage.sender_of(&stage.config_with("old", "vonage,twilio"))).await;
    assert_eq!(classes(&delivery), [(Provider::Vonage, Some(FailureClass::AuthFailed)), (Provider::Twilio, None)]);
    assert_eq!(stage.secret.reloads.load(Ordering::SeqCst), 1, "the secret says only once that it has changed");
}

#[tokio::test]
async fn a_credential_that_did_not_change_is_not_tried_twice() {
    let stage = rotated().await;
    for found in [Some(stage.config_with("old", "twilio,vonage,plivo")), None] {
        *stage.secret.config.lock().unwrap() = found;
        let before = stage.requests().await[0];
        let delivery = send(&stage.sender()).await;
        assert_eq!(classes(&delivery), [(Provider::Twilio, Some(FailureClass::AuthFailed)), (Provider::Vonage, None)]);
        assert_eq!(stage.requests().await[0], before + 1);
    }
}

#[tokio::test]
async fn a_new_credential_that_is_wrong_too_is_tried_once_and_then_the_next_provider() {
    let stage = Stage::answering(twilio_refuses(401, 20003), vonage_accepts(), plivo_accepts()).await;
    *stage.secret.config.lock().unwrap() = Some(stage.config_with("new", "twilio,vonage,plivo"));
    let delivery = send(&stage.sender()).await;
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
    let sender = stage.sender_of(&stage.config_with("old", "sns,vonage"));
    let delivery = send(&sender).await;
    assert_eq!(classes(&delivery), [(Provider::Sns, Some(FailureClass::AuthFailed)), (Provider::Vonage, None)]);
    assert_eq!(stage.secret.reloads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_providers_the_code_is_answered_in_development_only_s22() {
    let stage = Stage::new().await;
    for (development, channel) in [(true, Channel::Answer), (false, Channel::Missing)] {
        let settings = FailoverSettings::new(development);
        let none = SmsConfig::default();
        let sender = Failover::new(&none, transports("http://127.0.0.1:1"), stage.secret.clone(), stage.clock.clone(), settings);
        assert_eq!(sender.channel(), channel);
    }
    let settings = FailoverSettings::new(true);
    let some = config_at("http://127.0.0.1:1");
    let sender = Failover::new(&some, transports("http://127.0.0.1:1"), stage.secret.clone(), stage.clock.clone(), settings);
    assert_eq!(first(&sender), Provider::Twilio, "with a provider never");
}

#[tokio::test]
async fn users_during_an_outage_are_served_by_the_next_provider_and_the_trail_names_it_s24_s26() {
    let plivo = MockServer::start().await;
    Mock::given(any()).respond_with(plivo_accepts()).mount(&plivo).await;
    let service = TestService::production(&[
        ("SMS_PROVIDERS", "twilio,plivo"),
        ("PLIVO_AUTH_ID", "MA1"),
        ("PLIVO_AUTH_TOKEN", "token"),
        ("PLIVO_FROM", "ACME"),
        ("PLIVO_BASE_URL", &plivo.uri()),
    ])
    .await;
    service.inbox.script([Reply::refusal(503, 20503), Reply::refusal(503, 20503)]);
    for user in 0..5 {
        let number = format!("+1201555012{user}");
        service.user(&format!("user-{user}")).setup(&number).await.expect(200);
    }
    assert_eq!(service.inbox.received().len(), 2, "two found out");
    assert_eq!(plivo.received_requests().await.unwrap().len(), 3, "and the others were served");
    for (user, provider) in [("user-0", "twilio"), ("user-4", "plivo")] {
        let sent = service.audit_trail(user).await.into_iter().find(|entry| entry.event == "send").unwrap();
        assert!(sent.details.contains(&("provider".to_owned(), provider.to_owned())), "{user}: {:?}", sent.details);
    }
}
