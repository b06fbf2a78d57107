//! Who sends the text messages, and with what: one struct a provider.
//!
//! Everything that identifies or authenticates an account may be an environment variable or a key of the secret.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, Vars, url::BaseUrl};
use crate::domain::Provider;

const SMS_PROVIDERS: &str = "SMS_PROVIDERS";

/// The providers to ask, in order. None at all is a valid configuration: what it means is up to `APP_ENV`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmsConfig {
    /// `SMS_PROVIDERS`: an ordered list of names, separated by commas. Unset: every provider that has settings of its own, in
    /// the order of [`Provider::ALL`]. SNS and AWS End User Messaging work with the function's own role, so they serve only
    /// where they are named.
    pub providers: Vec<ProviderConfig>,
}

impl SmsConfig {
    /// Reads the settings of the providers that are to be asked, and of no others.
    ///
    /// # Errors
    /// When `SMS_PROVIDERS` has a name that is unknown or there twice, and when a setting of a provider that is to be asked is
    /// missing or wrong. A provider counts as configured as soon as one of its settings is there, so that a forgotten one is
    /// noticed.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let chosen = match vars.get(SMS_PROVIDERS) {
            Some(list) => named(list)?,
            None => Provider::ALL.into_iter().filter(|provider| is_configured(*provider, vars)).collect(),
        };
        let settings = Settings(vars);
        let providers = chosen.into_iter().map(|provider| ProviderConfig::read(provider, &settings)).collect::<Result<_, _>>()?;
        Ok(Self { providers })
    }
}

/// The settings of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderConfig {
    /// Twilio Programmable Messaging.
    Twilio(TwilioConfig),
    /// Amazon SNS.
    Sns(SnsConfig),
    /// AWS End User Messaging SMS.
    AwsSms(AwsSmsConfig),
    /// Vonage SMS API.
    Vonage(VonageConfig),
    /// `MessageBird`, classic or Bird.
    MessageBird(MessageBirdConfig),
    /// Plivo.
    Plivo(PlivoConfig),
}

impl ProviderConfig {
    /// Whose settings these are.
    pub const fn provider(&self) -> Provider {
        match self {
            Self::Twilio(_) => Provider::Twilio,
            Self::Sns(_) => Provider::Sns,
            Self::AwsSms(_) => Provider::AwsSms,
            Self::Vonage(_) => Provider::Vonage,
            Self::MessageBird(_) => Provider::MessageBird,
            Self::Plivo(_) => Provider::Plivo,
        }
    }

    /// Whether credentials are among them. Those of the AWS ones are the SDK's affair.
    pub const fn has_credentials(&self) -> bool {
        match self {
            Self::Twilio(_) | Self::Vonage(_) | Self::MessageBird(_) | Self::Plivo(_) => true,
            Self::Sns(_) | Self::AwsSms(_) => false,
        }
    }

    fn read(provider: Provider, settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(match provider {
            Provider::Twilio => Self::Twilio(TwilioConfig::read(settings)?),
            Provider::Sns => Self::Sns(SnsConfig::read(settings)?),
            Provider::AwsSms => Self::AwsSms(AwsSmsConfig::read(settings)?),
            Provider::Vonage => Self::Vonage(VonageConfig::read(settings)?),
            Provider::MessageBird => Self::MessageBird(MessageBirdConfig::read(settings)?),
            Provider::Plivo => Self::Plivo(PlivoConfig::read(settings)?),
        })
    }
}

/// Twilio Programmable Messaging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwilioConfig {
    /// `TWILIO_ACCOUNT_SID`: the account, `AC…`.
    pub account_sid: String,
    /// How to authenticate.
    pub auth: TwilioAuth,
    /// Who the messages come from.
    pub from: TwilioSender,
    /// `TWILIO_BASE_URL`: another region's host, or a test's.
    pub base_url: BaseUrl,
}

/// How to authenticate at Twilio. An API key wins where both are set: it can be revoked alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwilioAuth {
    /// `TWILIO_API_KEY_SID` (`SK…`) and `TWILIO_API_KEY_SECRET`.
    ApiKey(String, Credential),
    /// `TWILIO_AUTH_TOKEN`: the account's own token.
    AuthToken(Credential),
}

