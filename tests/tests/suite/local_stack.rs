//! The local stack that `make run` starts: its settings, its server, its inbox, and how it says what is wrong.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Method, Response, header::HeaderMap};
use serde_json::{Value, json};
use two_factor::{
    adapters::{development_token::TokenMint, http::public_client, system::SystemClock},
    config::{Config, ConfigError, Environment, Vars},
    ports::Clock as _,
};
use two_factor_local::{
    settings::Settings,
    sms_inbox::{Reply, SmsInbox},
    stack::Stack,
    welcome,
};

#[test]
fn the_environment_wins_over_the_env_file() {
    let file = env_file("wins", "PORT=4000\nAPP_NAME='Acme Bank' # a comment\n");
    let settings = Settings::read([("PORT".to_owned(), "5000".to_owned())], &file, Environment::Production).unwrap();
    assert_eq!(settings.port, 5000);
    assert_eq!(settings.vars().get("APP_NAME"), Some("Acme Bank"));
}

#[test]
fn app_env_of_environment_or_file_wins_over_the_recipe_and_production_is_the_default_s22() {
    use Environment::{Development, Production};
    let (silent, production) = (env_file("silent", ""), env_file("production", "APP_ENV=production\n"));
    for (environment, file, default, expected) in [
        (None, &silent, Production, Production),
        (None, &silent, Development, Development),
        (None, &production, Development, Production),
        (Some("production"), &silent, Development, Production),
        (Some("development"), &silent, Production, Development),
        (Some("development"), &production, Production, Development),
        (Some(""), &production, Development, Development),
        (Some(""), &silent, Production, Production),
    ] {
        let variables = environment.map(|value| ("APP_ENV".to_owned(), value.to_owned()));
        let settings = Settings::read(variables, file, default).unwrap();
        assert_eq!(Environment::of(&settings.vars()), Ok(expected), "{environment:?}, {}, {default:?}", file.display());
    }
}

#[test]
fn a_malformed_line_of_the_env_file_is_named_and_not_repeated() {
    let file = env_file("malformed", "PORT=4000\nAUTH_JWT_SECRET = two words\n");
    let ConfigError { variable, problem } = Settings::read([], &file, Environment::Production).err().unwrap();
    assert_eq!(Path::new(&variable).extension().unwrap(), "env", "{variable}");
    assert!(problem.contains("line 2"), "{problem}");
    assert!(!problem.contains("words"), "a secret may be in it: {problem}");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_line_that_names_the_setting() {
    let file = env_file("a file, no folder", "");
    let under_a_file = file.join("data").display().to_string();
    for (name, value, reason) in [
        ("PORT", "eighty", "no number"),
        ("PORT", "70000", "no port"),
        ("DATABASE_PORT", "-1", "no port"),
        ("DATABASE_BIND", "localhost", "no address"),
        ("DATABASE_BIND", "192.0.2.1", "an address of no machine (RFC 5737), so not of this one"),
        ("DATA_DIR", &*under_a_file, "cannot be a folder"),
        ("SMS_INBOX", "yes", "neither 0 nor 1"),
        ("APP_ENV", "staging", "no such environment"),
        ("TABLE_NAME", "a b", "no name of a table"),
        ("CODE_TTL_SECONDS", "soon", "no number"),
    ] {
        let line = failure(&[("PORT", "0"), (name, value)]).await;
        assert!(line.contains(name) && line.lines().count() == 1, "{reason}: {line}");
    }
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let line = failure(&[("PORT", &taken.local_addr().unwrap().port().to_string())]).await;
    assert!(line.starts_with("PORT: cannot listen on port ") && line.lines().count() == 1, "{line}");
}

#[tokio::test]
async fn a_database_that_listens_on_every_address_is_used_through_loopback() {
    let stack = start(&[("DATABASE_BIND", "0.0.0.0")]).await;
    let endpoint = stack.stack.database.as_ref().unwrap().endpoint();
    assert!(endpoint.starts_with("http://127.0.0.1:"), "{endpoint}");
    assert_eq!(stack.call(Method::POST, "setup", Some(ENROLL.to_owned())).await.status(), 200);
}

#[tokio::test]
async fn any_web_page_may_call_in_development() {
    let stack = start(&[]).await;
    let url = stack.url("setup");
    let preflight = stack
        .client
        .request(Method::OPTIONS, &url)
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "DELETE")
        .header("Access-Control-Request-Headers", "authorization,content-type");
    let allowed = preflight.send().await.unwrap();
    assert_eq!(allowed.status(), 204);
    assert_eq!(header(allowed.headers(), "access-control-allow-origin"), "*");
    assert_eq!(header(allowed.headers(), "access-control-allow-headers"), "authorization,content-type");
    assert!(header(allowed.headers(), "access-control-allow-methods").contains("DELETE"));

    let answer = stack.client.get(&url).header("Origin", "https://app.example.com").send().await.unwrap();
    assert_eq!(answer.status(), 401, "a refusal can be read by the page too");
    assert_eq!(header(answer.headers(), "access-control-allow-origin"), "*");
    assert!(header(answer.headers(), "access-control-expose-headers").contains("Retry-After"));
}

