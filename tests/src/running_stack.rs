//! The local stack as a test uses it: on a free port, with a client of the user alice.

use std::{collections::BTreeMap, path::Path, time::Duration};

use reqwest::{Client, Method, Response};
use two_factor::{
    adapters::{development_token::TokenMint, http::public_client, system::SystemClock},
    config::{Config, ConfigError, Environment, Vars},
    ports::Clock as _,
};
use two_factor_local::{settings::Settings, stack::Stack};

/// Settings that production asks for.
pub const PRODUCTION: [(&str, &str); 3] = [
    ("APP_ENV", "production"),
    ("CODE_PEPPER", "a pepper for tests, which has 32 bytes or more"),
    ("AUTH_JWT_SECRET", "a token secret for tests, which has 32 bytes"),
];

/// The body that begins an enrollment.
pub const ENROLL: &str = r#"{"method": "sms", "phone_number": "+12015550123"}"#;

/// A stack on a free port, and a client of the user alice.
pub struct Running {
    /// What runs.
    pub stack: Stack,
    /// Calls it.
    pub client: Client,
    /// A token of alice.
    pub token: String,
}

impl Running {
    /// The address of an endpoint.
    pub fn url(&self, endpoint: &str) -> String {
        format!("{}/api/v1/auth/2fa/{endpoint}/", self.stack.server.url())
    }

    /// Calls an endpoint for alice, with a body of JSON.
    pub async fn call(&self, method: Method, endpoint: &str, body: Option<String>) -> Response {
        let request = self.client.request(method, self.url(endpoint)).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(body),
            None => request,
        };
        request.send().await.unwrap()
    }
}

/// Settings for development on a free port, with these variables.
///
/// # Errors
/// When a variable of the local stack is wrong.
pub fn settings(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let variables: BTreeMap<String, String> =
        [("PORT", "0")].iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::read(variables, Path::new("no such file"), Environment::Development)
}

/// Starts a stack with these variables.
pub async fn start(variables: &[(&str, &str)]) -> Running {
    let settings = settings(variables).unwrap();
    let mint = TokenMint::new(&Config::from_vars(&settings.vars()).unwrap().auth).unwrap();
    let token = mint.mint("alice", SystemClock.now(), Duration::from_secs(3600)).unwrap();
    let stack = Stack::start(settings, |_| {}).await.unwrap();
    Running { stack, client: public_client(&Vars::default()).unwrap(), token }
}

/// The settings of a real provider, which is at `url`.
pub fn twilio_at(url: &str) -> [(&str, &str); 4] {
    [
        ("TWILIO_BASE_URL", url),
        ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
        ("TWILIO_AUTH_TOKEN", "token"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
    ]
}
