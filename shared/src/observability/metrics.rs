//! Metrics: what each request did, as measurements that a recorder passes on. On Lambda that is CloudWatch's embedded metric format, as
//! lines on standard output: no call, no agent, no wait.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Dimensions are names out of short lists: functions, providers, countries, outcomes, limits. A user, a number or an
//! address has no place here. What each request has, as its duration, is in its log line: each combination of values is paid for by the
//! month, and each line by its length.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    config::{Vars, settings::METRICS_NAMESPACE},
    domain::{
        AllowedCountries, AuditKind, Country, PhoneNumber, Provider, Timestamp,
        message::delivery::{Attempt, DeliveryReason, FailureClass},
    },
    use_cases::RequestStats,
};

/// What a message to a country costs with a provider, in millionths of a US dollar.
pub type Price = fn(Country, Provider) -> u64;

/// Where lines of metrics go.
pub type Output = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// Writes lines to standard output, where CloudWatch Logs makes metrics of them.
///
/// # Errors
/// When they cannot be written.
pub fn to_standard_output(lines: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(lines)
}

/// What one request did.
#[derive(Clone, Copy, Debug)]
pub struct RequestMetrics<'a> {
    /// The function: `setup`, `send-sms`, `verify` or `any`.
    pub function: &'static str,
    /// `success`, or the code of the problem.
    pub outcome: &'static str,
    /// How long it took.
    pub total: Duration,
    /// What the use case wrote down.
    pub stats: &'a RequestStats,
    /// When the request ended.
    pub at: Timestamp,
}

/// Sets of dimensions: a metric counts under each of them.
pub type Sets = &'static [&'static [&'static str]];

/// One number that counts under the values of dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement<'a> {
    /// The metric's name, as CloudWatch knows it.
    pub metric: &'static str,
    /// What of `dimensions` it counts under.
    pub sets: Sets,
    /// The values of the dimensions, by their names.
    pub dimensions: Vec<(&'static str, &'a str)>,
    /// The number, to be added to those before it: a count, or millionths of a US dollar. [`UNVERIFIED_CODES`] may be negative.
    pub value: i64,
}

/// Codes that were sent, less those that came back: the one metric that goes down, too.
pub const UNVERIFIED_CODES: &str = "UnverifiedCodes";

/// Passes measurements on to what keeps them.
pub trait Recorder: Send + Sync {
    /// Records what a request did, and what there is to count of it. Does not wait.
    fn record(&self, request: &RequestMetrics<'_>, measurements: &[Measurement<'_>]);
}

/// Makes measurements of requests. There is one for each execution environment: the first request that it is told of is the cold start.
pub struct Metrics {
    price: Price,
    countries: AllowedCountries,
    recorder: Arc<dyn Recorder>,
    is_cold: AtomicBool,
}

const IN_TOTAL: Sets = &[&[]];
const BY_FUNCTION: Sets = &[&["Function"]];
const BY_OUTCOME: Sets = &[&["Outcome"]];
const BY_LIMIT: Sets = &[&["Limit"]];
/// Two sides of one thing: as one set they would be a metric for each provider in each country.
const BY_PROVIDER_AND_BY_COUNTRY: Sets = &[&["Provider", "Outcome"], &["Country", "Outcome"]];
/// An alarm watches the total, and whoever is on call looks for the country.
const BY_COUNTRY_AND_IN_TOTAL: Sets = &[&["Country"], &[]];

/// All countries that no number may be enrolled of: those of numbers that were, before. There may be many, and each would be paid for.
const OTHER_COUNTRIES: &str = "other";

impl Metrics {
    /// Metrics that go to `recorder`; numbers in countries beyond `countries` count as one.
    pub fn new(price: Price, countries: AllowedCountries, recorder: Arc<dyn Recorder>) -> Self {
        Self { price, countries, recorder, is_cold: AtomicBool::new(true) }
    }

