//! What the two AWS adapters have in common: a client that sends once, reads little and does not wait for long, and what the
//! absence of an answer means.

use std::{error::Error, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextMut, dyn_dispatch_hint},
        result::SdkError,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag, timeout::TimeoutConfig};
use http_body_util::Limited;

use super::rest::MAX_ANSWER_BYTES;
use crate::domain::{FailureClass, delivery::Failure};

/// How long to wait for a connection. Until there is one nothing was sent, and another provider may be asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build()
}

/// Ends the reading of an answer that is longer than any of the service's.
#[derive(Debug)]
pub(super) struct BoundedAnswer;

#[dyn_dispatch_hint]
impl Intercept for BoundedAnswer {
    fn name(&self) -> &'static str {
        "BoundedAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let body = response.take_body();
        *response.body_mut() = SdkBody::from_body_1_x(Limited::new(body, MAX_ANSWER_BYTES));
        Ok(())
    }
}

/// Waits for a call to end; a call that takes too long has an unknown outcome.
pub(super) async fn within<T, E, R>(
    timeout: Duration,
    call: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> Result<Result<T, SdkError<E, R>>, Failure> {
    tokio::time::timeout(timeout, call).await.map_err(|_| Failure::with_code(FailureClass::UnknownOutcome, "timeout"))
}

/// Tells the failures that come before the first byte of a request from those after it.
pub(super) fn transport_failure<E, R>(error: &SdkError<E, R>) -> Failure
where
    E: Error + 'static,
    R: std::fmt::Debug,
{
    if let SdkError::ConstructionFailure(_) = error {
        return Failure::with_code(FailureClass::NotSent, "request_not_built");
    }
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = source {
        if error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return Failure::with_code(FailureClass::NotSent, "no_connection");
        }
        if error.is::<CredentialsError>() {
            return Failure::with_code(FailureClass::AuthFailed, "no_credentials");
        }
        source = error.source();
    }
    Failure::with_code(FailureClass::UnknownOutcome, "connection_lost")
}

/// Errors of the signature and of permissions, which every AWS service has by these names (IAM User Guide, common errors).
pub(super) fn is_auth_error(code: &str) -> bool {
    matches!(
        code,
        "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "InvalidClientTokenId"
            | "InvalidSecurity"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "NotAuthorized"
            | "OptInRequired"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException"
    )
}

/// Throttling, which every AWS service has by these names.
pub(super) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "RequestLimitExceeded"
            | "Throttled"
            | "ThrottledException"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
    )
}
