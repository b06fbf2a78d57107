//! What a provider is to the failover.

use std::{pin::Pin, time::Duration};

use crate::domain::{Provider, TextMessage, message::delivery::Failure};

/// A boxed future, so that the providers can be kept in one list.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One provider's way of taking a message.
pub trait SmsGateway: Send + Sync {
    /// Who this is.
    fn provider(&self) -> Provider;

    /// Hands the message over, once: a request that failed is never repeated, unless the provider promises that a repeated one
    /// sends nothing twice. Ends within `timeout`. Gives the provider's name for the message, or how the provider failed.
    fn send<'a>(&'a self, message: &'a TextMessage, timeout: Duration) -> BoxFuture<'a, Result<String, Failure>>;
}
