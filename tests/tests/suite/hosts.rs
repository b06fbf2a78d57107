//! What a host brings to the service in place of what Lambda gives: credentials that change while the process lives,
//! a secret of another store, and the time that a request has.

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
use two_factor::{
    api::Request,
    app::{App, AwsCredentials, Parts, StartError},
    config::Vars,
    domain::UserId,
    ports::{BoxFuture, Deadline, Origin, SecretError, SecretSource},
    use_cases::{Caller, RequestStats},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

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
    assert!(matches!(&error, Some(StartError::Config(error)) if error.variable == "AWS_ACCESS_KEY_ID"), "{error:?}");
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

/// A store with one secret.
struct Drawer(&'static str);

impl SecretSource for Drawer {
    fn name(&self) -> &'static str {
        "drawer"
    }

    fn read(&self) -> BoxFuture<'_, Result<SecretString, SecretError>> {
        Box::pin(async { Ok(self.0.into()) })
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
