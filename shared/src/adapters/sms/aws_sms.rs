//! AWS End User Messaging SMS, `SendTextMessage`.
//!
//! The modern way to send with AWS: unlike SNS it says at once when a number opted out or the spend limit is reached.

use std::time::Duration;

use aws_sdk_pinpointsmsvoicev2::{
    Client,
    config::Builder,
    error::SdkError,
    operation::send_text_message::SendTextMessageError,
    types::{
        AccessDeniedExceptionReason, ConflictExceptionReason, MessageType, ServiceQuotaExceededExceptionReason,
        ValidationExceptionReason, error::ValidationException,
    },
};

use super::{BoxFuture, SmsGateway, aws, rest::message_id};
use crate::{
    config::sms::AwsSmsConfig,
    domain::{FailureClass, Provider, TextMessage, message::delivery::Failure},
};

/// Seconds that AWS may keep a message in its queue.
const MIN_TTL: u64 = 5;
const MAX_TTL: u64 = 259_200;

/// Sends with the SDK's credentials, in its region.
pub struct AwsSms {
    client: Client,
    config: AwsSmsConfig,
}

impl AwsSms {
    /// A gateway for the account and region of `aws`, which must be [`Aws::sending`](crate::adapters::aws::Aws::sending).
    pub fn new(aws: &aws_types::SdkConfig, config: AwsSmsConfig) -> Self {
        let settings = Builder::from(aws).interceptor(aws::BoundedAnswer).build();
        Self { client: Client::from_conf(settings), config }
    }

    async fn send_text(&self, message: &TextMessage, timeout: Duration) -> Result<String, Failure> {
        let AwsSmsConfig { origination_identity, configuration_set, max_price } = &self.config;
        let ttl = i32::try_from(message.valid_for.as_secs().clamp(MIN_TTL, MAX_TTL)).ok();
        let call = self
            .client
            .send_text_message()
            .destination_phone_number(message.to.as_e164())
            .message_body(&message.body)
            .message_type(MessageType::Transactional)
            .set_time_to_live(ttl)
            .set_origination_identity(origination_identity.clone())
            .set_configuration_set_name(configuration_set.clone())
            .set_max_price(max_price.as_ref().map(|price| price.as_str().to_owned()))
            .context("reference", &message.reference);
        let sent = aws::within(timeout, call.send()).await?.map_err(|error| failure(&error))?;
        message_id(sent.message_id).ok_or_else(|| Failure::with_code(FailureClass::UnknownOutcome, "no_message_id"))
    }
}

impl SmsGateway for AwsSms {
    fn provider(&self) -> Provider {
        Provider::AwsSms
    }

    fn send<'a>(&'a self, message: &'a TextMessage, timeout: Duration) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(self.send_text(message, timeout))
    }
}

fn failure(error: &SdkError<SendTextMessageError>) -> Failure {
    let (error, code) = match aws::refusal(error) {
        Ok(refusal) => refusal,
        Err(failure) => return failure,
    };
    let reason = reason_of(error);
    let class = class_of(error, code, reason);
    match reason {
        Some(reason) => Failure::with_code(class, format_args!("{code}:{reason}")),
        None => Failure::with_code(class, code),
    }
}

fn reason_of(error: &SendTextMessageError) -> Option<&str> {
    match error {
        SendTextMessageError::AccessDeniedException(e) => e.reason().map(AccessDeniedExceptionReason::as_str),
        SendTextMessageError::ConflictException(e) => e.reason().map(ConflictExceptionReason::as_str),
        SendTextMessageError::ServiceQuotaExceededException(e) => e.reason().map(ServiceQuotaExceededExceptionReason::as_str),
        SendTextMessageError::ValidationException(e) => e.reason().map(ValidationExceptionReason::as_str),
        _ => None,
    }
}

