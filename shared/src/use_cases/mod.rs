//! What can be done: load, decide, commit, then send. Every race is settled in the commit, in `session` and nowhere else.

mod delivery;
mod operator;
mod request_stats;
mod service;
mod session;

pub use operator::{Erased, Told};
pub use request_stats::{MessageKind, MessageStats, RequestStats};
pub use service::{Caller, Failure, Granted, Rules, Service};
pub use session::Session;
