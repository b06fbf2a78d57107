//! The runbook's queries, run over the lines that real requests leave.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt as _};
use two_factor::{
    observability::log::{REQUEST_FIELDS, json_lines},
    ports::Clock as _,
};
use two_factor_local::sms_inbox::Reply as Twilio;
use two_factor_tests::{
    captured_log::CapturedLog,
    logs_insights::{Query, Row},
    service::{HOME, Reply, TestService, WORK, wrong},
    template::Template,
    tokens::SigningKey,
};

const SECRET: &str = "a token secret of the service, with 32 bytes";
const HERE: &str = "203.0.113.9";
const THERE: &str = "2001:db8::9";

/// What was logged, and the service that did it.
struct Night {
    service: TestService,
    log: CapturedLog,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Night {
    async fn begin() -> Self {
        // With one subscriber alone, `tracing` remembers for all threads whether the one that logs first has any.
        let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        let log = CapturedLog::default();
        let writer = log.clone();
        let lines = tracing_subscriber::registry().with(LevelFilter::INFO).with(json_lines(move || writer.clone()));
        let guard = tracing::subscriber::set_default(lines);
        let settings = [("AUTH_JWT_SECRET", SECRET), ("AUTH_ADDRESS_CLAIM", "ip"), ("SMS_COOLDOWN_SECONDS", "0")];
        Self { service: TestService::production(&settings).await, log, _guard: guard }
    }

    /// A request of `user`, whose token says that it comes from this address.
    async fn call(&self, user: &str, address: &str, endpoint: &str, body: Value) -> Reply {
        self.service.clock.advance(Duration::from_millis(7));
        let exp = self.service.clock.now().as_millis() / 1000 + 300;
        let token = SigningKey::hmac(SECRET).token("any", &json!({"sub": user, "exp": exp, "ip": address}));
        let request = self.service.request(Method::POST, &self.service.url(endpoint)).bearer_auth(token).json(&body);
        self.service.send(request).await
    }

    async fn enroll(&self, user: &str, address: &str, phone: &str) -> Vec<String> {
        self.call(user, address, "setup", json!({"method": "sms", "phone_number": phone})).await.expect(200);
        self.call(user, address, "verify", json!({"code": self.service.last_code()})).await.expect(200).backup_codes()
    }

    fn lines(&self) -> Vec<Value> {
        self.log.text().lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// What the runbook's query under this heading finds, with a name of ours in the place of the one in capitals.
    fn ask(&self, heading: &str, blank: &str, name: &str) -> Vec<Row> {
        let queries = queries();
        let (_, query) = queries.iter().find(|(above, _)| above.contains(heading)).expect("the runbook has the query");
        Query::parse(&query.replace(blank, name)).run(&self.lines())
    }
}

/// The queries of the runbook, each with the paragraph above it, in one line.
fn queries() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md")).unwrap();
    let blocks = text.split("```logs-insights\n").collect::<Vec<_>>();
    let pairs = blocks.windows(2).map(|pair| {
        let above = pair[0].trim_end().rsplit("\n\n").next().unwrap();
        (above.replace('\n', " "), pair[1].split("```").next().unwrap().to_owned())
    });
    pairs.collect()
}

fn text<'a>(row: &'a Row, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn every_field_that_a_query_names_is_one_of_the_lines_that_it_is_about() {
    let attempts =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src/adapters/sms/failover.rs")).unwrap();
    let attempts =
        attempts.split("tracing::warn!(\n            target: \"attempt\",").nth(1).unwrap().split(");").next().unwrap();
    let of_attempts: BTreeSet<_> = attempts.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').collect();
    let of_requests = BTreeSet::from(REQUEST_FIELDS);
    let queries = queries();
    assert_eq!(queries.len(), 8);
    for (_, query) in &queries {
        let parsed = Query::parse(query);
        let fields = parsed.fields();
        assert!(fields.contains("target"), "a query says which lines it is about: {query}");
        let known = if query.contains("\"attempt\"") { &of_attempts } else { &of_requests };
        let foreign: Vec<_> = fields.into_iter().filter(|field| *field != "target" && !known.contains(field)).collect();
        assert_eq!(foreign, Vec::<&str>::new(), "{query}");
    }
    // The dashboard's, with what only it has taken out.
    let dashboard = Template::load().resource("Dashboard")["Properties"]["DashboardBody"].to_string();
    let query = dashboard.split("filter target").nth(1).unwrap().split(" by bin(5m)").next().unwrap();
    let query = Query::parse(&format!("filter target{}", query.replace(['\\'], "")));
    assert!(query.fields().into_iter().all(|field| field == "target" || of_requests.contains(field)), "{query:?}");
    let documented = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md")).unwrap();
    for field in REQUEST_FIELDS {
        assert!(documented.contains(&format!("`{field}`")), "{field} is not documented");
    }
}

#[tokio::test]
async fn whoever_is_on_call_finds_a_users_send_and_what_became_of_it() {
    let night = Night::begin().await;
    night.enroll("alice", HERE, HOME).await;
    night.call("alice", HERE, "send-sms", json!({"purpose": "sign_in"})).await.expect(200);
    let code = night.service.last_code();
    night.call("alice", HERE, "verify", json!({"code": wrong(&code)})).await.expect_problem(400, "invalid_code");
    let accepted = night.call("alice", THERE, "verify", json!({"code": code})).await.expect(200);
    night.call("bob", THERE, "setup", json!({"method": "sms", "phone_number": WORK})).await.expect(200);

    let sends = night.ask("A user's sends", "USER", "alice");
    let told: Vec<_> = sends.iter().map(|row| (text(row, "function"), text(row, "purpose"), text(row, "outcome"))).collect();
    assert_eq!(told, [("send-sms", "sign_in", "success"), ("setup", "enroll", "success")], "the latest first");
    let latest = &sends[0];
    assert_eq!(
        (text(latest, "phone"), text(latest, "provider"), text(latest, "sms_outcome")),
        ("+1****0123", "twilio", "accepted")
    );

    // The trail names the provider that was asked first, and our reference, under the same request id.
    let trail = night.service.audit_trail("alice").await;
    let record = trail.iter().find(|entry| entry.request_id == text(latest, "request_id")).expect("a send has a record");
    let detail = |name: &str| record.details.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
    assert_eq!((detail("provider"), detail("reference")), (Some("twilio"), Some(text(latest, "reference"))));

    let found = night.ask("What a message id", "MESSAGE_ID", text(latest, "message_id"));
    let [message] = &found[..] else { panic!("{found:?}") };
    assert_eq!((text(message, "user"), text(message, "reference")), ("alice", text(latest, "reference")));
    let became = night.ask("Then all that happened", "REFERENCE", text(message, "reference"));
    let told: Vec<_> = became.iter().map(|row| (text(row, "function"), text(row, "outcome"))).collect();
    assert_eq!(told, [("send-sms", "success"), ("verify", "invalid_code"), ("verify", "success")]);
    assert_eq!(text(&became[2], "request_id"), accepted.header("x-request-id"));
}

#[tokio::test]
async fn whoever_is_on_call_finds_a_notice_by_its_message_id() {
    let night = Night::begin().await;
    let backup_codes = night.enroll("alice", HERE, HOME).await;
    night.call("alice", HERE, "setup", json!({"method": "sms", "phone_number": WORK, "code": backup_codes[0]})).await.expect(200);
    let lines = night.lines();
    let line = lines.iter().find(|line| line["notification"] == "backup_code_used").expect("the owner was told");
    assert_eq!((&line["phone"], &line["country"], &line["purpose"]), (&json!("+44****3456"), &json!("GB"), &json!("replace")));
    assert_ne!(line["message_id"], line["notification_message_id"], "two messages, to two numbers");
    assert_eq!((&line["notification_provider"], &line["notification_outcome"]), (&json!("twilio"), &json!("accepted")));
    let found = night.ask("What a message id", "MESSAGE_ID", line["notification_message_id"].as_str().unwrap());
    assert_eq!(found.iter().map(|row| text(row, "request_id")).collect::<Vec<_>>(), [line["request_id"].as_str().unwrap()]);
}

#[tokio::test]
async fn whoever_is_on_call_sees_who_fails_where_and_who_asks_for_most() {
    let night = Night::begin().await;
    let setup = |phone: &str| json!({"method": "sms", "phone_number": phone});
    night.enroll("alice", HERE, HOME).await;
    let refusals = [(401, 20003), (401, 20003), (400, 21610)];
    night.service.inbox.script(refusals.map(|(status, code)| Twilio::refusal(status, code)));
    for user in ["bob", "carol"] {
        night.call(user, THERE, "setup", setup(WORK)).await.expect_problem(502, "sms_delivery_failed");
    }
    night.call("alice", HERE, "send-sms", json!({})).await.expect_problem(502, "sms_delivery_failed");
    night.call("dave", THERE, "setup", setup("+33612345678")).await.expect_problem(400, "phone_number_not_allowed");
    night.call("dave", THERE, "setup", setup("+12015550124")).await.expect(200);

    let failures = night.ask("Failures by provider", "", "");
    let told: Vec<_> = failures
        .iter()
        .map(|row| (text(row, "provider"), text(row, "country"), text(row, "outcome"), text(row, "code"), &row["failures"]))
        .collect();
    assert_eq!(
        told,
        [("twilio", "GB", "auth_failed", "20003", &json!(2)), ("twilio", "US", "opted_out", "21610", &json!(1))],
        "the most frequent first"
    );
    let sends = night.ask("Sends by provider", "", "");
    let told: Vec<_> = sends
        .iter()
        .map(|row| (text(row, "country"), text(row, "sms_outcome"), &row["codes"], &row["users"]))
        .collect::<Vec<_>>();
    assert!(told.contains(&("US", "accepted", &json!(2), &json!(2))), "{told:?}");
    assert!(told.contains(&("GB", "auth_failed", &json!(2), &json!(2))), "{told:?}");

    let sources = night.ask("The addresses that ask", "", "");
    let told: Vec<_> = sources.iter().map(|row| (text(row, "source"), &row["requests"], &row["users"])).collect();
    let (here, there) = (night.service.source(HERE), night.service.source(THERE));
    assert_eq!(told, [(&there[..16], &json!(4), &json!(3)), (&here[..16], &json!(2), &json!(1))]);
    for address in [HERE, THERE] {
        assert!(!night.log.text().contains(address), "{address}");
    }

    let refused = night.ask("What is refused", "", "");
    let reasons: BTreeSet<_> = refused.iter().map(|row| (text(row, "outcome"), text(row, "reason"))).collect();
    let expected = [
        ("phone_number_not_allowed", "country"),
        ("sms_delivery_failed", "opted_out"),
        ("sms_delivery_failed", "provider_unavailable"),
        ("success", ""),
    ];
    assert_eq!(reasons, BTreeSet::from(expected));
    let phases = night.ask("How long requests take", "", "");
    let of = |function: &str| phases.iter().find(|row| text(row, "function") == function).expect("each function was called");
    assert_eq!((&of("setup")["requests"], &of("setup")["p99"], &of("setup")["sms"]), (&json!(5), &json!(1.0), &json!(1.0)));
    assert_eq!((&of("verify")["p99"], &of("verify")["sms"]), (&json!(0.0), &json!(null)), "it sends nothing");
}