    /// Measures a request.
    pub fn emit(&self, request: &RequestMetrics<'_>) {
        let judged = request.stats.phone().map(PhoneNumber::country);
        self.recorder.record(request, &self.measure(request, judged.as_ref()).0);
    }

    /// What there is to count of a request about a number in the country `judged`; nothing where it did nothing that is counted.
    fn measure<'a>(&'a self, request: &RequestMetrics<'a>, judged: Option<&'a Country>) -> Measurements<'a> {
        let RequestMetrics { function, stats, .. } = *request;
        let mut measured = Measurements::default();
        if self.is_cold.swap(false, Ordering::Relaxed) {
            measured.add(BY_FUNCTION, &[("Function", function)], "ColdStart", 1);
        }
        if stats.conflicts > 0 {
            measured.add(BY_FUNCTION, &[("Function", function)], "StoreConflicts", stats.conflicts.into());
        }
        self.add_messages(stats, &mut measured);
        self.add_codes(stats, judged, &mut measured);
        for event in &stats.events {
            let outcome = event.outcome.as_str();
            match event.kind {
                // A wrong code counts wherever it was handed in: a proof is judged like a code at verify.
                AuditKind::Verify | AuditKind::Setup | AuditKind::Replace | AuditKind::Disable
                    if event.kind == AuditKind::Verify || outcome == "invalid_code" =>
                {
                    measured.add(BY_OUTCOME, &[("Outcome", outcome)], "VerifyResult", 1);
                }
                AuditKind::Locked => measured.add(IN_TOTAL, &[], "Locked", 1),
                _ => {}
            }
        }
        if let Some(limit) = stats.limit {
            measured.add(BY_LIMIT, &[("Limit", limit.as_str())], "LimitHit", 1);
        }
        measured
    }

    /// What became of each message, and what it costs: notices are paid for like codes.
    fn add_messages<'a>(&'a self, stats: &'a RequestStats, measured: &mut Measurements<'a>) {
        for message in &stats.messages {
            let country = ("Country", self.name_of(&message.country));
            for attempt in &message.attempts {
                let dimensions = [country, ("Provider", attempt.provider.as_str()), ("Outcome", attempt.outcome())];
                measured.add(BY_PROVIDER_AND_BY_COUNTRY, &dimensions, "SmsSent", 1);
            }
            let failures = message.attempts.iter().filter(|attempt| is_providers_failure(attempt)).count();
            if failures > 0 {
                measured.add(IN_TOTAL, &[], "SmsFailed", failures.try_into().unwrap_or(i64::MAX));
            }
            let mut asked = message.attempts.iter().zip(message.attempts.iter().skip(1));
            if asked.any(|(one, next)| one.provider != next.provider) {
                measured.add(IN_TOTAL, &[], "SmsFailover", 1);
            }
            if let Some(attempt) = message.attempts.iter().find(|attempt| may_be_sent(attempt)) {
                let cost = (self.price)(message.country, attempt.provider).try_into().unwrap_or(i64::MAX);
                measured.add(BY_COUNTRY_AND_IN_TOTAL, &[country], "EstimatedCostMicroUsd", cost);
            }
        }
    }

    /// Codes that were sent, less those that were typed in, of a number in the country `judged`: how many were typed in is the
    /// difference to those that were sent.
    fn add_codes<'a>(&'a self, stats: &'a RequestStats, judged: Option<&'a Country>, measured: &mut Measurements<'a>) {
        let sent = stats.code().filter(|code| code.attempts.iter().any(may_be_sent));
        if let Some(code) = sent {
            measured.add(BY_COUNTRY_AND_IN_TOTAL, &[("Country", self.name_of(&code.country))], UNVERIFIED_CODES, 1);
            measured.add(IN_TOTAL, &[], "CodesSent", 1);
        }
        if stats.sms_code_accepted {
            let country = judged.map_or(OTHER_COUNTRIES, |country| self.name_of(country));
            measured.add(BY_COUNTRY_AND_IN_TOTAL, &[("Country", country)], UNVERIFIED_CODES, -1);
        }
    }

    fn name_of<'a>(&self, country: &'a Country) -> &'a str {
        if self.countries.contains(*country) { country.as_str() } else { OTHER_COUNTRIES }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// What may have been sent may have to be paid, and may be typed in.