/// Who Twilio sends as. A Messaging Service wins where both are set: it picks the sender that fits the country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwilioSender {
    /// `TWILIO_MESSAGING_SERVICE_SID`: `MG…`.
    MessagingService(String),
    /// `TWILIO_PHONE_NUMBER`: a number, a short code or an alphanumeric sender.
    Number(SenderId),
}

impl TwilioConfig {
    fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let account_sid = settings.sid("TWILIO_ACCOUNT_SID", "AC")?;
        let auth = match (settings.optional("TWILIO_API_KEY_SID"), settings.optional("TWILIO_API_KEY_SECRET")) {
            (None, None) => TwilioAuth::AuthToken(settings.credential("TWILIO_AUTH_TOKEN")?),
            _ => TwilioAuth::ApiKey(settings.sid("TWILIO_API_KEY_SID", "SK")?, settings.credential("TWILIO_API_KEY_SECRET")?),
        };
        let from = if settings.optional("TWILIO_MESSAGING_SERVICE_SID").is_some() {
            TwilioSender::MessagingService(settings.sid("TWILIO_MESSAGING_SERVICE_SID", "MG")?)
        } else {
            let missing = "is not set; set it, or TWILIO_MESSAGING_SERVICE_SID";
            TwilioSender::Number(
                settings.sender("TWILIO_PHONE_NUMBER")?.ok_or_else(|| ConfigError::new("TWILIO_PHONE_NUMBER", missing))?,
            )
        };
        let base_url = settings.base_url("TWILIO_BASE_URL", "https://api.twilio.com")?;
        Ok(Self { account_sid, auth, from, base_url })
    }
}

/// Amazon SNS, with the credentials and the region of the SDK. There is nothing that must be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnsConfig {
    /// `SNS_SENDER_ID`: an alphanumeric sender, for the countries that have them.
    pub sender_id: Option<SenderId>,
    /// `SNS_ORIGINATION_NUMBER`: a number of the account to send from.
    pub origination_number: Option<SenderId>,
    /// `SNS_MAX_PRICE`: USD that a message may cost at most; SNS drops a dearer one without saying so.
    pub max_price: Option<Price>,
}

impl SnsConfig {
    fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            sender_id: settings.sender("SNS_SENDER_ID")?,
            origination_number: settings.sender("SNS_ORIGINATION_NUMBER")?,
            max_price: settings.price("SNS_MAX_PRICE")?,
        })
    }
}

/// AWS End User Messaging SMS, with the credentials and the region of the SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSmsConfig {
    /// `AWS_SMS_ORIGINATION_IDENTITY`: a phone number, sender id or pool, by id or ARN. Without it AWS picks one of the account.
    pub origination_identity: Option<String>,
    /// `AWS_SMS_CONFIGURATION_SET`: where the events of delivery go.
    pub configuration_set: Option<String>,
    /// `AWS_SMS_MAX_PRICE`: USD that a message may cost at most, each of its parts counted.
    pub max_price: Option<Price>,
}

impl AwsSmsConfig {
    fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            origination_identity: settings.optional("AWS_SMS_ORIGINATION_IDENTITY"),
            configuration_set: settings.optional("AWS_SMS_CONFIGURATION_SET"),
            max_price: settings.price("AWS_SMS_MAX_PRICE")?,
        })
    }
}

/// Vonage SMS API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VonageConfig {
    /// `VONAGE_API_KEY`.
    pub api_key: String,
    /// `VONAGE_API_SECRET`.
    pub api_secret: Credential,
    /// `VONAGE_FROM`: a number of the account or an alphanumeric sender.
    pub from: SenderId,
    /// `VONAGE_BASE_URL`: another host, or a test's.
    pub base_url: BaseUrl,
}

impl VonageConfig {
    fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            api_key: settings.required("VONAGE_API_KEY")?,
            api_secret: settings.credential("VONAGE_API_SECRET")?,
            from: settings.required_sender("VONAGE_FROM")?,
            base_url: settings.base_url("VONAGE_BASE_URL", "https://rest.nexmo.com")?,
        })
    }
}

