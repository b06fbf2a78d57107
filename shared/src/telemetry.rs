//! Logs: JSON on Lambda, readable elsewhere, and the one line that every request leaves (S24).

use std::{io::IsTerminal, str::FromStr, time::Duration};

use lambda_http::http::{Method, StatusCode};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    config::{ConfigError, Vars},
    domain::UserId,
};

/// What is logged where nothing else is said.
const DEFAULT_FILTER: &str = "info";

/// Starts logging: as JSON on Lambda, for people elsewhere. `LOG_LEVEL`, or else `RUST_LOG`, says how much: a level, or a list such
/// as `info,two_factor=debug`. Filtering by span or field is not on offer: it would be the only use of regular expressions in
/// the functions.
///
/// # Errors
/// When the variable cannot be understood. Logging is started then all the same, at its default.
pub fn start(vars: &Vars) -> Result<(), ConfigError> {
    let wanted = ["LOG_LEVEL", "RUST_LOG"].into_iter().find_map(|name| Some((name, vars.get(name)?)));
    let (filter, result) = match wanted.map(|(name, text)| (name, Targets::from_str(&text.to_ascii_lowercase()))) {
        Some((_, Ok(filter))) => (filter, Ok(())),
        Some((name, Err(_))) => (
            default_filter(),
            Err(ConfigError::new(name, "must be error, warn, info, debug or trace, or a list of target=level")),
        ),
        None => (default_filter(), Ok(())),
    };
    let registry = tracing_subscriber::registry().with(filter).with(ceiling());
    // A second start, as in tests, changes nothing.
    let _ = if vars.get("AWS_LAMBDA_FUNCTION_NAME").is_some() {
        let json = tracing_subscriber::fmt::layer().json().flatten_event(true);
        registry.with(json.with_current_span(false).with_span_list(false)).try_init()
    } else {
        let text = tracing_subscriber::fmt::layer().with_target(false);
        registry.with(text.with_ansi(std::io::stdout().is_terminal())).try_init()
    };
    result
}

/// The most that libraries may log, whatever was asked for: at its lowest level the AWS SDK writes down whole answers, and
/// DynamoDB's have phone numbers in them (S6).
pub fn ceiling() -> Targets {
    Targets::new().with_default(LevelFilter::TRACE).with_target("aws_smithy_runtime", LevelFilter::DEBUG)
}

fn default_filter() -> Targets {
    Targets::from_str(DEFAULT_FILTER).unwrap_or_default()
}

/// What a request came to. Holds no code, token or clear number, and has no place for one.
#[derive(Clone, Copy, Debug)]
pub struct RequestSummary<'a> {
    /// The request's identifier.
    pub request_id: &'a str,
    /// Who called; `None` if that is not known.
    pub user: Option<&'a UserId>,
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
