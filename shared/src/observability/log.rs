//! Logs: JSON where machines read them, lines for people elsewhere, and the one line that every request leaves (S24).

use std::{
    io::{self, IsTerminal},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Method, StatusCode};
use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    config::{ConfigError, Vars, settings::LOG_LEVEL},
    domain::{Country, PhoneNumber, Provider, Purpose, UserId},
    use_cases::{MessageStats, RequestStats},
};

/// Starts logging in this format. `LOG_LEVEL`, or else `RUST_LOG`, says how much: a level, or a list such
/// as `info,two_factor=debug`. Filtering by span or field is not on offer: it would be the only use of regular expressions in
/// the functions.
///
/// # Errors
/// When the variable cannot be understood. Logging is started then all the same, at its default.
pub fn start(vars: &Vars, format: Format) -> Result<(), ConfigError> {
    let (filter, result) = match filter(vars) {
        Ok(filter) => (filter, Ok(())),
        Err(error) => (default_filter(), Err(error)),
    };
    // A second start, as in tests, changes nothing.
    let _ = subscriber(filter, format, std::io::stdout).try_init();
    result
}

/// Judges how much is to be logged, without starting anything.
///
/// # Errors
/// When the variable cannot be understood.
pub fn judge(vars: &Vars) -> Result<(), ConfigError> {
    filter(vars).map(drop)
}

/// What lines of the log look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object each, for CloudWatch Logs and whatever collects the output of containers.
    Json,
    /// Text for people, with colors on a terminal.
    Text,
}

fn subscriber<W>(filter: Targets, format: Format, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = match format {
        Format::Json => json_lines(writer).boxed(),
        Format::Text => fmt::layer().with_writer(writer).with_target(false).with_ansi(std::io::stdout().is_terminal()).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(ceiling()).with(layer)
}

/// Lines as they are on Lambda: an object each, with the fields of the event at its top, where queries find them.
pub fn json_lines<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::layer().with_writer(writer).json().flatten_event(true).with_current_span(false).with_span_list(false)
}

/// The lowest level that libraries may log at, even if a lower one was asked for: at `trace` the Lambda runtime writes down whole
/// events, with tokens and codes, and the AWS SDK whole answers, with phone numbers (S6).
pub fn ceiling() -> Targets {
    Targets::new().with_default(LevelFilter::DEBUG).with_target("two_factor", LevelFilter::TRACE)
}

fn filter(vars: &Vars) -> Result<Targets, ConfigError> {
    let Some((name, text)) = [LOG_LEVEL.name, "RUST_LOG"].into_iter().find_map(|name| Some((name, vars.get(name)?))) else {
        return Ok(default_filter());
    };
    let text = text.trim().to_ascii_lowercase();
    // Without this, a misspelled level would be taken for a target, and silence everything else.
    let has_level = |directive: &str| {
        let level = directive.rsplit('=').next().unwrap_or_default().trim();
        !level.is_empty() && LevelFilter::from_str(level).is_ok()
    };
    Some(text.as_str())
        .filter(|text| text.split(',').all(has_level))
        .and_then(|text| Targets::from_str(text).ok())
        .ok_or_else(|| ConfigError::new(name, "must be off, error, warn, info, debug or trace, or a list of target=level"))
}

fn default_filter() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

/// What a request came to. Holds no code or token; of numbers and addresses the line has what is masked, or keyed.
#[derive(Clone, Copy, Debug)]
pub struct RequestSummary<'a> {
    /// The request's identifier.
    pub request_id: &'a str,
    /// Who called; `None` if that is not known.
    pub user: Option<&'a UserId>,
    /// The pseudonym of the address that the request counts for (S13); `None` if that is not known.
    pub source: Option<&'a str>,
    /// The function: `setup`, `send-sms`, `verify` or `any`.
    pub function: &'static str,
    /// The request's method.
    pub method: &'a Method,
    /// `success`, or the code of the problem.
    pub outcome: &'static str,
    /// Which of the situations of that problem it was.
    pub reason: Option<&'static str>,
    /// The status of the answer.
    pub status: StatusCode,
    /// The name (`jti`) of the assertion in the answer, if there is one.
    pub assertion: Option<&'a str>,
    /// How long it took.
    pub total: Duration,
    /// What the use case wrote down.
    pub stats: &'a RequestStats,
}

/// As much of a pseudonym as tells addresses apart: 64 bits, in hex. The name of the address's item in the table begins with it.
const SOURCE_DIGITS: usize = 16;

