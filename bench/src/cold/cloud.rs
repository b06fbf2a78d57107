//! Everything that a function talks to, on loopback and behind TLS.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::Duration,
};

use axum::{Json, Router, body::Bytes, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use two_factor::{
    adapters::{
        development_token::TokenMint,
        dynamodb::{client, table::ensure_table},
        system::SystemClock,
    },
    config::{Config, Vars},
    ports::Clock as _,
};
use two_factor_local::{
    database::{EmbeddedDatabase, sdk_config},
    sms_inbox::SmsInbox,
};
use two_factor_tests::tls_front::{Authority, TlsFront};

use crate::{
    COUNTED, FUNCTIONS, Measurements, WARM,
    function::{Binary, Function},
};

/// Everything that a function talks to.
pub(crate) struct Cloud {
    environment: BTreeMap<&'static str, String>,
    fronts: Vec<TlsFront>,
    inbox: Arc<SmsInbox>,
    mint: TokenMint,
    users: u32,
    events: BTreeMap<&'static str, Value>,
    folder: PathBuf,
    reports: PathBuf,
    _database: EmbeddedDatabase,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let database = EmbeddedDatabase::start(None, 0).expect("the embedded database starts");
        let config = sdk_config(&database.endpoint()).expect("complete settings");
        ensure_table(&client(&config), "sms-2fa").await.expect("the table is made");
        let inbox = Arc::new(SmsInbox::start(|_| {}).await.expect("the inbox starts"));
        let secret = json!({
            "CODE_PEPPER": "a pepper for measuring, which has 32 bytes or more",
            "AUTH_JWT_SECRET": "a token secret for measuring, of 32 bytes or more",
            "TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef",
            "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
            "TWILIO_PHONE_NUMBER": "+15005550006",
        });
        let secrets = secrets_manager(secret.clone()).await;

        let authority = Authority::new();
        let folder = env::temp_dir().join(format!("bench-cold-{}", process::id()));
        fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        let ca_file = folder.join("ca.pem");
        fs::write(&ca_file, authority.pem()).expect("the folder for temporary files can be written");
        let fronts: Vec<_> =
            [database.endpoint(), secrets, inbox.url()].iter().map(|url| TlsFront::start(&authority, url)).collect();
        let [dynamodb, secrets, twilio] = fronts.as_slice() else { unreachable!("three fronts were started") };
        let environment = BTreeMap::from([
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "a key that nobody checks".to_owned()),
            ("AWS_SESSION_TOKEN", "t".repeat(700)),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.url()),
            ("TWILIO_BASE_URL", twilio.url()),
            ("EXTRA_CA_FILE", ca_file.display().to_string()),
            ("SECRET_ID", "sms-2fa".to_owned()),
            ("SMS_COOLDOWN_SECONDS", "0".to_owned()),
        ]);
        let keys =
            secret.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        let config = Config::from_vars(&Vars::new(keys)).expect("the secret is complete");
        let events = FUNCTIONS.into_iter().map(|name| (name, event_file(name))).collect();
        Self {
            environment,
            fronts,
            inbox,
            mint: TokenMint::new(&config.auth).expect("tokens can be minted"),
            users: 0,
            events,
            reports: env::var_os("CALLGRIND_OUT").map_or_else(|| folder.clone(), PathBuf::from),
            folder,
            _database: database,
        }
    }

    fn waited(&self) -> Duration {
        self.fronts.iter().map(TlsFront::waited).sum()
    }

    /// One cold start, its first invocation and the warm ones.
    pub(crate) async fn measure(&mut self, binary: &Binary, helpers: &BTreeMap<&'static str, Binary>, into: &mut Measurements) {
        let mut events = self.events(binary.function, helpers, 1 + WARM).await.into_iter();
        let mut function = Function::start(binary, &self.environment, None).await;
        into.starts.push(function.start);
        let mut invoke = async |into: &mut Vec<(Duration, Duration)>, event: Value| {
            let before = self.waited();
            let took = function.invoke(event).await;
            into.push((took, self.waited().saturating_sub(before)));
        };
        invoke(&mut into.first, events.next().unwrap()).await;
        for event in events {
            invoke(&mut into.warm, event).await;
        }
        into.peak = into.peak.max(function.peak_memory());
        function.stop().await;
    }

    /// The instructions of a start, of a first and of a warm invocation, in millions.
    pub(crate) async fn count(&mut self, binary: &Binary, helpers: &BTreeMap<&'static str, Binary>) -> [f64; 3] {
        let mut totals = Vec::new();
        for invocations in [0, 1, 1 + COUNTED] {
            let events = self.events(binary.function, helpers, invocations).await;
            let out = self.reports.join(format!("callgrind.out.{}.{invocations}", binary.function));
            let mut function = Function::start(binary, &self.environment, Some(&out)).await;
            for event in events {
                function.invoke(event).await;
            }
            function.stop().await;
            let report = fs::read_to_string(&out).expect("callgrind writes its report");
            let total = report.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
            totals.push(total.and_then(|total| total.trim().parse::<f64>().ok()).expect("the report has a total") / 1e6);
        }
        let [start, first, all] = totals.as_slice() else { unreachable!("three runs were made") };
        [*start, first - start, (all - first) / COUNTED as f64]
    }

    /// Events of this many users of their own, each of which the function grants.
    async fn events(&mut self, function: &'static str, helpers: &BTreeMap<&'static str, Binary>, number: usize) -> Vec<Value> {
        let users: Vec<u32> = (0..number)
            .map(|_| {
                self.users += 1;
                self.users
            })
            .collect();
        let mut codes = vec![String::new(); number];
        if function != "setup" && number > 0 {
            let setup = helpers.get("setup").expect("send-sms and verify are measured on what setup stored");
            let mut enrolling = Function::start(setup, &self.environment, None).await;
            for (user, code) in users.iter().zip(&mut codes) {
                enrolling.invoke(self.event("setup", *user, "")).await;
                let messages = self.inbox.received();
                *code = messages.last().expect("setup sent a message").body().chars().take(6).collect();
            }
            enrolling.stop().await;
        }
        users.iter().zip(&codes).map(|(user, code)| self.event(function, *user, code)).collect()
    }

    fn event(&self, function: &'static str, user: u32, code: &str) -> Value {
        let token =
            self.mint.mint(&format!("user-{user}"), SystemClock.now(), Duration::from_secs(3600)).expect("a token can be minted");
        let [_, high, middle, low] = user.to_be_bytes();
        let body = match function {
            "setup" => json!({ "method": "sms", "phone_number": format!("+1415{}", 2_000_000 + user) }),
            "send-sms" => json!({}),
            _ => json!({ "code": code }),
        };
        let mut event = self.events.get(function).expect("there is an event of each function").clone();
        *event.pointer_mut("/headers/authorization").expect("the event has a token") = format!("Bearer {token}").into();
        *event.pointer_mut("/requestContext/http/sourceIp").expect("the event has an address") =
            format!("10.{high}.{middle}.{low}").into();
        event.as_object_mut().expect("an event is an object").insert("body".to_owned(), body.to_string().into());
        event
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // What cannot be removed from the folder for temporary files is removed by the system.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn event_file(function: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(function).with_extension("json");
    serde_json::from_str(&fs::read_to_string(path).expect("the event is there")).expect("the event is JSON")
}

/// Secrets Manager, with one secret; gives its URL.
async fn secrets_manager(secret: Value) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
    let answer = async move |_: Bytes| Json(json!({ "Name": "sms-2fa", "SecretString": secret.to_string() }));
    let router = Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
