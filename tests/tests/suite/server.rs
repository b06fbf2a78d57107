//! The server outside Lambda: when it is ready, how it ends, whom it believes, and what it counts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};
use two_factor::{
    adapters::{
        development_token::{TOKEN_LIFE, TokenMint},
        dynamodb::{client, table::ensure_table},
        http::public_client,
        system::SystemClock,
    },
    app::Parts,
    config::{Config, Vars},
    ports::Clock as _,
};
use two_factor_local::{
    database::{EmbeddedDatabase, sdk_config},
    sms_inbox::SmsInbox,
};
use two_factor_server::lifecycle::{Failure, Listening};
use two_factor_tests::{
    dynamodb_proxy::{Fault, Proxy},
    service::{HOME, WORK},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

/// A server with a table of its own.
struct Running {
    url: String,
    admin: String,
    storage: Proxy,
    stop: mpsc::Sender<()>,
    task: JoinHandle<Result<(), Failure>>,
    http: reqwest::Client,
    mint: TokenMint,
    _database: EmbeddedDatabase,
}

impl Running {
    /// In development, without a provider, with these settings; the table does what `prepare` tells it from the beginning.
    async fn start_with(settings: &[(&str, &str)], prepare: impl FnOnce(&Proxy)) -> Self {
        let database = EmbeddedDatabase::start(None, 0).unwrap();
        ensure_table(&client(&sdk_config(&database.endpoint()).unwrap()), "sms-2fa").await.unwrap();
        let storage = Proxy::start(&database.endpoint());
        prepare(&storage);
        let mut variables = variables(&storage.endpoint());
        variables.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mint = TokenMint::new(&Config::from_vars(&Vars::new(variables.clone())).unwrap().auth).unwrap();
        let listening = Listening::start(variables).await.unwrap_or_else(|failure| panic!("{failure}"));
        let at = |address: std::net::SocketAddr| format!("http://127.0.0.1:{}", address.port());
        let (url, admin) = (at(listening.address()), at(listening.admin_address()));
        let (stop, stopped) = mpsc::channel(1);
        let task = tokio::spawn(listening.run(Parts::default(), stopped));
        Self { url, admin, storage, stop, task, http: public_client(&Vars::default()).unwrap(), mint, _database: database }
    }

    /// The same, and it is ready.
    async fn start(settings: &[(&str, &str)]) -> Self {
        let running = Self::start_with(settings, |_| {}).await;
        running.until_ready().await;
        running
    }

    async fn until_ready(&self) {
        while self.readiness().await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn readiness(&self) -> (u16, String) {
        let response = self.http.get(format!("{}/readyz", self.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn metrics(&self) -> String {
        self.http.get(format!("{}/metrics", self.admin)).send().await.unwrap().text().await.unwrap()
    }

    fn token(&self, user: &str) -> String {
        self.mint.mint(user, SystemClock.now(), TOKEN_LIFE).unwrap()
    }

    fn request(&self, user: &str, method: Method, endpoint: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1/auth/2fa/{endpoint}", self.url));
        request.bearer_auth(self.token(user)).timeout(Duration::from_secs(60))
    }

    async fn setup(&self, user: &str, phone: &str, headers: &[(&'static str, &str)]) -> (StatusCode, Value) {
        let mut request = self.request(user, Method::POST, "setup").json(&json!({"method": "sms", "phone_number": phone}));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Asks it to stop and waits until it has.
    async fn end(self) {
        self.stop.send(()).await.unwrap();
        self.task.await.unwrap().unwrap_or_else(|failure| panic!("{failure}"));
    }
}

fn variables(storage: &str) -> BTreeMap<String, String> {
    [
        ("APP_ENV", "development"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL_DYNAMODB", storage),
        ("BIND", "127.0.0.1"),
        ("PORT", "0"),
        ("ADMIN_PORT", "0"),
        ("DRAIN_SECONDS", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[tokio::test]
async fn it_is_alive_at_once_and_ready_when_the_table_has_answered() {
    let running = Running::start_with(&[], |storage| storage.fail_all(Fault::Drop)).await;
    let alive = running.http.get(format!("{}/healthz", running.admin)).send().await.unwrap();
    assert_eq!(alive.status(), 200);
    let (status, reason) = loop {
        let readiness = running.readiness().await;
        if !readiness.1.contains("starting") {
            break readiness;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((status, &*reason), (503, "not ready: the table has not answered yet\n"));
    running.storage.recover();
    running.until_ready().await;
    running.storage.fail_all(Fault::Throttle);
    assert_eq!(running.readiness().await, (200, "ready\n".to_owned()), "an outage takes no replica away");
}

#[tokio::test]
async fn before_the_secret_is_read_requests_are_answered_with_503_and_after_it_they_are_served_s21() {
    let secrets = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(500)).mount(&secrets).await;
    let settings = [("SECRET_ID", "two-factor"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &*secrets.uri())];
    let running = Running::start_with(&settings, |_| {}).await;
    let (status, problem) = running.setup("alice", HOME, &[]).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("service_unavailable")));
    while !running.readiness().await.1.contains("SECRET_ID: the secret \"two-factor\" cannot be read now") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    secrets.reset().await;
    let secret = json!({"ARN": "arn", "Name": "two-factor", "SecretString": r#"{"CODE_PEPPER": "a pepper of 32 bytes or more, for a test"}"#});
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_json(secret)).mount(&secrets).await;
    running.until_ready().await;
    assert_eq!(running.setup("alice", HOME, &[]).await.0, 200);
    running.end().await;
}

#[tokio::test]
async fn wrong_settings_are_told_all_at_once_a_line_each_s22() {
    let wrong = [
        ("APP_ENV", "production"),
        ("AUTH_MODE", "gateway"),
        ("BIND", "localhost"),
        ("PORT", "eighty"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("MAX_REQUESTS_IN_FLIGHT", "0"),
        ("DRAIN_SECONDS", "long"),
        ("CODE_TTL_SECONDS", "5"),
    ];
    let mut variables = variables("http://127.0.0.1:1");
    variables.extend(wrong.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let failure = Listening::start(variables).await.map(drop).unwrap_err().to_string();
    let named: Vec<_> = failure.lines().map(|line| line.split(": ").next().unwrap()).collect();
    for name in wrong.iter().map(|(name, _)| *name).filter(|name| *name != "APP_ENV").chain(["CODE_PEPPER"]) {
        assert_eq!(named.iter().filter(|line| **line == name).count(), 1, "{name}: {failure}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (name, other) in [("PORT", "ADMIN_PORT"), ("ADMIN_PORT", "PORT")] {
        let mut variables = variables("http://127.0.0.1:1");
        variables.extend([(name.to_owned(), port.clone()), (other.to_owned(), "0".to_owned())]);
        let failure = Listening::start(variables).await.map(drop).unwrap_err().to_string();
        assert!(failure.starts_with(&format!("{name}: cannot listen on port {port}: ")), "{failure}");
    }
}

/// As load balancers do it: clients send until the server is not ready, and for a while longer until that is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_drains_under_load_and_loses_no_request() {
    let running = Arc::new(Running::start(&[("DRAIN_SECONDS", "1"), ("SMS_COOLDOWN_SECONDS", "0")]).await);
    let (is_known, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let (running, is_known, answered) = (Arc::clone(&running), Arc::clone(&is_known), Arc::clone(&answered));
            tokio::spawn(async move {
                while !is_known.load(Ordering::SeqCst) {
                    let user = format!("user-{client}");
                    let response = running.request(&user, Method::GET, "setup").send().await.expect("no request is lost");
                    assert_eq!(response.status(), 200);
                    response.bytes().await.expect("nor the end of its answer");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while answered.load(Ordering::SeqCst) < 50 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.stop.send(()).await.unwrap();
    while running.readiness().await.0 == 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(running.readiness().await, (503, "not ready: stopping\n".to_owned()));
    let before = answered.load(Ordering::SeqCst);
    while answered.load(Ordering::SeqCst) < before + 50 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    is_known.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let running = Arc::into_inner(running).unwrap();
    running.task.await.unwrap().unwrap_or_else(|failure| panic!("{failure}"));
    assert!(running.http.get(&running.url).send().await.unwrap_err().is_connect(), "nothing listens any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_ends_before_the_process_does_also_where_the_client_has_left_s12() {
    let inbox = SmsInbox::start(|_| {}).await.unwrap();
    let inbox_url = inbox.url();
    let twilio = [
        ("TWILIO_BASE_URL", &*inbox_url),
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
    ];
    let running = Running::start(&twilio).await;
    let held = running.storage.stop_next_of("TransactWriteItems");
    let request = running.request("alice", Method::POST, "setup").json(&json!({"method": "sms", "phone_number": HOME}));
    let client = tokio::spawn(request.send());
    while !running.metrics().await.contains("two_factor_requests_in_flight 1") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The client leaves while its code is being stored.
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    running.stop.send(()).await.unwrap();
    while running.http.get(&running.url).send().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!running.task.is_finished(), "it waits");
    assert_eq!(inbox.received().len(), 0);
    held.go_on();
    running.task.await.unwrap().unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(inbox.received().len(), 1, "the code that was stored was sent");
}

/// It serves before it is ready, as soon as the service has started: whoever knows its address may call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_ends_before_the_process_does_also_where_it_never_was_ready_s12() {
    let mut question = None;
    let running = Running::start_with(&[], |storage| question = Some(storage.stop_next_of("BatchGetItem"))).await;
    question.unwrap().done().await;
    let held = running.storage.stop_next_of("TransactWriteItems");
    let request = running.request("alice", Method::POST, "setup").json(&json!({"method": "sms", "phone_number": HOME}));
    let client = tokio::spawn(request.send());
    held.done().await;
    running.stop.send(()).await.unwrap();
    while running.http.get(&running.url).send().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!running.task.is_finished(), "it waits");
    held.go_on();
    assert_eq!(client.await.unwrap().unwrap().status(), 200);
    running.task.await.unwrap().unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_it_can_hold_are_told_when_to_come_back() {
    let running = Running::start(&[("MAX_REQUESTS_IN_FLIGHT", "2")]).await;
    let held: Vec<_> = (0..2).map(|_| running.storage.stop_next_of("BatchGetItem")).collect();
    let waiting: Vec<_> =
        (0..2).map(|client| tokio::spawn(running.request(&format!("user-{client}"), Method::GET, "setup").send())).collect();
    while !running.metrics().await.contains("two_factor_requests_in_flight 2") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let refused = running.request("alice", Method::GET, "setup").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "service_unavailable");
    for held in held {
        held.go_on();
    }
    for client in waiting {
        assert_eq!(client.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(running.request("alice", Method::GET, "setup").send().await.unwrap().status(), 200);
    assert!(running.metrics().await.contains(r#"two_factor_requests_total{function="any",outcome="service_unavailable"} 1"#));
    running.end().await;
}

#[tokio::test]
async fn the_source_address_is_what_trusted_proxies_say_and_nobody_else_s13() {
    for (trusted, forwarded, second_is_refused) in [
        ("127.0.0.1", ["198.51.100.1", "198.51.100.2"], false),
        ("127.0.0.0/8,10.0.0.0/8", ["198.51.100.1, 10.0.0.1", "198.51.100.1, 10.0.0.2"], true),
        ("127.0.0.1", ["1.1.1.1, 198.51.100.1", "2.2.2.2, 198.51.100.1"], true),
        ("10.0.0.0/8", ["198.51.100.1", "198.51.100.2"], true),
        ("", ["198.51.100.1", "198.51.100.2"], true),
    ] {
        let running = Running::start(&[("SMS_MAX_PER_IP", "1"), ("TRUSTED_PROXIES", trusted)]).await;
        let first = running.setup("alice", HOME, &[("x-forwarded-for", forwarded[0])]).await;
        assert_eq!(first.0, 200, "{trusted}: {}", first.1);
        let (status, answer) = running.setup("bob", WORK, &[("x-forwarded-for", forwarded[1])]).await;
        assert_eq!(status == 429, second_is_refused, "{trusted}: {forwarded:?}: {answer}");
        if second_is_refused {
            assert_eq!(answer["reason"], "address");
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_the_request_and_nobody_else_does() {
    for (trusted, id, is_taken) in [
        ("127.0.0.1", "0af7651916cd43dd8448eb211c80319c", true),
        ("127.0.0.1", "two words", false),
        ("", "0af7651916cd43dd8448eb211c80319c", false),
    ] {
        let running = Running::start(&[("TRUSTED_PROXIES", trusted)]).await;
        let response = running.request("alice", Method::GET, "setup").header("x-request-id", id).send().await.unwrap();
        let answered = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(answered == id, is_taken, "{trusted} {id}: {answered}");
        assert!(!answered.is_empty());
    }
    let long = "x".repeat(129);
    let running = Running::start(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let response = running.request("alice", Method::GET, "setup").header("x-request-id", &long).send().await.unwrap();
    assert_ne!(response.headers()["x-request-id"].to_str().unwrap(), long);
}

/// A proxy may pass on what the client wrote, and Bird sends what has one key once.
#[tokio::test]
async fn no_client_can_make_a_notification_look_like_one_that_was_sent_s18() {
    let bird = MockServer::start().await;
    let accepted = json!({"id": "sms_01hzy", "status": "accepted"});
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(202).set_body_json(accepted)).mount(&bird).await;
    let settings = [
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("MESSAGEBIRD_ACCESS_KEY", "bk_eu1_s3cr3t"),
        ("MESSAGEBIRD_FROM", "+15005550006"),
        ("MESSAGEBIRD_BASE_URL", &*bird.uri()),
    ];
    let running = Running::start(&settings).await;
    let sent = async || {
        let requests = bird.received_requests().await.unwrap().into_iter();
        requests.filter(|request| request.method == Method::POST).collect::<Vec<_>>()
    };
    assert_eq!(running.setup("alice", HOME, &[]).await.0, 200);
    let message: Value = sent().await[0].body_json().unwrap();
    let verify = async |code: &str| {
        let request = running.request("alice", Method::POST, "verify").header("x-request-id", "mine");
        let response = request.json(&json!({"code": code})).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()
    };
    let enrolled = verify(&message["text"].as_str().unwrap()[..6]).await;
    for n in 0..2 {
        verify(enrolled["backup_codes"][n].as_str().unwrap()).await;
    }
    let keys: Vec<_> = sent().await.iter().map(|request| request.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 3);
    assert_ne!(keys[1], keys[2]);
    assert!(!keys[1].to_str().unwrap().contains("mine"), "{keys:?}");
}

/// What a client says on a connection of its own, and what comes back until that is closed.
async fn say(address: &str, text: &str) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_takes_its_time_holds_nothing_up_for_long() {
    let running = Running::start(&[]).await;
    let head = format!(
        "POST /api/v1/auth/2fa/verify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n",
        running.token("alice")
    );
    // With nothing to do but wait, the clock of the runtime jumps to the next timeout.
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert_eq!(say(&running.url, &head).await, "", "a head that is never whole");
    let waited = started.elapsed();
    assert!((9..=11).contains(&waited.as_secs()), "{waited:?}");

    let unfinished = format!("{head}Content-Length: 20\r\n\r\n{{\"code\": ");
    let started = tokio::time::Instant::now();
    let answer = say(&running.url, &unfinished).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("could not be decoded"), "{answer}");
    let waited = started.elapsed();
    assert!((9..=11).contains(&waited.as_secs()), "{waited:?}");
    tokio::time::resume();
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_longer_than_load_balancers_keep_theirs() {
    let running = Running::start(&[]).await;
    let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).await.unwrap();
    let request = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut answer = [0; 4096];
    for _ in 0..3 {
        stream.write_all(request).await.unwrap();
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 404 "), "{}", String::from_utf8_lossy(&answer[..read]));
        tokio::time::pause();
        let closed = tokio::time::timeout(Duration::from_secs(601), stream.read(&mut answer)).await;
        tokio::time::resume();
        assert!(closed.is_err(), "{closed:?}");
    }
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert!(stream.read(&mut answer).await.is_ok_and(|read| read == 0));
    assert!(started.elapsed() < Duration::from_secs(30), "but not for ever");
    tokio::time::resume();
}

#[tokio::test]
async fn heads_and_bodies_that_are_too_large_are_refused_and_the_server_goes_on() {
    let running = Running::start(&[]).await;
    let wide = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert!(say(&running.url, &wide).await.starts_with("HTTP/1.1 431 "));
    let many = "X: x\r\n".repeat(200);
    assert!(say(&running.url, &format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")).await.starts_with("HTTP/1.1 431 "));
    for bytes in [4097, 100_000, 5_000_000] {
        let body = format!("{{\"code\": \"{}\"}}", "1".repeat(bytes));
        let request = running.request("alice", Method::POST, "verify").header("content-type", "application/json").body(body);
        // Of what is far too long, the end may be sent to a connection that is closed already.
        if let Ok(response) = request.send().await {
            assert_eq!(response.status(), 413, "{bytes}");
        } else {
            assert_eq!(bytes, 5_000_000);
        }
    }
    assert_eq!(running.request("alice", Method::GET, "setup").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn it_counts_what_cloudwatch_counts_under_names_out_of_short_lists() {
    let running = Running::start(&[]).await;
    let (_, answer) = running.setup("alice", HOME, &[]).await;
    let code = answer["warning"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    running.request("alice", Method::POST, "verify").json(&json!({"code": "000000"})).send().await.unwrap();
    running.request("alice", Method::POST, "verify").json(&json!({"code": code})).send().await.unwrap();
    running.request("alice", Method::POST, "send-sms").send().await.unwrap();
    running.http.get(format!("{}/nowhere/alice/{HOME}", running.url)).send().await.unwrap();
    let text = running.metrics().await;
    for line in [
        r#"two_factor_requests_total{function="setup",outcome="success"} 1"#,
        r#"two_factor_requests_total{function="any",outcome="not_found"} 1"#,
        r#"two_factor_requests_total{function="send-sms",outcome="rate_limited"} 1"#,
        r#"two_factor_request_duration_seconds_count{function="verify"} 2"#,
        r#"two_factor_verify_result_total{outcome="success"} 1"#,
        r#"two_factor_verify_result_total{outcome="invalid_code"} 1"#,
        r#"two_factor_limit_hit_total{limit="cooldown"} 1"#,
        r#"two_factor_cold_start_total{function="setup"} 1"#,
        r#"two_factor_unverified_codes{country="US"} -1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    for personal in ["alice", "0123\"", "2015550123", &code] {
        assert!(!text.contains(personal), "{personal}:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
