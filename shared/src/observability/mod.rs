//! What a request leaves behind for those who run the service: one log line, and metrics.

pub mod log;
pub mod metrics;

/// Sees each request as it ends: for a host that shows a developer what happened.
pub trait Observer: Send + Sync {
    /// A request has ended, and this is what its log line says.
    fn ended(&self, request: &log::RequestSummary<'_>);
}
