//! What a host brings to the service in place of what Lambda gives: credentials that change while the process lives,
//! secrets of other stores, and the time that a request has.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use secrecy::SecretString;
use serde_json::json;
use two_factor::{
    api::Request,
    app::{App, AwsCredentials, Parts, StartError, judge_settings},
    config::Vars,
    domain::UserId,
    ports::{BoxFuture, Deadline, Origin, SecretError, SecretErrorKind, SecretSource},
    use_cases::{Caller, RequestStats},
};
use two_factor_tests::{captured_log::CapturedLog, tokens::SigningKey};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_json, header, method},
};

/// Hands out another key each time it is asked, and each is good for a moment only.
#[derive(Debug, Default)]
struct Rotating(Arc<AtomicU32>);

impl ProvideCredentials for Rotating {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let key = format!("KEY{}", self.0.fetch_add(1, Ordering::Relaxed));
        let expired = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        future::ProvideCredentials::ready(Ok(Credentials::new(key, "secret", None, Some(expired), "test")))
    }
}

async fn dynamodb() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(400)).mount(&server).await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    server
}

fn vars(endpoint: &str) -> Vars {
    let settings = [("APP_ENV", "development"), ("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL_DYNAMODB", endpoint)];
    Vars::new(settings.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

#[tokio::test]
async fn a_host_with_credentials_of_its_own_is_asked_for_them_whenever_they_have_expired() {
    let server = dynamodb().await;
    let credentials = AwsCredentials::Provided(SharedCredentialsProvider::new(Rotating::default()));
    let app = App::start_with(vars(&server.uri()), Parts { credentials, ..Parts::default() }).await.unwrap();
    let alice = Caller { user: UserId::parse("alice").unwrap(), origin: Origin::default() };
    for _ in 0..2 {
        let (deadline, mut stats) = (Deadline::after(Duration::from_secs(10)), RequestStats::default());
        app.service.session(&alice, deadline, &mut stats).status().await.unwrap_err();
    }
    let requests = server.received_requests().await.unwrap();
    let signers = requests.iter().filter_map(|request| request.headers.get("authorization")?.to_str().ok());
    let keys: Vec<_> = signers.filter_map(|text| text.split("Credential=").nth(1)?.split('/').next()).collect();
    assert!(keys.contains(&"KEY0") && keys.contains(&"KEY1"), "{keys:?}");
}

#[tokio::test]
async fn without_credentials_of_its_own_a_host_needs_those_of_the_environment() {
    let server = dynamodb().await;
    let error = App::start_with(vars(&server.uri()), Parts::default()).await.err();
    assert!(
        matches!(&error, Some(StartError::Config(errors)) if errors.to_string().contains("AWS_ACCESS_KEY_ID: ")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_request_has_the_time_that_its_host_gives_it_or_else_a_functions_less_a_second_s25() {
    let server = dynamodb().await;
    let credentials = AwsCredentials::Provided(SharedCredentialsProvider::new(Rotating::default()));
    let app = App::start_with(vars(&server.uri()), Parts { credentials, ..Parts::default() }).await.unwrap();
    let mut request = Request::default();
    let left = |request: &Request| app.exchange("setup", request).deadline().remaining();
    assert!((26..=27).contains(&left(&request).as_secs()), "{:?}", left(&request));
    request.context.deadline = Some(Deadline::after(Duration::from_secs(5)));
    assert!((4..=5).contains(&left(&request).as_secs()), "{:?}", left(&request));
    request.context.deadline = Some(Deadline::after(Duration::ZERO));
    assert_eq!(left(&request), Duration::ZERO);
}

/// A store with one secret, or with none that can be read.
struct Drawer(&'static str);

impl SecretSource for Drawer {
    fn name(&self) -> &'static str {
        "drawer"
    }

    fn read(&self) -> BoxFuture<'_, Result<SecretString, SecretError>> {
        let outage = || SecretError {
            secret: "drawer".to_owned(),
            kind: SecretErrorKind::Unavailable,
            problem: "is stuck".into(),
            remedy: "pull".into(),
        };
        Box::pin(async move { if self.0.is_empty() { Err(outage()) } else { Ok(self.0.into()) } })
    }
}

#[tokio::test]
async fn a_host_with_a_secret_of_its_own_needs_no_secrets_manager() {
    let server = dynamodb().await;
    let production = Vars::new([
        ("APP_ENV".to_owned(), "production".to_owned()),
        ("AWS_REGION".to_owned(), "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL".to_owned(), server.uri()),
        // Not asked: the host has read what it says.
        ("SECRET_ID".to_owned(), "file:/run/secrets/two-factor".to_owned()),
    ]);
    let start = async |secret: &'static str| {
        let credentials = AwsCredentials::Provided(SharedCredentialsProvider::new(Rotating::default()));
        let parts = Parts { credentials, secret: Some(Arc::new(Drawer(secret))), ..Parts::default() };
        App::start_with(production.clone(), parts).await
    };
    let complete =
        r#"{"CODE_PEPPER": "0123456789abcdef0123456789abcdef", "AUTH_JWT_SECRET": "fedcba9876543210fedcba9876543210"}"#;
    start(complete).await.unwrap();
    let error = start("{").await.err().unwrap();
    assert!(error.to_string().starts_with("SECRET_ID: the secret \"drawer\" is not a JSON object"), "{error}");
    let posts = server.received_requests().await.unwrap().into_iter().filter(|request| request.method == "POST").count();
    assert_eq!(posts, 0, "nothing was asked of AWS but for a connection");
}

#[tokio::test]
async fn secrets_manager_is_asked_for_no_secret_that_is_in_another_store() {
    let server = dynamodb().await;
    let pepper = ("CODE_PEPPER", "0123456789abcdef0123456789abcdef");
    for (setting, id) in [
        ("SECRET_ID", "file:/run/secrets/two-factor"),
        ("SECRET_ID", "gcp:projects/p/secrets/s"),
        ("SECRET_ID", "vault:two-factor"),
        ("TOKEN_SECRET_ID", "file:/run/secrets/token"),
    ] {
        let settings = [("APP_ENV", "production"), ("AWS_REGION", "us-east-1"), pepper, ("LOCK_SECONDS", "soon"), (setting, id)];
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let vars = Vars::new(settings.chain([("AWS_ENDPOINT_URL".to_owned(), server.uri())]));
        let credentials = AwsCredentials::Provided(SharedCredentialsProvider::new(Rotating::default()));
        let error = App::start_with(vars, Parts { credentials, ..Parts::default() }).await.err().unwrap();
        assert!(!error.is_temporary(), "{error}");
        let error = error.to_string();
        let [first, second] = error.lines().collect::<Vec<_>>()[..] else { panic!("{error}") };
        assert!(first.starts_with(&format!("{setting}: must be the name or ARN of a secret in Secrets Manager")), "{first}");
        assert!(first.ends_with("outside Lambda only") && !first.contains(id), "{first}");
        assert!(second.starts_with("LOCK_SECONDS: "), "what else is wrong is told at once: {second}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

/// Starts with these settings and this secret, on the host's credentials.
async fn start(settings: &[(&str, &str)], secret: &'static str) -> Result<App, StartError> {
    let vars = Vars::new(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let credentials = AwsCredentials::Provided(SharedCredentialsProvider::new(Rotating::default()));
    App::start_with(vars, Parts { credentials, secret: Some(Arc::new(Drawer(secret))), ..Parts::default() }).await
}

fn lines(result: Result<App, StartError>) -> Vec<String> {
    let names = |line: &str| line.split(':').next().unwrap().to_owned();
    result.err().unwrap().to_string().lines().map(names).collect()
}

const WRONG: &[(&str, &str)] = &[
    ("AWS_REGION", "us-east-1"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ("TABLE_NAME", "a"),
    ("AUTH_MODE", "none"),
    ("LOG_LEVEL", "loud"),
    ("SMS_PROVIDERS", "twilio"),
    ("TWILIO_ACCOUNT_SID", "AC1"),
];

#[tokio::test]
async fn one_start_tells_everything_that_is_wrong_and_knows_what_the_secret_may_bring() {
    let all =
        ["TABLE_NAME", "CODE_PEPPER", "AUTH_MODE", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER", "LOG_LEVEL"];
    assert_eq!(lines(start(WRONG, "{}").await), all);
    let without_secret = ["SECRET_ID", "TABLE_NAME", "AUTH_MODE", "TWILIO_ACCOUNT_SID", "LOG_LEVEL"];
    assert_eq!(lines(start(WRONG, "").await), without_secret, "what may be in the secret is not missing yet");
    let malformed = start(WRONG, "{").await.err().unwrap();
    assert!(!malformed.is_temporary());
    assert_eq!(malformed.to_string().lines().count(), without_secret.len());

    let (region, rest) = WRONG.split_first().unwrap();
    assert_eq!(
        lines(start(rest, "{}").await),
        [&[region.0][..], &without_secret[1..]].concat(),
        "without AWS the rest is told too"
    );
    let files = [("EXTRA_CA_FILE", "/nonexistent/ca.pem")];
    assert_eq!(
        lines(start(&[rest, &files].concat(), "{}").await),
        [&[region.0][..], &[files[0].0], &without_secret[1..]].concat(),
        "one file of certificates that is wrong is told once"
    );
    let outage = start(&WRONG[..2], "").await.err().unwrap();
    assert!(outage.is_temporary(), "nothing else is wrong: {outage}");
}

#[tokio::test]
async fn names_that_nothing_reads_are_warned_of_and_no_value_is_s6() {
    let log = CapturedLog::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time().finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let settings = [
        ("APP_ENV", "development"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("SMS_PROVIDER", "hush-hush"),
        ("SSH_AUTH_SOCK", "hush-hush"),
    ];
    start(&settings, r#"{"TWILLIO_AUTH_TOKEN": "hush-hush"}"#).await.unwrap();
    drop(guard);
    let warnings: Vec<_> = log.text().lines().filter(|line| line.contains("nothing reads")).map(str::to_owned).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("WARN") && warnings[0].ends_with("nothing reads SMS_PROVIDER: SMS_PROVIDERS is probably meant"));
    assert!(warnings[1].ends_with("nothing reads the secret's key \"TWILLIO_AUTH_TOKEN\": TWILIO_AUTH_TOKEN is probably meant"));
    assert!(!log.text().contains("hush"), "{}", log.text());
}

/// Then most of all: the setting that is missing may be the one that was misspelled.
#[test]
fn names_that_nothing_reads_are_warned_of_where_settings_stop_the_start_too() {
    let log = CapturedLog::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time().finish();
    let settings =
        [("APP_ENV", "development"), ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"), ("TWILLIO_AUTH_TOKEN", "x")];
    let vars = Vars::new(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let judged = tracing::subscriber::with_default(subscriber, || judge_settings(&vars));
    assert!(judged.unwrap_err().to_string().contains("TWILIO_AUTH_TOKEN: is not set"));
    assert!(log.text().contains("nothing reads TWILLIO_AUTH_TOKEN: TWILIO_AUTH_TOKEN is probably meant"), "{}", log.text());
}

/// A Secrets Manager with these two secrets, each of which may be missing.
async fn secrets_manager(secret: Option<&str>, token_secret: Option<&str>) -> MockServer {
    let server = MockServer::start().await;
    for (id, text) in [("stack/secret", secret), ("stack/token", token_secret)] {
        let answer = match text {
            Some(text) => ResponseTemplate::new(200).set_body_json(json!({"ARN": "arn:s", "Name": id, "SecretString": text})),
            None => ResponseTemplate::new(400).set_body_json(json!({"__type": "ResourceNotFoundException", "message": "no"})),
        };
        let request = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
        request.and(body_json(json!({"SecretId": id}))).respond_with(answer).mount(&server).await;
    }
    server
}

async fn start_with_token_secret(server: &MockServer, more: &[(&str, &str)]) -> Result<App, StartError> {
    let (endpoint, common) =
        (server.uri(), [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key")]);
    let ids = [("SECRET_ID", "stack/secret"), ("TOKEN_SECRET_ID", "stack/token"), ("AWS_ENDPOINT_URL", &*endpoint)];
    let settings = common.iter().chain(&ids).chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    App::start(Vars::new(settings)).await
}

/// Whether a token that was signed with this secret is taken.
async fn takes(app: &App, secret: &str) -> bool {
    let mut request = Request::default();
    let token = SigningKey::hmac(secret).token("any", &json!({"sub": "alice", "exp": 4_102_444_800_u64}));
    request.headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    app.exchange("setup", &request).authenticate().await.is_ok()
}

const PEPPER: &str = r#"{"CODE_PEPPER": "0123456789abcdef0123456789abcdef"}"#;
const BOTH: &str =
    r#"{"CODE_PEPPER": "0123456789abcdef0123456789abcdef", "AUTH_JWT_SECRET": "an older token secret, of 32 bytes"}"#;
const TOKEN_SECRET: &str = "the token secret alone, of 32 bytes";

#[tokio::test]
async fn the_token_secret_may_be_a_secret_of_its_own() {
    for secret in [PEPPER, BOTH] {
        let server = secrets_manager(Some(secret), Some(&format!("{TOKEN_SECRET}\n"))).await;
        let app = start_with_token_secret(&server, &[]).await.unwrap();
        assert!(takes(&app, TOKEN_SECRET).await);
        assert!(!takes(&app, "an older token secret, of 32 bytes").await, "a secret of its own wins");
        let app = start_with_token_secret(&server, &[("AUTH_JWT_SECRET", "the environment's, also of 32 bytes")]).await.unwrap();
        assert!(takes(&app, "the environment's, also of 32 bytes").await, "the environment wins over all");
    }
}

#[tokio::test]
async fn a_token_secret_that_cannot_be_used_is_named_and_one_that_nobody_needs_is_not_read() {
    let wrong = |result: Result<App, StartError>| result.err().unwrap().to_string();
    let missing = secrets_manager(Some(PEPPER), None).await;
    let told = wrong(start_with_token_secret(&missing, &[]).await);
    assert!(told.starts_with("TOKEN_SECRET_ID: the secret \"stack/token\" is not in Secrets Manager"), "{told}");
    let json = secrets_manager(Some(PEPPER), Some(&json!({"AUTH_JWT_SECRET": TOKEN_SECRET}).to_string())).await;
    let told = wrong(start_with_token_secret(&json, &[]).await);
    assert!(told.contains("is a JSON object: store the value alone") && !told.contains(TOKEN_SECRET), "{told}");
    let neither = wrong(start_with_token_secret(&secrets_manager(None, None).await, &[]).await);
    assert_eq!(neither.lines().count(), 2, "{neither}");

    let before = missing.received_requests().await.unwrap().len();
    start_with_token_secret(&missing, &[("AUTH_MODE", "gateway")]).await.unwrap();
    let asked = missing.received_requests().await.unwrap().split_off(before);
    assert!(
        !asked.iter().any(|request| String::from_utf8_lossy(&request.body).contains("stack/token")),
        "no mode but hs256 has one"
    );
}
