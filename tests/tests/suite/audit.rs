//! What a user's journey leaves behind: an audit trail that tells all of it, one log line a request, and no secret anywhere (S6,
//! S17, S24).

use std::{collections::HashMap, sync::Mutex, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::{Layer, layer::SubscriberExt};
use two_factor::{observability::log, ports::AuditEntry};
use two_factor_local::sms_inbox::Reply as Twilio;
use two_factor_tests::{
    captured_log::CapturedLog,
    service::{HOME, Reply, TestService, User, WORK},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const USER_AGENT: &str = "audit-test/1.0 (a phone)";
/// What a test's client says of itself before it gets to the service: a tab is a control character.
const USER_AGENT_SENT: &str = "audit-test/1.0\t (a phone)";
const BOBS: &str = "+12015550124";

/// Catches everything that can be logged on this thread at all, at whatever level, as JSON.
fn catch(log: &CapturedLog) -> tracing::subscriber::DefaultGuard {
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(log::ceiling()));
    tracing::subscriber::set_default(subscriber)
}

/// Request identifier, outcome and status of each request line, in order.
fn requests(log: &CapturedLog) -> Vec<(String, String, u64)> {
    let all = log.text();
    let lines = all.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    lines
        .filter(|line| line["target"] == "request")
        .map(|line| (text(&line, "request_id"), text(&line, "outcome"), line["status"].as_u64().unwrap()))
        .collect()
}

/// What one record of the trail must say: event, outcome, masked number, details.
type Expected = (&'static str, &'static str, Option<&'static str>, Vec<(&'static str, &'static str)>);

const HOME_MASKED: Option<&str> = Some("+1****0123");
const WORK_MASKED: Option<&str> = Some("+44****3456");
const BOBS_MASKED: Option<&str> = Some("+1****0124");

/// Stands for the name of a message, which is drawn at random: the one of a send of its own, or of the send that it is about.
const REFERENCE: (&str, &str) = ("reference", "of the send");

fn record(event: &'static str, outcome: &'static str, phone: Option<&'static str>) -> Expected {
    (event, outcome, phone, Vec::new())
}

/// A code for this purpose that went to Twilio first.
fn sent(purpose: &'static str, phone: Option<&'static str>) -> Expected {
    ("send", "success", phone, vec![("purpose", purpose), ("provider", "twilio"), REFERENCE])
}

/// A code that was judged, for this purpose.
fn judged(
    event: &'static str,
    outcome: &'static str,
    phone: Option<&'static str>,
    purpose: &'static str,
    method: &'static str,
) -> Expected {
    (event, outcome, phone, vec![("purpose", purpose), ("method", method)])
}

/// An SMS code that was judged at verify, for this purpose.
fn verified(outcome: &'static str, phone: Option<&'static str>, purpose: &'static str) -> Expected {
    judged("verify", outcome, phone, purpose, "sms")
}

/// A user whose every request is written down with what it must leave in the trail.
struct Journey<'a> {
    service: &'a TestService,
    user: User<'a>,
    replies: &'a Mutex<Vec<Reply>>,
    expected: Vec<(Expected, String)>,
}

impl<'a> Journey<'a> {
    fn new(service: &'a TestService, user: &str, replies: &'a Mutex<Vec<Reply>>) -> Self {
        Self { service, user: service.user(user), replies, expected: Vec::new() }
    }

    /// Makes a request, which gets this outcome and leaves these records.
    async fn step(&mut self, what: (&str, &str), body: Value, outcome: &str, records: &[Expected]) -> Reply {
        let (method, endpoint) = what;
        // Records of two requests are told apart by their time.
        self.service.clock.advance(Duration::from_millis(7));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.service.request(method, &self.service.url(endpoint)).bearer_auth(self.user.token());
        let request = request.header("user-agent", USER_AGENT_SENT).header("x-forwarded-for", "203.0.113.66");
        let request = if body.is_null() { request } else { request.json(&body) };
        let reply = self.service.send(request).await;
        assert_eq!(outcome_of(&reply), outcome, "{what:?} {}", reply.body);
        let id = reply.header("x-request-id").to_owned();
        self.expected.extend(records.iter().map(|record| (record.clone(), id.clone())));
        self.replies.lock().unwrap().push(reply.clone());
        reply
    }

    async fn setup(&mut self, phone: &str, code: Option<&str>, outcome: &str, records: &[Expected]) -> Reply {
        let body = json!({"method": "sms", "phone_number": phone, "code": code});
        self.step(("POST", "setup"), body, outcome, records).await
    }

    async fn send(&mut self, purpose: Option<&str>, outcome: &str, records: &[Expected]) -> Reply {
        self.step(("POST", "send-sms"), json!({ "purpose": purpose }), outcome, records).await
    }

    async fn verify(&mut self, code: &str, outcome: &str, records: &[Expected]) -> Reply {
        self.step(("POST", "verify"), json!({ "code": code }), outcome, records).await
    }

    async fn verify_for(&mut self, purpose: &str, code: &str, outcome: &str, records: &[Expected]) -> Reply {
        self.step(("POST", "verify"), json!({ "code": code, "purpose": purpose }), outcome, records).await
    }

    async fn disable(&mut self, code: Option<&str>, outcome: &str, records: &[Expected]) -> Reply {
        self.step(("DELETE", "setup"), json!({ "code": code }), outcome, records).await
    }

    /// The trail says what was expected, in order, and nothing else.
    fn check(&self, trail: &[AuditEntry]) {
        let mut messages = Vec::new();
        for (entry, ((event, outcome, phone, details), request_id)) in trail.iter().zip(&self.expected) {
            let mut told: Vec<_> = entry.details.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            if let Some((_, reference)) = told.iter_mut().find(|(name, _)| *name == REFERENCE.0) {
                assert!(reference.len() == 32 && reference.bytes().all(|byte| byte.is_ascii_hexdigit()), "{reference}");
                if entry.event == "send" {
                    assert!(!messages.contains(reference), "each send has a name of its own");
                    messages.push(*reference);
                }
                assert_eq!(messages.last(), Some(&*reference), "of the send that it is about");
                *reference = REFERENCE.1;
            }
            assert_eq!(
                (&*entry.event, &*entry.outcome, entry.phone_masked.as_deref(), &told, &*entry.request_id),
                (*event, *outcome, *phone, details, &**request_id)
            );
            assert_eq!(entry.address.as_deref(), Some("127.0.0.1"), "the gateway's word, no header's (S13)");
            assert_eq!(entry.user_agent.as_deref(), Some(USER_AGENT));
        }
        assert_eq!(trail.len(), self.expected.len(), "{trail:#?}");
        assert!(trail.is_sorted_by_key(|entry| entry.at), "in order");
    }
}

fn outcome_of(reply: &Reply) -> &str {
    if reply.status == 200 { "success" } else { reply.problem() }
}

/// A code of the right shape that is not this one, and not a number that turns up anywhere else.
fn other(code: &str) -> &'static str {
    if code == "918273" { "827364" } else { "918273" }
}

