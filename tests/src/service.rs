//! The whole service for a test, behind the host that `TEST_HOST` names, on the embedded database behind a proxy that counts
//! and breaks calls, with a clock that the test moves and, if wanted, an inbox in the place of Twilio.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write as _,
    sync::Arc,
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::{
    Method,
    header::{HeaderMap, HeaderName},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use two_factor::{
    adapters::{
        development_token::TokenMint,
        dynamodb::{client, table::ensure_table},
        http::public_client,
        system::SystemRandom,
    },
    api::gateway_event::{self, Event},
    app::{App, Parts},
    config::{Config, Vars},
    domain::UserId,
    observability::metrics::{CloudWatch, Recorder},
    ports::{AuditEntry, Clock, Deadline, Origin},
    use_cases::{Caller, RequestStats},
};
use two_factor_local::{
    database::{EmbeddedDatabase, sdk_config},
    server::{LocalServer, Options},
    sms_inbox::{ReceivedMessage, SmsInbox},
};

use two_factor_server::{connections::Server, endpoints::Endpoints, trusted_proxies::TrustedProxies};

use crate::{
    captured_log::CapturedLog,
    clock::ManualClock,
    dynamodb_proxy::Proxy,
    gateway::{self, invoke_function},
    openapi::{self, Asked},
};

/// A number in the USA.
pub const HOME: &str = "+12015550123";
/// A number in the United Kingdom.
pub const WORK: &str = "+447400123456";

/// How long a try of a call to storage takes in a service that is in a hurry: too short for a machine that is not on loopback.
pub const SHORT_TRY: Duration = Duration::from_millis(250);

/// What is in front of the service: how it is run, in three ways.
enum Host {
    /// `local`: the local server, which is what tests use where nothing is named.
    Local(LocalServer),
    /// `server`: the server outside Lambda, as containers run it.
    Server(Server),
    /// `gateway`: the functions, behind what API Gateway makes of requests.
    Gateway(Server),
}

impl Host {
    fn start(listener: TcpListener, app: Arc<App>) -> std::io::Result<Self> {
        match std::env::var("TEST_HOST").as_deref() {
            Err(_) | Ok("local") => LocalServer::start(listener, app, Options::default()).map(Self::Local),
            Ok("server") => {
                let endpoints = Endpoints::new(TrustedProxies::default(), 256);
                endpoints.open(app);
                Server::start(listener, Arc::new(endpoints).router()).map(Self::Server)
            }
            Ok("gateway") => Server::start(listener, gateway::router(app)).map(Self::Gateway),
            Ok(other) => panic!("TEST_HOST is local, server or gateway, not {other}"),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Local(server) => server.url(),
            Self::Server(server) | Self::Gateway(server) => format!("http://{}", server.address()),
        }
    }
}

/// The running service.
pub struct TestService {
    /// Moves the service's time.
    pub clock: Arc<ManualClock>,
    /// Counts and breaks calls to storage.
    pub storage: Proxy,
    /// What was sent, where the service sends through Twilio.
    pub inbox: Arc<SmsInbox>,
    /// The metrics that were written, where `METRICS_NAMESPACE` is set.
    pub metrics: CapturedLog,
    variables: BTreeMap<String, String>,
    app: Arc<App>,
    server: Host,
    mint: TokenMint,
    http: reqwest::Client,
    database: EmbeddedDatabase,
}

impl TestService {
    /// In development and without a provider: codes come in the answers.
    pub async fn development(settings: &[(&str, &str)]) -> Self {
        Self::start(settings, false, None).await
    }

    /// In production, sending through Twilio, which is an inbox.
    pub async fn production(settings: &[(&str, &str)]) -> Self {
        Self::start(settings, true, None).await
    }

    /// As [`Self::development`], but a request takes `time_limit` at the most, and a try of a call to storage [`SHORT_TRY`].
    pub async fn development_in_a_hurry(settings: &[(&str, &str)], time_limit: Duration) -> Self {
        Self::start(settings, false, Some(time_limit)).await
    }

    async fn start(settings: &[(&str, &str)], production: bool, time_limit: Option<Duration>) -> Self {
        let database = EmbeddedDatabase::start(None, 0).expect("the embedded database starts");
        ensure_table(&client(&sdk_config(&database.endpoint()).expect("complete settings")), "sms-2fa")
            .await
            .expect("the table is made");
        let storage = Proxy::start(&database.endpoint());
        let clock = ManualClock::new();
        // A provider takes its time, so that what is stored after a send is stored later than the send.
        let sending = Arc::clone(&clock);
        let inbox = SmsInbox::start(move |_| sending.advance(Duration::from_millis(1))).await;
        let inbox = Arc::new(inbox.expect("the inbox starts"));
        let (storage_url, inbox_url) = (storage.endpoint(), inbox.url());
        let mut variables = BTreeMap::from([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &*storage_url),
            ("APP_ENV", if production { "production" } else { "development" }),
        ]);
        if production {
            variables.extend([
                ("CODE_PEPPER", "a pepper for tests, which has 32 bytes or more"),
                ("AUTH_JWT_SECRET", "a token secret for tests, which has 32 bytes"),
                ("TWILIO_BASE_URL", &*inbox_url),
                ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
                ("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef"),
                ("TWILIO_PHONE_NUMBER", "+15005550006"),
            ]);
        }
        variables.extend(settings.iter().copied());
        let variables: BTreeMap<_, _> = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let config = Config::from_vars(&Vars::new(variables.clone())).expect("the settings are right");
        let mint = TokenMint::new(&config.auth).expect("tokens can be minted");
        let metrics = CapturedLog::default();
        let (app, server) = serve(&variables, &clock, &metrics, time_limit).await;
        Self {
            metrics,
            variables,
            app,
            clock,
            storage,
            inbox,
            server,
            mint,
            http: public_client(&Vars::default()).expect("a client can be built"),
            database,
        }
    }

    /// Stops the service and starts it anew with these settings changed; table, clock and inbox stay.
    pub async fn restart(&mut self, changes: &[(&str, &str)]) {
        self.variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        (self.app, self.server) = serve(&self.variables, &self.clock, &self.metrics, None).await;
    }

    /// Starts the service anew on the same table, in the hurry of [`Self::development_in_a_hurry`].
    pub async fn hurry(&mut self, time_limit: Duration) {
        (self.app, self.server) = serve(&self.variables, &self.clock, &self.metrics, Some(time_limit)).await;
    }

    /// A client of the user with this identifier.
    pub fn user(&self, id: &str) -> User<'_> {
        let token = self.mint.mint(id, self.clock.now(), Duration::from_hours(1_000_000)).expect("a token can be minted");
        User { service: self, token }
    }

    /// Where an endpoint of the API is: `setup`, `send-sms` or `verify`.
    pub fn url(&self, endpoint: &str) -> String {
        format!("{}/api/v1/auth/2fa/{endpoint}/", self.server.url())
    }

    /// Sends a request as it is. The answer must be one that `openapi.yaml` describes, and so must the request if it is understood.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let asked = Asked {
            method: request.method().clone(),
            path: request.url().path().to_owned(),
            body: request.body().and_then(|body| body.as_bytes()).and_then(|bytes| serde_json::from_slice(bytes).ok()),
        };
        let response = client.execute(request).await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the answer is whole");
        let reply = Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        openapi::description().judge(&asked, reply.status, &reply.headers, &reply.body);
        reply
    }

    /// Hands an event, as the runtime would, to the function at this path.
    pub async fn invoke(&self, path: &str, event: &Event) -> Reply {
        read(invoke_function(&self.app, path, event, "invocation-1").await)
    }

    /// Hands an event, as the runtime would, to the function `any`.
    pub async fn invoke_any(&self, event: &Event) -> Reply {
        read(gateway_event::invoke(event, "invocation-1", None, |request| any::handle(&self.app, request)).await)
    }

    /// The table, past the service and its proxy.
    fn table(&self) -> aws_sdk_dynamodb::Client {
        client(&sdk_config(&self.database.endpoint()).expect("complete settings"))
    }

    /// Writes an item into the table, past the service.
    pub async fn put_item(&self, item: HashMap<String, AttributeValue>) {
        let put = self.table().put_item().table_name("sms-2fa").set_item(Some(item));
        put.send().await.expect("the item can be written");
    }

    /// Every item of the table, read past the service.
    pub async fn items(&self) -> Vec<HashMap<String, AttributeValue>> {
        let mut pages = self.table().scan().table_name("sms-2fa").consistent_read(true).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.expect("the table can be read"));
        }
        items
    }

    /// The user's audit trail, oldest first.
    pub async fn audit_trail(&self, user: &str) -> Vec<AuditEntry> {
        let caller = Caller { user: UserId::parse(user).expect("an identifier"), origin: Origin::default() };
        let (mut stats, deadline) = (RequestStats::default(), Deadline::after(Duration::from_secs(10)));
        let mut session = self.app.service.session(&caller, deadline, &mut stats);
        session.audit_trail(usize::MAX).await.expect("the trail can be read")
    }

    /// What a source address is called in log lines, in full.
    pub fn source(&self, address: &str) -> String {
        self.app.service.address_pseudonym(address.parse().expect("an address"))
    }

    /// A request to build on.
    pub fn request(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        self.http.request(method, url).timeout(Duration::from_mins(1))
    }

    /// The code that was sent last.
    pub fn last_code(&self) -> String {
        let messages = self.inbox.received();
        messages.iter().rev().find_map(code_in).expect("a code was sent").to_owned()
    }

    /// The text messages that hold no code, the first one first.
    pub fn notifications(&self) -> Vec<ReceivedMessage> {
        self.inbox.received().into_iter().filter(|message| code_in(message).is_none()).collect()
    }
}