/// Every field that a request's line can have, beside `timestamp`, `level` and `target`. What there is nothing to say of is left out.
pub const REQUEST_FIELDS: [&str; 24] = [
    "request_id",
    "user",
    "source",
    "function",
    "method",
    "outcome",
    "reason",
    "status",
    "purpose",
    "country",
    "phone",
    "provider",
    "sms_outcome",
    "message_id",
    "reference",
    "notification",
    "notification_provider",
    "notification_outcome",
    "notification_message_id",
    "assertion",
    "store_conflicts",
    "total_ms",
    "store_ms",
    "sms_ms",
];

/// Writes the one line of a request: an error if the fault is ours or a provider's, a warning if somebody ran into a wall that
/// attackers run into, else information.
///
/// A send names the provider that was asked last, what it answered and its name for the message; a code that was judged has the
/// reference of the send that it came from. [`REQUEST_FIELDS`] lists what a line can have.
pub fn log_request(summary: &RequestSummary<'_>) {
    let stats = summary.stats;
    let (code, notification) = (stats.code(), stats.notification());
    let country = stats.phone().map(PhoneNumber::country).or(code.map(|message| message.country));
    let notified = notification.as_ref().map(|(_, message)| *message);
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                target: "request",
                $level,
                request_id = summary.request_id,
                user = summary.user.map(UserId::as_str),
                source = summary.source.map(|name| name.get(..SOURCE_DIGITS).unwrap_or(name)),
                function = summary.function,
                method = summary.method.as_str(),
                outcome = summary.outcome,
                reason = summary.reason,
                status = summary.status.as_u16(),
                purpose = stats.purpose.map(Purpose::as_str),
                country = country.as_ref().map(Country::as_str),
                phone = stats.phone().map(PhoneNumber::masked),
                provider = code.and_then(MessageStats::provider).map(Provider::as_str),
                sms_outcome = code.and_then(MessageStats::outcome),
                message_id = code.and_then(MessageStats::message_id),
                reference = stats.reference.map(tracing::field::display),
                notification = notification.map(|(kind, _)| kind.as_str()),
                notification_provider = notified.and_then(MessageStats::provider).map(Provider::as_str),
                notification_outcome = notified.and_then(MessageStats::outcome),
                notification_message_id = notified.and_then(MessageStats::message_id),
                assertion = summary.assertion,
                store_conflicts = (stats.conflicts > 0).then_some(stats.conflicts),
                total_ms = milliseconds(summary.total),
                store_ms = milliseconds(stats.store_time),
                sms_ms = (!stats.messages.is_empty()).then(|| milliseconds(stats.sms_time)),
            )
        };
    }
    match summary.status.as_u16() {
        500.. => line!(tracing::Level::ERROR),
        429 => line!(tracing::Level::WARN),
        _ => line!(tracing::Level::INFO),
    }
}

