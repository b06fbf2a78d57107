//! What the two AWS adapters have in common: an answer of bounded size, and what its absence means.

use std::{error::Error, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextMut, dyn_dispatch_hint},
        orchestrator::HttpResponse,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag, error::metadata::ProvideErrorMetadata};
use http_body_util::Limited;

use super::rest::{MAX_ANSWER_BYTES, causes, lost, unexplained};
use crate::domain::{FailureClass, message::delivery::Failure};

type SdkError<E> = aws_smithy_runtime_api::client::result::SdkError<E, HttpResponse>;

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
pub(super) async fn within<T, E>(
    timeout: Duration,
    call: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<Result<T, SdkError<E>>, Failure> {
    tokio::time::timeout(timeout, call).await.map_err(|_| Failure::with_code(FailureClass::UnknownOutcome, "timeout"))
}

/// The service's own error and its code, if the service itself refused the request. Otherwise what became of the request.
pub(super) fn refusal<E>(error: &SdkError<E>) -> Result<(&E, &str), Failure>
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let Some(response) = error.raw_response() else { return Err(transport_failure(error)) };
    let status = response.status();
    match error.as_service_error().and_then(|error| Some((error, error.code()?))) {
        Some((_, code)) if !status.is_client_error() || status.as_u16() == 408 || is_given_up(code) => {
            Err(Failure::with_code(FailureClass::UnknownOutcome, code))
        }
        Some(explained) => Ok(explained),
        None => Err(unexplained(status.as_u16())),
    }
}

/// Tells the failures that come before the first byte of a request from those after it.
fn transport_failure<E: Error + 'static>(error: &SdkError<E>) -> Failure {
    if let SdkError::ConstructionFailure(_) = error {
        return Failure::with_code(FailureClass::NotSent, "request_not_built");
    }
    if causes(error).any(<dyn Error>::is::<CredentialsError>) {
        return Failure::with_code(FailureClass::AuthFailed, "no_credentials");
    }
    lost(error)
}

/// Errors of a request that was given up on its way, at one end or the other: how far it had come is not said.
fn is_given_up(code: &str) -> bool {
    matches!(code, "RequestAborted" | "RequestAbortedException" | "RequestTimeout" | "RequestTimeoutException")
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
            | "RequestExpired"
            | "RequestTimeTooSkewed"
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
