//! Published list prices of AWS in us-east-1, in US dollars, and what is assumed where nothing can be counted.

/// When these prices were published.
pub(crate) const DATE: &str = "February 2026";

/// <https://aws.amazon.com/dynamodb/pricing/on-demand/>, table class Standard, a million request units.
pub(crate) const WRITE_UNITS: f64 = 0.625;
pub(crate) const READ_UNITS: f64 = 0.125;
/// A GB of table a month, beyond the first 25 of an account; and of its point-in-time recovery.
pub(crate) const TABLE_GB_MONTH: f64 = 0.25;
pub(crate) const RECOVERY_GB_MONTH: f64 = 0.20;

/// <https://aws.amazon.com/api-gateway/pricing/>, a million requests of an HTTP API of up to 512 KB.
pub(crate) const GATEWAY_REQUESTS: f64 = 1.00;

/// <https://aws.amazon.com/lambda/pricing/>, a million requests; and a million GB-seconds on arm64.
pub(crate) const INVOCATIONS: f64 = 0.20;
pub(crate) const GB_SECONDS: f64 = 13.333_4;

/// <https://aws.amazon.com/cloudwatch/pricing/>: a GB of logs taken in, Lambda's and the gateway's alike; a GB kept a month, as it is
/// compressed.
pub(crate) const LOG_GB: f64 = 0.50;
pub(crate) const LOG_GB_MONTH: f64 = 0.03;
/// A custom metric that is written in every hour of a month; of fewer hours, so much less. The first ten are free.
pub(crate) const METRIC_MONTH: f64 = 0.30;
/// A metric that an alarm watches, for a month; a query watches each one that it finds. The first ten without a query are free.
pub(crate) const ALARM_METRIC_MONTH: f64 = 0.10;

/// <https://aws.amazon.com/secrets-manager/pricing/>, a secret a month; and a million calls.
pub(crate) const SECRET_MONTH: f64 = 0.40;
pub(crate) const SECRET_CALLS: f64 = 5.00;

/// How long a provider takes to answer.
pub(crate) const PROVIDER_MS: f64 = 150.0;
/// How long the table takes to answer a call.
pub(crate) const TABLE_MS: f64 = 5.0;
/// What a request takes of a processor at the template's memory size (docs/cold-start.md).
pub(crate) const PROCESSOR_MS: f64 = 6.0;
/// Requests that an environment answers in its life, so that one in so many reads the secrets.
pub(crate) const REQUESTS_OF_AN_ENVIRONMENT: f64 = 500.0;
/// What is left of logs once they are compressed.
pub(crate) const COMPRESSED: f64 = 0.2;
/// How long the audit trail is kept, in months.
pub(crate) const TRAIL_MONTHS: f64 = 400.0 / 30.4;
