//! `make bench-cold`: what a cold start costs, for each release binary, with everything outside behind TLS.
//!
//! Starts the binary as Lambda does and plays the runtime API; behind TLS stand the embedded database, a Secrets Manager and a
//! Twilio that keep to loopback. Every measured request is a whole one: `setup` and `send-sms` send a text message, `verify`
//! enables the factor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that cannot be made has to stop"
)]
#![expect(clippy::cast_precision_loss, reason = "counts and sizes here are far below what a double holds exactly")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{self, ExitCode, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Json, Router, body::Bytes, routing::post};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};
use two_factor::{
    adapters::{
        dynamodb::{client, table::ensure_table},
        system::SystemClock,
    },
    config::{Config, Vars},
    ports::Clock as _,
};
use two_factor_local::{
    database::{EmbeddedDatabase, sdk_config},
    sms_inbox::SmsInbox,
    token::TokenMint,
};
use two_factor_tests::{
    runtime_api::{Moment, RuntimeApi},
    tls_front::{Authority, TlsFront},
};

const FUNCTIONS: [&str; 3] = ["setup", "send-sms", "verify"];

/// Cold starts of each binary, and invocations that follow the first one of a start.
const DEFAULT_STARTS: usize = 20;
const WARM: usize = 15;

/// Warm invocations that instructions are counted over.
const COUNTED: usize = 10;

/// Longer than anything here takes, under callgrind too.
const PATIENCE: Duration = Duration::from_secs(120);

/// What issue by issue was aimed at: bytes, seconds, seconds, seconds, bytes.
const AIMS: &str = "6.00 MB       15.0 ms        5.00 ms        1.00 ms       12.0 MB";

#[tokio::main]
async fn main() -> ExitCode {
    let folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let folders = if folders.is_empty() { vec![PathBuf::from("target/lambda")] } else { folders };
    let binaries: Vec<Binary> =
        folders.iter().flat_map(|folder| FUNCTIONS.into_iter().filter_map(|name| Binary::find(folder, name))).collect();
    if binaries.is_empty() {
        println!("no release binaries in {folders:?}: `make build` makes them");
        return ExitCode::FAILURE;
    }
    let mut cloud = Cloud::start().await;
    let helpers: BTreeMap<_, _> =
        FUNCTIONS.into_iter().filter_map(|name| Some((name, Binary::find(folders.first()?, name)?))).collect();

    println!(
        "{:32} {:>9} {:>13} {:>14} {:>14} {:>13}   instructions (million)",
        "", "size", "exec to poll", "first", "warm", "peak RSS"
    );
    println!(
        "{:32} {:>9} {:>13} {:>14} {:>14} {:>13}   {:>7} {:>7} {:>7}",
        "", "", "median (min)", "median (wait)", "median (wait)", "", "start", "first", "warm"
    );
    let mut measured: Vec<Measurements> = binaries.iter().map(|_| Measurements::default()).collect();
    // Start by start and not binary by binary, so that what disturbs the machine disturbs all of them.
    let starts = env::var("STARTS").ok().and_then(|starts| starts.parse().ok()).unwrap_or(DEFAULT_STARTS);
    for _ in 0..starts {
        for (binary, measurements) in binaries.iter().zip(&mut measured) {
            cloud.measure(binary, &helpers, measurements).await;
        }
    }
    let count = env::var_os("CALLGRIND").is_none_or(|value| value != "0") && has_valgrind();
    for (binary, measurements) in binaries.iter().zip(&mut measured) {
        let counts = if count { Some(cloud.count(binary, &helpers).await) } else { None };
        println!("{}", measurements.line(binary, counts));
    }
    println!("{:32} {AIMS}", "aim");
    println!("{starts} starts each, {WARM} warm invocations a start; wait: the part spent waiting for the stubs behind TLS.");
    ExitCode::SUCCESS
}

/// A release binary.
#[derive(Clone, Debug)]
struct Binary {
    function: &'static str,
    path: PathBuf,
}

impl Binary {
    /// As `cargo lambda build` or as `cargo build --release` leaves it.
    fn find(folder: &Path, function: &'static str) -> Option<Self> {
        let candidates = [folder.join(function).join("bootstrap"), folder.join(function)];
        let path = candidates.into_iter().find(|path| path.is_file())?;
        Some(Self { function, path: path.canonicalize().ok()? })
    }
}

