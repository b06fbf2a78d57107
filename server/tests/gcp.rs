//! The program as a pod on Google's cloud runs it: its credentials are in Google Secret Manager, and the metadata server says who it is.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects has to stop"
)]

mod program;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use two_factor::{
    adapters::{http::public_client, system::SystemClock},
    config::Vars,
    ports::Clock as _,
};
use two_factor_tests::tokens::SigningKey;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{basic_auth, header, method, path, path_regex},
};

use program::{Program, Table, free_port, run};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN_SECRET: &str = "a token secret for tests, which has 32 bytes";

/// Google and Twilio, at one address.
struct World(MockServer);

impl World {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let token = json!({"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"});
        Mock::given(method("GET"))
            .and(path("/computeMetadata/v1/instance/service-accounts/default/token"))
            .and(header("metadata-flavor", "Google"))
            .respond_with(ResponseTemplate::new(200).set_body_json(token))
            .mount(&server)
            .await;
        let missing = json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "Secret not found."}});
        Mock::given(method("GET"))
            .and(path_regex("^/v1/projects/"))
            .respond_with(ResponseTemplate::new(404).set_body_json(missing))
            .with_priority(u8::MAX)
            .mount(&server)
            .await;
        Self(server)
    }

    /// Holds this secret from now on, whatever it held before.
    async fn holds(&self, secret: &str, text: &str, priority: u8) {
        Mock::given(method("GET"))
            .and(path(format!("/v1/projects/p/secrets/{secret}/versions/latest:access")))
            .and(header("authorization", "Bearer ya29.token"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"payload": {"data": STANDARD.encode(text)}})))
            .with_priority(priority)
            .mount(&self.0)
            .await;
    }

    /// Twilio takes messages from whoever has this token, and refuses others.
    async fn takes(&self, auth_token: &str, priority: u8) {
        let messages = || Mock::given(method("POST")).and(path(format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json")));
        let refused = ResponseTemplate::new(401).set_body_json(json!({"code": 20003, "message": "Authenticate", "status": 401}));
        messages().respond_with(refused).with_priority(priority).mount(&self.0).await;
        let taken =
            ResponseTemplate::new(201).set_body_json(json!({"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued"}));
        messages().and(basic_auth(ACCOUNT, auth_token)).respond_with(taken).with_priority(priority - 1).mount(&self.0).await;
    }
}

async fn setup(port: &str, user: &str) -> (u16, Value) {
    let exp = SystemClock.now().plus(Duration::from_mins(5)).as_secs_ceil();
    let token = SigningKey::hmac(TOKEN_SECRET).token("", &json!({"sub": user, "exp": exp}));
    let url = format!("http://127.0.0.1:{port}/api/v1/auth/2fa/setup");
    let body = json!({"method": "sms", "phone_number": "+12015550123"});
    let request = public_client(&Vars::default()).unwrap().post(url).bearer_auth(token).json(&body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_come_from_secret_manager_and_a_rotation_takes_no_restart() {
    let (world, table, port, admin_port) = (World::start().await, Table::start().await, free_port(), free_port());
    for (secret, text) in [
        ("code-pepper", "a pepper for tests, which has 32 bytes or more\n"),
        ("auth-jwt-secret", TOKEN_SECRET),
        ("twilio-account-sid", ACCOUNT),
        ("twilio-auth-token", "before-before-before-before-before"),
        ("twilio-phone-number", "+15005550006"),
    ] {
        world.holds(secret, text, 100).await;
    }
    world.takes("before-before-before-before-before", 100).await;
    let (url, endpoint) = (world.0.uri(), table.proxy.endpoint());
    let variables = [
        ("SECRET_ID", "gcp:projects/p"),
        ("GCE_METADATA_HOST", url.strip_prefix("http://").unwrap()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", &url),
        ("TWILIO_BASE_URL", &url),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
        ("PORT", &port),
        ("ADMIN_PORT", &admin_port),
        ("DRAIN_SECONDS", "0"),
    ];
    let program = Program::start(&variables);
    program.until_it_says("ready");
    let (status, answer) = setup(&port, "alice").await;
    assert_eq!(status, 200, "{answer}");

    world.takes("after-after-after-after-after-after", 50).await;
    world.holds("twilio-auth-token", "after-after-after-after-after-after", 50).await;
    let (status, answer) = setup(&port, "bob").await;
    assert_eq!(status, 200, "{answer}");
    program.ask_to_stop();
    assert_eq!(program.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_permission_is_told_with_secret_and_role() {
    let world = World::start().await;
    let denied =
        json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Permission denied (or it may not exist)."}});
    Mock::given(path_regex("^/v1/projects/"))
        .respond_with(ResponseTemplate::new(403).set_body_json(denied))
        .with_priority(1)
        .mount(&world.0)
        .await;
    let url = world.0.uri();
    let variables = [
        ("SECRET_ID", "gcp:projects/p/secrets/two-factor"),
        ("GCE_METADATA_HOST", url.strip_prefix("http://").unwrap()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", &url),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("PORT", "0"),
        ("ADMIN_PORT", &free_port()),
    ];
    let told = String::from_utf8(run(&[], &variables).stderr).unwrap();
    assert!(told.contains("gcp:projects/p/secrets/two-factor") && told.contains("roles/secretmanager.secretAccessor"), "{told}");
    let wrong = run(&[], &[("SECRET_ID", "gcp:p"), ("AWS_REGION", "us-east-1")]);
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("SECRET_ID: must be"), "a form that there is not");
}
