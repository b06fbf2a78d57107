//! How text messages leave.

use super::Deadline;
use crate::domain::{
    Provider, TextMessage,
    message::{delivery::Delivery, route::Routes},
};

/// How a code reaches its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By SMS, through one of these providers.
    Sms(Routes),
    /// In the answer: there is no provider, and the service runs in development (S22).
    Answer,
    /// Not at all: there is no provider.
    Missing,
}

/// Sends text messages.
pub trait SmsSender: Send + Sync {
    /// How a code would reach its user now. Asked once a request, before anything is reserved: after an outage, one request gets
    /// the provider in its usual place, and whoever asks is taken for that request (S26).
    fn channel(&self) -> Channel;

    /// Hands `message` to the providers of `order`, one after the other, until one takes it or none may be asked any more; those
    /// that are configured no more are left out. Never sends twice: after an unknown outcome nobody else is asked (S12). Called
    /// only where [`SmsSender::channel`] says [`Channel::Sms`].
    ///
    /// No provider is asked with less time left before `deadline` than it may take to answer, so that its silence is told by its
    /// own timeout and not by the deadline (S25). Too little time for the first is [`Verdict::OutOfTime`], and nothing was sent.
    ///
    /// [`Verdict::OutOfTime`]: crate::domain::message::delivery::Verdict::OutOfTime
    fn send(&self, message: &TextMessage, order: &[Provider], deadline: Deadline) -> impl Future<Output = Delivery> + Send;
}
