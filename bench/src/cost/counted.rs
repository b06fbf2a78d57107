//! What a sign-in and a stack take, counted: at the wire in front of the database, in the lines that are logged, and in the template.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt as _};
use two_factor::observability::log::json_lines;
use two_factor_local::sms_inbox::Reply;
use two_factor_tests::{
    captured_log::CapturedLog,
    dynamodb_proxy::Call,
    service::{TestService, User, wrong},
    template::{Template, text_of},
};

/// A name as identity providers give it.
const USER: &str = "3f1c0ffe-e0dd-4ba1-9a7d-5d2c8a1b6e40";

/// A number in each of the countries that the template allows.
const NUMBERS: [&str; 5] = ["+12015550123", "+16135550123", "+447400123456", "+4915112345678", "+61412345678"];

/// What Lambda itself logs of an invocation.
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logging-formats.html>
const LAMBDAS_OWN: &str = "START RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3 Version: $LATEST\n\
    END RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3\n\
    REPORT RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3\tDuration: 161.47 ms\tBilled Duration: 162 ms\tMemory Size: 256 MB\tMax Memory Used: 26 MB\t\n";

/// What one sign-in takes: a code that is asked for, and handed in.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignIn {
    pub(crate) requests: usize,
    pub(crate) messages: usize,
    pub(crate) table_calls: usize,
    pub(crate) read_units: usize,
    pub(crate) write_units: usize,
    /// The largest item that was written, in bytes.
    pub(crate) largest_item: usize,
    /// Records of the audit trail, and their bytes.
    pub(crate) records: usize,
    pub(crate) record_bytes: usize,
    /// Bytes of the requests' lines, of the metrics, of Lambda's own lines and of the gateway's.
    pub(crate) request_lines: usize,
    pub(crate) metric_lines: usize,
    pub(crate) lambdas_lines: usize,
    pub(crate) access_lines: usize,
}

/// What a stack has while it is there.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(crate) countries: usize,
    /// Custom metrics by their name: how many combinations of dimensions.
    pub(crate) metrics: BTreeMap<String, usize>,
    /// Metrics that alarms watch.
    pub(crate) alarm_metrics: usize,
    pub(crate) alarms: usize,
    pub(crate) secrets: usize,
    pub(crate) memory_mb: f64,
}

async fn service() -> TestService {
    TestService::production(&[("METRICS_NAMESPACE", "TwoFactor/two-factor"), ("SMS_COOLDOWN_SECONDS", "0")]).await
}

/// Signs a user in who has signed in before, and counts.
pub(crate) async fn sign_in() -> SignIn {
    let log = CapturedLog::default();
    let writer = log.clone();
    let lines = tracing_subscriber::registry().with(LevelFilter::INFO).with(json_lines(move || writer.clone()));
    let _guard = tracing::subscriber::set_default(lines);
    let service = service().await;
    let user = service.user(USER);
    user.enroll(NUMBERS[0]).await;
    run(&service, &user).await;

    let mut counted = SignIn::default();
    service.storage.take_calls();
    let (logged, measured, sent) = (log.text().len(), service.metrics.text().len(), service.inbox.received().len());
    user.send_sms_for("sign_in").await.expect(200);
    counted.add(&service).await;
    user.verify_for("sign_in", &service.last_code()).await.expect(200);
    counted.add(&service).await;
    counted.requests = 2;
    counted.messages = service.inbox.received().len() - sent;
    counted.request_lines = log.text().len() - logged;
    counted.metric_lines = service.metrics.text().len() - measured;
    counted.lambdas_lines = counted.requests * LAMBDAS_OWN.len();
    counted.access_lines =
        access_line("POST /api/v1/auth/2fa/send-sms").len() + access_line("POST /api/v1/auth/2fa/verify").len();
    counted
}

async fn run(service: &TestService, user: &User<'_>) {
    user.send_sms_for("sign_in").await.expect(200);
    user.verify_for("sign_in", &service.last_code()).await.expect(200);
}

impl SignIn {
    /// Adds what the database was asked since the last look.
    async fn add(&mut self, service: &TestService) {
        let items: HashMap<_, _> = service.items().await.into_iter().map(|item| (key_of(&item), item)).collect();
        let calls = service.storage.take_calls();
        for call in calls.iter().filter(|call| !call.operation.is_empty()) {
            self.table_calls += 1;
            match call.operation.as_str() {
                "BatchGetItem" => self.add_reads(call, &items),
                "TransactWriteItems" => self.add_writes(call, &items),
                other => panic!("a sign-in makes no {other}"),
            }
        }
    }

    /// A strongly consistent read takes a unit for each 4 KB of an item, and one for an item that is not there.
    fn add_reads(&mut self, call: &Call, items: &Items) {
        for request in call.body["RequestItems"].as_object().expect("tables").values() {
            assert_eq!(request["ConsistentRead"], true);
            for key in request["Keys"].as_array().expect("keys") {
                self.read_units += items.get(&key_in(key)).map_or(0, size).div_ceil(4096).max(1);
            }
        }
    }

    /// A write in a transaction takes two units for each KB of the item as it is then.
    fn add_writes(&mut self, call: &Call, items: &Items) {
        for part in call.body["TransactItems"].as_array().expect("parts") {
            let key = if part["Put"].is_object() { key_in(&part["Put"]["Item"]) } else { key_in(&part["Update"]["Key"]) };
            let size = size(items.get(&key).expect("what was written is there"));
            self.write_units += 2 * size.div_ceil(1024);
            self.largest_item = self.largest_item.max(size);
            if key.1.starts_with("AUDIT#") {
                self.records += 1;
                self.record_bytes += size;
            }
        }
    }
}

