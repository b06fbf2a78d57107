//! Makes a provider's gateway from its settings.

use super::{aws_sms, gateway::SmsGateway, messagebird, plivo, sns, twilio, vonage};
use crate::config::sms::ProviderConfig;

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
