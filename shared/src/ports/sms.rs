//! How text messages leave.

use crate::domain::{Provider, TextMessage, message::delivery::Delivery};

/// How a code reaches its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By SMS; this provider is asked first.
    Sms(Provider),
    /// In the answer: there is no provider, and the service runs in development (S22).
    Answer,
    /// Not at all: there is no provider.
    Missing,
}

/// Sends text messages.
pub trait SmsSender: Send + Sync {
    /// How a code would reach its user now. Asked before anything is reserved.
    fn channel(&self) -> Channel;

    /// Hands `message` to the providers, one after the other, until one takes it or none may be asked any more. Never sends
    /// twice: after an unknown outcome nobody else is asked (S12). Called only where [`SmsSender::channel`] says
    /// [`Channel::Sms`].
    fn send(&self, message: &TextMessage) -> impl Future<Output = Delivery> + Send;
}
