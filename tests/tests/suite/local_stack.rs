//! The local stack that `make run` starts: its settings, its server, its inbox, and how it says what is wrong.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reqwest::{Method, Response, header::HeaderMap};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};
use two_factor::{
    adapters::{http::public_client, system::SystemClock},
    config::{ConfigError, Environment, Vars},
    ports::Clock as _,
};
use two_factor_local::{
    database::EmbeddedDatabase,
    settings::Settings,
    sms_inbox::{Reply, SmsInbox},
    stack::Stack,
    welcome,
};
use two_factor_tests::{
    openapi,
    running_stack::{ENROLL, PRODUCTION, Running, settings, start, twilio_at},
};

#[test]
fn the_environment_wins_over_the_env_file() {
    let file = env_file("wins", "PORT=4000\nAPP_NAME='Acme Bank' # a comment\n");
    let settings = Settings::read([("PORT".to_owned(), "5000".to_owned())], &file, Environment::Production).unwrap();
    assert_eq!(settings.port, Some(5000));
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
async fn development_signs_what_was_proven_with_a_key_of_its_own_and_production_with_none_s27() {
    let stack = start(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let enrolled: Value = stack.call(Method::POST, "setup", Some(ENROLL.to_owned())).await.json().await.unwrap();
    let code = |answer: &Value| answer["warning"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    let verify = |code: String| stack.call(Method::POST, "verify", Some(json!({"code": code}).to_string()));
    verify(code(&enrolled)).await;
    let sent: Value = stack.call(Method::POST, "send-sms", None).await.json().await.unwrap();
    let signed_in: Value = verify(code(&sent)).await.json().await.unwrap();
    let header = jsonwebtoken::decode_header(signed_in["assertion"].as_str().unwrap()).unwrap();
    let published = |stack: &Running| stack.client.get(stack.url(".well-known/jwks.json")).send();
    let keys: Value = published(&stack).await.unwrap().json().await.unwrap();
    assert_eq!(keys["keys"][0]["kid"], json!(header.kid));
    assert_eq!(published(&start(&PRODUCTION).await).await.unwrap().status(), 404);
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
async fn any_web_page_may_call_where_an_inbox_takes_the_messages() {
    let stack = start(&[("SMS_INBOX", "1")]).await;
    let answer = stack.client.get(stack.url("setup")).header("Origin", "https://app.example.com").send().await.unwrap();
    assert_eq!(header(answer.headers(), "access-control-allow-origin"), "*");
}

#[tokio::test]
async fn no_web_page_of_another_origin_spends_messages_of_a_provider() {
    let twilio = SmsInbox::start(|_| {}).await.unwrap();
    let stack = start(&twilio_at(&twilio.url())).await;
    let (own, url) = (stack.stack.server.url(), stack.url("setup"));

    let preflight = stack
        .client
        .request(Method::OPTIONS, &url)
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,content-type");
    let refused = preflight.send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(!allows_something(refused.headers()), "{:?}", refused.headers());

    // The development secret is public: a page can make the token itself. Text needs no preflight request (Fetch standard, CORS-safelisted).
    for (origin, reason) in [
        ("https://app.example.com", "another site"),
        ("null", "a sandboxed frame, or a file"),
        ("http://localhost:5173", "another server of this machine"),
        ("https://127.0.0.1", "another scheme and port"),
    ] {
        for content_type in ["application/json", "text/plain"] {
            let request = stack.client.post(&url).bearer_auth(&stack.token).header("Origin", origin);
            let refused = request.header("Content-Type", content_type).body(ENROLL).send().await.unwrap();
            assert_eq!(refused.status(), 403, "{reason}, {content_type}");
            assert!(!allows_something(refused.headers()), "{reason}: {:?}", refused.headers());
            let told = refused.text().await.unwrap();
            assert!(told.contains("SMS_INBOX=1"), "what helps: {told}");
        }
    }
    assert!(twilio.received().is_empty(), "nothing was sent");

    let request = stack.client.post(&url).bearer_auth(&stack.token).header("Origin", own);
    let sent = request.header("Content-Type", "application/json").body(ENROLL).send().await.unwrap();
    assert_eq!(sent.status(), 200, "a page of this very server is no stranger");
    assert_eq!(twilio.received().len(), 1);
}

#[tokio::test]
async fn no_web_page_of_another_origin_may_call_in_production() {
    let stack = start(&PRODUCTION).await;
    let answer = stack.client.get(stack.url("setup")).header("Origin", "https://app.example.com").send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(!allows_something(answer.headers()));
}

#[tokio::test]
async fn a_server_of_this_machine_answers_to_no_name_that_a_web_page_could_bring() {
    let stack = start(&[("SMS_INBOX", "1")]).await;
    let server = stack.stack.server.url();
    for path in ["/api/v1/auth/2fa/setup/", "/_inbox"] {
        for (name, status) in [
            ("localhost:3000", None),
            ("LOCALHOST", None),
            ("app.localhost:5173", None),
            ("127.0.0.1", None),
            ("127.8.8.8:3000", None),
            ("[::1]:3000", None),
            ("rebound.example.com", Some(421)),
            ("localhost.example.com:3000", Some(421)),
            ("notlocalhost", Some(421)),
            ("127.0.0.1.example.com", Some(421)),
            ("127.0.0.1@example.com", Some(421)),
            ("192.0.2.1:3000", Some(421)),
            ("[2001:db8::1]", Some(421)),
            ("host.docker.internal", Some(421)),
        ] {
            let request = stack.client.get(format!("{server}{path}")).bearer_auth(&stack.token).header("Host", name);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), status.unwrap_or(200), "{path}, called as {name}");
            if status.is_some() {
                let told = answer.text().await.unwrap();
                assert!(told.contains("http://localhost"), "what helps: {told}");
            }
        }
    }
    let address = server.strip_prefix("http://").unwrap();
    for (request, status, reason) in [
        ("GET /_inbox HTTP/1.1\r\nConnection: close\r\n\r\n", "421", "no name"),
        ("GET /_inbox HTTP/1.0\r\n\r\n", "421", "no name, which HTTP/1.0 allows"),
        ("GET /_inbox HTTP/1.1\r\nHost: localhost\r\nHost: a.example\r\nConnection: close\r\n\r\n", "421", "two names"),
        (
            "GET http://a.example/_inbox HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            "421",
            "the target wins (RFC 9112)",
        ),
        ("GET http://localhost/_inbox HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "200", "as a proxy asks"),
    ] {
        let answer = raw(address, request).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{reason}: {answer}");
    }
}

#[tokio::test]
async fn the_inbox_itself_answers_to_no_name_that_a_web_page_could_bring() {
    let inbox = SmsInbox::start(|_| {}).await.unwrap();
    let client = public_client(&Vars::default()).unwrap();
    let answer = client.get(format!("{}/_inbox", inbox.url())).header("Host", "rebound.example.com").send().await.unwrap();
    assert_eq!(answer.status(), 421);
}

#[tokio::test]
async fn no_web_page_reads_the_database() {
    let database = EmbeddedDatabase::start(None, 0).unwrap();
    let client = public_client(&Vars::default()).unwrap();
    let url = format!("{}/", database.endpoint());
    let list = |headers: &[(&'static str, &'static str)]| {
        let request = client.post(&url).header("Content-Type", "application/x-amz-json-1.0");
        let request = request.header("X-Amz-Target", "DynamoDB_20120810.ListTables").header("Authorization", SIGNED);
        let request = request.header("X-Amz-Date", "20260101T000000Z").body("{}");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    for (headers, status, reason) in [
        (&[][..], 200, "a program"),
        (&[("Host", "localhost:8000")], 200, "the same by name"),
        (&[("Host", "host.docker.internal:8000")], 200, "a container"),
        (&[("Host", "172.17.0.1:8000")], 200, "an address: only names can be bound to another one"),
        (&[("Host", "rebound.example.com")], 421, "DNS rebinding"),
        (&[("Origin", "https://app.example.com")], 403, "a page"),
        (&[("Origin", "null")], 403, "a page of no origin"),
        (&[("Origin", "http://127.0.0.1")], 403, "a page of this machine: the database has none"),
        (&[("Sec-Fetch-Site", "cross-site")], 403, "a browser that does not say the origin"),
        (&[("Sec-Fetch-Site", "same-site")], 403, "another port of this machine"),
    ] {
        let answer = list(headers).await.unwrap();
        assert_eq!(answer.status(), status, "{reason}");
        assert!(!allows_something(answer.headers()), "{reason}: {:?}", answer.headers());
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body.get("TableNames").is_some(), status == 200, "{reason}: {body}");
        assert_eq!(body["message"].is_string(), status != 200, "an SDK shows the reason, {reason}: {body}");
    }
    let preflight = client.request(Method::OPTIONS, &url).header("Origin", "https://app.example.com");
    let preflight =
        preflight.header("Access-Control-Request-Method", "POST").header("Access-Control-Request-Headers", "x-amz-target");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(!allows_something(answer.headers()), "{:?}", answer.headers());
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
async fn the_api_is_described_and_shown_without_anything_from_elsewhere() {
    let stack = start(&[]).await;
    let url = stack.stack.server.url();
    let get = async |path: String| stack.client.get(path).send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
    let described: Value = serde_json::from_str(&get(format!("{url}/openapi.json")).await).unwrap();
    assert_eq!(described, openapi::description().document);
    let page = get(format!("{url}/docs/")).await;
    let files: Vec<_> = page.split('"').filter(|part| matches!(part.rsplit_once('.'), Some((_, "js" | "css")))).collect();
    assert!(files.len() >= 4, "{page}");
    let mut texts = page.clone();
    for file in files {
        let file = file.strip_prefix("./").unwrap_or(file);
        let text = get(format!("{url}/docs/{file}")).await;
        if file.starts_with("swagger-initializer") {
            texts.push_str(&text);
        }
    }
    assert!(texts.contains("/openapi.json") && !texts.contains("http"), "{texts}");
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
    assert_eq!(shown[0]["number"], "+12015550123");
    let verified = stack.call(Method::POST, "verify", Some(json!({ "code": shown[0]["code"] }).to_string())).await;
    assert_eq!(verified.status(), 200);
}

#[tokio::test]
async fn the_clock_can_be_moved_past_a_codes_end_but_not_past_a_tokens_and_not_where_messages_are_really_sent() {
    let stack = start(&[]).await;
    let url = format!("{}/_clock", stack.stack.server.url());
    let sent: Value = stack.call(Method::POST, "setup", Some(ENROLL.to_owned())).await.json().await.unwrap();
    let warning = sent["warning"].as_str().unwrap();
    let code = json!({ "code": &warning[warning.len() - 6..] }).to_string();
    let moved = stack.client.post(&url).json(&json!({"advance_seconds": 3600})).send().await.unwrap();
    assert_eq!(moved.json::<Value>().await.unwrap()["ahead_seconds"], 3600);
    let shown: Value = stack.client.get(&url).send().await.unwrap().json().await.unwrap();
    assert!(shown["now"].as_str().unwrap() > SystemClock.now().to_rfc3339().as_str(), "{shown}");
    // The token's hour is over by that clock, and the code's time, too.
    let late = stack.call(Method::POST, "verify", Some(code)).await;
    assert_eq!(problem(late).await, (409, "no_pending_verification".to_owned()), "the enrollment has lapsed as well");
    for wrong in [json!({"advance_seconds": -1}), json!({"advance_seconds": u64::MAX}), json!({})] {
        assert!(stack.client.post(&url).json(&wrong).send().await.unwrap().status().is_client_error(), "{wrong}");
    }
    let production = [
        ("APP_ENV", "production"),
        ("CODE_PEPPER", "a pepper for tests, which has 32 bytes or more"),
        ("AUTH_JWT_SECRET", "a token secret for tests, which has 32 bytes"),
    ];
    let provider: Vec<_> = [("APP_ENV", "development")].into_iter().chain(twilio_at("http://127.0.0.1:1")).collect();
    for settings in [&production[..], &provider[..]] {
        let stack = start(settings).await;
        let url = format!("{}/_clock", stack.stack.server.url());
        let refused = stack.client.post(url).json(&json!({"advance_seconds": 1})).send().await.unwrap();
        assert_eq!(problem(refused).await, (404, "not_found".to_owned()));
    }
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
    let text = welcome(&stack);
    assert_eq!(text.matches("curl -s -X").count(), 3, "{text}");
    assert_eq!(text.matches(&format!("Bearer {}", stack.token)).count(), 3, "each can be pasted as it is");
    assert!(text.contains("+12015550123"), "{text}");
    assert!(text.contains("make token SUB=bob"), "{text}");
}

#[tokio::test]
async fn the_commands_of_the_welcome_text_enroll_when_pasted() {
    for settings in [&[][..], &[("SMS_INBOX", "1")]] {
        let stack = start(settings).await;
        let answers = paste(&welcome(&stack), "").await;
        assert!(answers.contains(r#""verified":true"#), "{settings:?}: {answers}");
        assert!(
            answers.contains(r#""enabled":true,"method":"sms","phone_number_masked":"+1****0123""#),
            "{settings:?}: {answers}"
        );
    }
}

#[tokio::test]
async fn with_a_provider_the_welcome_text_names_it_and_asks_for_number_and_code() {
    let twilio = SmsInbox::start(|_| {}).await.unwrap();
    let stack = start(&twilio_at(&twilio.url())).await;
    let text = welcome(&stack);
    assert!(text.contains("sent by twilio"), "{text}");
    assert!(!text.contains(r#""phone_number": "+1"#) && !text.contains("use code"), "no number of others: {text}");

    // What a person types: the number, and the code, which is not known before it is sent.
    let steps: Vec<String> = commands(&text);
    let [enroll, verify, status] = &steps[..] else { panic!("three commands: {steps:?}") };
    let answer = shell(enroll, "+12015550142\n").await;
    assert!(answer.contains("own number") && answer.contains("+1****0142"), "{answer}");
    let message = twilio.received().pop().unwrap();
    assert_eq!(message.to(), "+12015550142");
    let answer = shell(verify, &format!("{}\n", &message.body()[..6])).await;
    assert!(answer.contains(r#""verified":true"#), "{answer}");
    assert!(shell(status, "").await.contains(r#""enabled":true"#));
}

#[tokio::test]
async fn in_production_without_a_provider_the_welcome_text_promises_no_code() {
    let stack = start(&PRODUCTION).await;
    let text = welcome(&stack);
    assert!(text.contains("no SMS provider is configured") && !text.contains("curl"), "{text}");
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

/// A signature as an SDK writes it, which nobody checks.
const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0";

/// Why a stack with these settings does not start.
async fn failure(variables: &[(&str, &str)]) -> String {
    match settings(variables) {
        Err(error) => error.to_string(),
        Ok(settings) => Stack::start(settings, |_| {}).await.map(|_| ()).expect_err("it must not start").to_string(),
    }
}

fn welcome(stack: &Running) -> String {
    welcome::text(&stack.stack, Ok::<_, &ConfigError>(stack.token.as_str()))
}

/// The commands of the welcome text: what is between blank lines and calls curl.
fn commands(text: &str) -> Vec<String> {
    text.split("\n\n").filter(|paragraph| paragraph.contains("curl")).map(str::to_owned).collect()
}

/// What the commands of the welcome text print, one after the other in one shell, to somebody who types `typed`.
async fn paste(text: &str, typed: &str) -> String {
    shell(&commands(text).join("\n"), typed).await
}

async fn shell(script: &str, typed: &str) -> String {
    let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Dropped at the end of the statement, as the end of what is typed.
    shell.stdin.take().unwrap().write_all(typed.as_bytes()).await.unwrap();
    String::from_utf8(shell.wait_with_output().await.unwrap().stdout).unwrap()
}

/// Sends bytes that no client would, and returns the answer's.
async fn raw(address: &str, request: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

fn allows_something(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("access-control-"))
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