/// Everything that a function talks to.
struct Cloud {
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
    async fn start() -> Self {
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
    async fn measure(&mut self, binary: &Binary, helpers: &BTreeMap<&'static str, Binary>, into: &mut Measurements) {
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
    async fn count(&mut self, binary: &Binary, helpers: &BTreeMap<&'static str, Binary>) -> [f64; 3] {
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

/// A running function.
struct Function {
    process: Child,
    api: RuntimeApi,
    start: Duration,
}

impl Function {
    /// Starts it, under callgrind if there is a file for its report, and waits until it asks for an invocation.
    async fn start(binary: &Binary, environment: &BTreeMap<&'static str, String>, callgrind: Option<&Path>) -> Self {
        let mut api = RuntimeApi::start().await.expect("loopback has a free port");
        let mut command = match callgrind {
            None => Command::new(&binary.path),
            Some(out) => {
                let mut command = Command::new("valgrind");
                command
                    .args(["--quiet", "--tool=callgrind"])
                    .arg(format!("--callgrind-out-file={}", out.display()))
                    .arg(&binary.path);
                command
            }
        };
        command.env_clear().envs(environment).env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("AWS_LAMBDA_RUNTIME_API", api.address()).env("AWS_LAMBDA_FUNCTION_NAME", binary.function);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let begin = Instant::now();
        let process = command.spawn().expect("the binary can be started");
        let moment = timeout(PATIENCE, api.moment()).await;
        let Ok(Some(Moment::Polled(at))) = moment else { panic!("{binary:?} does not start: {moment:?}") };
        Self { process, api, start: at - begin }
    }

    /// How long an invocation takes, from when it is handed over until its answer is there, which must be 200.
    async fn invoke(&mut self, event: Value) -> Duration {
        self.api.push(event);
        let mut begin = None;
        loop {
            match timeout(PATIENCE, self.api.moment()).await {
                Ok(Some(Moment::Invoked(at))) => begin = Some(at),
                Ok(Some(Moment::Answered(at, answer))) => {
                    assert_eq!(answer.get("statusCode"), Some(&json!(200)), "{answer}");
                    // Done only when it asks for the next one: what it does in between is work too, but nobody waits for it.
                    let moment = timeout(PATIENCE, self.api.moment()).await;
                    assert!(matches!(moment, Ok(Some(Moment::Polled(_)))), "{moment:?}");
                    return at - begin.expect("an answer follows an invocation");
                }
                other => panic!("the invocation came to nothing: {other:?}"),
            }
        }
    }

    /// The most memory it has had resident, in bytes.
    fn peak_memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.process.id().expect("the process runs"));
        let status = fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or_default() * 1024.0
    }

    async fn stop(mut self) {
        // Asked, not killed: callgrind writes its report on the way out.
        let id = self.process.id().expect("the process runs").to_string();
        Command::new("kill").arg(id).status().await.expect("kill can be run");
        self.process.wait().await.expect("the process ends");
    }
}

fn has_valgrind() -> bool {
    process::Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What was measured of one binary: starts, and invocations with the part of them spent waiting.
#[derive(Debug, Default)]
struct Measurements {
    starts: Vec<Duration>,
    first: Vec<(Duration, Duration)>,
    warm: Vec<(Duration, Duration)>,
    peak: f64,
}

impl Measurements {
    fn line(&mut self, binary: &Binary, counts: Option<[f64; 3]>) -> String {
        let size = fs::metadata(&binary.path).map(|file| file.len()).unwrap_or_default();
        let fastest = self.starts.iter().min().copied().unwrap_or_default();
        let start = format!("{:.1} ({:.1}) ms", milliseconds(median(self.starts.clone())), milliseconds(fastest));
        let invocation = |both: &[(Duration, Duration)]| {
            let total = median(both.iter().map(|(total, _)| *total).collect());
            let waited = median(both.iter().map(|(_, waited)| *waited).collect());
            format!("{:.2} ({:.2}) ms", milliseconds(total), milliseconds(waited))
        };
        let counts = counts.map_or_else(String::new, |[start, first, warm]| format!("{start:7.2} {first:7.2} {warm:7.2}"));
        format!(
            "{:32} {:>6.2} MB {start:>13} {:>14} {:>14} {:>10.1} MB   {counts}",
            format!("{} {}", binary.function, shortened(&binary.path)),
            size as f64 / 1e6,
            invocation(&self.first),
            invocation(&self.warm),
            self.peak / 1e6,
        )
    }
}

/// The end of a path, which tells binaries apart.
fn shortened(path: &Path) -> String {
    let text = path.display().to_string();
    text.chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect()
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