/// `MessageBird`: its access key says which of its two APIs it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageBirdConfig {
    /// Which API.
    pub api: MessageBirdApi,
    /// `MESSAGEBIRD_ACCESS_KEY`.
    pub access_key: Credential,
    /// `MESSAGEBIRD_FROM`: a number of the account or an alphanumeric sender.
    pub from: SenderId,
    /// `MESSAGEBIRD_BASE_URL`: another host, or a test's.
    pub base_url: BaseUrl,
}

/// The two APIs of the company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageBirdApi {
    /// The REST API for keys `live_…` and `test_…`, and older ones of no form.
    Classic,
    /// Bird's API of 2026, for keys `bk_<region>_…`; the region is part of the host.
    Bird,
}

impl MessageBirdConfig {
    fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let access_key = settings.credential("MESSAGEBIRD_ACCESS_KEY")?;
        let (api, default_url) = match access_key.expose().strip_prefix("bk_") {
            None => (MessageBirdApi::Classic, "https://rest.messagebird.com".to_owned()),
            Some(rest) => {
                let region = rest.split_once('_').map(|(region, _)| region).filter(|region| is_region(region));
                let region = region.ok_or_else(|| {
                    ConfigError::new("MESSAGEBIRD_ACCESS_KEY", "starts with bk_ but names no region, as bk_eu1_… does")
                })?;
                (MessageBirdApi::Bird, format!("https://{region}.platform.bird.com"))
            }
        };
        Ok(Self {
            api,
            access_key,
            from: settings.required_sender("MESSAGEBIRD_FROM")?,
            base_url: settings.base_url("MESSAGEBIRD_BASE_URL", &default_url)?,
        })
    }
}

fn is_region(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Plivo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlivoConfig {
    /// `PLIVO_AUTH_ID`.
    pub auth_id: String,
    /// `PLIVO_AUTH_TOKEN`.
    pub auth_token: Credential,
    /// Who the messages come from.
    pub from: PlivoSender,
    /// `PLIVO_BASE_URL`: another host, or a test's.
    pub base_url: BaseUrl,
}

/// Who Plivo sends as. A powerpack wins where both are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlivoSender {
    /// `PLIVO_POWERPACK_UUID`: a pool of numbers.
    Powerpack(String),
    /// `PLIVO_FROM`: a number of the account or an alphanumeric sender.
    Number(SenderId),
}

impl PlivoConfig {
    fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let from = match settings.optional("PLIVO_POWERPACK_UUID") {
            Some(uuid) => PlivoSender::Powerpack(uuid),
            None => PlivoSender::Number(
                settings
                    .sender("PLIVO_FROM")?
                    .ok_or_else(|| ConfigError::new("PLIVO_FROM", "is not set; set it, or PLIVO_POWERPACK_UUID"))?,
            ),
        };
        Ok(Self {
            auth_id: settings.sid("PLIVO_AUTH_ID", "")?,
            auth_token: settings.credential("PLIVO_AUTH_TOKEN")?,
            from,
            base_url: settings.base_url("PLIVO_BASE_URL", "https://api.plivo.com")?,
        })
    }
}

/// Something that opens a provider's account. Exposed at the wire only.
#[derive(Clone)]
pub struct Credential(SecretString);

impl Credential {
    /// The clear value, for the request that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Credential {
    // Both sides are ours: this tells a rotated credential from the one in use, so its timing tells nobody anything.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Credential {}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Who a message comes from: a number, a short code or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderId {
    text: String,
    international: bool,
}

impl SenderId {
    /// A name of at most 11 letters, digits and a few signs, at least one of them a letter; or 3 to 15 digits, `+` before
    /// them or not.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // Short codes have at most 8 digits and no calling code; anything longer is an international number.
            let international = text.starts_with('+') || digits.len() > 8;
            return (3..=15).contains(&digits.len()).then(|| Self { text: digits.to_owned(), international });
        }
        let is_name = text.len() <= 11
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_&+.".contains(&byte));
        is_name.then(|| Self { text: text.to_owned(), international: false })
    }

    /// As the providers want it that write numbers with `+`.
    pub fn with_plus(&self) -> String {
        if self.international { format!("+{}", self.text) } else { self.text.clone() }
    }

    /// As the providers want it that write numbers as digits alone.
    pub fn without_plus(&self) -> &str {
        &self.text
    }
}

