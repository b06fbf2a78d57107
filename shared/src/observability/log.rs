//! Logs: JSON on Lambda, readable elsewhere, and the one line that every request leaves (S24).

use std::{io::IsTerminal, net::IpAddr, str::FromStr, time::Duration};

use http::{Method, StatusCode};
use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    config::{ConfigError, Vars, settings::LOG_LEVEL},
    domain::UserId,
};

/// Starts logging: as JSON on Lambda, for people elsewhere. `LOG_LEVEL`, or else `RUST_LOG`, says how much: a level, or a list such
/// as `info,two_factor=debug`. Filtering by span or field is not on offer: it would be the only use of regular expressions in
/// the functions.
///
/// # Errors
/// When the variable cannot be understood. Logging is started then all the same, at its default.
pub fn start(vars: &Vars) -> Result<(), ConfigError> {
    let (filter, result) = match filter(vars) {
        Ok(filter) => (filter, Ok(())),
        Err(error) => (default_filter(), Err(error)),
    };
    let format = if vars.get("AWS_LAMBDA_FUNCTION_NAME").is_some() { Format::Json } else { Format::Text };
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

#[derive(Clone, Copy)]
enum Format {
    Json,
    Text,
}

fn subscriber<W>(filter: Targets, format: Format, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer);
    let layer = match format {
        Format::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        Format::Text => layer.with_target(false).with_ansi(std::io::stdout().is_terminal()).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(ceiling()).with(layer)
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

/// What a request came to. Holds no code, token or clear number, and has no place for one.
#[derive(Clone, Copy, Debug)]
pub struct RequestSummary<'a> {
    /// The request's identifier.
    pub request_id: &'a str,
    /// Who called; `None` if that is not known.
    pub user: Option<&'a UserId>,
    /// The address that the request counts for (S13); `None` if that is not known.
    pub address: Option<IpAddr>,
    /// The function: `setup`, `send-sms` or `verify`.
    pub function: &'static str,
    /// The request's method.
    pub method: &'a Method,
    /// `success`, or the code of the problem.
    pub outcome: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// How long it took.
    pub total: Duration,
    /// How much of that went by waiting for storage.
    pub store: Duration,
    /// How much of that went by waiting for the SMS providers.
    pub sms: Duration,
}

/// Writes the one line of a request: an error if the fault is ours or a provider's, a warning if somebody ran into a wall that
/// attackers run into, else information.
pub fn log_request(summary: &RequestSummary<'_>) {
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                target: "request",
                $level,
                request_id = summary.request_id,
                user = summary.user.map(UserId::as_str),
                address = summary.address.map(tracing::field::display),
                function = summary.function,
                method = summary.method.as_str(),
                outcome = summary.outcome,
                status = summary.status.as_u16(),
                total_ms = milliseconds(summary.total),
                store_ms = milliseconds(summary.store),
                sms_ms = milliseconds(summary.sms),
                "request"
            )
        };
    }
    match summary.status.as_u16() {
        500.. => line!(tracing::Level::ERROR),
        429 => line!(tracing::Level::WARN),
        _ => line!(tracing::Level::INFO),
    }
}

/// Milliseconds, to the hundredth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, status: StatusCode, user: &str) -> String {
        let log = Log::default();
        let writer = log.clone();
        tracing::subscriber::with_default(subscriber(default_filter(), format, move || writer.clone()), || {
            log_request(&RequestSummary {
                request_id: "r-1",
                user: Some(&UserId::parse(user).unwrap()),
                address: Some("192.0.2.7".parse().unwrap()),
                function: "verify",
                method: &Method::POST,
                outcome: "invalid_code",
                status,
                total: Duration::from_micros(12_345),
                store: Duration::from_millis(4),
                sms: Duration::ZERO,
            });
        });
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_request_leaves_one_line_of_json_s24() {
        let line = logged(Format::Json, StatusCode::BAD_REQUEST, "alice");
        let mut line: Value = serde_json::from_str(&line).unwrap();
        line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert_eq!(
            line,
            json!({"level": "INFO", "target": "request", "message": "request", "request_id": "r-1", "user": "alice", "address": "192.0.2.7",
                "function": "verify", "method": "POST", "outcome": "invalid_code", "status": 400, "total_ms": 12.35,
                "store_ms": 4.0, "sms_ms": 0.0})
        );
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
