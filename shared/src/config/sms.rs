//! Who sends the text messages, and with what: one struct a provider.
//!
//! Everything that identifies or authenticates an account may be an environment variable or a key of the secret.

use secrecy::ExposeSecret;

use super::{
    reader::Reader,
    sender::{Credential, Price, SenderId, SenderKind},
    settings::{
        AWS_SMS_CONFIGURATION_SET, AWS_SMS_MAX_PRICE, AWS_SMS_ORIGINATION_IDENTITY, MESSAGEBIRD_ACCESS_KEY, MESSAGEBIRD_BASE_URL,
        MESSAGEBIRD_FROM, PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN, PLIVO_BASE_URL, PLIVO_FROM, PLIVO_POWERPACK_UUID, SMS_PROVIDERS,
        SNS_MAX_PRICE, SNS_ORIGINATION_NUMBER, SNS_SENDER_ID, Setting, TWILIO_ACCOUNT_SID, TWILIO_API_KEY_SECRET,
        TWILIO_API_KEY_SID, TWILIO_AUTH_TOKEN, TWILIO_BASE_URL, TWILIO_MESSAGING_SERVICE_SID, TWILIO_PHONE_NUMBER,
        VONAGE_API_KEY, VONAGE_API_SECRET, VONAGE_BASE_URL, VONAGE_FROM,
    },
    url::BaseUrl,
    vars::{ConfigErrors, Vars},
};
use crate::domain::Provider;

/// The providers to ask, in order. None at all is a valid configuration: what it means is up to `APP_ENV`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmsConfig {
    /// `SMS_PROVIDERS`: an ordered list of names, separated by commas. Unset: every provider that has settings of its own, in
    /// the order of [`Provider::ALL`]. SNS and AWS End User Messaging work with the function's own role, so they serve only
    /// where they are named.
    pub providers: Vec<ProviderConfig>,
}

impl SmsConfig {
    /// Reads the settings of the providers that are to be asked, and of no others. A provider counts as configured as soon as one
    /// of its settings is there, so that a forgotten one is noticed.
    ///
    /// # Errors
    /// Every name in `SMS_PROVIDERS` that is unknown or there twice, and every setting of a provider that is to be asked that is
    /// missing or wrong.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(vars);
        let chosen = match SMS_PROVIDERS.get(vars) {
            Some(list) => named(&mut reader, list),
            None => Provider::ALL.into_iter().filter(|provider| is_configured(*provider, &reader)).collect(),
        };
        // Each is read, even if something is wrong with the one before.
        let read: Vec<_> = chosen.into_iter().map(|provider| ProviderConfig::read(provider, &mut reader)).collect();
        reader.finish(read.into_iter().collect::<Option<_>>().map(|providers| Self { providers }))
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

    /// Whether credentials are among them. The AWS ones use the SDK's.
    pub const fn has_credentials(&self) -> bool {
        match self {
            Self::Twilio(_) | Self::Vonage(_) | Self::MessageBird(_) | Self::Plivo(_) => true,
            Self::Sns(_) | Self::AwsSms(_) => false,
        }
    }

