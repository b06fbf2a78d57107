//! What every AWS client shares: region, credentials, endpoints, time limits and one pool of connections.
//!
//! The functions need none of what `aws-config` adds (profiles, single sign-on, the instance metadata service): Lambda passes
//! region and credentials in the environment, once for the life of the process.

use std::{error::Error, time::Duration};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::{ConnectorError, DispatchFailure},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{
    body::SdkBody,
    retry::{ReconnectMode, RetryConfig},
    timeout::TimeoutConfig,
};
use aws_types::{
    SdkConfig,
    endpoint_config::AccountIdEndpointMode,
    region::Region,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};
use reqwest::{Body, Client};

use super::{http as http_client, roots};
use crate::config::{ConfigError, Vars};

/// How long one attempt at a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a call may take with its retries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// How long an unused connection is kept. AWS calls are signed, idempotent and retried: a connection closed under one is harmless.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// At most this many attempts at a call. Connections stay in the pool whatever happened on them: the pool is not the SDK's own, and
/// notices by itself that one is broken.
pub fn retries(max_attempts: u32) -> RetryConfig {
    RetryConfig::standard().with_max_attempts(max_attempts).with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

/// An AWS service that this one calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsService {
    /// Amazon DynamoDB: state and audit trail.
    DynamoDb,
    /// AWS Secrets Manager: the JSON secret.
    SecretsManager,
    /// Amazon SNS: text messages.
    Sns,
    /// AWS End User Messaging: text messages.
    EndUserMessaging,
}

impl AwsService {
    /// The first label of its host name.
    const fn host(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::SecretsManager => "secretsmanager",
            Self::Sns => "sns",
            Self::EndUserMessaging => "sms-voice",
        }
    }

    /// What the SDKs call it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::DynamoDb => "DynamoDB",
            Self::SecretsManager => "Secrets Manager",
            Self::Sns => "SNS",
            Self::EndUserMessaging => "Pinpoint SMS Voice V2",
        }
    }

    /// The variable that says where it is, where that is not the usual place.
    pub fn endpoint_variable(self) -> String {
        endpoint_variable("AWS_ENDPOINT_URL", self.id())
    }
}

fn endpoint_variable(of_all: &str, service_id: &str) -> String {
    format!("{of_all}_{}", service_id.to_uppercase().replace(' ', "_"))
}

/// The base of every AWS client.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    sending: SdkConfig,
    http: Client,
    sending_http: Client,
    region: String,
    endpoints: Endpoints,
}

