//! What the REST providers have in common: one request, one answer of bounded size, and what its absence means.

use std::{error::Error, io, iter::successors, time::Duration};

use hyper_util::client::legacy::Error as ClientError;
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use crate::{
    adapters::http::{BodyError, read_body},
    domain::{
        FailureClass, TextMessage,
        message::delivery::{Failure, is_identifier},
    },
};

/// No answer of a provider comes near it. Whatever is longer is not from the provider.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A provider's answer. It may echo the message, so it has no `Debug`, and nothing of it is logged but codes.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// An answer that came from nowhere.
    #[cfg(fuzzing)]
    pub(super) fn new(status: StatusCode, body: Vec<u8>) -> Self {
        Self { status, body }
    }

    /// The body as JSON of this shape; `None` if it is something else.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What this answer means where nothing in its body explains it.
    pub(super) fn unexplained(&self) -> Failure {
        unexplained(self.status.as_u16())
    }

    /// Whether the status leaves open what became of the message, whatever the body says: a server error, a timeout between
    /// proxies, a redirect.
    pub(super) fn is_inconclusive(&self) -> bool {
        self.status.is_server_error() || self.status.is_redirection() || self.status == StatusCode::REQUEST_TIMEOUT
    }
}

/// What a status means by itself. Nobody but the provider can say that a message was not sent, and this may be the answer of a
/// proxy in between; only 429 says by its definition that the request was not processed (RFC 6585, section 4).
pub(super) fn unexplained(status: u16) -> Failure {
    let class = if status == 429 { FailureClass::RateLimited } else { FailureClass::UnknownOutcome };
    Failure::with_code(class, format_args!("http_{status}"))
}

/// The number as the providers want it that write it without `+`.
pub(super) fn digits(message: &TextMessage) -> &str {
    message.to.as_e164().trim_start_matches('+')
}

/// The provider's name for a message, as far as it is fit for a log. Without one nothing says that the provider took the message.
pub(super) fn message_id(id: Option<String>) -> Option<String> {
    id.filter(|id| is_identifier(id))
}

/// Sends the request and reads the whole answer, all within `timeout`.
pub(super) async fn exchange(request: RequestBuilder, timeout: Duration) -> Result<Answer, Failure> {
    let response = request.timeout(timeout).send().await.map_err(|error| transport_failure(&error))?;
    let status = response.status();
    match read_body(response, MAX_ANSWER_BYTES).await {
        Ok(body) => Ok(Answer { status, body }),
        Err(BodyError::TooLong) => Err(Failure::with_code(FailureClass::UnknownOutcome, "answer_too_long")),
        Err(BodyError::Lost(error)) => Err(transport_failure(&error)),
    }
}

/// Tells the failures that come before the first byte of a request from those after it.
fn transport_failure(error: &reqwest::Error) -> Failure {
    if error.is_builder() { Failure::with_code(FailureClass::InvalidRequest, "request_not_built") } else { lost(error) }
}

/// What a request came to that has no answer, by the errors that this one was caused by: nothing was sent where no connection came
/// about, be it for lack of time; otherwise nobody knows.
pub(super) fn lost(error: &(dyn Error + 'static)) -> Failure {
    if causes(error).any(|error| error.downcast_ref::<ClientError>().is_some_and(ClientError::is_connect)) {
        Failure::with_code(FailureClass::NotSent, "no_connection")
    } else if causes(error).any(is_timeout) {
        Failure::with_code(FailureClass::UnknownOutcome, "timeout")
    } else {
        Failure::with_code(FailureClass::UnknownOutcome, "connection_lost")
    }
}

/// The error itself and, one by one, what it was caused by.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
        || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