fn may_be_sent(attempt: &Attempt) -> bool {
    attempt.result.as_ref().err().is_none_or(|failure| failure.class == FailureClass::UnknownOutcome)
}

/// Whether the attempt failed for a reason that somebody on call can do something about, and not by the number or its owner.
fn is_providers_failure(attempt: &Attempt) -> bool {
    attempt.result.as_ref().err().is_some_and(|failure| match failure.class.reason() {
        DeliveryReason::InvalidNumber | DeliveryReason::NotMobile | DeliveryReason::OptedOut => false,
        DeliveryReason::CountryNotPermitted | DeliveryReason::ProviderUnavailable | DeliveryReason::Rejected => true,
    })
}

/// The measurements of one request.
#[derive(Default)]
struct Measurements<'a>(Vec<Measurement<'a>>);

impl<'a> Measurements<'a> {
    fn add(&mut self, sets: Sets, dimensions: &[(&'static str, &'a str)], metric: &'static str, value: i64) {
        self.0.push(Measurement { metric, sets, dimensions: dimensions.to_vec(), value });
    }
}

/// Writes measurements in the embedded metric format.
pub struct CloudWatch {
    namespace: String,
    output: Output,
}

impl CloudWatch {
    /// In the namespace that `METRICS_NAMESPACE` names; `None` where it is unset: then nothing is written.
    pub fn from_vars(vars: &Vars, output: Output) -> Option<Self> {
        Some(Self { namespace: METRICS_NAMESPACE.get(vars)?.to_owned(), output })
    }
}

impl Recorder for CloudWatch {
    /// One line, or more where the request did one thing twice; none where there is nothing to count.
    fn record(&self, request: &RequestMetrics<'_>, measurements: &[Measurement<'_>]) {
        let mut documents = Documents::default();
        for measurement in measurements {
            documents.add(measurement);
        }
        let lines = documents.lines(&self.namespace, request.at);
        if let Err(error) = (self.output)(lines.as_bytes()) {
            tracing::warn!(%error, "metrics were lost");
        }
    }
}

/// The documents of one request, as few as can be.
#[derive(Default)]
struct Documents<'a>(Vec<Document<'a>>);

/// One document of the format. Metrics share the values of dimensions; what takes another value of one needs another document.
#[derive(Default)]
struct Document<'a> {
    dimensions: BTreeMap<&'static str, &'a str>,
    metrics: BTreeMap<&'static str, i64>,
    directives: BTreeMap<Sets, Vec<&'static str>>,
}

impl<'a> Documents<'a> {
    /// Adds a metric that counts under each of the sets. No unit is written: all are counts, or millionths of a dollar.
    fn add(&mut self, measurement: &Measurement<'a>) {
        let &Measurement { metric, sets, ref dimensions, value } = measurement;
        let has_room = |document: &Document<'a>| {
            let fits = |(name, value): &(&'static str, &'a str)| document.dimensions.get(name).is_none_or(|other| other == value);
            !document.metrics.contains_key(metric) && dimensions.iter().all(fits)
        };
        if !self.0.iter().any(has_room) {
            self.0.push(Document::default());
        }
        if let Some(document) = self.0.iter_mut().find(|document| has_room(document)) {
            document.dimensions.extend(dimensions.iter().copied());
            document.metrics.insert(metric, value);
            document.directives.entry(sets).or_default().push(metric);
        }
    }

    fn lines(&self, namespace: &str, at: Timestamp) -> String {
        let lines = self.0.iter().flat_map(|document| [document.to_json(namespace, at).to_string(), "\n".to_owned()]);
        lines.collect()
    }
}

