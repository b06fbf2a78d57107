//! What a send leaves in the log: one line an attempt, and nothing of the text, the number or the credentials (S6).

use std::{sync::Arc, time::Duration};

use tracing::Level;
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt as _};
use two_factor::{
    adapters::{
        sms::{BoxFuture, CredentialSource, Failover, FailoverSettings},
        system::SystemClock,
    },
    config::SmsConfig,
    domain::Provider,
    observability::log,
    ports::{Deadline, SmsSender},
};
use two_factor_tests::captured_log::CapturedLog;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::{Settings, TEXT, aws_sms, bird, config, json, message, messagebird, plivo, sns, transports, twilio, vonage};

struct NoReload;

impl CredentialSource for NoReload {
    fn reload(&self) -> BoxFuture<'_, Option<SmsConfig>> {
        Box::pin(async { None })
    }
}

/// Everything that one send logs at this level and above, whichever library it comes from.
async fn logged(settings: Settings, answer: ResponseTemplate, level: Level) -> String {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let settings = settings(&server.uri());
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sender = Failover::new(
        &config(&settings),
        transports(&server.uri()),
        Arc::new(NoReload),
        SystemClock,
        FailoverSettings::new(false),
    );
    let log = CapturedLog::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(LevelFilter::from_level(level)).with(log::ceiling()).with(lines);
    let guard = tracing::subscriber::set_default(subscriber);
    sender.send(&message(), &Provider::ALL, Deadline::after(Duration::from_secs(10))).await;
    drop(guard);
    log.text()
}

#[tokio::test]
async fn an_attempt_is_one_line_with_provider_class_code_duration_reference_and_cost() {
    let accepted = json(201, r#"{"sid":"SM01","status":"queued"}"#);
    let log = logged(twilio, accepted, Level::INFO).await;
    for part in [
        "provider=twilio",
        "outcome=\"accepted\"",
        "message_id=SM01",
        "duration_ms=",
        "reference=3f1c0ffee0ddba11",
        "phone=+1****2345",
        "country=US",
        "estimated_cost_usd=0.0079",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert_eq!(log.lines().count(), 1, "{log}");

    let refused = json(400, r#"{"code":21610,"message":"Attempt to send to unsubscribed recipient +14155552345","status":400}"#);
    let log = logged(twilio, refused, Level::INFO).await;
    for part in ["WARN", "provider=twilio", "outcome=\"opted_out\"", "code=\"21610\""] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert!(!log.contains("estimated_cost_usd"), "what was not sent costs nothing: {log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[tokio::test]
async fn no_level_of_logging_shows_text_number_or_credentials_s6() {
    // The answers echo what was sent, as Twilio's do.
    let echo = format!(r#"{{"sid":"SM01","id":"x","body":"{TEXT}","to":"+14155552345","message_uuid":["x"],"MessageId":"x"}}"#);
    for settings in [twilio, vonage, messagebird, bird, plivo, sns, aws_sms] as [Settings; 7] {
        for status in [200, 400, 500] {
            for level in [Level::DEBUG, Level::TRACE] {
                let log = logged(settings, json(status, &echo), level).await;
                for secret in ["012345", "4155552345", "s3cr3t", "c3Ijcj", "czNjcjN0"] {
                    let place = log.find(secret).map(|at| &log[at.saturating_sub(600)..(at + 40).min(log.len())]);
                    assert_eq!(place, None, "{secret} at {level} of {:?}", settings("").first());
                }
            }
        }
    }
}