    fn read(provider: Provider, reader: &mut Reader<'_>) -> Option<Self> {
        Some(match provider {
            Provider::Twilio => Self::Twilio(TwilioConfig::read(reader)?),
            Provider::Sns => Self::Sns(SnsConfig::read(reader)),
            Provider::AwsSms => Self::AwsSms(AwsSmsConfig::read(reader)),
            Provider::Vonage => Self::Vonage(VonageConfig::read(reader)?),
            Provider::MessageBird => Self::MessageBird(MessageBirdConfig::read(reader)?),
            Provider::Plivo => Self::Plivo(PlivoConfig::read(reader)?),
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
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let account_sid = sid(reader, &TWILIO_ACCOUNT_SID, "AC");
        let has_key = [&TWILIO_API_KEY_SID, &TWILIO_API_KEY_SECRET].into_iter().any(|part| optional(reader, part).is_some());
        let auth = if has_key {
            let (key, secret) = (sid(reader, &TWILIO_API_KEY_SID, "SK"), credential(reader, &TWILIO_API_KEY_SECRET));
            key.zip(secret).map(|(key, secret)| TwilioAuth::ApiKey(key, secret))
        } else {
            credential(reader, &TWILIO_AUTH_TOKEN).map(TwilioAuth::AuthToken)
        };
        let from = if optional(reader, &TWILIO_MESSAGING_SERVICE_SID).is_some() {
            sid(reader, &TWILIO_MESSAGING_SERVICE_SID, "MG").map(TwilioSender::MessagingService)
        } else {
            sender_or(reader, &TWILIO_PHONE_NUMBER, &TWILIO_MESSAGING_SERVICE_SID).map(TwilioSender::Number)
        };
        let base_url = reader.parse(&TWILIO_BASE_URL, BaseUrl::parse);
        Some(Self { account_sid: account_sid?, auth: auth?, from: from?, base_url: base_url? })
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
    fn read(reader: &mut Reader<'_>) -> Self {
        let sender_id = sender(reader, &SNS_SENDER_ID);
        if sender_id.as_ref().is_some_and(|sender| sender.kind() != SenderKind::Name) {
            reader.wrong(&SNS_SENDER_ID, format_args!("must be a name; a number belongs into {}", SNS_ORIGINATION_NUMBER.name));
        }
        let origination_number = sender(reader, &SNS_ORIGINATION_NUMBER);
        if origination_number.as_ref().is_some_and(|sender| sender.kind() == SenderKind::Name) {
            reader.wrong(&SNS_ORIGINATION_NUMBER, format_args!("must be a number; a name belongs into {}", SNS_SENDER_ID.name));
        }
        Self { sender_id, origination_number, max_price: price(reader, &SNS_MAX_PRICE) }
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
    fn read(reader: &mut Reader<'_>) -> Self {
        let origination_identity = optional(reader, &AWS_SMS_ORIGINATION_IDENTITY);
        if let Some(identity) = &origination_identity {
            // Ids and ARNs have forms of their own; what looks like a number, or has what no name has, must be a sender.
            let looks_like_sender = identity.contains([' ', '+']) || identity.bytes().all(|byte| byte.is_ascii_digit());
            if let Some(problem) = SenderId::parse(identity).err().filter(|_| looks_like_sender) {
                reader.wrong(&AWS_SMS_ORIGINATION_IDENTITY, problem);
            }
        }
        Self {
            origination_identity,
            configuration_set: optional(reader, &AWS_SMS_CONFIGURATION_SET),
            max_price: price(reader, &AWS_SMS_MAX_PRICE),
        }
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
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let api_key = required(reader, &VONAGE_API_KEY);
        let api_secret = credential(reader, &VONAGE_API_SECRET);
        let from = required_sender(reader, &VONAGE_FROM);
        let base_url = reader.parse(&VONAGE_BASE_URL, BaseUrl::parse);
        Some(Self { api_key: api_key?, api_secret: api_secret?, from: from?, base_url: base_url? })
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
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let access_key = credential(reader, &MESSAGEBIRD_ACCESS_KEY);
        let from = required_sender(reader, &MESSAGEBIRD_FROM);
        let api = access_key.as_ref().and_then(|key| match key.expose().strip_prefix("bk_") {
            None => Some((MessageBirdApi::Classic, "https://rest.messagebird.com".to_owned())),
            Some(rest) => {
                let region = rest.split_once('_').map(|(region, _)| region).filter(|region| is_region(region));
                if region.is_none() {
                    reader.wrong(&MESSAGEBIRD_ACCESS_KEY, "starts with bk_ but names no region, as bk_eu1_… does");
                }
                Some((MessageBirdApi::Bird, format!("https://{}.platform.bird.com", region?)))
            }
        });
        let own_url = reader.text(&MESSAGEBIRD_BASE_URL).is_some().then(|| reader.parse(&MESSAGEBIRD_BASE_URL, BaseUrl::parse));
        let (api, default_url) = api?;
        let base_url = own_url.unwrap_or_else(|| BaseUrl::parse(&default_url).ok())?;
        Some(Self { api, access_key: access_key?, from: from?, base_url })
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
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let auth_id = required(reader, &PLIVO_AUTH_ID).and_then(|id| {
            let good = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            reader.note(good.then_some(id).ok_or_else(|| PLIVO_AUTH_ID.error("must be letters and digits")))
        });
        let auth_token = credential(reader, &PLIVO_AUTH_TOKEN);
        let from = match optional(reader, &PLIVO_POWERPACK_UUID) {
            Some(uuid) => Some(PlivoSender::Powerpack(uuid)),
            None => sender_or(reader, &PLIVO_FROM, &PLIVO_POWERPACK_UUID).map(PlivoSender::Number),
        };
        let base_url = reader.parse(&PLIVO_BASE_URL, BaseUrl::parse);
        Some(Self { auth_id: auth_id?, auth_token: auth_token?, from: from?, base_url: base_url? })
    }
}

/// The providers in an `SMS_PROVIDERS` list, without those that are unknown or there twice.
fn named(reader: &mut Reader<'_>, list: &str) -> Vec<Provider> {
    let mut providers = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match Provider::from_name(name) {
            None => {
                let known: Vec<_> = Provider::ALL.into_iter().map(Provider::as_str).collect();
                reader.wrong(&SMS_PROVIDERS, format_args!("{name:?} is none of {}", known.join(", ")));
            }
            Some(provider) if providers.contains(&provider) => {
                reader.wrong(&SMS_PROVIDERS, format_args!("{name} is there twice"));
            }
            Some(provider) => providers.push(provider),
        }
    }
    providers
}

/// Whether a setting that only this provider has use for is there.
fn is_configured(provider: Provider, reader: &Reader<'_>) -> bool {
    let telling: &[Setting] = match provider {
        Provider::Twilio => &[
            TWILIO_ACCOUNT_SID,
            TWILIO_AUTH_TOKEN,
            TWILIO_API_KEY_SID,
            TWILIO_API_KEY_SECRET,
            TWILIO_PHONE_NUMBER,
            TWILIO_MESSAGING_SERVICE_SID,
        ],
        Provider::Sns | Provider::AwsSms => &[],
        Provider::Vonage => &[VONAGE_API_KEY, VONAGE_API_SECRET, VONAGE_FROM],
        Provider::MessageBird => &[MESSAGEBIRD_ACCESS_KEY, MESSAGEBIRD_FROM],
        Provider::Plivo => &[PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN, PLIVO_FROM, PLIVO_POWERPACK_UUID],
    };
    telling.iter().any(|setting| reader.secret(setting).is_some())
}

fn optional(reader: &Reader<'_>, setting: &Setting) -> Option<String> {
    Some(reader.secret(setting)?.expose_secret().to_owned())
}

fn required(reader: &mut Reader<'_>, setting: &Setting) -> Option<String> {
    let value = optional(reader, setting);
    if value.is_none() {
        reader.wrong(setting, format_args!("is not set ({})", setting.meaning));
    }
    value
}

/// Something that goes into a header, which takes visible ASCII only.
fn credential(reader: &mut Reader<'_>, setting: &Setting) -> Option<Credential> {
    let value = required(reader, setting)?;
    let good = value.bytes().all(|byte| byte.is_ascii_graphic());
    let wrong = || setting.error("has a space or a character outside ASCII in it");
    reader.note(good.then(|| Credential::new(value)).ok_or_else(wrong))
}

/// An identifier of Twilio's, which goes into a URL's path: its kind and 32 hexadecimal digits.
fn sid(reader: &mut Reader<'_>, setting: &Setting, kind: &str) -> Option<String> {
    let value = required(reader, setting)?;
    let digits = value.strip_prefix(kind).unwrap_or_default();
    let good = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    reader.note(good.then_some(value).ok_or_else(|| setting.error(format_args!("must be {kind} and then 32 hexadecimal digits"))))
}

/// A sender; `None` where it is unset, and where it is wrong.
fn sender(reader: &mut Reader<'_>, setting: &Setting) -> Option<SenderId> {
    let value = optional(reader, setting)?;
    reader.note(SenderId::parse(&value).map_err(|problem| setting.error(problem)))
}

fn required_sender(reader: &mut Reader<'_>, setting: &Setting) -> Option<SenderId> {
    required(reader, setting).and_then(|_| sender(reader, setting))
}

/// A sender that must be set where `other` is not.
fn sender_or(reader: &mut Reader<'_>, setting: &Setting, other: &Setting) -> Option<SenderId> {
    if optional(reader, setting).is_none() {
        reader.wrong(setting, format_args!("is not set; set it, or {}", other.name));
    }
    sender(reader, setting)
}

fn price(reader: &mut Reader<'_>, setting: &Setting) -> Option<Price> {
    let value = optional(reader, setting)?;
    reader.note(Price::parse(&value).ok_or_else(|| setting.error("must be USD, such as 0.20")))
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

    fn read(settings: &[(&str, &str)]) -> Result<SmsConfig, ConfigErrors> {
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
    fn every_wrong_or_missing_setting_is_named_at_once() {
        const KEY: &str = "SK0123456789abcdef0123456789abcdef";
        for (settings, variables, reason) in [
            (
                &[("SMS_PROVIDERS", "twilio,carrier-pigeon,fax"), TWILIO[0], TWILIO[1], TWILIO[2]][..],
                &["SMS_PROVIDERS"; 2][..],
                "unknown",
            ),
            (&[("SMS_PROVIDERS", "sns,sns")], &["SMS_PROVIDERS"], "twice"),
            (
                &[("SMS_PROVIDERS", "twilio")],
                &["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"],
                "named without settings",
            ),
            (&[TWILIO[0]], &["TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"], "half configured"),
            (&[TWILIO[1]], &["TWILIO_ACCOUNT_SID", "TWILIO_PHONE_NUMBER"], "half configured"),
            (&[TWILIO[0], TWILIO[1]], &["TWILIO_PHONE_NUMBER"], "no sender"),
            (&[TWILIO[0], TWILIO[2], ("TWILIO_API_KEY_SID", KEY)], &["TWILIO_API_KEY_SECRET"], "half a key"),
            (&[("TWILIO_ACCOUNT_SID", KEY), TWILIO[1], TWILIO[2]], &["TWILIO_ACCOUNT_SID"], "a key for an account"),
            (&[("TWILIO_ACCOUNT_SID", "AC1"), TWILIO[1], TWILIO[2]], &["TWILIO_ACCOUNT_SID"], "one digit"),
            (
                &[("TWILIO_ACCOUNT_SID", "ACg123456789abcdef0123456789abcdef"), TWILIO[1], TWILIO[2]],
                &["TWILIO_ACCOUNT_SID"],
                "no hexadecimal digit",
            ),
            (&[("TWILIO_ACCOUNT_SID", "AC/../x"), TWILIO[1], TWILIO[2]], &["TWILIO_ACCOUNT_SID"], "a path"),
            (
                &[TWILIO[0], TWILIO[1], ("TWILIO_MESSAGING_SERVICE_SID", "MG1")],
                &["TWILIO_MESSAGING_SERVICE_SID"],
                "a cut Messaging Service",
            ),
            (&[TWILIO[0], TWILIO[1], ("TWILIO_PHONE_NUMBER", "call me maybe")], &["TWILIO_PHONE_NUMBER"], "no sender's name"),
            (&[TWILIO[0], TWILIO[1], ("TWILIO_PHONE_NUMBER", "15005550006")], &["TWILIO_PHONE_NUMBER"], "no plus"),
            (&[TWILIO[0], TWILIO[2], ("TWILIO_AUTH_TOKEN", "to ken")], &["TWILIO_AUTH_TOKEN"], "a space"),
            (&[TWILIO[0], TWILIO[1], TWILIO[2], ("TWILIO_BASE_URL", "http://example.com")], &["TWILIO_BASE_URL"], "clear text"),
            (&[("VONAGE_API_KEY", "k")], &["VONAGE_API_SECRET", "VONAGE_FROM"], "half configured"),
            (&[("VONAGE_API_KEY", "k"), ("VONAGE_API_SECRET", "s")], &["VONAGE_FROM"], "no sender"),
            (&[("MESSAGEBIRD_ACCESS_KEY", "live_x")], &["MESSAGEBIRD_FROM"], "no sender"),
            (&[("MESSAGEBIRD_ACCESS_KEY", "bk_x"), ("MESSAGEBIRD_FROM", "A")], &["MESSAGEBIRD_ACCESS_KEY"], "no region"),
            (
                &[("MESSAGEBIRD_ACCESS_KEY", "bk_evil.example/_x"), ("MESSAGEBIRD_FROM", "A")],
                &["MESSAGEBIRD_ACCESS_KEY"],
                "a host",
            ),
            (&[("PLIVO_AUTH_ID", "MA1"), ("PLIVO_AUTH_TOKEN", "t")], &["PLIVO_FROM"], "no sender"),
            (&[("PLIVO_AUTH_ID", "MA/1"), ("PLIVO_AUTH_TOKEN", "t"), ("PLIVO_FROM", "A")], &["PLIVO_AUTH_ID"], "a path"),
            (&[("SMS_PROVIDERS", "sns"), ("SNS_MAX_PRICE", "cheap")], &["SNS_MAX_PRICE"], "no price"),
            (&[("SMS_PROVIDERS", "sns"), ("SNS_SENDER_ID", "ACME Inc")], &["SNS_SENDER_ID"], "a space"),
            (&[("SMS_PROVIDERS", "sns"), ("SNS_SENDER_ID", "+15005550006")], &["SNS_SENDER_ID"], "a number for a name"),
            (&[("SMS_PROVIDERS", "sns"), ("SNS_ORIGINATION_NUMBER", "ACME")], &["SNS_ORIGINATION_NUMBER"], "a name for a number"),
            (
                &[("SMS_PROVIDERS", "aws-sms"), ("AWS_SMS_ORIGINATION_IDENTITY", "15005550006")],
                &["AWS_SMS_ORIGINATION_IDENTITY"],
                "a number without its plus",
            ),
            (
                &[("SMS_PROVIDERS", "twilio,vonage"), ("TWILIO_ACCOUNT_SID", "AC1"), TWILIO[1], TWILIO[2]],
                &["TWILIO_ACCOUNT_SID", "VONAGE_API_KEY", "VONAGE_API_SECRET", "VONAGE_FROM"],
                "two providers",
            ),
        ] {
            let errors = read(settings).expect_err(reason);
            let named: Vec<_> = errors.iter().map(|error| error.variable.as_str()).collect();
            assert_eq!(named, variables, "{reason}");
            assert_eq!(errors.to_string().lines().count(), variables.len(), "{reason}: a line each");
            assert!(!errors.to_string().contains("to ken"), "a secret's value is never repeated");
        }
    }

    #[test]
    fn an_origination_identity_is_a_number_an_id_or_an_arn() {
        for identity in [
            "+15005550006",
            "12345",
            "ACME",
            "phone-0123456789abcdef0123456789abcdef",
            "arn:aws:sms-voice:us-east-1:123456789012:sender-id/ACME/DE",
        ] {
            read(&[("SMS_PROVIDERS", "aws-sms"), ("AWS_SMS_ORIGINATION_IDENTITY", identity)]).unwrap();
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
}
