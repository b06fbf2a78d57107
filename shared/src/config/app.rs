//! What the service is called, where its data is, and how cautious it has to be.

use secrecy::ExposeSecret;

use super::{
    environment::{Environment, OwnSecrets},
    reader::Reader,
    settings::{ALLOWED_COUNTRIES, APP_NAME, AUTH_JWT_SECRET, CODE_PEPPER, CODE_PEPPER_PREVIOUS, TABLE_NAME, WEBOTP_DOMAIN},
    vars::{ConfigError, Vars},
};
use crate::domain::{AllowedCountries, Country, MessageTemplate, Pepper, message::text::TemplateError};

/// What the service is and where its things are.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// `APP_ENV`
    pub environment: Environment,
    /// `APP_NAME` and `WEBOTP_DOMAIN`: the wording of the text messages.
    pub messages: MessageTemplate,
    /// `TABLE_NAME`
    pub table_name: String,
    /// `CODE_PEPPER`: the key of every digest; and `CODE_PEPPER_PREVIOUS`, while it is being rotated.
    pub pepper: Pepper,
    /// `ALLOWED_COUNTRIES`
    pub allowed_countries: AllowedCountries,
}

impl AppConfig {
    /// `None` if something was wrong, which the reader remembers then.
    pub(super) fn read(reader: &mut Reader<'_>, environment: Option<Environment>) -> Option<Self> {
        let messages = messages(reader);
        let table_name = reader.parse(&TABLE_NAME, judge_table_name);
        let pepper = pepper(reader, OwnSecrets::of(environment, reader));
        let allowed_countries = reader.parse(&ALLOWED_COUNTRIES, countries);
        Some(Self {
            environment: environment?,
            messages: messages?,
            table_name: table_name?,
            pepper: pepper?,
            allowed_countries: allowed_countries?,
        })
    }
}

fn pepper(reader: &mut Reader<'_>, secrets: OwnSecrets) -> Option<Pepper> {
    let current = secrets.read(reader, &CODE_PEPPER);
    let previous = reader.secret(&CODE_PEPPER_PREVIOUS).map(|_| secrets.read(reader, &CODE_PEPPER_PREVIOUS));
    secrets.must_differ(reader, &CODE_PEPPER, &AUTH_JWT_SECRET);
    let pepper = reader.note(Pepper::new(current?.expose_secret().as_bytes()).map_err(|error| CODE_PEPPER.error(error)))?;
    match previous {
        None => Some(pepper),
        Some(previous) => {
            let both = pepper.with_previous(previous?.expose_secret().as_bytes());
            reader.note(both.map_err(|error| CODE_PEPPER_PREVIOUS.error(error)))
        }
    }
}

fn messages(reader: &mut Reader<'_>) -> Option<MessageTemplate> {
    let app_name = reader.text(&APP_NAME).unwrap_or_default();
    let template = MessageTemplate::new(app_name, reader.text(&WEBOTP_DOMAIN));
    reader.note(template.map_err(|error| match error {
        TemplateError::AppName => APP_NAME.error(error),
        TemplateError::WebOtpDomain => WEBOTP_DOMAIN.error(error),
        TemplateError::TooLong => {
            APP_NAME.error(format_args!("is too long, with {}, for messages of one segment", WEBOTP_DOMAIN.name))
        }
    }))
}

/// The table's name (`TABLE_NAME`), by DynamoDB's rule for such names.
///
/// # Errors
/// When it breaks that rule.
pub fn table_name(vars: &Vars) -> Result<String, ConfigError> {
    let name = TABLE_NAME.get(vars).or(TABLE_NAME.default).unwrap_or_default();
    judge_table_name(name).map_err(|problem| TABLE_NAME.error(problem))
}

fn judge_table_name(name: &str) -> Result<String, &'static str> {
    let good = (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    good.then(|| name.to_owned()).ok_or("must be 3 to 255 letters, digits, hyphens, underscores and dots")
}

fn countries(list: &str) -> Result<AllowedCountries, String> {
    if list == "*" {
        return Ok(AllowedCountries::All);
    }
    let country = |code: &str| {
        let code = code.trim().to_ascii_uppercase();
        Country::parse(&code).filter(|country| country.exists()).ok_or_else(|| match code.as_str() {
            "UK" => "has UK in it, which is no ISO 3166 code: the United Kingdom is GB".to_owned(),
            _ => format!("has {code:?} in it; it must be * or ISO 3166 codes with commas between them, such as US,CA"),
        })
    };
    list.split(',').map(country).collect::<Result<_, _>>().map(AllowedCountries::Only)
}