impl Document<'_> {
    fn to_json(&self, namespace: &str, at: Timestamp) -> Value {
        let directive = |(sets, metrics): (&Sets, &Vec<&str>)| {
            let metrics: Vec<_> = metrics.iter().map(|name| json!({"Name": name})).collect();
            json!({"Namespace": namespace, "Dimensions": sets, "Metrics": metrics})
        };
        let directives: Vec<_> = self.directives.iter().map(directive).collect();
        let about = ("_aws", json!({"Timestamp": at.as_millis(), "CloudWatchMetrics": directives}));
        let dimensions = self.dimensions.iter().map(|(name, value)| (*name, Value::from(*value)));
        let metrics = self.metrics.iter().map(|(name, value)| (*name, Value::from(*value)));
        json!([about].into_iter().chain(dimensions).chain(metrics).collect::<BTreeMap<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::{
        domain::{
            AuditEvent, AuditOutcome, Refusal,
            message::{delivery::Failure, notification::NotificationKind},
            phone_number::tests::number,
            sms::send_window::SendLimit,
        },
        use_cases::{MessageKind, MessageStats},
    };

    const AT: Timestamp = Timestamp::from_millis(1_767_323_045_678);
    const HOME: &str = "+12015550123";
    const WORK: &str = "+447400123456";
    const FRENCH: &str = "+33612345678";

    /// Metrics after the cold start, and what they wrote.
    struct Fixture {
        metrics: Metrics,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Fixture {
        fn cold() -> Self {
            let vars = Vars::new([("METRICS_NAMESPACE".to_owned(), "TwoFactor/test".to_owned())]);
            let countries = AllowedCountries::Only(["US", "GB"].iter().filter_map(|code| Country::parse(code)).collect());
            let written = Arc::new(Mutex::new(Vec::new()));
            let output = Arc::clone(&written);
            let output: Output = Arc::new(move |lines| output.lock().unwrap().write_all(lines));
            let recorder = Arc::new(CloudWatch::from_vars(&vars, output).unwrap());
            Self { metrics: Metrics::new(|_, _| 7_900, countries, recorder), written }
        }

        fn lines(&self, stats: &RequestStats) -> Vec<Json> {
            self.metrics.emit(&RequestMetrics { function: "send-sms", outcome: "success", total: Duration::ZERO, stats, at: AT });
            let written = std::mem::take(&mut *self.written.lock().unwrap());
            String::from_utf8(written).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    /// What a warm environment writes of a request.
    fn lines(stats: &RequestStats) -> Vec<Json> {
        let fixture = Fixture::cold();
        fixture.lines(&RequestStats::default());
        fixture.lines(stats)
    }

    /// The line that has this metric.
    fn line_with<'a>(lines: &'a [Json], metric: &str) -> &'a Json {
        lines.iter().find(|line| !line[metric].is_null()).unwrap_or_else(|| panic!("{metric} is not in {lines:?}"))
    }

    /// The sets of dimensions that this metric counts under.
    fn sets<'a>(line: &'a Json, metric: &str) -> &'a Json {
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let names = |directive: &Json| directive["Metrics"].as_array().unwrap().contains(&json!({"Name": metric}));
        let mut found = directives.iter().filter(|directive| names(directive));
        let directive = found.next().unwrap_or_else(|| panic!("{metric} is not in {line}"));
        assert!(found.next().is_none(), "{metric} is counted once");
        &directive["Dimensions"]
    }

    fn attempt(provider: Provider, result: Result<&str, FailureClass>) -> Attempt {
        let result = result.map(str::to_owned).map_err(Failure::of);
        Attempt { provider, result, duration: Duration::ZERO }
    }

    fn message(kind: MessageKind, phone: &str, attempts: Vec<Attempt>) -> MessageStats {
        MessageStats { kind, country: number(phone).country(), attempts }
    }

    fn stats(attempts: Vec<Attempt>) -> RequestStats {
        let messages = vec![message(MessageKind::Code, HOME, attempts)];
        RequestStats { events: vec![event(AuditKind::Send, AuditOutcome::Success)], messages, ..RequestStats::default() }
    }

    fn event(kind: AuditKind, outcome: AuditOutcome) -> AuditEvent {
        AuditEvent::new(kind, outcome, Some(number(HOME)))
    }

    #[test]
    fn nothing_is_written_unless_a_namespace_is_named() {
        let output: Output = Arc::new(to_standard_output);
        assert!(CloudWatch::from_vars(&Vars::default(), output).is_none());
    }

    #[test]
    fn a_request_that_did_nothing_that_is_counted_writes_nothing_but_the_cold_start() {
        let fixture = Fixture::cold();
        let nothing = RequestStats { store_calls: 1, store_time: Duration::from_millis(4), ..RequestStats::default() };
        let expected = json!({
            "_aws": {
                "Timestamp": 1_767_323_045_678_u64,
                "CloudWatchMetrics": [
                    {"Namespace": "TwoFactor/test", "Dimensions": [["Function"]], "Metrics": [{"Name": "ColdStart"}]},
                ],
            },
            "Function": "send-sms",
            "ColdStart": 1,
        });
        assert_eq!(fixture.lines(&nothing), [expected]);
        assert_eq!(fixture.lines(&nothing), Vec::<Json>::new(), "only the first request is the cold start");
        let contended = RequestStats { conflicts: 2, ..RequestStats::default() };
        assert_eq!(line_with(&fixture.lines(&contended), "StoreConflicts")["StoreConflicts"], 2);
    }

    #[test]
    fn a_send_is_one_line_that_counts_by_provider_and_by_country() {
        let lines = lines(&stats(vec![attempt(Provider::Twilio, Ok("SM1"))]));
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(sets(line, "SmsSent"), &json!([["Provider", "Outcome"], ["Country", "Outcome"]]), "never all three");
        assert_eq!(sets(line, "CodesSent"), &json!([[]]));
        for metric in ["EstimatedCostMicroUsd", "UnverifiedCodes"] {
            assert_eq!(sets(line, metric), &json!([["Country"], []]), "{metric}");
        }
        let mut members = line.clone();
        members.as_object_mut().unwrap().remove("_aws");
        assert_eq!(
            members,
            json!({"Provider": "twilio", "Country": "US", "Outcome": "accepted", "SmsSent": 1, "CodesSent": 1,
                "UnverifiedCodes": 1, "EstimatedCostMicroUsd": 7_900})
        );
    }

    #[test]
    fn a_failover_counts_each_provider_and_the_providers_failure() {
        let attempts = vec![attempt(Provider::Twilio, Err(FailureClass::AuthFailed)), attempt(Provider::Sns, Ok("5f1c"))];
        let lines = lines(&stats(attempts));
        let overall = line_with(&lines, "SmsFailed");
        assert_eq!([&overall["SmsFailed"], &overall["SmsFailover"]], [&json!(1), &json!(1)]);
        let asked: Vec<_> = lines.iter().map(|line| [&line["Provider"], &line["Outcome"], &line["SmsSent"]]).collect();
        assert_eq!(
            asked,
            [[&json!("twilio"), &json!("auth_failed"), &json!(1)], [&json!("sns"), &json!("accepted"), &json!(1)]],
            "two values of a dimension are two lines"
        );
        let codes: Vec<_> = lines.iter().filter(|line| !line["CodesSent"].is_null()).collect();
        assert_eq!(codes.len(), 1, "one code, however many providers");
    }

    #[test]
    fn a_wrong_number_raises_no_alarm_and_counts_as_no_code_sent() {
        let lines = lines(&stats(vec![attempt(Provider::Twilio, Err(FailureClass::NotMobile))]));
        assert_eq!(line_with(&lines, "SmsSent")["Outcome"], "not_mobile");
        for metric in ["SmsFailed", "SmsFailover", "CodesSent", "UnverifiedCodes", "EstimatedCostMicroUsd"] {
            assert!(lines.iter().all(|line| line[metric].is_null()), "{metric}");
        }
    }

    #[test]
    fn the_same_provider_asked_again_is_no_failover() {
        let attempts = vec![attempt(Provider::Twilio, Err(FailureClass::AuthFailed)), attempt(Provider::Twilio, Ok("SM1"))];
        assert!(lines(&stats(attempts)).iter().all(|line| line["SmsFailover"].is_null()));
    }

    #[test]
    fn a_notice_is_an_attempt_that_fails_and_costs_like_any_but_no_code() {
        let mut stats = stats(vec![attempt(Provider::Twilio, Ok("SM1"))]);
        let notice = MessageKind::Notification(NotificationKind::BackupCodeUsed);
        stats.messages.push(message(notice, WORK, vec![attempt(Provider::Twilio, Err(FailureClass::UnknownOutcome))]));
        let lines = lines(&stats);
        let told: Vec<_> =
            lines.iter().map(|line| [&line["Country"], &line["Outcome"], &line["EstimatedCostMicroUsd"]]).collect();
        assert!(told.contains(&[&json!("US"), &json!("accepted"), &json!(7_900)]), "{told:?}");
        assert!(told.contains(&[&json!("GB"), &json!("unknown_outcome"), &json!(7_900)]), "{told:?}");
        assert_eq!(line_with(&lines, "SmsFailed")["SmsFailed"], 1);
        assert_eq!(line_with(&lines, "CodesSent")["CodesSent"], 1);
        assert_eq!(line_with(&lines, "UnverifiedCodes")["Country"], "US");
    }

    #[test]
    fn countries_that_are_not_allowed_are_one() {
        let notice = MessageKind::Notification(NotificationKind::TurnedOff);
        let messages = vec![message(notice, FRENCH, vec![attempt(Provider::Twilio, Ok("SM1"))])];
        let lines = lines(&RequestStats { messages, ..RequestStats::default() });
        assert_eq!(line_with(&lines, "SmsSent")["Country"], "other");
        assert_eq!(line_with(&lines, "EstimatedCostMicroUsd")["Country"], "other");
    }

    #[test]
    fn a_code_that_is_typed_in_settles_one_that_was_sent() {
        let events = vec![event(AuditKind::Verify, AuditOutcome::Success)];
        let lines = lines(&RequestStats { events, sms_code_accepted: true, ..RequestStats::default() });
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!([&line["UnverifiedCodes"], &line["Country"]], [&json!(-1), &json!("US")]);
        assert_eq!([&line["VerifyResult"], &line["Outcome"]], [&json!(1), &json!("success")]);
        assert_eq!(sets(line, "VerifyResult"), &json!([["Outcome"]]));
    }

    #[test]
    fn a_code_that_was_accepted_as_proof_and_one_that_was_sent_count_each() {
        let mut stats = stats(vec![attempt(Provider::Twilio, Ok("SM1"))]);
        stats.sms_code_accepted = true;
        let lines = lines(&stats);
        let balance: i64 = lines.iter().filter_map(|line| line["UnverifiedCodes"].as_i64()).sum();
        assert_eq!((balance, lines.len()), (0, 2), "{lines:?}");
    }

    #[test]
    fn refusals_count_by_their_code_and_limit() {
        let mut stats = RequestStats::default();
        stats.events.push(event(AuditKind::Verify, AuditOutcome::Refused(Refusal::InvalidCode { attempts_remaining: Some(4) })));
        stats.events.push(event(AuditKind::Locked, AuditOutcome::Success));
        stats.limit = Some(SendLimit::Number);
        let lines = lines(&stats);
        assert_eq!(line_with(&lines, "VerifyResult")["Outcome"], "invalid_code");
        assert_eq!(sets(line_with(&lines, "Locked"), "Locked"), &json!([[]]));
        assert_eq!(line_with(&lines, "LimitHit")["Limit"], "number");
    }
}
