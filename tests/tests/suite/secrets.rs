//! The one secret, as Secrets Manager's protocol (AWS JSON 1.1) carries it, and as any other store does.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;
use serde_json::{Value, json};
use two_factor::{
    adapters::{
        aws::Aws,
        secrets::{CachedSecret, SecretsManagerSource},
    },
    config::Vars,
    ports::{BoxFuture, SecretError, SecretErrorKind, SecretSource},
};
use two_factor_tests::clock::ManualClock;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_json, header, method, path},
};

struct Fixture {
    server: MockServer,
    clock: Arc<ManualClock>,
    source: Arc<CachedSecret>,
}

impl Fixture {
    async fn new(answer: ResponseTemplate) -> Self {
        let server = MockServer::start().await;
        let settings = [
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "key".to_owned()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.uri()),
        ];
        let vars = Vars::new(settings.map(|(name, value)| (name.to_owned(), value)));
        let client = Client::new(Aws::from_environment(&vars).unwrap().config());
        let clock = ManualClock::new();
        let store = Arc::new(SecretsManagerSource::new(client, "two-factor/secret"));
        let source = Arc::new(CachedSecret::new(store, clock.clone()));
        let fixture = Self { server, clock, source };
        fixture.answer(answer).await;
        fixture
    }

    /// Secrets Manager answers like this from now on, if it is asked rightly.
    async fn answer(&self, answer: ResponseTemplate) {
        self.server.reset().await;
        Mock::given(method("POST"))
            .and(path("/"))
            .and(header("x-amz-target", "secretsmanager.GetSecretValue"))
            .and(header("content-type", "application/x-amz-json-1.1"))
            .and(body_json(json!({"SecretId": "two-factor/secret"})))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    async fn calls(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }
}

fn answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
}

fn secret(text: &str) -> ResponseTemplate {
    answer(200, &json!({"ARN": "arn:aws:secretsmanager:us-east-1:1:secret:s", "Name": "s", "SecretString": text}))
}

fn refusal(code: &str, message: &str) -> ResponseTemplate {
    answer(400, &json!({"__type": code, "message": message}))
}

fn error(status: u16, code: &str) -> ResponseTemplate {
    answer(status, &json!({"__type": code, "message": "hush"}))
}