/// Every string and number in an item, bytes as text; the clear numbers that an account holds are left out.
fn text_of(name: &str, value: &AttributeValue, into: &mut Vec<String>) {
    match value {
        AttributeValue::S(text) if ["phone", "pending"].contains(&name) && text.contains(" +") => {}
        AttributeValue::S(text) | AttributeValue::N(text) => into.push(text.clone()),
        AttributeValue::B(bytes) => into.push(String::from_utf8_lossy(bytes.as_ref()).into_owned()),
        AttributeValue::L(list) => list.iter().for_each(|value| text_of("", value, into)),
        AttributeValue::M(map) => map.iter().for_each(|(name, value)| {
            into.push(name.clone());
            text_of(name, value, into);
        }),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => {}
        other => panic!("no item has a {other:?}"),
    }
}

/// None of the codes, secrets and numbers is in `text`. A code is looked for as a word: any six digits are part of some number.
#[track_caller]
fn assert_silent(what: &str, text: &str, codes: &[String], secrets: &[String]) {
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        assert!(!codes.iter().any(|code| code == word), "{what}: a code");
    }
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{what}: {secret}");
    }
}

fn seconds(item: &HashMap<String, AttributeValue>, name: &str) -> Option<u64> {
    item.get(name).map(|value| value.as_n().unwrap().parse().unwrap())
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one journey")]
async fn a_journey_leaves_its_whole_trail_and_no_secret_s6_s17_s24() {
    // While there is only one subscriber, `tracing` asks the thread that logs first whether anybody listens, and remembers the
    // answer for all threads; that may be one of another test.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let log = CapturedLog::default();
    let _guard = catch(&log);
    let service = TestService::production(&[
        ("SMS_COOLDOWN_SECONDS", "0"),
        ("LOCK_AFTER_FAILURES", "3"),
        ("LOCK_SECONDS", "60"),
        ("DISABLE_AFTER_FAILURES", "6"),
    ])
    .await;
    let replies = Mutex::default();
    let mut codes = Vec::new();
    let mut backup_codes = Vec::new();

    let mut alice = Journey::new(&service, "alice", &replies);
    alice.setup(HOME, None, "success", &[record("setup", "success", HOME_MASKED), sent("enroll", HOME_MASKED)]).await;
    codes.push(service.last_code());
    alice.verify(other(&codes[0]), "invalid_code", &[verified("invalid_code", HOME_MASKED, "enroll")]).await;
    let enabled = [verified("success", HOME_MASKED, "enroll"), record("enabled", "success", HOME_MASKED)];
    let first_set = alice.verify(&codes[0], "success", &enabled).await.backup_codes();
    backup_codes.extend(first_set.clone());
    alice.send(None, "success", &[sent("sign_in", HOME_MASKED)]).await;
    codes.push(service.last_code());
    // A refusal that judged nothing and changed nothing is in the log, and not in the trail.
    alice.verify_for("confirm", &codes[1], "wrong_purpose", &[]).await;
    alice.verify(&codes[1], "success", &[verified("success", HOME_MASKED, "sign_in")]).await;
    alice.step(("GET", "setup"), Value::Null, "success", &[]).await;

    alice.setup(WORK, None, "verification_required", &[]).await;
    alice.setup(HOME, Some(&first_set[0]), "already_enabled", &[]).await;
    let replacing = [judged("replace", "success", WORK_MASKED, "change", "backup_code"), sent("replace", WORK_MASKED)];
    alice.setup(WORK, Some(&first_set[0]), "success", &replacing).await;
    codes.push(service.last_code());
    service.inbox.script([Twilio::refusal(400, 21211)]);
    let given_back =
        ("delivery", "sms_delivery_failed", WORK_MASKED, vec![REFERENCE, ("attempts", "twilio invalid_number 21211")]);
    alice.send(Some("replace"), "sms_delivery_failed", &[sent("replace", WORK_MASKED), given_back]).await;
    codes.push(service.last_code());
    service.inbox.script([Twilio::Answer(500, "{}".to_owned())]);
    let unknown = ("delivery", "unknown_outcome", WORK_MASKED, vec![REFERENCE, ("attempts", "twilio unknown_outcome http_500")]);
    alice.send(Some("replace"), "success", &[sent("replace", WORK_MASKED), unknown]).await;
    codes.push(service.last_code());
    let replaced = [verified("success", WORK_MASKED, "replace"), record("replaced", "success", WORK_MASKED)];
    let second_set = alice.verify_for("replace", &codes[4], "success", &replaced).await.backup_codes();
    backup_codes.extend(second_set.clone());

    let regenerated = [
        judged("verify", "success", WORK_MASKED, "change", "backup_code"),
        record("backup_codes_regenerated", "success", WORK_MASKED),
    ];
    let body = json!({"code": second_set[0], "regenerate_backup_codes": true});
    let third_set = alice.step(("POST", "verify"), body, "success", &regenerated).await.backup_codes();
    backup_codes.extend(third_set.clone());
    let wrong_backup_code = judged("verify", "invalid_code", WORK_MASKED, "sign_in", "backup_code");
    alice.verify(&second_set[1], "invalid_code", &[wrong_backup_code]).await;
    alice.send(None, "success", &[sent("sign_in", WORK_MASKED)]).await;
    codes.push(service.last_code());
    let wrong_code = || verified("invalid_code", WORK_MASKED, "sign_in");
    for _ in 0..2 {
        alice.verify(other(&codes[5]), "invalid_code", &[wrong_code()]).await;
    }
    let locked = [wrong_code(), record("locked", "success", WORK_MASKED)];
    alice.verify(other(&codes[5]), "invalid_code", &locked).await;
    alice.verify(&codes[5], "locked", &[]).await;
    alice.send(None, "locked", &[]).await;

    alice.disable(None, "verification_required", &[]).await;
    service.inbox.script([Twilio::refusal(400, 21610)]);
    let told = vec![("notification", "turned_off"), ("attempts", "twilio opted_out 21610")];
    let untold = ("notification", "sms_delivery_failed", WORK_MASKED, told);
    let disabled = [judged("disable", "success", WORK_MASKED, "change", "backup_code"), untold];
    alice.disable(Some(&third_set[0]), "success", &disabled).await;
    alice.disable(None, "not_enabled", &[]).await;
    alice.send(None, "no_pending_verification", &[]).await;
    alice.setup(WORK, None, "success", &[record("setup", "success", WORK_MASKED), sent("enroll", WORK_MASKED)]).await;
    codes.push(service.last_code());
    alice.verify(other(&codes[6]), "invalid_code", &[verified("invalid_code", WORK_MASKED, "enroll")]).await;
    alice.disable(None, "success", &[record("disable", "success", WORK_MASKED)]).await;
    alice.setup(HOME, None, "rate_limited", &[]).await;
    // What is refused at the edge is in the log, and in nobody's trail.
    alice.setup("+33612345678", None, "phone_number_not_allowed", &[]).await;
    alice.verify("91827", "invalid_request", &[]).await;
    alice.step(("PUT", "verify"), Value::Null, "method_not_allowed", &[]).await;

    let mut bob = Journey::new(&service, "bob", &replies);
    bob.setup(BOBS, None, "success", &[record("setup", "success", BOBS_MASKED), sent("enroll", BOBS_MASKED)]).await;
    codes.push(service.last_code());
    let enabled = [verified("success", BOBS_MASKED, "enroll"), record("enabled", "success", BOBS_MASKED)];
    backup_codes.extend(bob.verify(&codes[7], "success", &enabled).await.backup_codes());
    for last in ["locked", "factor_disabled"] {
        bob.send(None, "success", &[sent("sign_in", BOBS_MASKED)]).await;
        codes.push(service.last_code());
        let wrong = other(codes.last().unwrap());
        let wrong_code = || verified("invalid_code", BOBS_MASKED, "sign_in");
        for _ in 0..2 {
            bob.verify(wrong, "invalid_code", &[wrong_code()]).await;
        }
        let mut records = vec![wrong_code(), record("locked", "success", BOBS_MASKED)];
        if last == "factor_disabled" {
            records.push(record(last, "success", BOBS_MASKED));
        }
        bob.verify(wrong, "invalid_code", &records).await;
        service.clock.pass(60);
    }
    bob.verify("918273", "factor_disabled", &[]).await;
    bob.send(None, "factor_disabled", &[]).await;

    alice.check(&service.audit_trail("alice").await);
    bob.check(&service.audit_trail("bob").await);

    // One line a request, with the outcome that the client saw.
    let answered: Vec<_> = replies
        .lock()
        .unwrap()
        .iter()
        .map(|reply| (reply.header("x-request-id").to_owned(), outcome_of(reply).to_owned(), u64::from(reply.status)))
        .collect();
    assert_eq!(requests(&log), answered);

    // The right codes, and the wrong ones: those may be right for something else.
    codes.extend(["918273", "827364"].map(str::to_owned));
    let mut secrets: Vec<_> = backup_codes.iter().flat_map(|code| [code.clone(), code.replace('-', "")]).collect();
    assert_eq!(secrets.len(), 80, "four sets");
    for token in [alice.user.token(), bob.user.token()] {
        secrets.extend([token, token.rsplit('.').next().unwrap()].map(str::to_owned));
    }
    secrets.extend(["+12015550123", "2015550123", "7400123456", "2015550124", "612345678"].map(str::to_owned));
    secrets.extend(["0123456789abcdef0123456789abcdef", "a pepper for tests", "a token secret"].map(str::to_owned));
    let account_sid = "AC0123456789abcdef0123456789abcdef";
    assert_silent("the log", &log.text().replace(account_sid, ""), &codes, &secrets);

    let (mut accounts, mut windows, mut records) = (0, 0, 0);
    for item in service.items().await {
        let (pk, sk) = (item["pk"].as_s().unwrap().clone(), item["sk"].as_s().unwrap().clone());
        let mut texts = Vec::new();
        if sk == "ACCOUNT" {
            text_of("", &AttributeValue::M(item.clone()), &mut texts);
        } else {
            // Under no name may anything else hold a clear number.
            for value in item.values() {
                text_of("", value, &mut texts);
            }
            assert!(!format!("{item:?}").contains("5550123"), "{pk} {sk}");
        }
        assert_silent(&format!("{pk} {sk}"), &texts.join("\n"), &codes, &secrets);
        let ttl = seconds(&item, "ttl");
        match (pk.split('#').next().unwrap(), &*sk) {
            ("USER", "ACCOUNT") => {
                accounts += 1;
                let last_failure = item["sms"].as_m().unwrap()["failed_at"].as_n().unwrap().parse::<u64>().unwrap();
                // Bob's factor is disabled, which is not gone. Alice's wrong code is the last thing to be forgotten.
                let expected = (pk == "USER#alice").then(|| last_failure.div_ceil(1000) + 30 * 86_400);
                assert_eq!(ttl, expected, "{pk}");
            }
            ("USER", _) => {
                records += 1;
                assert_eq!(ttl, seconds(&item, "at").map(|at| at.div_ceil(1000) + 400 * 86_400), "{pk} {sk}");
            }
            ("PHONE", "BINDS" | "SENDS") | ("IP", "SENDS") => {
                windows += 1;
                let slots = item.keys().filter(|name| name.starts_with("lease_"));
                let last = slots.filter_map(|name| seconds(&item, name)).max().unwrap().div_ceil(1000);
                let ttl = ttl.expect("a window ends");
                assert!((last + 3600..=last + 3600 + 60).contains(&ttl), "at its end or shortly after: {ttl}, {last}");
                assert!(!pk.contains("127.0.0.1"), "{pk}");
            }
            _ => panic!("no item is called {pk} {sk}"),
        }
    }
    assert_eq!((accounts, windows), (2, 7), "two users; two windows of each of three numbers, and an address");
    assert_eq!(records, alice.expected.len() + bob.expected.len(), "nobody else has a trail");
}

#[tokio::test]
async fn in_development_a_code_is_in_the_answer_and_nowhere_else_s6_s22() {
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let log = CapturedLog::default();
    let _guard = catch(&log);
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    let backup_codes = alice.verify(&code).await.expect(200).backup_codes();
    alice.disable(&backup_codes[0]).await.expect(200);
    let trail: Vec<_> = service.audit_trail("alice").await.into_iter().map(|entry| (entry.event, entry.details)).collect();
    let events: Vec<_> = trail.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(events.len(), 5, "{events:?}");
    let names: Vec<_> = trail.iter().flat_map(|(_, details)| details.iter().map(|(name, _)| name.as_str())).collect();
    assert!(!names.contains(&"provider") && !names.contains(&"attempts"), "no provider was asked: {trail:?}");
    let mut texts = vec![log.text()];
    for item in service.items().await {
        text_of("", &AttributeValue::M(item), &mut texts);
    }
    let secrets: Vec<_> = backup_codes.iter().flat_map(|code| [code.clone(), code.replace('-', "")]).collect();
    assert_silent("log and table", &texts.join("\n"), &[code], &secrets);
    assert_eq!(requests(&log).len(), 3);
}

#[tokio::test]
async fn a_send_that_a_later_provider_took_leaves_a_record_of_all_that_were_asked_s24() {
    let plivo = MockServer::start().await;
    let taken = json!({"message": "message(s) queued", "message_uuid": ["db3ce55a"], "api_id": "x"});
    Mock::given(any()).respond_with(ResponseTemplate::new(202).set_body_json(taken)).mount(&plivo).await;
    let service = TestService::production(&[
        ("SMS_PROVIDERS", "twilio,plivo"),
        ("PLIVO_AUTH_ID", "MA0123456789"),
        ("PLIVO_AUTH_TOKEN", "token"),
        ("PLIVO_FROM", "+15005550007"),
        ("PLIVO_BASE_URL", &plivo.uri()),
    ])
    .await;
    service.inbox.script([Twilio::refusal(401, 20003)]);
    service.user("alice").setup(HOME).await.expect(200);
    service.user("bob").setup(WORK).await.expect(200);
    let deliveries = async |user| {
        let trail = service.audit_trail(user).await;
        let deliveries = trail.into_iter().filter(|entry| entry.event == "delivery");
        let attempts =
            |entry: &AuditEntry| entry.details.iter().find(|(name, _)| name == "attempts").map(|(_, value)| value.clone());
        deliveries.map(|entry| (attempts(&entry), entry.outcome)).collect::<Vec<_>>()
    };
    let asked = "twilio auth_failed 20003, plivo accepted db3ce55a";
    assert_eq!(deliveries("alice").await, [(Some(asked.to_owned()), "success".to_owned())]);
    assert_eq!(deliveries("bob").await, [], "the first that was asked took it, as the record of the send says");
}

#[tokio::test]
async fn a_request_line_names_number_purpose_and_message_and_metrics_count_the_codes_that_came_back_s6() {
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let log = CapturedLog::default();
    let _guard = catch(&log);
    let settings = [("METRICS_NAMESPACE", "TwoFactor"), ("SMS_COOLDOWN_SECONDS", "0"), ("SMS_MAX_PER_WINDOW", "3")];
    let service = TestService::production(&settings).await;
    let alice = service.user("alice");
    alice.setup(HOME).await.expect(200);
    let code = service.last_code();
    alice.verify(other(&code)).await.expect_problem(400, "invalid_code");
    let backup_codes = alice.verify(&code).await.expect(200).backup_codes();
    alice.send_sms_for("confirm").await.expect(200);
    alice.verify(&backup_codes[0]).await.expect(200);
    alice.send_sms_for("change").await.expect(200);
    alice.send_sms_for("confirm").await.expect_problem(429, "rate_limited");

    // One that loses a race, and decides anew.
    let stopped = service.storage.stop_next_of("TransactWriteItems");
    let overtaken = alice.verify(&backup_codes[1]);
    let overtaking = async {
        stopped.done().await;
        alice.verify(&backup_codes[2]).await.expect(200);
        stopped.go_on();
    };
    let (overtaken, ()) = tokio::join!(overtaken, overtaking);
    overtaken.expect(200);

    let text = log.text();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|line| line["target"] == "request");
    let lines: Vec<_> = lines.collect();
    let purposes: Vec<_> = lines.iter().map(|line| line["purpose"].as_str().unwrap_or_default()).collect();
    assert_eq!(purposes, ["enroll", "enroll", "enroll", "confirm", "sign_in", "change", "confirm", "sign_in", "sign_in"]);
    assert_eq!((&lines[7]["store_conflicts"], &lines[8]["store_conflicts"]), (&Value::Null, &json!(1)), "{lines:?}");
    let references: Vec<_> = lines.iter().map(|line| line["reference"].as_str().unwrap_or_default()).collect();
    assert!(references[0].len() == 32 && references[1..3] == [references[0]; 2], "{references:?}");
    assert!(references[3].len() == 32 && references[3] != references[0], "{references:?}");
    assert!(lines[..6].iter().all(|line| line["phone"] == "+1****0123"), "{lines:?}");

    assert!(lines.iter().all(|line| line["source"].as_str().is_some_and(|source| source.len() == 16)), "{lines:?}");

    let measured = service.metrics.text();
    let measured = measured.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let unverified: i64 = measured.filter_map(|line| line["UnverifiedCodes"].as_i64()).sum();
    assert_eq!(unverified, 2, "three codes were sent, and one came back");
}