/// The code that a text message begins with; `None` if it holds none.
fn code_in(message: &ReceivedMessage) -> Option<&str> {
    message.body().get(..6).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The service with these settings, and the server that is in front of it.
async fn serve(
    variables: &BTreeMap<String, String>,
    clock: &Arc<ManualClock>,
    metrics: &CapturedLog,
    time_limit: Option<Duration>,
) -> (Arc<App>, Host) {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let (vars, metrics) = (Vars::new(variables.clone()), metrics.clone());
    let metrics = CloudWatch::from_vars(&vars, Arc::new(move |lines: &[u8]| metrics.clone().write_all(lines)));
    let metrics = metrics.map(|recorder| Arc::new(recorder) as Arc<dyn Recorder>);
    let secret = two_factor_secrets::source(&vars).expect("SECRET_ID has a form");
    let token_clock = Arc::clone(&clock);
    let mut parts = Parts { clock, token_clock, random: Arc::new(SystemRandom), metrics, secret, ..Parts::default() };
    if let Some(request_time) = time_limit {
        (parts.request_time, parts.store_try_timeout) = (request_time, SHORT_TRY);
    }
    let app = App::start_with(vars, parts).await;
    let app = Arc::new(app.unwrap_or_else(|error| panic!("the service starts: {error}")));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
    let server = Host::start(listener, Arc::clone(&app)).expect("the server starts");
    (app, server)
}

/// One user's client.
#[derive(Clone)]
pub struct User<'a> {
    service: &'a TestService,
    token: String,
}