#[tokio::test]
async fn the_secret_is_read_once_and_kept() {
    let fixture = Fixture::new(secret(r#"{"CODE_PEPPER": "p", "TWILIO_AUTH_TOKEN": "t"}"#)).await;
    let loads = (0..10).map(|_| {
        let source = Arc::clone(&fixture.source);
        tokio::spawn(async move { source.load().await })
    });
    for load in loads.collect::<Vec<_>>() {
        let values = load.await.unwrap().unwrap();
        assert_eq!(
            values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
            ["CODE_PEPPER=p", "TWILIO_AUTH_TOKEN=t"]
        );
    }
    fixture.clock.pass(24 * 3600);
    fixture.source.load().await.unwrap();
    assert_eq!(fixture.calls().await, 1);
}

#[tokio::test]
async fn a_rotated_secret_is_picked_up_with_at_most_one_call_in_five_minutes() {
    let fixture = Fixture::new(secret(r#"{"TOKEN": "old"}"#)).await;
    fixture.source.load().await.unwrap();
    assert_eq!(fixture.source.refresh().await, Ok(None), "nothing has changed");
    fixture.answer(secret(r#"{"TOKEN": "new"}"#)).await;
    fixture.clock.pass(299);
    for _ in 0..10 {
        assert_eq!(fixture.source.refresh().await, Ok(None), "refreshed less than five minutes ago");
    }
    assert_eq!(fixture.calls().await, 0);
    fixture.clock.pass(1);
    assert_eq!(fixture.source.refresh().await.unwrap().unwrap()["TOKEN"], "new");
    assert_eq!(fixture.source.load().await.unwrap()["TOKEN"], "new");
    assert_eq!(fixture.calls().await, 1);
}

#[tokio::test]
async fn a_failed_refresh_leaves_what_was_known() {
    let fixture = Fixture::new(secret(r#"{"TOKEN": "old"}"#)).await;
    fixture.source.load().await.unwrap();
    for bad in [error(400, "AccessDeniedException"), secret("[]"), secret(r#"{"TOKEN": 1}"#)] {
        fixture.answer(bad).await;
        assert!(fixture.source.refresh().await.is_err());
        assert_eq!(fixture.source.load().await.unwrap()["TOKEN"], "old");
        fixture.clock.pass(300);
    }
}

#[tokio::test]
async fn what_an_operator_has_to_mend_names_the_secret_and_the_remedy_and_shows_nothing_of_it() {
    use SecretErrorKind::{Malformed, NotFound, NotPermitted};
    for (answer, kind, remedy, reason) in [
        (error(400, "ResourceNotFoundException"), NotFound, "compare the name", "no such secret"),
        (refusal("ResourceNotFoundException", "hush: no staging label: AWSCURRENT"), NotFound, "put one into it", "no value yet"),
        (error(400, "InvalidRequestException"), NotFound, "restore-secret", "marked for deletion"),
        (error(400, "ValidationException"), NotFound, "correct the name", "a name with a space"),
        (error(400, "AccessDeniedException"), NotPermitted, "secretsmanager:GetSecretValue", "not allowed"),
        (refusal("AccessDeniedException", "hush: Access to KMS is not allowed"), NotPermitted, "kms:Decrypt", "not its key"),
        (error(400, "ExpiredTokenException"), NotPermitted, "aws sso login", "signed in yesterday"),
        (error(400, "UnrecognizedClientException"), NotPermitted, "aws sso login", "no such key"),
        (error(400, "DecryptionFailure"), NotPermitted, "kms:Decrypt", "cannot be decrypted"),
        (answer(200, &json!({"SecretBinary": "aHVzaA=="})), Malformed, "as text", "binary"),
        (secret("hush"), Malformed, "write it as", "not JSON"),
        (secret(r#"["hush"]"#), Malformed, "write it as", "a list"),
        (secret(r#""hush""#), Malformed, "write it as", "a string"),
        (secret(r#"{"TOKEN": {"hush": "hush"}}"#), Malformed, "in quotes", "an object in it"),
        (secret(r#"{"TOKEN": 123456}"#), Malformed, "in quotes", "a number in it"),
        (secret(r#"{"TOKEN": null}"#), Malformed, "in quotes", "null in it"),
        (secret(&"[".repeat(10_000)), Malformed, "write it as", "deeply nested"),
    ] {
        let fixture = Fixture::new(answer).await;
        let error = fixture.source.load().await.unwrap_err();
        assert_eq!(error.kind, kind, "{reason}: {error}");
        let shown = error.to_string();
        assert!(shown.starts_with("the secret \"two-factor/secret\" ") && shown.contains(remedy), "{reason}: {shown}");
        let shown = format!("{shown} {error:?}");
        assert!(!shown.contains("hush") && !shown.contains("123456"), "{reason}: {shown}");
    }
}

#[tokio::test]
async fn an_outage_is_told_apart_and_the_next_call_tries_again_s21() {
    let fixture = Fixture::new(error(500, "InternalServiceError")).await;
    let outage = fixture.source.load().await.unwrap_err();
    assert_eq!(outage.kind, SecretErrorKind::Unavailable);
    assert!((1..=2).contains(&fixture.calls().await), "a start does not wait through many attempts");
    fixture.answer(secret(r#"{"TOKEN": "t"}"#).set_delay(Duration::from_millis(10))).await;
    assert_eq!(fixture.source.load().await.unwrap()["TOKEN"], "t");
}

/// A store of another kind: whatever it is told, it says, and it counts how often it was asked.
#[derive(Default)]
struct Elsewhere {
    text: Mutex<String>,
    reads: AtomicUsize,
}

impl SecretSource for Elsewhere {
    fn name(&self) -> &'static str {
        "elsewhere"
    }

    fn read(&self) -> BoxFuture<'_, Result<SecretString, SecretError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let text = self.text.lock().unwrap().clone();
        Box::pin(async move { Ok(text.into()) })
    }
}

#[tokio::test]
async fn a_secret_of_any_store_is_read_once_and_judged_the_same() {
    let (store, clock) = (Arc::new(Elsewhere::default()), ManualClock::new());
    let source = CachedSecret::new(store.clone(), clock.clone());
    let error = source.load().await.unwrap_err();
    assert_eq!((error.kind, error.secret.as_str()), (SecretErrorKind::Malformed, "elsewhere"));
    r#"{"TOKEN": "old"}"#.clone_into(&mut store.text.lock().unwrap());
    assert_eq!(source.load().await.unwrap()["TOKEN"], "old");
    assert_eq!(source.load().await.unwrap()["TOKEN"], "old");
    r#"{"TOKEN": "new"}"#.clone_into(&mut store.text.lock().unwrap());
    assert_eq!(source.refresh().await.unwrap().unwrap()["TOKEN"], "new");
    assert_eq!(source.refresh().await, Ok(None), "within five minutes");
    assert_eq!(store.reads.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn nothing_of_the_secret_shows_in_debug_output() {
    let fixture = Fixture::new(secret(r#"{"TOKEN": "hush"}"#)).await;
    fixture.source.load().await.unwrap();
    assert!(!format!("{:?}", fixture.source).contains("hush"));
}
