//! The one table of settings: name, default, range, meaning. Every setting is read through its row.
//!
//! The tables of the documentation and the parameters of `template.yaml` are compared with it by a test.

use std::ops::RangeInclusive;

use super::vars::{ConfigError, Vars};

/// One setting: an environment variable and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// The value where it is unset; `None` where there is none, or it depends on other settings.
    pub default: Option<&'static str>,
    /// The numbers that it may be, where it is a number.
    pub range: Option<RangeInclusive<u64>>,
    /// Where it may be.
    pub place: Place,
    /// What it is, as a phrase; times are in seconds.
    pub meaning: &'static str,
}

/// Where a setting may be, and who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the environment.
    Environment,
    /// In the environment, or as a key of the JSON secret.
    EnvironmentOrSecret,
    /// In the environment of the servers outside Lambda, which alone read it.
    Server,
    /// In the environment of the local server, which alone reads it.
    LocalServer,
}

impl Setting {
    /// The value, without the white space around it; `None` where it is unset or blank. What may be in the secret too is read with
    /// [`Vars::secret`].
    pub fn get<'a>(&self, vars: &'a Vars) -> Option<&'a str> {
        vars.get(self.name)
    }

    /// The value as a number in the setting's range, or its default.
    ///
    /// # Errors
    /// When it is no such number.
    pub fn number(&self, vars: &Vars) -> Result<u64, ConfigError> {
        let (min, max) = self.range.clone().unwrap_or(0..=u64::MAX).into_inner();
        let Some(text) = self.get(vars).or(self.default) else { return Ok(min) };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.error(format_args!("must be a number from {min} to {max} ({})", self.meaning)))
    }

    /// The value as a port, or its default; `None` where there is neither.
    ///
    /// # Errors
    /// When it is no port.
    pub fn port(&self, vars: &Vars) -> Result<Option<u16>, ConfigError> {
        let parse = |text: &str| text.parse().map_err(|_| self.error("must be a port number, 0 to 65535"));
        self.get(vars).or(self.default).map(parse).transpose()
    }

    /// An error about this setting.
    pub fn error(&self, problem: impl std::fmt::Display) -> ConfigError {
        ConfigError::new(self.name, problem)
    }

    /// Whether every host reads it, and not only some server.
    pub fn is_for_every_host(&self) -> bool {
        matches!(self.place, Place::Environment | Place::EnvironmentOrSecret)
    }

    /// Whether it may be a key of the JSON secret.
    pub fn may_be_in_secret(&self) -> bool {
        self.place == Place::EnvironmentOrSecret
    }
}

const fn text(name: &'static str, default: Option<&'static str>, meaning: &'static str) -> Setting {
    Setting { name, default, range: None, place: Place::Environment, meaning }
}

const fn number(name: &'static str, default: &'static str, range: RangeInclusive<u64>, meaning: &'static str) -> Setting {
    Setting { name, default: Some(default), range: Some(range), place: Place::Environment, meaning }
}

const fn secret(name: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default: None, range: None, place: Place::EnvironmentOrSecret, meaning }
}

const fn server(name: &'static str, default: Option<&'static str>, meaning: &'static str) -> Setting {
    Setting { name, default, range: None, place: Place::Server, meaning }
}

const fn server_number(name: &'static str, default: &'static str, range: RangeInclusive<u64>, meaning: &'static str) -> Setting {
    Setting { name, default: Some(default), range: Some(range), place: Place::Server, meaning }
}

const fn local(name: &'static str, default: Option<&'static str>, meaning: &'static str) -> Setting {
    Setting { name, default, range: None, place: Place::LocalServer, meaning }
}

