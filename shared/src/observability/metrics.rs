//! Metrics: what each request did, in CloudWatch's embedded metric format, as lines on standard output. No call, no agent, no wait.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Dimensions are names out of short lists: functions, providers, countries, outcomes, limits. A user, a number or an
//! address has no place here.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    config::{Vars, settings::METRICS_NAMESPACE},
    domain::{
        AuditKind, Country, Provider, Timestamp,
        message::delivery::{Attempt, DeliveryReason, FailureClass},
    },
    use_cases::RequestStats,
};

/// What a message to a country costs with a provider, in millionths of a US dollar.
pub type Price = fn(Country, Provider) -> u64;

/// What one request did.
#[derive(Clone, Copy, Debug)]
pub struct RequestMetrics<'a> {
    /// The function: `setup`, `send-sms` or `verify`.
    pub function: &'static str,
    /// How long the request took.
    pub total: Duration,
    /// What the use case wrote down.
    pub stats: &'a RequestStats,
    /// When the request ended.
    pub at: Timestamp,
}

/// Writes metrics. There is one for each execution environment: the first request that it is told of is the cold start.
#[derive(Debug)]
pub struct Metrics {
    namespace: String,
    price: Price,
    is_cold: AtomicBool,
}

impl Metrics {
    /// Metrics in the CloudWatch namespace that `METRICS_NAMESPACE` names; `None` where it is unset: then nothing is written.
    pub fn from_vars(vars: &Vars, price: Price) -> Option<Self> {
        let namespace = METRICS_NAMESPACE.get(vars)?.to_owned();
        Some(Self { namespace, price, is_cold: AtomicBool::new(true) })
    }

    /// Writes the metrics of a request to standard output, where CloudWatch Logs makes metrics of them.
    pub fn emit(&self, request: &RequestMetrics<'_>) {
        let mut lines = Vec::with_capacity(1024);
        let written = self.write(request, &mut lines).and_then(|()| io::stdout().lock().write_all(&lines));
        if let Err(error) = written {
            tracing::warn!(%error, "metrics were lost");
        }
    }

    /// Writes the metrics of a request to `output`: a line for each set of dimensions.
    ///
    /// # Errors
    /// When `output` does not take them.
    pub fn write(&self, request: &RequestMetrics<'_>, output: &mut impl Write) -> io::Result<()> {
        let RequestMetrics { function, total, stats, at } = *request;
        let mut lines = Lines { namespace: &self.namespace, at, output };

        let mut of_function = vec![
            ("RequestDuration", Measure::Time(total)),
            ("StoreCalls", Measure::count(stats.store_calls)),
            ("StoreConflicts", Measure::count(stats.conflicts)),
            ("StoreDuration", Measure::Time(stats.store_time)),
        ];
        if !stats.sms_time.is_zero() {
            of_function.push(("SmsDuration", Measure::Time(stats.sms_time)));
        }
        if self.is_cold.swap(false, Ordering::Relaxed) {
            of_function.push(("ColdStart", Measure::ONE));
        }
        lines.write(&[("Function", function)], Total::Without, &of_function)?;

        self.write_sends(stats, &mut lines)?;
        for event in &stats.events {
            let outcome = event.outcome.as_str();
            match event.kind {
                // A wrong code counts wherever it was handed in: a proof is judged like a code at verify.
                AuditKind::Verify | AuditKind::Setup | AuditKind::Replace | AuditKind::Disable
                    if event.kind == AuditKind::Verify || outcome == "invalid_code" =>
                {
                    lines.write(&[("Outcome", outcome)], Total::Without, &[("VerifyResult", Measure::ONE)])?;
                }
                AuditKind::Locked => lines.write(&[], Total::Without, &[("Locked", Measure::ONE)])?,
                _ => {}
            }
        }
        if let Some(limit) = stats.limit {
            lines.write(&[("Limit", limit.as_str())], Total::Without, &[("LimitHit", Measure::ONE)])?;
        }
        Ok(())
    }

    fn write_sends(&self, stats: &RequestStats, lines: &mut Lines<'_, impl Write>) -> io::Result<()> {
        let country = stats.country();
        let country = country.as_ref().map_or("unknown", Country::as_str);
        for attempt in &stats.attempts {
            let dimensions = [("Country", country), ("Outcome", outcome(attempt)), ("Provider", attempt.provider.as_str())];
            lines.write(&dimensions, Total::Without, &[("SmsSent", Measure::ONE)])?;
        }
        let failures = stats.attempts.iter().filter(|attempt| is_providers_failure(attempt)).count();
        let failed_over = stats.attempts.iter().zip(stats.attempts.iter().skip(1)).any(|(a, b)| a.provider != b.provider);
        let mut overall = Vec::new();
        if failures > 0 {
            overall.push(("SmsFailed", Measure::count(failures)));
        }
        if failed_over {
            overall.push(("SmsFailover", Measure::ONE));
        }
        lines.write(&[], Total::Without, &overall)?;

        let sent = stats.attempts.iter().find(|attempt| may_be_sent(attempt));
        let mut by_country = Vec::new();
        if let Some(attempt) = sent {
            by_country.push(("CodesSent", Measure::ONE));
            if let Some(cost) = stats.country().map(|country| (self.price)(country, attempt.provider)) {
                by_country.push(("EstimatedCostMicroUsd", Measure::Amount(cost)));
            }
        }
        if stats.sms_code_accepted {
            by_country.push(("CodesVerified", Measure::ONE));
        }
        match (sent.is_some(), stats.sms_code_accepted) {
            (true, false) => by_country.push(("UnverifiedCodes", Measure::Balance(1))),
            (false, true) => by_country.push(("UnverifiedCodes", Measure::Balance(-1))),
            (true, true) | (false, false) => {}
        }
        lines.write(&[("Country", country)], Total::With, &by_country)
    }
}

