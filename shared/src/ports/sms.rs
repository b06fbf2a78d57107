//! How text messages leave.

use super::Deadline;
use crate::domain::{
    Provider, TextMessage,
    message::{delivery::Delivery, route::Routes},
};

/// How a code reaches its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By SMS, through one of these.
    Sms(Routes),
    /// In the answer: there is no provider, and the service runs in development (S22).
    Answer,
    /// Not at all: there is no provider.
    Missing,
}

/// Sends text messages.
pub trait SmsSender: Send + Sync {
    /// How a code would reach its user now. Asked before anything is reserved.
    fn channel(&self) -> Channel;

    /// Hands `message` to the providers of `order`, one after the other, until one takes it or none may be asked any more. Never
    /// sends twice: after an unknown outcome nobody else is asked (S12). No provider is asked with less time left before
    /// `deadline` than its patience.
    fn send(&self, message: &TextMessage, order: &[Provider], deadline: Deadline) -> impl Future<Output = Delivery> + Send;
}