type Items = HashMap<(String, String), HashMap<String, AttributeValue>>;

fn key_of(item: &HashMap<String, AttributeValue>) -> (String, String) {
    let part = |name: &str| item[name].as_s().expect("a key is text").clone();
    (part("pk"), part("sk"))
}

fn key_in(item: &Value) -> (String, String) {
    (text_of(&item["pk"]["S"]), text_of(&item["sk"]["S"]))
}

/// The size of an item as DynamoDB bills it.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn size(item: &HashMap<String, AttributeValue>) -> usize {
    item.iter().map(|(name, value)| name.len() + size_of(value)).sum()
}

fn size_of(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // One byte for each two digits, and one more; a sign would take another.
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + size_of(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + size_of(value)).sum::<usize>(),
        other => panic!("no item has a {other:?}"),
    }
}

/// A line of the gateway's access log, in the template's format.
fn access_line(route: &str) -> String {
    let format = text_of(&Template::load().resource("Stage")["Properties"]["AccessLogSettings"]["Format"]);
    let format: Value = serde_json::from_str(&format).expect("the format is JSON");
    let value = |variable: &str| match variable.trim_start_matches("$context.") {
        "requestId" => "JKJaXmPLvHcESHA=".to_owned(),
        "identity.sourceIp" => "203.0.113.129".to_owned(),
        "routeKey" => route.to_owned(),
        "status" | "integrationStatus" => "200".to_owned(),
        "responseLatency" => "168".to_owned(),
        "integrationErrorMessage" | "authorizer.error" | "error.responseType" => "-".to_owned(),
        other => panic!("nothing is known of {other}"),
    };
    let members =
        format.as_object().expect("an object").iter().map(|(name, variable)| (name.clone(), json!(value(&text_of(variable)))));
    format!("{}\n", Value::Object(members.collect()))
}

/// Does in each country what a month without much to do has, and more; then reads the template.
pub(crate) async fn stack() -> Stack {
    let template = Template::load();
    let allowed = text_of(&template.part("Parameters")["AllowedCountries"]["Default"]);
    let countries = allowed.split(',').count();
    assert_eq!(countries, NUMBERS.len(), "a number for each country");
    let mut metrics = metrics_of_a_month().await;
    for filter in template.resources("AWS::Logs::MetricFilter").values() {
        *metrics.entry(text_of(&filter["Properties"]["MetricTransformations"][0]["MetricName"])).or_default() += 1;
    }
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    let watched = |alarm: &Value| match alarm["Properties"]["Metrics"].as_array() {
        None => 1,
        Some(metrics) if alarm.to_string().contains("\"SELECT ") => countries * metrics.len(),
        Some(metrics) => metrics.iter().filter(|metric| metric["MetricStat"].is_object()).count(),
    };
    Stack {
        countries,
        metrics,
        alarm_metrics: alarms.values().map(watched).sum(),
        alarms: alarms.len(),
        secrets: template.resources("AWS::SecretsManager::Secret").len(),
        memory_mb: template.part("Parameters")["MemorySize"]["Default"].as_f64().expect("a number"),
    }
}

async fn metrics_of_a_month() -> BTreeMap<String, usize> {
    let mut service = service().await;
    for (number, phone) in NUMBERS.iter().enumerate() {
        let id = format!("user-{number}");
        // Each function starts cold.
        service.user(&id).setup(phone).await.expect(200);
        let code = service.last_code();
        service.restart(&[]).await;
        service.user(&id).verify(wrong(&code)).await.expect_problem(400, "invalid_code");
        service.user(&id).verify(&code).await.expect(200);
        service.restart(&[]).await;
        let user = service.user(&id);
        run(&service, &user).await;
        // The provider does not take a message: for the user's reason, and for its own.
        service.inbox.script([Reply::refusal(400, 21_610), Reply::refusal(401, 20_003)]);
        for _ in 0..2 {
            user.send_sms().await.expect_problem(502, "sms_delivery_failed");
        }
        service.clock.pass(600);
        service.restart(&[]).await;
    }
    let user = service.user(USER);
    user.verify("123456").await.expect_problem(409, "no_pending_verification");
    let limited = async |user: User<'_>| loop {
        let reply = user.setup(NUMBERS[0]).await;
        if reply.status == 429 {
            break;
        }
    };
    limited(service.user(USER)).await;
    // And the net under their routes.
    service.restart(&[]).await;
    let elsewhere = json!({"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET", "path": "/"}}});
    service.invoke_any(&serde_json::from_value(elsewhere).expect("an event")).await.expect(404);
    distinct(&service.metrics.text())
}

/// How many metrics of each name are billed: one for each combination of dimensions, in each set.
fn distinct(lines: &str) -> BTreeMap<String, usize> {
    let mut seen = BTreeSet::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().expect("directives") {
            for metric in directive["Metrics"].as_array().expect("metrics") {
                for set in directive["Dimensions"].as_array().expect("sets") {
                    let values =
                        set.as_array().expect("a set").iter().map(|name| (text_of(name), line[text_of(name)].to_string()));
                    seen.insert((text_of(&metric["Name"]), values.collect::<Vec<_>>()));
                }
            }
        }
    }
    let mut counts = BTreeMap::new();
    for (name, _) in seen {
        *counts.entry(name).or_default() += 1;
    }
    counts
}