/// Makes a constant of each row, and the list of all of them.
macro_rules! settings {
    ($($(#[doc = $doc:literal])* $constant:ident = $kind:ident($name:literal, $($rest:expr),+ $(,)?);)+) => {
        $(
            #[doc = concat!("`", $name, "`")]
            $(#[doc = $doc])*
            pub const $constant: Setting = $kind($name, $($rest),+);
        )+

        /// Every setting.
        pub const ALL: &[Setting] = &[$($constant),+];
    };
}

settings! {
    // The service.
    APP_ENV = text("APP_ENV", Some("production"), "production or development");
    APP_NAME = text("APP_NAME", Some("CODITECT"), "the name in the text messages");
    TABLE_NAME = text("TABLE_NAME", Some("sms-2fa"), "the table in DynamoDB");
    SECRET_ID = text("SECRET_ID", None, "the JSON secret: a name or ARN in Secrets Manager; outside Lambda also file:… and gcp:…");
    TOKEN_SECRET_ID = text("TOKEN_SECRET_ID", None, "the name or ARN of the secret that is the token secret alone");
    CODE_PEPPER = secret("CODE_PEPPER", "the key of every stored digest, at least 32 bytes");
    CODE_PEPPER_PREVIOUS = secret("CODE_PEPPER_PREVIOUS", "the pepper before this one, while it is rotated");
    ALLOWED_COUNTRIES = text("ALLOWED_COUNTRIES", Some("US,CA,GB,DE,AU"), "where numbers may be enrolled: ISO 3166 codes, or *");
    WEBOTP_DOMAIN = text("WEBOTP_DOMAIN", None, "the domain of the WebOTP line in text messages");
    METRICS_NAMESPACE = text("METRICS_NAMESPACE", None, "the CloudWatch namespace of the metrics");
    LOG_LEVEL = text("LOG_LEVEL", Some("info"), "how much is logged: a level, or a list of target=level");
    EXTRA_CA_FILE = text("EXTRA_CA_FILE", None, "a file of more certificate authorities to trust, in PEM");

    // Who is calling.
    AUTH_MODE = text("AUTH_MODE", Some("hs256"), "who checks tokens: hs256, jwks or gateway");
    AUTH_JWT_SECRET = secret("AUTH_JWT_SECRET", "the secret shared with the issuer of the tokens, at least 32 bytes");
    AUTH_JWKS_URL = text("AUTH_JWKS_URL", None, "where the issuer publishes its keys");
    AUTH_ISSUER = text("AUTH_ISSUER", None, "the issuer that a token must have");
    AUTH_AUDIENCE = text("AUTH_AUDIENCE", None, "the audience that a token must have");
    AUTH_USER_CLAIM = text("AUTH_USER_CLAIM", Some("sub"), "the claim that names the user");
    AUTH_REQUIRED_CLAIMS = text("AUTH_REQUIRED_CLAIMS", None, "claims that a token must have, as name=value with commas between");
    AUTH_ADDRESS_CLAIM = text("AUTH_ADDRESS_CLAIM", None, "the claim that holds the end user's address");

    // Results that others can check.
    PUBLIC_URL = text("PUBLIC_URL", None, "the address that clients use, https");
    ASSERTION_KEY = secret("ASSERTION_KEY", "what signs assertions: a private key in PEM, P-256 or RSA");
    ASSERTION_KEY_NEXT = secret("ASSERTION_KEY_NEXT", "the key that will sign them, published two hours before it does");
    ASSERTION_KEY_PREVIOUS = secret("ASSERTION_KEY_PREVIOUS", "the key that signed them before");
    ASSERTION_AUDIENCE = text("ASSERTION_AUDIENCE", None, "whom assertions are for, with commas between several");
    ASSERTION_TTL_SECONDS = number("ASSERTION_TTL_SECONDS", "300", 30..=3600, "the life of an assertion");

    // Numbers for tests.
    TEST_NUMBERS = secret("TEST_NUMBERS", "numbers for tests, each with its code: +12015550123=123456");
    TEST_USERS = secret("TEST_USERS", "whose they are: users, or beginnings of at least 4 characters and *");
    TEST_NUMBERS_UNTIL = secret("TEST_NUMBERS_UNTIL", "their last day, at most 90 days ahead");

    // Limits.
    CODE_TTL_SECONDS = number("CODE_TTL_SECONDS", "300", 30..=600, "the life of a code (NIST SP 800-63B-4, 3.1.3.2: 10 minutes)");
    CODE_MAX_ATTEMPTS = number("CODE_MAX_ATTEMPTS", "5", 1..=10, "failed attempts that a code survives");
    PENDING_TTL_SECONDS = number("PENDING_TTL_SECONDS", "3600", 60..=86_400, "the life of what was never verified");
    SMS_MAX_PER_WINDOW = number("SMS_MAX_PER_WINDOW", "5", 3..=100, "sends in a rolling window");
    SMS_WINDOW_SECONDS = number("SMS_WINDOW_SECONDS", "3600", 60..=86_400, "the length of that window");
    SMS_COOLDOWN_SECONDS = number("SMS_COOLDOWN_SECONDS", "30", 0..=3600, "the least time between two sends");
    SMS_MAX_PER_IP = number("SMS_MAX_PER_IP", "20", 0..=1000, "sends in the window from one source address; 0 for no limit");
    SMS_MAX_REFUSED = number("SMS_MAX_REFUSED", "10", 1..=1000, "sends of a user in the window that providers refuse for the recipient's sake");
    LOCK_AFTER_FAILURES = number("LOCK_AFTER_FAILURES", "10", 1..=100, "consecutive wrong codes before a lock");
    LOCK_SECONDS = number("LOCK_SECONDS", "900", 1..=86_400, "the first lock; each further one is twice as long");
    DISABLE_AFTER_FAILURES =
        number("DISABLE_AFTER_FAILURES", "100", 1..=100, "consecutive wrong codes before the number is disabled (3.2.2: 100)");

    // Text messages.
    SMS_PROVIDERS = text("SMS_PROVIDERS", None, "the providers in the order in which they are asked");
    TWILIO_ACCOUNT_SID = secret("TWILIO_ACCOUNT_SID", "the account, AC and 32 hexadecimal digits");
    TWILIO_AUTH_TOKEN = secret("TWILIO_AUTH_TOKEN", "the account's own token");
    TWILIO_API_KEY_SID = secret("TWILIO_API_KEY_SID", "an API key, SK and 32 hexadecimal digits");
    TWILIO_API_KEY_SECRET = secret("TWILIO_API_KEY_SECRET", "the API key's secret");
    TWILIO_PHONE_NUMBER = secret("TWILIO_PHONE_NUMBER", "the sender");
    TWILIO_MESSAGING_SERVICE_SID = secret("TWILIO_MESSAGING_SERVICE_SID", "a Messaging Service, MG and 32 hexadecimal digits");
    TWILIO_BASE_URL = text("TWILIO_BASE_URL", Some("https://api.twilio.com"), "another region's host, or a test's");
    SNS_SENDER_ID = secret("SNS_SENDER_ID", "the sender's name, for the countries that have names");
    SNS_ORIGINATION_NUMBER = secret("SNS_ORIGINATION_NUMBER", "a number of the account to send from");
    SNS_MAX_PRICE = secret("SNS_MAX_PRICE", "USD that a message may cost at most");
    AWS_SMS_ORIGINATION_IDENTITY =
        secret("AWS_SMS_ORIGINATION_IDENTITY", "the number, sender id or pool to send from, by id or ARN");
    AWS_SMS_CONFIGURATION_SET = secret("AWS_SMS_CONFIGURATION_SET", "where the events of delivery go");
    AWS_SMS_MAX_PRICE = secret("AWS_SMS_MAX_PRICE", "USD that a message may cost at most");
    VONAGE_API_KEY = secret("VONAGE_API_KEY", "the account's key");
    VONAGE_API_SECRET = secret("VONAGE_API_SECRET", "the account's secret");
    VONAGE_FROM = secret("VONAGE_FROM", "the sender");
    VONAGE_BASE_URL = text("VONAGE_BASE_URL", Some("https://rest.nexmo.com"), "another host, or a test's");
    MESSAGEBIRD_ACCESS_KEY = secret("MESSAGEBIRD_ACCESS_KEY", "the access key, which says which of the two APIs is meant");
    MESSAGEBIRD_FROM = secret("MESSAGEBIRD_FROM", "the sender");
    MESSAGEBIRD_BASE_URL = text("MESSAGEBIRD_BASE_URL", None, "another host, or a test's");
    PLIVO_AUTH_ID = secret("PLIVO_AUTH_ID", "the account");
    PLIVO_AUTH_TOKEN = secret("PLIVO_AUTH_TOKEN", "the account's token");
    PLIVO_FROM = secret("PLIVO_FROM", "the sender");
    PLIVO_POWERPACK_UUID = secret("PLIVO_POWERPACK_UUID", "a pool of numbers to send from");
    PLIVO_BASE_URL = text("PLIVO_BASE_URL", Some("https://api.plivo.com"), "another host, or a test's");

    // The servers outside Lambda.
    PORT = server("PORT", None, "where it listens: 8080; for the local server 3000, or the next free port");
    BIND = server("BIND", None, "the address that it listens on; all of this machine's where unset");
    ADMIN_PORT = server("ADMIN_PORT", Some("9090"), "where it answers probes and tells its metrics");
    TRUSTED_PROXIES = server("TRUSTED_PROXIES", None, "the proxies whose X-Forwarded-For is believed: addresses and networks");
    MAX_REQUESTS_IN_FLIGHT =
        server_number("MAX_REQUESTS_IN_FLIGHT", "100", 1..=10_000, "requests that it answers at a time; beyond, 503");
    DRAIN_SECONDS =
        server_number("DRAIN_SECONDS", "5", 0..=300, "how long it takes new requests after it was asked to stop");

    // The local server.
    DATABASE_PORT = local("DATABASE_PORT", None, "where the embedded database listens");
    DATABASE_BIND = local("DATABASE_BIND", None, "the address that the embedded database listens on");
    DATA_DIR = local("DATA_DIR", None, "the folder that keeps the embedded database");
    SMS_INBOX = local("SMS_INBOX", None, "1 for an inbox in the place of a provider");
}