impl User<'_> {
    /// Calls an endpoint with this JSON body, or none if it is null.
    pub async fn call(&self, method: Method, endpoint: &str, body: Value) -> Reply {
        let request = self.service.request(method, &self.service.url(endpoint)).bearer_auth(&self.token);
        let request = if body.is_null() { request } else { request.json(&body) };
        self.service.send(request).await
    }

    /// The user's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The same call with a client that claims to come from another address.
    pub async fn call_from(&self, address: &str, method: Method, endpoint: &str, body: Value) -> Reply {
        let request = self.service.request(method, &self.service.url(endpoint)).bearer_auth(&self.token);
        let forged = request.header("x-forwarded-for", address).header("forwarded", format!("for={address}"));
        self.service.send(forged.json(&body)).await
    }

    /// POST setup.
    pub async fn setup(&self, phone: &str) -> Reply {
        self.call(Method::POST, "setup", json!({"method": "sms", "phone_number": phone})).await
    }

    /// POST setup with a proof.
    pub async fn replace(&self, phone: &str, code: &str) -> Reply {
        self.call(Method::POST, "setup", json!({"method": "sms", "phone_number": phone, "code": code})).await
    }

    /// POST send-sms for the usual purpose.
    pub async fn send_sms(&self) -> Reply {
        self.call(Method::POST, "send-sms", json!({})).await
    }

    /// POST send-sms for this purpose.
    pub async fn send_sms_for(&self, purpose: &str) -> Reply {
        self.call(Method::POST, "send-sms", json!({"purpose": purpose})).await
    }

    /// POST verify for the usual purpose.
    pub async fn verify(&self, code: &str) -> Reply {
        self.call(Method::POST, "verify", json!({"code": code})).await
    }

    /// POST verify for this purpose.
    pub async fn verify_for(&self, purpose: &str, code: &str) -> Reply {
        self.call(Method::POST, "verify", json!({"code": code, "purpose": purpose})).await
    }

    /// POST verify, with the wish for new backup codes.
    pub async fn regenerate_backup_codes(&self, code: &str) -> Reply {
        self.call(Method::POST, "verify", json!({"code": code, "regenerate_backup_codes": true})).await
    }

    /// GET setup.
    pub async fn status(&self) -> Reply {
        self.call(Method::GET, "setup", Value::Null).await
    }

    /// DELETE setup with a proof.
    pub async fn disable(&self, code: &str) -> Reply {
        self.call(Method::DELETE, "setup", json!({"code": code})).await
    }

    /// POST setup that turns 2FA off, for clients behind proxies that drop a DELETE's body.
    pub async fn turn_off_by_post(&self, code: &str) -> Reply {
        self.call(Method::POST, "setup", json!({"method": "none", "code": code})).await
    }

    /// Enrolls `phone` and hands out the backup codes.
    pub async fn enroll(&self, phone: &str) -> Vec<String> {
        let sent = self.setup(phone).await.expect(200);
        let code = match sent.body.get("warning") {
            Some(_) => sent.development_code(),
            None => self.service.last_code(),
        };
        self.verify(&code).await.expect(200).backup_codes()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; a string if it is no JSON.
    pub body: Value,
}

