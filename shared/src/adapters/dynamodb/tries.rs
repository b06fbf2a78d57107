//! Trying one call again, until DynamoDB has said something or the deadline comes.

use std::{error::Error, time::Duration};

use aws_sdk_dynamodb::{
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use rand::{TryRng, rngs::SysRng};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{adapters::aws, ports::Deadline};

/// The longest pause before the second try; it doubles with each further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// Long enough to relieve a table that throttles, short enough to ask more than once after the 5 seconds that DynamoDB may take
/// before a repeated transaction is completed
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>, `TransactionInProgressException`).
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The least time that a try is given, as long as it is known that nothing was done: one that is cut off by the deadline would
/// leave that unknown, and a code that could be used again might be spent.
const LEAST_TIME: Duration = Duration::from_millis(200);

/// What a failed try says of what it was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It was not done, and may be in a moment: DynamoDB throttles, or there was no connection.
    NotNow,
    /// It was not done, and will not be: DynamoDB refuses it, or there is no way to ask.
    Refused,
    /// Nobody knows: there was no answer, or none that tells.
    Unknown,
}

impl Failed {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Self {
        match error {
            SdkError::ConstructionFailure(_) => Self::Refused,
            SdkError::DispatchFailure(failure) if aws::never_connected(failure) => Self::NotNow,
            SdkError::ServiceError(refusal) => match error.code() {
                Some(
                    "ThrottlingException"
                    | "ProvisionedThroughputExceededException"
                    | "RequestLimitExceeded"
                    | "TransactionConflictException",
                ) => Self::NotNow,
                Some("TransactionInProgressException" | "IdempotentParameterMismatchException") => Self::Unknown,
                Some(_) if refusal.raw().status().is_client_error() => Self::Refused,
                // An error of DynamoDB's, or an answer that is not DynamoDB's.
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

/// The tries of one call.
#[derive(Debug)]
pub(super) struct Tries {
    operation: &'static str,
    deadline: Instant,
    made: u32,
    may_be_done: bool,
    last: Cause,
}

/// What came of a try, for the log. The service's own words stay out of it: they may repeat what was to be stored.
#[derive(Debug)]
struct Cause {
    kind: &'static str,
    code: Option<String>,
    aws_request_id: Option<String>,
    description: Option<String>,
}

impl Tries {
    /// None yet.
    pub(super) fn new(operation: &'static str, deadline: Deadline) -> Self {
        let deadline = Instant::from_std(deadline.instant());
        Self { operation, deadline, made: 0, may_be_done: false, last: Cause::of_kind("deadline") }
    }

    /// Waits until it is time for the next try: a random while, but for the first. Returns whether there is one: not where the
    /// deadline is too near.
    pub(super) async fn next(&mut self) -> bool {
        let pause = if self.made == 0 { Duration::ZERO } else { pause_after(self.made) };
        let start = Instant::now() + pause;
        let least_time = if self.may_be_done { Duration::ZERO } else { LEAST_TIME };
        if start + least_time >= self.deadline {
            return false;
        }
        if !pause.is_zero() {
            sleep_until(start).await;
        }
        self.made += 1;
        true
    }

    /// Makes a try. The deadline is a timeout like any other.
    pub(super) fn make<T, E>(
        &self,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> impl Future<Output = Result<T, SdkError<E>>> {
        // Boxed: a call of the SDK is larger than all else that a request holds while it waits.
        let call = timeout_at(self.deadline, Box::pin(call));
        async {
            match call.await {
                Ok(result) => result,
                Err(elapsed) => Err(SdkError::timeout_error(elapsed)),
            }
        }
    }

    /// Makes a call that may be repeated as it is, until it is answered or there is no point in going on.
    pub(super) async fn until_answered<T, E, F>(mut self, mut call: impl FnMut() -> F) -> Result<T, Self>
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        SdkError<E>: RequestId,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        while self.next().await {
            match self.make(call()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if self.go_on_after(&error) => {}
                Err(_) => break,
            }
        }
        Err(self)
    }

    /// Whether another try may end better than this one.
    pub(super) fn go_on_after<E>(&mut self, error: &SdkError<E>) -> bool
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        SdkError<E>: RequestId,
    {
        let failed = Failed::of(error);
        self.note(failed, error);
        // The one unknown outcome that is no better next time: there is another transaction of this token.
        failed != Failed::Refused && error.code() != Some("IdempotentParameterMismatchException")
    }

    /// Remembers what came of a try.
    pub(super) fn note<E>(&mut self, failed: Failed, error: &SdkError<E>)
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        SdkError<E>: RequestId,
    {
        self.may_be_done |= failed == Failed::Unknown;
        self.last = Cause::of(error);
    }

    /// Remembers an answer that is none.
    pub(super) fn note_incomplete_answer(&mut self) {
        self.last = Cause::of_kind("incomplete answer");
    }

    /// Whether one of the tries may have done what it was to do, without having said so.
    pub(super) const fn may_be_done(&self) -> bool {
        self.may_be_done
    }

    /// Logs that there will be no further try, and what came of the last one.
    pub(super) fn log(&self) {
        let Self { operation, made: tries, may_be_done, last: Cause { kind, code, aws_request_id, description }, .. } = self;
        let (code, aws_request_id, cause) = (code.as_deref(), aws_request_id.as_deref(), description.as_deref());
        tracing::error!(operation, tries, may_be_done, kind, code, aws_request_id, cause, "DynamoDB failed");
    }
}

impl Cause {
    const fn of_kind(kind: &'static str) -> Self {
        Self { kind, code: None, aws_request_id: None, description: None }
    }

    fn of<E>(error: &SdkError<E>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        SdkError<E>: RequestId,
    {
        let (kind, description) = match error {
            SdkError::ConstructionFailure(_) => ("construction", Some(DisplayErrorContext(error).to_string())),
            SdkError::DispatchFailure(_) => ("dispatch", Some(DisplayErrorContext(error).to_string())),
            SdkError::TimeoutError(_) => ("timeout", None),
            SdkError::ResponseError(_) => ("response", None),
            SdkError::ServiceError(_) => ("service", None),
            _ => ("other", None),
        };
        let (code, aws_request_id) = (error.code().map(str::to_owned), error.request_id().map(str::to_owned));
        Self { kind, code, aws_request_id, description }
    }
}

/// How long to wait after so many tries: between half of the longest and the longest, at random, so that those who were
/// throttled together do not come back together.
fn pause_after(tries: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries - 1)).min(LONGEST_PAUSE);
    let fraction = SysRng.try_next_u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    longest.mul_f64(0.5 + fraction / 2.0)
}