/// `accepted`, or the class of the failure.
fn outcome(attempt: &Attempt) -> &'static str {
    attempt.result.as_ref().map_or_else(|failure| failure.class.as_str(), |_| "accepted")
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

/// Whether a metric is also written without its dimensions, as a total that an alarm can watch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Total {
    With,
    Without,
}

struct Lines<'a, W> {
    namespace: &'a str,
    at: Timestamp,
    output: &'a mut W,
}

impl<W: Write> Lines<'_, W> {
    /// Writes one line of metrics that share their dimensions; none if there are no metrics.
    fn write(
        &mut self,
        dimensions: &[(&'static str, &str)],
        total: Total,
        metrics: &[(&'static str, Measure)],
    ) -> io::Result<()> {
        if metrics.is_empty() {
            return Ok(());
        }
        let mut sets: Vec<Vec<&str>> = vec![dimensions.iter().map(|(name, _)| *name).collect()];
        if total == Total::With {
            sets.push(Vec::new());
        }
        let metadata = json!({
            "Timestamp": self.at.as_millis(),
            "CloudWatchMetrics": [{
                "Namespace": self.namespace,
                "Dimensions": sets,
                "Metrics": metrics.iter().map(|(name, measure)| json!({"Name": name, "Unit": measure.unit()})).collect::<Vec<_>>(),
            }],
        });
        let dimensions = dimensions.iter().map(|(name, value)| (*name, Value::from(*value)));
        let metrics = metrics.iter().map(|(name, measure)| (*name, measure.value()));
        let line: BTreeMap<_, _> = [("_aws", metadata)].into_iter().chain(dimensions).chain(metrics).collect();
        serde_json::to_writer(&mut *self.output, &line)?;
        self.output.write_all(b"\n")
    }
}

/// A value with its unit.
#[derive(Clone, Copy, Debug)]
enum Measure {
    Count(u64),
    Balance(i8),
    Time(Duration),
    Amount(u64),
}

impl Measure {
    const ONE: Self = Self::Count(1);

    fn count(count: impl TryInto<u64>) -> Self {
        Self::Count(count.try_into().unwrap_or(u64::MAX))
    }

    /// One of CloudWatch's units.
    const fn unit(self) -> &'static str {
        match self {
            Self::Count(_) | Self::Balance(_) => "Count",
            Self::Time(_) => "Milliseconds",
            Self::Amount(_) => "None",
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Count(number) | Self::Amount(number) => number.into(),
            Self::Balance(change) => change.into(),
            Self::Time(time) => (time.as_secs_f64() * 1000.0).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::domain::{
        AuditEvent, AuditOutcome, Refusal, message::delivery::Failure, phone_number::tests::number, sms::send_window::SendLimit,
    };

    const AT: Timestamp = Timestamp::from_millis(1_767_323_045_678);

    fn metrics() -> Metrics {
        let vars = Vars::new([("METRICS_NAMESPACE".to_owned(), "TwoFactor/test".to_owned())]);
        Metrics::from_vars(&vars, |_, _| 7_900).unwrap()
    }

    fn lines(metrics: &Metrics, stats: &RequestStats) -> Vec<Json> {
        let mut output = Vec::new();
        let request = RequestMetrics { function: "send-sms", total: Duration::from_millis(12), stats, at: AT };
        metrics.write(&request, &mut output).unwrap();
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The line that has this metric.
    fn line_with<'a>(lines: &'a [Json], metric: &str) -> &'a Json {
        lines.iter().find(|line| !line[metric].is_null()).unwrap_or_else(|| panic!("{metric} is not in {lines:?}"))
    }

    fn attempt(provider: Provider, result: Result<&str, FailureClass>) -> Attempt {
        let result = result.map(str::to_owned).map_err(Failure::of);
        Attempt { provider, result, duration: Duration::ZERO }
    }

    fn stats(attempts: Vec<Attempt>) -> RequestStats {
        RequestStats { events: vec![event(AuditKind::Send, AuditOutcome::Success)], attempts, ..RequestStats::default() }
    }

    fn event(kind: AuditKind, outcome: AuditOutcome) -> AuditEvent {
        AuditEvent::new(kind, outcome, Some(number("+12015550123")))
    }

    #[test]
    fn nothing_is_written_unless_a_namespace_is_named() {
        assert!(Metrics::from_vars(&Vars::default(), |_, _| 0).is_none());
    }

    #[test]
    fn a_line_is_the_embedded_metric_format() {
        let metrics = metrics();
        let stats =
            RequestStats { store_calls: 2, conflicts: 1, store_time: Duration::from_millis(4), ..RequestStats::default() };
        let metric = |name, unit| json!({"Name": name, "Unit": unit});
        let expected = json!({
            "_aws": {
                "Timestamp": 1_767_323_045_678_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "TwoFactor/test",
                    "Dimensions": [["Function"]],
                    "Metrics": [
                        metric("RequestDuration", "Milliseconds"),
                        metric("StoreCalls", "Count"),
                        metric("StoreConflicts", "Count"),
                        metric("StoreDuration", "Milliseconds"),
                        metric("ColdStart", "Count"),
                    ],
                }],
            },
            "Function": "send-sms",
            "RequestDuration": 12.0,
            "StoreCalls": 2,
            "StoreConflicts": 1,
            "StoreDuration": 4.0,
            "ColdStart": 1,
        });
        assert_eq!(lines(&metrics, &stats), [expected]);
        assert!(lines(&metrics, &stats)[0]["ColdStart"].is_null(), "only the first request is the cold start");
    }

    #[test]
    fn a_send_counts_by_provider_country_and_outcome_and_in_total() {
        let lines = lines(&metrics(), &stats(vec![attempt(Provider::Twilio, Ok("SM1"))]));
        let sent = line_with(&lines, "SmsSent");
        assert_eq!(sent["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Country", "Outcome", "Provider"]]));
        assert_eq!(
            [&sent["Provider"], &sent["Country"], &sent["Outcome"], &sent["SmsSent"]],
            [&json!("twilio"), &json!("US"), &json!("accepted"), &json!(1)]
        );
        let code = line_with(&lines, "CodesSent");
        assert_eq!(code["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Country"], []]));
        assert_eq!([&code["EstimatedCostMicroUsd"], &code["UnverifiedCodes"]], [&json!(7_900), &json!(1)]);
    }

    #[test]
    fn a_failover_counts_each_provider_and_the_providers_failure() {
        let attempts = vec![attempt(Provider::Twilio, Err(FailureClass::AuthFailed)), attempt(Provider::Sns, Ok("5f1c"))];
        let lines = lines(&metrics(), &stats(attempts));
        let overall = line_with(&lines, "SmsFailed");
        assert_eq!([&overall["SmsFailed"], &overall["SmsFailover"]], [&json!(1), &json!(1)]);
        assert_eq!(lines.iter().filter(|line| !line["SmsSent"].is_null()).count(), 2);
        assert_eq!(line_with(&lines, "CodesSent")["CodesSent"], 1, "one code, however many providers");
    }

    #[test]
    fn a_wrong_number_raises_no_alarm_and_counts_as_no_code_sent() {
        let lines = lines(&metrics(), &stats(vec![attempt(Provider::Twilio, Err(FailureClass::NotMobile))]));
        assert_eq!(line_with(&lines, "SmsSent")["Outcome"], "not_mobile");
        for metric in ["SmsFailed", "SmsFailover", "CodesSent", "EstimatedCostMicroUsd"] {
            assert!(lines.iter().all(|line| line[metric].is_null()), "{metric}");
        }
    }

    #[test]
    fn the_same_provider_asked_again_is_no_failover() {
        let attempts = vec![attempt(Provider::Twilio, Err(FailureClass::AuthFailed)), attempt(Provider::Twilio, Ok("SM1"))];
        assert!(lines(&metrics(), &stats(attempts)).iter().all(|line| line["SmsFailover"].is_null()));
    }

    #[test]
    fn a_code_that_is_typed_in_settles_one_that_was_sent() {
        let mut stats = stats(Vec::new());
        stats.sms_code_accepted = true;
        stats.events.push(event(AuditKind::Verify, AuditOutcome::Success));
        let lines = lines(&metrics(), &stats);
        let code = line_with(&lines, "CodesVerified");
        assert_eq!([&code["CodesVerified"], &code["UnverifiedCodes"], &code["Country"]], [&json!(1), &json!(-1), &json!("US")]);
        assert_eq!(line_with(&lines, "VerifyResult")["Outcome"], "success");
    }

    #[test]
    fn refusals_count_by_their_code_and_limit() {
        let mut stats = stats(Vec::new());
        stats.events.push(event(AuditKind::Verify, AuditOutcome::Refused(Refusal::InvalidCode { attempts_remaining: Some(4) })));
        stats.events.push(event(AuditKind::Locked, AuditOutcome::Success));
        stats.limit = Some(SendLimit::Number);
        let lines = lines(&metrics(), &stats);
        assert_eq!(line_with(&lines, "VerifyResult")["Outcome"], "invalid_code");
        assert_eq!(line_with(&lines, "Locked")["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
        assert_eq!(line_with(&lines, "LimitHit")["Limit"], "number");
    }
}