/// An amount in USD, as the providers' APIs write it: digits, a point, digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price(String);

impl Price {
    /// At most two digits before the point and five after it, which is what AWS End User Messaging takes.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let fits = (1..=2).contains(&whole.len()) && (1..=5).contains(&fraction.len()) && digits(whole) && digits(fraction);
        fits.then(|| Self(format!("{whole}.{fraction}")))
    }

    /// The amount.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The providers in an `SMS_PROVIDERS` list.
fn named(list: &str) -> Result<Vec<Provider>, ConfigError> {
    let mut providers = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let provider = Provider::from_name(name).ok_or_else(|| {
            let known: Vec<_> = Provider::ALL.into_iter().map(Provider::as_str).collect();
            ConfigError::new(SMS_PROVIDERS, format!("{name:?} is none of {}", known.join(", ")))
        })?;
        if providers.contains(&provider) {
            return Err(ConfigError::new(SMS_PROVIDERS, format!("{name} is there twice")));
        }
        providers.push(provider);
    }
    Ok(providers)
}

/// Whether a setting that only this provider has use for is there.
fn is_configured(provider: Provider, vars: &Vars) -> bool {
    let telling: &[&str] = match provider {
        Provider::Twilio => &[
            "TWILIO_ACCOUNT_SID",
            "TWILIO_AUTH_TOKEN",
            "TWILIO_API_KEY_SID",
            "TWILIO_API_KEY_SECRET",
            "TWILIO_PHONE_NUMBER",
            "TWILIO_MESSAGING_SERVICE_SID",
        ],
        Provider::Sns | Provider::AwsSms => &[],
        Provider::Vonage => &["VONAGE_API_KEY", "VONAGE_API_SECRET", "VONAGE_FROM"],
        Provider::MessageBird => &["MESSAGEBIRD_ACCESS_KEY", "MESSAGEBIRD_FROM"],
        Provider::Plivo => &["PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN", "PLIVO_FROM", "PLIVO_POWERPACK_UUID"],
    };
    telling.iter().any(|name| vars.secret(name).is_some())
}

/// Reads one provider's settings. A credential that was pasted with a line break after it is taken without it.
struct Settings<'a>(&'a Vars);

