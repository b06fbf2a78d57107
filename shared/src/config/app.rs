//! What the service is called, where its data is, and how cautious it has to be.

use std::str::FromStr;

use secrecy::ExposeSecret;

use super::vars::{ConfigError, Vars};
use crate::domain::{AllowedCountries, Country, MessageTemplate, Pepper, message::text::TemplateError};

/// The pepper of development: public, so worth nothing, and refused in production.
const DEVELOPMENT_PEPPER: &str = "development-only-pepper-0123456789abcdef";

const DEFAULT_COUNTRIES: &str = "US,CA,GB,DE,AU";

/// Whether this is the real thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Nothing is made up: every secret must be given, and a code leaves by SMS only (S22).
    Production,
    /// Missing secrets are made up; without a provider, codes are shown in answers.
    Development,
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "production" => Ok(Self::Production),
            "development" => Ok(Self::Development),
            _ => Err("must be production or development"),
        }
    }
}

impl Environment {
    /// `APP_ENV`; production where it is unset, wherever that is (S22).
    ///
    /// # Errors
    /// When it is neither `production` nor `development`.
    pub fn of(vars: &Vars) -> Result<Self, ConfigError> {
        Ok(vars.parse("APP_ENV")?.unwrap_or(Self::Production))
    }

    /// A secret that development has a value for and production does not: there it must be given, and must not be that value.
    pub(super) fn secret(self, vars: &Vars, name: &str, built_in: &str) -> Result<secrecy::SecretString, ConfigError> {
        match (vars.secret(name), self) {
            (Some(secret), Self::Production) if secret.expose_secret() == built_in => {
                Err(ConfigError::new(name, "must not be the value that is built in for development"))
            }
            (Some(secret), _) => Ok(secret),
            (None, Self::Development) => Ok(built_in.into()),
            (None, Self::Production) => {
                Err(ConfigError::new(name, "is required in production, in the environment or in the secret that SECRET_ID names"))
            }
        }
    }
}

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
    pub(super) fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let environment = Environment::of(vars)?;
        Ok(Self {
            environment,
            messages: messages(vars)?,
            table_name: table_name(vars)?,
            pepper: pepper(vars, environment)?,
            allowed_countries: countries(vars)?,
        })
    }
}

fn pepper(vars: &Vars, environment: Environment) -> Result<Pepper, ConfigError> {
    let too_short = |name| move |_| ConfigError::new(name, format!("must have at least {} bytes", Pepper::MIN_BYTES));
    let secret = environment.secret(vars, "CODE_PEPPER", DEVELOPMENT_PEPPER)?;
    let pepper = Pepper::new(secret.expose_secret().as_bytes()).map_err(too_short("CODE_PEPPER"))?;
    match vars.secret("CODE_PEPPER_PREVIOUS") {
        Some(secret) if environment == Environment::Production && secret.expose_secret() == DEVELOPMENT_PEPPER => {
            Err(ConfigError::new("CODE_PEPPER_PREVIOUS", "must not be the value that is built in for development"))
        }
        Some(secret) => pepper.with_previous(secret.expose_secret().as_bytes()).map_err(too_short("CODE_PEPPER_PREVIOUS")),
        None => Ok(pepper),
    }
}

fn messages(vars: &Vars) -> Result<MessageTemplate, ConfigError> {
    let app_name = vars.get("APP_NAME").unwrap_or("CODITECT");
    MessageTemplate::new(app_name, vars.get("WEBOTP_DOMAIN")).map_err(|error| match error {
        TemplateError::AppName => ConfigError::new("APP_NAME", "must be one line of characters of the GSM-7 alphabet"),
        TemplateError::WebOtpDomain => ConfigError::new("WEBOTP_DOMAIN", "must be a domain, such as example.com"),
        TemplateError::TooLong => ConfigError::new("APP_NAME", "is too long, with WEBOTP_DOMAIN, for messages of 160 characters"),
    })
}

/// The table's name (`TABLE_NAME`), by DynamoDB's rule for such names.
///
/// # Errors
/// When it breaks that rule.
pub fn table_name(vars: &Vars) -> Result<String, ConfigError> {
    let name = vars.get("TABLE_NAME").unwrap_or("sms-2fa");
    let good = (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if good {
        Ok(name.to_owned())
    } else {
        Err(ConfigError::new("TABLE_NAME", "must be 3 to 255 letters, digits, hyphens, underscores and dots"))
    }
}

fn countries(vars: &Vars) -> Result<AllowedCountries, ConfigError> {
    let list = vars.get("ALLOWED_COUNTRIES").unwrap_or(DEFAULT_COUNTRIES).trim();
    if list == "*" {
        return Ok(AllowedCountries::All);
    }
    let country = |code: &str| Country::parse(&code.trim().to_ascii_uppercase()).filter(|country| country.exists());
    let countries = list.split(',').map(country).collect::<Option<_>>();
    countries.map(AllowedCountries::Only).ok_or_else(|| {
        ConfigError::new("ALLOWED_COUNTRIES", "must be * or ISO 3166 codes with commas between them, such as US,CA")
    })
}