impl Aws {
    /// Region and credentials from the environment: `AWS_REGION` (or `AWS_DEFAULT_REGION`), `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY` and, for temporary credentials, `AWS_SESSION_TOKEN`.
    ///
    /// # Errors
    /// When one of them is missing, or a file of certificates is of no use.
    pub fn from_environment(vars: &Vars) -> Result<Self, ConfigError> {
        let required = |name| vars.get(name).ok_or_else(|| ConfigError::new(name, "is needed to call AWS"));
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            vars.get("AWS_SESSION_TOKEN").map(str::to_owned),
            None,
            "environment",
        );
        Self::with_credentials(vars, credentials)
    }

    /// The same with credentials from elsewhere, for a program that a person runs under a profile.
    ///
    /// # Errors
    /// When the region is missing, or a file of certificates is of no use.
    pub fn with_credentials(vars: &Vars, credentials: impl ProvideCredentials + 'static) -> Result<Self, ConfigError> {
        let region = vars
            .get("AWS_REGION")
            .or_else(|| vars.get("AWS_DEFAULT_REGION"))
            .ok_or_else(|| ConfigError::new("AWS_REGION", "is needed to call AWS"))?
            .to_owned();
        let tls = roots::aws_tls(vars, &region)?;
        let http = http_client::build(tls.clone(), POOL_IDLE_TIMEOUT, None)?;
        let sending_http = http_client::build(tls, http_client::SENDING_IDLE_TIMEOUT, None)?;
        let endpoints = Endpoints(vars.clone());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(http_client::CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut builder = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(Transport { client: http.clone(), read_timeout: None })
            .timeout_config(timeouts)
            .retry_config(retries(3))
            // One host name for DynamoDB, whatever the credentials know of the account: the one whose connection is open.
            .account_id_endpoint_mode(AccountIdEndpointMode::Disabled)
            .service_config(endpoints.clone());
        builder.set_endpoint_url(vars.get("AWS_ENDPOINT_URL").map(str::to_owned));
        builder.set_use_fips(vars.parse("AWS_USE_FIPS_ENDPOINT")?);
        builder.set_use_dual_stack(vars.parse("AWS_USE_DUALSTACK_ENDPOINT")?);
        let config = builder.build();
        let transport = Transport { client: sending_http.clone(), read_timeout: None };
        let sending =
            config.to_builder().http_client(transport).retry_config(retries(1)).timeout_config(TimeoutConfig::disabled());
        Ok(Self { sending: sending.build(), config, http, sending_http, region, endpoints })
    }

    /// What to make clients from.
    pub const fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// What to make the clients from that send text messages. They try once: a second try could be a second message (S12). The SDK
    /// sets them no time limits, for it does not tell a connection that did not come about from an answer that did not come:
    /// connecting is limited by the HTTP client, the whole by the sender. They have connections of their own, which are kept
    /// only for as long as a send may use them again.
    pub const fn sending(&self) -> &SdkConfig {
        &self.sending
    }

    /// Opens a connection to each of `services` at once, in the pool that their clients use; see
    /// [`http_client::open_connections`].
    pub async fn open_connections(&self, services: &[AwsService], limit: Duration) {
        let opening = services.iter().map(|service| async {
            http_client::open_connections(self.client(*service), &[self.url(*service)], limit).await;
        });
        futures_util::future::join_all(opening).await;
    }

    /// The HTTP client that a service is called with.
    const fn client(&self, service: AwsService) -> &Client {
        match service {
            AwsService::DynamoDb | AwsService::SecretsManager => &self.http,
            AwsService::Sns | AwsService::EndUserMessaging => &self.sending_http,
        }
    }

    /// Where a service is, as far as opening a connection early is concerned. A special endpoint (FIPS, dual stack, another
    /// partition's domain) is left to the first call.
    fn url(&self, service: AwsService) -> String {
        self.endpoints
            .of(service)
            .map_or_else(|| format!("https://{}.{}.amazonaws.com/", service.host(), self.region), str::to_owned)
    }
}

/// The endpoints named by `AWS_ENDPOINT_URL_<SERVICE>` and `AWS_ENDPOINT_URL`
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
#[derive(Clone, Debug)]
struct Endpoints(Vars);

impl Endpoints {
    fn of(&self, service: AwsService) -> Option<&str> {
        self.for_service("AWS_ENDPOINT_URL", service.id()).or_else(|| self.0.get("AWS_ENDPOINT_URL"))
    }

    fn for_service(&self, variable: &str, service_id: &str) -> Option<&str> {
        self.0.get(&endpoint_variable(variable, service_id))
    }
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        self.for_service(key.env(), key.service_id()).map(str::to_owned)
    }
}

/// Sends the SDK's requests through the same HTTP library as every other request of this service: one HTTP stack in the binary,
/// and one pool of connections that can be filled before the first call.
#[derive(Clone, Debug)]
struct Transport {
    client: Client,
    read_timeout: Option<Duration>,
}

impl HttpClient for Transport {
    /// The connect timeout is the client's own, for all calls. The SDK is told the same one, but where it sends text messages.
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self { client: self.client.clone(), read_timeout: settings.read_timeout() })
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { client, read_timeout } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = reqwest::Request::try_from(request.map(Body::wrap)).map_err(connector_error)?;
            let answer = client.execute(request);
            let response = match read_timeout {
                Some(limit) => {
                    tokio::time::timeout(limit, answer).await.map_err(|error| ConnectorError::timeout(error.into()))?
                }
                None => answer.await,
            };
            let response = http::Response::<Body>::from(response.map_err(connector_error)?);
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Whether a call never left, because there was no connection to send it on.
pub fn never_connected(failure: &DispatchFailure) -> bool {
    let source = failure.as_connector_error().and_then(Error::source);
    source.and_then(|source| source.downcast_ref()).is_some_and(reqwest::Error::is_connect)
}

/// Tells the SDK what may be tried again: failures on the way, not faults of the request.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    if error.is_builder() {
        ConnectorError::user(error.into())
    } else if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
