//! Text messages out: one file a provider, and the failover that goes through them.
//!
//! A provider's file knows its request and the meaning of its answers, and nothing else. What is common to the REST providers is
//! in `rest`.

use std::{pin::Pin, time::Duration};

use crate::{
    config::{SmsConfig, sms::ProviderConfig},
    domain::{Provider, TextMessage, message::delivery::Failure},
};

mod aws;
pub mod aws_sms;
pub mod failover;
mod health;
pub mod messagebird;
pub mod plivo;
mod rest;
pub mod sns;
pub mod twilio;
pub mod vonage;

pub use failover::{Failover, FailoverSettings};

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

/// Where fresh credentials come from when a provider no longer takes those in use.
pub trait CredentialSource: Send + Sync {
    /// Reads the configuration anew. `None` if it cannot be read, or was read so recently that it is not asked for again.
    fn reload(&self) -> BoxFuture<'_, Option<SmsConfig>>;
}

/// What the gateways send with: built once, shared by all of them, so that they share connections.
#[derive(Clone, Debug)]
pub struct Transports {
    /// For the REST providers. It follows no redirects: a redirected POST could be a second message.
    pub http: reqwest::Client,
    /// For the AWS ones: region, credentials, endpoints and HTTP client, as [`Aws::sending`](crate::adapters::aws::Aws::sending)
    /// has them.
    pub aws: aws_types::SdkConfig,
}

impl Transports {
    /// The gateway that sends with these settings.
    pub fn gateway(&self, config: &ProviderConfig) -> Box<dyn SmsGateway> {
        match config {
            ProviderConfig::Twilio(config) => Box::new(twilio::Twilio::new(self.http.clone(), config.clone())),
            ProviderConfig::Sns(config) => Box::new(sns::Sns::new(&self.aws, config.clone())),
            ProviderConfig::AwsSms(config) => Box::new(aws_sms::AwsSms::new(&self.aws, config.clone())),
            ProviderConfig::Vonage(config) => Box::new(vonage::Vonage::new(self.http.clone(), config.clone())),
            ProviderConfig::MessageBird(config) => Box::new(messagebird::MessageBird::new(self.http.clone(), config.clone())),
            ProviderConfig::Plivo(config) => Box::new(plivo::Plivo::new(self.http.clone(), config.clone())),
        }
    }
}