/// The line of a request as [`log_request`] writes it where machines read it, whatever is logged here.
pub fn rendered(summary: &RequestSummary<'_>) -> String {
    let line = Rendered::default();
    let writer = line.clone();
    let subscriber = subscriber(default_filter(), Format::Json, move || writer.clone());
    tracing::subscriber::with_default(subscriber, || log_request(summary));
    let bytes = line.0.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// Where a line goes that is shown.
#[derive(Clone, Default)]
struct Rendered(Arc<Mutex<Vec<u8>>>);

impl io::Write for Rendered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Milliseconds, to the hundredth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        domain::{
            AuditEvent, AuditKind, AuditOutcome, ChallengeId, FailureClass,
            message::{
                delivery::{Attempt, Failure},
                notification::NotificationKind,
            },
            phone_number::tests::number,
        },
        use_cases::MessageKind,
    };

    fn written(format: Format, summary: &RequestSummary<'_>) -> String {
        let log = Rendered::default();
        let writer = log.clone();
        tracing::subscriber::with_default(subscriber(default_filter(), format, move || writer.clone()), || log_request(summary));
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn logged(format: Format, status: StatusCode, user: &str) -> String {
        let did = RequestStats { store_time: Duration::from_millis(4), ..RequestStats::default() };
        written(
            format,
            &RequestSummary {
                request_id: "r-1",
                user: Some(&UserId::parse(user).unwrap()),
                source: None,
                function: "verify",
                method: &Method::POST,
                outcome: "invalid_code",
                reason: None,
                status,
                total: Duration::from_micros(12_345),
                assertion: None,
                stats: &did,
            },
        )
    }

    #[test]
    fn a_request_leaves_one_line_of_json_s24() {
        let line = logged(Format::Json, StatusCode::BAD_REQUEST, "alice");
        let mut line: Value = serde_json::from_str(&line).unwrap();
        line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert_eq!(
            line,
            json!({"level": "INFO", "target": "request", "request_id": "r-1", "user": "alice", "function": "verify",
                "method": "POST", "outcome": "invalid_code", "status": 400, "total_ms": 12.35, "store_ms": 4.0})
        );
    }

    #[test]
    fn a_line_can_tell_all_of_a_send_and_what_it_tells_is_listed() {
        let attempt = |provider, result| Attempt { provider, result, duration: Duration::ZERO };
        let (new, old) = (number("+12015550123"), number("+447400123456"));
        let message = |kind, phone: &PhoneNumber, attempts| MessageStats { kind, country: phone.country(), attempts };
        let refused = attempt(Provider::Twilio, Err(Failure::of(FailureClass::AuthFailed)));
        let stats = RequestStats {
            conflicts: 1,
            store_time: Duration::from_millis(4),
            sms_time: Duration::from_millis(7),
            events: vec![AuditEvent::new(AuditKind::Replace, AuditOutcome::Success, Some(new.clone()))],
            purpose: Some(Purpose::Replace),
            reference: Some(ChallengeId::from_bytes([7; 16])),
            messages: vec![
                message(MessageKind::Code, &new, vec![refused, attempt(Provider::Sns, Ok("5f1c".to_owned()))]),
                message(
                    MessageKind::Notification(NotificationKind::BackupCodeUsed),
                    &old,
                    vec![attempt(Provider::Twilio, Ok("SM2".to_owned()))],
                ),
            ],
            ..RequestStats::default()
        };
        let line = written(
            Format::Json,
            &RequestSummary {
                request_id: "r-1",
                user: Some(&UserId::parse("alice").unwrap()),
                source: Some("0123456789abcdef0123"),
                function: "setup",
                method: &Method::POST,
                outcome: "rate_limited",
                reason: Some("user"),
                status: StatusCode::TOO_MANY_REQUESTS,
                total: Duration::from_millis(12),
                assertion: Some("c0ffee"),
                stats: &stats,
            },
        );
        let mut line: Value = serde_json::from_str(&line).unwrap();
        line.as_object_mut().unwrap().remove("timestamp").unwrap();
        let expected = json!({
            "level": "WARN", "target": "request", "request_id": "r-1", "user": "alice", "source": "0123456789abcdef",
            "function": "setup", "method": "POST", "outcome": "rate_limited", "reason": "user", "status": 429,
            "purpose": "replace", "country": "US", "phone": "+1****0123", "provider": "sns", "sms_outcome": "accepted",
            "message_id": "5f1c", "reference": "07070707070707070707070707070707", "notification": "backup_code_used",
            "notification_provider": "twilio", "notification_outcome": "accepted", "notification_message_id": "SM2",
            "store_conflicts": 1, "assertion": "c0ffee", "total_ms": 12.0, "store_ms": 4.0, "sms_ms": 7.0,
        });
        assert_eq!(line, expected);
        let told = expected.as_object().unwrap().keys().filter(|name| !["level", "target"].contains(&name.as_str()));
        let listed: BTreeSet<_> = REQUEST_FIELDS.into_iter().collect();
        assert_eq!(told.map(String::as_str).collect::<BTreeSet<_>>(), listed);
    }

    #[test]
    fn faults_of_ours_are_errors_and_reached_limits_are_warnings() {
        for (status, level) in [(200, "INFO"), (401, "INFO"), (429, "WARN"), (502, "ERROR"), (503, "ERROR")] {
            let line = logged(Format::Json, StatusCode::from_u16(status).unwrap(), "alice");
            assert!(line.contains(&format!("\"level\":\"{level}\"")), "{status}: {line}");
        }
    }

    #[test]
    fn no_user_identifier_can_forge_a_line() {
        for format in [Format::Json, Format::Text] {
            let line = logged(format, StatusCode::OK, "alice\nERROR forged\u{1b}[31m\u{7}");
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(!line.contains('\u{7}') && !line.contains("\u{1b}[31m"), "{line:?}");
        }
    }

    #[test]
    fn a_wrong_level_is_refused_and_named() {
        let read = |name: &str, text: &str| filter(&Vars::new([(name.to_owned(), text.to_owned())]));
        for text in ["info", "DEBUG", "off", "warn,two_factor=debug", " trace "] {
            assert!(read("LOG_LEVEL", text).is_ok(), "{text}");
        }
        for text in ["loud", "info,", "two_factor=loud", "verbose,info", "=", ","] {
            assert_eq!(read("RUST_LOG", text).unwrap_err().variable, "RUST_LOG", "{text}");
        }
        assert!(filter(&Vars::default()).is_ok());
    }
}