/// What the exceptions and their reasons mean, by the service's model.
fn class_of(error: &SendTextMessageError, code: &str, reason: Option<&str>) -> FailureClass {
    match error {
        SendTextMessageError::AccessDeniedException(_) => FailureClass::AuthFailed,
        SendTextMessageError::ConflictException(_) => class_of_conflict(reason),
        SendTextMessageError::InternalServerException(_) => FailureClass::UnknownOutcome,
        SendTextMessageError::ResourceNotFoundException(_) => FailureClass::SenderMisconfigured,
        SendTextMessageError::ServiceQuotaExceededException(_) if reason.is_some_and(|reason| reason.contains("SPEND_LIMIT")) => {
            FailureClass::InsufficientBalance
        }
        SendTextMessageError::ServiceQuotaExceededException(_) | SendTextMessageError::ThrottlingException(_) => {
            FailureClass::RateLimited
        }
        SendTextMessageError::ValidationException(e) => class_of_validation(e, reason),
        _ if aws::is_auth_error(code) => FailureClass::AuthFailed,
        _ if aws::is_throttling(code) => FailureClass::RateLimited,
        _ => FailureClass::Rejected,
    }
}

fn class_of_conflict(reason: Option<&str>) -> FailureClass {
    match reason {
        Some("DESTINATION_PHONE_NUMBER_OPTED_OUT") => FailureClass::OptedOut,
        Some("DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION") => FailureClass::CountryNotPermitted,
        // This one number, blocked by the operator: it is not to be reached by another way.
        Some("DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE") => FailureClass::FraudBlocked,
        Some("DESTINATION_PHONE_NUMBER_NOT_VERIFIED") => FailureClass::RecipientNotVerified,
        Some(
            "KEYWORD_MISMATCH"
            | "MESSAGE_TYPE_MISMATCH"
            | "NO_ORIGINATION_IDENTITIES_FOUND"
            | "NUMBER_CAPABILITIES_MISMATCH"
            | "OPT_OUT_LIST_MISMATCH"
            | "PHONE_NUMBER_NOT_ASSOCIATED_TO_POOL"
            | "PHONE_NUMBER_NOT_IN_REGISTRATION_REGION"
            | "PROTECT_CONFIGURATION_NOT_ASSOCIATED_WITH_CONFIGURATION_SET"
            | "REGISTRATION_NOT_COMPLETE"
            | "RESOURCE_NOT_ACTIVE"
            | "SELF_MANAGED_OPT_OUTS_MISMATCH",
        ) => FailureClass::SenderMisconfigured,
        _ => FailureClass::Rejected,
    }
}

/// The sender comes first: a validation that fails for its sake may name the recipient's number too.
fn class_of_validation(error: &ValidationException, reason: Option<&str>) -> FailureClass {
    match reason {
        Some(
            "CHANNEL_NOT_ENABLED"
            | "COUNTRY_CODE_MISMATCH"
            | "INVALID_ARN"
            | "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY"
            | "RESOURCE_NOT_ACCESSIBLE"
            | "SENDER_ID_NOT_REGISTERED"
            | "SENDER_ID_NOT_SUPPORTED"
            | "SENDER_ID_REQUIRES_REGISTRATION",
        ) => FailureClass::SenderMisconfigured,
        _ if names(error, &OUR_SETTINGS) => FailureClass::SenderMisconfigured,
        // A message there costs more than the operator pays: for this sender it is a country that is not served.
        Some(
            "COUNTRY_NOT_ENABLED"
            | "DESTINATION_COUNTRY_BLOCKED"
            | "INTERNATIONAL_SENDING_NOT_SUPPORTED"
            | "PRICE_OVER_THRESHOLD",
        ) => FailureClass::CountryNotPermitted,
        _ if names(error, &["destinationphonenumber"]) => FailureClass::InvalidNumber,
        _ => FailureClass::InvalidRequest,
    }
}

/// The parameters that come from the operator's settings, or would have to: India wants `DestinationCountryParameters`.
const OUR_SETTINGS: [&str; 4] = ["originationidentity", "configurationsetname", "destinationcountryparameters", "maxprice"];

/// Whether the exception is about one of these parameters: by its fields, or by its text where it has none.
fn names(error: &ValidationException, parameters: &[&str]) -> bool {
    let is_named = |text: &str| {
        let text = text.to_ascii_lowercase();
        parameters.iter().any(|parameter| text.contains(parameter))
    };
    match error.fields() {
        [] => error.message().is_some_and(is_named),
        fields => fields.iter().any(|field| is_named(field.name())),
    }
}