#[tokio::test]
async fn no_web_page_may_call_in_production() {
    let stack = start(&[
        ("APP_ENV", "production"),
        ("CODE_PEPPER", "a pepper for tests, which has 32 bytes or more"),
        ("AUTH_JWT_SECRET", "a token secret for tests, which has 32 bytes"),
    ])
    .await;
    let answer = stack.client.get(stack.url("setup")).header("Origin", "https://app.example.com").send().await.unwrap();
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_path_that_is_nobodys_and_a_body_beyond_all_limits_get_the_services_own_refusals() {
    let stack = start(&[]).await;
    let lost = stack.client.get(format!("{}/api/v1/auth/2fa/", stack.stack.server.url())).send().await.unwrap();
    assert_eq!(problem(lost).await, (404, "not_found".to_owned()));
    let huge = stack.call(Method::POST, "setup", Some("x".repeat(11 << 20))).await;
    assert_eq!(problem(huge).await, (413, "payload_too_large".to_owned()));
}

#[tokio::test]
async fn with_an_inbox_the_code_is_in_the_text_message_and_not_in_the_answer() {
    let stack = start(&[("SMS_INBOX", "1")]).await;
    let answer = stack.call(Method::POST, "setup", Some(ENROLL.to_owned())).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer.get("warning"), None);

    let shown: Value =
        stack.client.get(format!("{}/_inbox", stack.stack.server.url())).send().await.unwrap().json().await.unwrap();
    let text = shown[0]["Body"].as_str().unwrap();
    assert_eq!(shown[0]["To"], "+12015550123");
    let verified = stack.call(Method::POST, "verify", Some(json!({ "code": &text[..6] }).to_string())).await;
    assert_eq!(verified.status(), 200);
}

#[tokio::test]
async fn a_data_folder_keeps_the_enrollment_over_a_restart() {
    let folder = scratch("kept");
    drop(fs::remove_dir_all(&folder));
    let data_dir = folder.display().to_string();
    let first = start(&[("DATA_DIR", &data_dir)]).await;
    let answer: Value = first.call(Method::POST, "setup", Some(ENROLL.to_owned())).await.json().await.unwrap();
    assert_eq!(answer["phone_number_masked"], "+1****0123");
    let Running { stack, .. } = first;
    stack.server.stop().await;
    drop(stack.database);

    let second = start(&[("DATA_DIR", &data_dir)]).await;
    let status: Value = second.call(Method::GET, "setup", None).await.json().await.unwrap();
    assert_eq!(status["pending"], true, "{status}");
}

#[tokio::test]
async fn the_welcome_text_has_three_commands_and_a_token() {
    let stack = start(&[]).await;
    let text = welcome::text(&stack.stack, Ok::<_, &ConfigError>(stack.token.as_str()));
    assert_eq!(text.matches("curl -s -X").count(), 3, "{text}");
    assert_eq!(text.matches(&format!("Bearer {}", stack.token)).count(), 3, "each can be pasted as it is");
    assert!(text.contains("make token SUB=bob"), "{text}");
}

#[tokio::test]
async fn the_inbox_answers_as_it_is_told_and_then_queues() {
    let inbox = SmsInbox::start(|_| {}).await.unwrap();
    inbox.script([Reply::refusal(400, 21610), Reply::Cut, Reply::QueuedAfter(Duration::from_millis(1))]);
    let client = public_client(&Vars::default()).unwrap();
    let url = format!("{}/2010-04-01/Accounts/AC1/Messages.json", inbox.url());
    let send =
        async |to: &str| client.post(&url).basic_auth("AC1", Some("token")).form(&[("To", to), ("Body", "hi")]).send().await;

    let refused = send("+12015550101").await.unwrap();
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], 21610);
    let cut = async { send("+12015550102").await?.bytes().await }.await;
    assert!(cut.is_err(), "the answer is not whole");
    for number in ["+12015550103", "+12015550104"] {
        assert_eq!(send(number).await.unwrap().status(), 201);
    }
    let numbers: Vec<_> = inbox.received().iter().map(|message| message.to().to_owned()).collect();
    assert_eq!(numbers, ["+12015550101", "+12015550102", "+12015550103", "+12015550104"], "each request is kept");
    assert!(inbox.received()[0].authorization.as_ref().unwrap().starts_with("Basic "));
}

const ENROLL: &str = r#"{"method": "sms", "phone_number": "+12015550123"}"#;

/// A stack on a free port, and a client of the user alice.
struct Running {
    stack: Stack,
    client: Client,
    token: String,
}

impl Running {
    fn url(&self, endpoint: &str) -> String {
        format!("{}/api/v1/auth/2fa/{endpoint}/", self.stack.server.url())
    }

    async fn call(&self, method: Method, endpoint: &str, body: Option<String>) -> Response {
        let request = self.client.request(method, self.url(endpoint)).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(body),
            None => request,
        };
        request.send().await.unwrap()
    }
}

fn settings(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let variables: BTreeMap<String, String> =
        [("PORT", "0")].iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::read(variables, Path::new("no such file"), Environment::Development)
}

async fn start(variables: &[(&str, &str)]) -> Running {
    let settings = settings(variables).unwrap();
    let mint = TokenMint::new(&Config::from_vars(&settings.vars()).unwrap().auth).unwrap();
    let token = mint.mint("alice", SystemClock.now(), Duration::from_secs(3600)).unwrap();
    let stack = Stack::start(settings, |_| {}).await.unwrap();
    Running { stack, client: public_client(&Vars::default()).unwrap(), token }
}

/// Why a stack with these settings does not start.
async fn failure(variables: &[(&str, &str)]) -> String {
    match settings(variables) {
        Err(error) => error.to_string(),
        Ok(settings) => Stack::start(settings, |_| {}).await.map(|_| ()).expect_err("it must not start").to_string(),
    }
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn env_file(name: &str, text: &str) -> PathBuf {
    let file = scratch(&format!("{name}.env"));
    fs::write(&file, text).unwrap();
    file
}