impl Settings<'_> {
    fn optional(&self, name: &str) -> Option<String> {
        let value = self.0.secret(name)?;
        let value = value.expose_secret().trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn required(&self, name: &str) -> Result<String, ConfigError> {
        self.optional(name).ok_or_else(|| ConfigError::new(name, "is not set"))
    }

    /// Something that goes into a header, which takes visible ASCII only.
    fn credential(&self, name: &str) -> Result<Credential, ConfigError> {
        let value = self.required(name)?;
        if value.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Credential(value.into()))
        } else {
            Err(ConfigError::new(name, "has a space or a character outside ASCII in it"))
        }
    }

    /// An identifier that goes into a URL's path.
    fn sid(&self, name: &str, prefix: &str) -> Result<String, ConfigError> {
        let value = self.required(name)?;
        if value.starts_with(prefix) && value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(value)
        } else if prefix.is_empty() {
            Err(ConfigError::new(name, "must be letters and digits"))
        } else {
            Err(ConfigError::new(name, format!("must be {prefix} and then letters and digits")))
        }
    }

    fn sender(&self, name: &str) -> Result<Option<SenderId>, ConfigError> {
        let wrong = "must be a phone number (+14155550100), a short code, or a name of at most 11 letters and digits";
        let parse = |value: String| SenderId::parse(&value).ok_or_else(|| ConfigError::new(name, wrong));
        self.optional(name).map(parse).transpose()
    }

    fn required_sender(&self, name: &str) -> Result<SenderId, ConfigError> {
        self.sender(name)?.ok_or_else(|| ConfigError::new(name, "is not set"))
    }

    fn price(&self, name: &str) -> Result<Option<Price>, ConfigError> {
        let parse = |value: String| Price::parse(&value).ok_or_else(|| ConfigError::new(name, "must be USD, such as 0.20"));
        self.optional(name).map(parse).transpose()
    }

    fn base_url(&self, name: &str, default: &str) -> Result<BaseUrl, ConfigError> {
        let value = self.0.get(name).map_or(default, str::trim);
        BaseUrl::parse(value).map_err(|problem| ConfigError::new(name, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWILIO: [(&str, &str); 3] = [
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "token"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
    ];

    fn vars(settings: &[(&str, &str)]) -> Vars {
        Vars::new(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn read(settings: &[(&str, &str)]) -> Result<SmsConfig, ConfigError> {
        SmsConfig::from_vars(&vars(settings))
    }

    fn providers(settings: &[(&str, &str)]) -> Vec<Provider> {
        read(settings).unwrap().providers.iter().map(ProviderConfig::provider).collect()
    }

    #[test]
    fn without_a_list_every_provider_with_settings_serves_in_a_fixed_order() {
        assert!(providers(&[]).is_empty());
        assert_eq!(providers(&TWILIO), [Provider::Twilio]);
        let plivo = [("PLIVO_AUTH_ID", "MA1"), ("PLIVO_AUTH_TOKEN", "t"), ("PLIVO_FROM", "ACME")];
        assert_eq!(providers(&[&plivo[..], &TWILIO].concat()), [Provider::Twilio, Provider::Plivo]);
        assert!(providers(&[("SNS_SENDER_ID", "ACME"), ("AWS_REGION", "eu-west-1")]).is_empty(), "SNS must be named");
        assert!(providers(&[("AWS_SMS_ORIGINATION_IDENTITY", "pool-1")]).is_empty(), "AWS End User Messaging must be named");
        assert!(providers(&[("TWILIO_BASE_URL", "http://127.0.0.1:1")]).is_empty(), "a host is no account");
    }

    #[test]
    fn a_list_says_who_serves_and_in_which_order() {
        let list = [&[("SMS_PROVIDERS", " sns, twilio ,aws-sms")], &TWILIO[..]].concat();
        assert_eq!(providers(&list), [Provider::Sns, Provider::Twilio, Provider::AwsSms]);
        let only_sns = [("SMS_PROVIDERS", "sns"), ("TWILIO_AUTH_TOKEN", "half")];
        assert_eq!(providers(&only_sns), [Provider::Sns], "a provider that does not serve is not read");
    }

    #[test]
    fn a_wrong_or_missing_setting_is_named() {
        for (settings, variable, reason) in [
            (&[("SMS_PROVIDERS", "twilio,carrier-pigeon")][..], "SMS_PROVIDERS", "unknown"),
            (&[("SMS_PROVIDERS", "sns,sns")], "SMS_PROVIDERS", "twice"),
            (&[("SMS_PROVIDERS", "twilio")], "TWILIO_ACCOUNT_SID", "named without settings"),
            (&[TWILIO[0]], "TWILIO_AUTH_TOKEN", "half configured"),
            (&[TWILIO[1]], "TWILIO_ACCOUNT_SID", "half configured"),
            (&[TWILIO[0], TWILIO[1]], "TWILIO_PHONE_NUMBER", "no sender"),
            (&[TWILIO[0], TWILIO[2], ("TWILIO_API_KEY_SID", "SK1")], "TWILIO_API_KEY_SECRET", "half a key"),
            (&[("TWILIO_ACCOUNT_SID", "SK1"), TWILIO[1], TWILIO[2]], "TWILIO_ACCOUNT_SID", "a key for an account"),
            (&[("TWILIO_ACCOUNT_SID", "AC/../x"), TWILIO[1], TWILIO[2]], "TWILIO_ACCOUNT_SID", "a path"),
            (&[TWILIO[0], TWILIO[1], ("TWILIO_PHONE_NUMBER", "call me maybe")], "TWILIO_PHONE_NUMBER", "no sender's name"),
            (&[TWILIO[0], TWILIO[2], ("TWILIO_AUTH_TOKEN", "to ken")], "TWILIO_AUTH_TOKEN", "a space"),
            (&[TWILIO[0], TWILIO[1], TWILIO[2], ("TWILIO_BASE_URL", "http://example.com")], "TWILIO_BASE_URL", "clear text"),
            (&[("VONAGE_API_KEY", "k")], "VONAGE_API_SECRET", "half configured"),
            (&[("VONAGE_API_KEY", "k"), ("VONAGE_API_SECRET", "s")], "VONAGE_FROM", "no sender"),
            (&[("MESSAGEBIRD_ACCESS_KEY", "live_x")], "MESSAGEBIRD_FROM", "no sender"),
            (&[("MESSAGEBIRD_ACCESS_KEY", "bk_x"), ("MESSAGEBIRD_FROM", "A")], "MESSAGEBIRD_ACCESS_KEY", "no region"),
            (&[("MESSAGEBIRD_ACCESS_KEY", "bk_evil.example/_x"), ("MESSAGEBIRD_FROM", "A")], "MESSAGEBIRD_ACCESS_KEY", "a host"),
            (&[("PLIVO_AUTH_ID", "MA1"), ("PLIVO_AUTH_TOKEN", "t")], "PLIVO_FROM", "no sender"),
            (&[("SMS_PROVIDERS", "sns"), ("SNS_MAX_PRICE", "cheap")], "SNS_MAX_PRICE", "no price"),
        ] {
            let error = read(settings).expect_err(reason);
            assert_eq!(error.variable, variable, "{reason}");
            assert!(!error.to_string().contains("to ken"), "a secret's value is never repeated");
        }
    }

    #[test]
    fn the_secret_holds_credentials_too_and_the_environment_wins() {
        let secret = TWILIO.map(|(name, value)| (name.to_owned(), format!("{value}\n")));
        let config = SmsConfig::from_vars(&vars(&[("TWILIO_PHONE_NUMBER", "ACME")]).with_secret(secret)).unwrap();
        let Some(ProviderConfig::Twilio(twilio)) = config.providers.first() else { panic!("Twilio is configured") };
        assert_eq!(twilio.from, TwilioSender::Number(SenderId::parse("ACME").unwrap()));
        let TwilioAuth::AuthToken(token) = &twilio.auth else { panic!("an auth token is configured") };
        assert_eq!(token.expose(), "token", "the line break after it is gone");
        assert!(!format!("{config:?}").contains("\"token"), "redacted");
    }

    #[test]
    fn the_access_key_says_which_messagebird_and_which_region() {
        let key = |key: &str| {
            let config = read(&[("MESSAGEBIRD_ACCESS_KEY", key), ("MESSAGEBIRD_FROM", "ACME")]).unwrap();
            let Some(ProviderConfig::MessageBird(config)) = config.providers.into_iter().next() else { panic!("configured") };
            (config.api, config.base_url.as_str().to_owned())
        };
        assert_eq!(key("live_abc"), (MessageBirdApi::Classic, "https://rest.messagebird.com".to_owned()));
        assert_eq!(key("bk_eu1_abc"), (MessageBirdApi::Bird, "https://eu1.platform.bird.com".to_owned()));
        assert_eq!(key("bk_us1_abc"), (MessageBirdApi::Bird, "https://us1.platform.bird.com".to_owned()));
    }

    #[test]
    fn a_sender_is_written_with_and_without_plus() {
        for (text, with_plus, without_plus) in [
            ("+15005550006", "+15005550006", "15005550006"),
            ("15005550006", "+15005550006", "15005550006"),
            ("12345", "12345", "12345"),
            ("ACME Inc", "ACME Inc", "ACME Inc"),
        ] {
            let sender = SenderId::parse(text).unwrap();
            assert_eq!((&*sender.with_plus(), sender.without_plus()), (with_plus, without_plus));
        }
        for text in ["", "+", "12", "TwelveLetters", "é", "1234567890123456", "a<b"] {
            assert_eq!(SenderId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_price_has_a_point_in_it() {
        assert_eq!(Price::parse("1").unwrap().as_str(), "1.0");
        assert_eq!(Price::parse("0.05").unwrap().as_str(), "0.05");
        for text in ["", ".5", "1.", "-1", "1,5", "100", "0.000001"] {
            assert_eq!(Price::parse(text), None, "{text:?}");
        }
    }
}
