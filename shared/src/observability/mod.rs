//! What a request leaves behind for those who run the service: one log line, and metrics.

pub mod log;
pub mod metrics;
