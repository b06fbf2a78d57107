//! Amazon SNS, `Publish` to a phone number.
//!
//! It has no validity and no client reference, and it answers with success for numbers that opted out and for accounts whose
//! spend limit is reached: those failures are in its delivery logs alone.

use std::time::Duration;

use aws_sdk_sns::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    operation::publish::PublishError,
    types::MessageAttributeValue,
};

use super::{BoxFuture, SmsGateway, aws, rest::message_id};
use crate::{
    config::sms::SnsConfig,
    domain::{FailureClass, Provider, TextMessage, message::delivery::Failure},
};

/// Sends with the SDK's credentials, in its region.
pub struct Sns {
    client: Client,
    config: SnsConfig,
}

impl Sns {
    /// A gateway for the account and region of `aws`, which must be [`Aws::sending`](crate::adapters::aws::Aws::sending).
    pub fn new(aws: &aws_types::SdkConfig, config: SnsConfig) -> Self {
        let settings = Builder::from(aws).interceptor(aws::BoundedAnswer).build();
        Self { client: Client::from_conf(settings), config }
    }

    async fn publish(&self, message: &TextMessage, timeout: Duration) -> Result<String, Failure> {
        let SnsConfig { sender_id, origination_number, max_price } = &self.config;
        let mut call = self
            .client
            .publish()
            .phone_number(message.to.as_e164())
            .message(&message.body)
            .message_attributes("AWS.SNS.SMS.SMSType", attribute("String", "Transactional")?);
        if let Some(sender_id) = sender_id {
            call = call.message_attributes("AWS.SNS.SMS.SenderID", attribute("String", sender_id.without_plus())?);
        }
        if let Some(number) = origination_number {
            call = call.message_attributes("AWS.MM.SMS.OriginationNumber", attribute("String", &number.with_plus())?);
        }
        if let Some(price) = max_price {
            call = call.message_attributes("AWS.SNS.SMS.MaxPrice", attribute("Number", price.as_str())?);
        }
        let published = aws::within(timeout, call.send()).await?.map_err(|error| failure(&error))?;
        message_id(published.message_id).ok_or_else(|| Failure::with_code(FailureClass::UnknownOutcome, "no_message_id"))
    }
}

impl SmsGateway for Sns {
    fn provider(&self) -> Provider {
        Provider::Sns
    }

    fn send<'a>(&'a self, message: &'a TextMessage, timeout: Duration) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(self.publish(message, timeout))
    }
}

fn attribute(data_type: &str, value: &str) -> Result<MessageAttributeValue, Failure> {
    MessageAttributeValue::builder()
        .data_type(data_type)
        .string_value(value)
        .build()
        .map_err(|_| Failure::with_code(FailureClass::InvalidRequest, "request_not_built"))
}

fn failure(error: &SdkError<PublishError>) -> Failure {
    match aws::refusal(error) {
        Ok((error, code)) => Failure::with_code(class_of(code, error.message().unwrap_or_default()), code),
        Err(failure) => failure,
    }
}

/// What a refused parameter is about. The sender comes first: a text about it may name the recipient's number too. Outside the
/// regions that send SMS, SNS says of every number that it is not valid.
fn class_of_parameter(text: &str) -> FailureClass {
    let text = text.to_ascii_lowercase().replace(' ', "");
    let names = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if names(&["senderid", "originationnumber", "maxprice", "messageattribute"]) {
        FailureClass::SenderMisconfigured
    } else if names(&["phonenumber"]) {
        FailureClass::InvalidNumber
    } else {
        FailureClass::InvalidRequest
    }
}

fn class_of(code: &str, text: &str) -> FailureClass {
    match code {
        "InvalidParameter" | "ParameterValueInvalid" | "ValidationException" | "ValidationError" => class_of_parameter(text),
        "NotFound" | "ResourceNotFound" | "UserError" => FailureClass::InvalidRequest,
        "OptedOut" => FailureClass::OptedOut,
        "InternalError" | "InternalFailure" | "ServiceUnavailable" => FailureClass::UnknownOutcome,
        "KMSThrottling" => FailureClass::RateLimited,
        code if code.starts_with("KMS") => FailureClass::SenderMisconfigured,
        code if aws::is_auth_error(code) => FailureClass::AuthFailed,
        code if aws::is_throttling(code) => FailureClass::RateLimited,
        _ => FailureClass::Rejected,
    }
}