/// The answer that a gateway makes of a function's reply.
fn read(reply: gateway_event::Reply) -> Reply {
    let reply = serde_json::to_value(reply).expect("a reply is JSON");
    let mut headers = HeaderMap::new();
    for (name, value) in reply["headers"].as_object().expect("a reply has headers") {
        let name: HeaderName = name.parse().expect("a header has a name");
        headers.insert(name, value.as_str().and_then(|value| value.parse().ok()).expect("a header has a value"));
    }
    let status = reply["statusCode"].as_u64().and_then(|status| status.try_into().ok()).expect("a reply has a status");
    let text = reply["body"].as_str().unwrap_or_default();
    Reply { status, headers, body: serde_json::from_str(text).unwrap_or_else(|_| text.into()) }
}

impl Reply {
    /// This answer, which must have this status.
    #[track_caller]
    #[expect(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "it is called for the check")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// This answer, which must be this problem.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.problem()), (status, code), "{}", self.body);
    }

    /// The code of the problem; empty if it is none.
    pub fn problem(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }

    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The code that development puts into the warning.
    #[track_caller]
    pub fn development_code(&self) -> String {
        let warning = self.body.get("warning").and_then(Value::as_str).expect("an answer of development has a warning");
        warning.rsplit(' ').next().unwrap_or_default().to_owned()
    }

    /// The backup codes that are shown.
    #[track_caller]
    pub fn backup_codes(&self) -> Vec<String> {
        let codes = self.body.get("backup_codes").and_then(Value::as_array).expect("backup codes are shown");
        codes.iter().filter_map(|code| code.as_str().map(str::to_owned)).collect()
    }
}

/// A code that is not this one.
pub fn wrong(code: &str) -> &'static str {
    if code == "000000" { "111111" } else { "000000" }
}
