//! `doctor check`: everything that the service needs, looked at without changing or sending anything.

pub(crate) mod aws;
mod providers;
mod tokens;

use std::{
    error::Error,
    io::{self, Write},
};

use two_factor::{
    adapters::{aws::Aws, http::public_client},
    app::Parts,
    config::{
        Config, ConfigError, Environment, SmsConfig, Vars, app::table_name, settings::TOKEN_SECRET_ID, sms::ProviderConfig,
        unread::unread_names,
    },
    ports::{SecretError, SecretErrorKind},
};
use two_factor_aws::{NoCredentials, SIGN_IN};

use crate::{
    Ending, Failure,
    report::{Finding, Patience, Problem, Report},
    secrets::{self, ReadSecret},
    settings::{Settings, Source},
};

/// What an error comes down to, without all that it went through.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Looks at everything, and says what is wrong.
pub(crate) async fn run(
    settings: &Settings,
    parts: &Parts,
    mut patience: Patience,
    out: &mut dyn Write,
) -> Result<Ending, Failure> {
    let mut report = Report::new(out);
    let http = public_client(&settings.vars)?;

    let aws = reach_aws(settings);
    let found = aws.as_ref().map(|aws| region(aws, settings)).map_err(Clone::clone);
    report.finding("aws", &found)?;
    let aws = aws.ok();

    let (vars, secret_is_known) = read_secrets(settings, aws.as_ref(), parts, &mut report).await?;
    names(settings, &vars, &mut report)?;
    let config = Config::from_vars(&vars);
    match &config {
        Ok(config) => report.finding("settings", &Ok(summary(config)))?,
        Err(_) if !secret_is_known => report.skipped("settings", "some of them are in the secret")?,
        Err(errors) => {
            for error in errors {
                report.finding("settings", &Err(wrong_setting(error)))?;
            }
        }
    }

    let is_production = Environment::of(&vars) == Ok(Environment::Production);
    match (&aws, table_name(&vars)) {
        (Some(aws), Ok(table)) => aws::table(aws, &table, is_production, &mut patience, &mut report).await?,
        (None, _) => report.skipped("table", "there is no way to AWS")?,
        (_, Err(_)) => report.skipped("table", "its name is wrong")?,
    }

    match &config {
        Ok(config) => report.finding("tokens", &tokens::check(&config.auth, &http, &parts.clock).await)?,
        Err(_) => report.skipped("tokens", "the settings come first")?,
    }
    match SmsConfig::from_vars(&vars) {
        Ok(sms) if sms.providers.is_empty() && !secret_is_known => report.skipped("sms", "the credentials are in the secret")?,
        Ok(sms) if sms.providers.is_empty() => report.finding("sms", &no_provider(is_production))?,
        Ok(sms) => {
            for provider in &sms.providers {
                check_provider(provider, aws.as_ref(), &http, is_production, &mut report).await?;
            }
            report.finding("prices", &providers::prices(parts.clock.now()))?;
        }
        Err(_) if !secret_is_known => report.skipped("sms", "the credentials are in the secret")?,
        Err(errors) => {
            for error in &errors {
                report.finding("sms", &Err(wrong_setting(error)))?;
            }
        }
    }

    Ok(report.end()?)
}

/// Reads the secrets. Returns the settings with what is in them, and whether all of that is known.
async fn read_secrets(
    settings: &Settings,
    aws: Option<&Aws>,
    parts: &Parts,
    report: &mut Report<'_>,
) -> io::Result<(Vars, bool)> {
    let vars = settings.vars.clone();
    if !secrets::are_named(&vars) {
        let state = "none; SECRET_ID is not set, so secrets come from the environment";
        report.finding("secret", &Ok(state.to_owned()))?;
        return Ok((vars, true));
    }
    let read = match secrets::read(&vars, aws, &parts.clock).await {
        Ok(Some(read)) => read,
        Ok(None) => {
            report.skipped("secret", "there is no way to AWS")?;
            return Ok((vars, false));
        }
        Err(error) => {
            report.finding("secret", &Err(wrong_setting(&error)))?;
            return Ok((vars, false));
        }
    };
    for secret in &read {
        let subject = if secret.setting == TOKEN_SECRET_ID { "token-secret" } else { "secret" };
        let finding = match &secret.found {
            Ok(_) if secret.setting == TOKEN_SECRET_ID => Ok("readable".to_owned()),
            Ok(found) => {
                let keys: Vec<_> = found.iter().filter(|(_, value)| !value.is_empty()).map(|(key, _)| key.as_str()).collect();
                Ok(format!("readable; it holds {}", keys.join(", ")))
            }
            Err(error) => Err(unusable(secret, error)),
        };
        report.finding(subject, &finding)?;
    }
    Ok((secrets::behind(vars, &read), read.iter().all(|secret| secret.found.is_ok())))
}

/// What is wrong with a secret, and what mends it: of what the service says, what an operator can do more.
fn unusable(secret: &ReadSecret, error: &SecretError) -> Problem {
    let SecretError { secret: id, kind, problem, remedy } = error;
    let more = match kind {
        SecretErrorKind::NotFound => format!("; {} is the stack's output {}", secret.setting.name, secret.output),
        SecretErrorKind::Malformed => "; docs/operations.md, \"The secret\", takes the value before back".to_owned(),
        SecretErrorKind::NotPermitted | SecretErrorKind::Unavailable => String::new(),
    };
    Problem::new(format!("{id} {problem}"), format!("{remedy}{more}"))
}

/// Names that nothing reads. Those of the deployment, in its secret or its file of settings, are problems; the environment of this
/// machine may hold somebody else's.
fn names(settings: &Settings, vars: &Vars, report: &mut Report<'_>) -> io::Result<()> {
    for unread in unread_names(vars) {
        if !unread.in_secret && settings.source(&unread.name) == Some(Source::Environment) {
            report.notice("names", &unread.to_string())?;
        } else {
            let place = if unread.in_secret { "the secret" } else { "the file of settings" };
            let remedy = match unread.meant {
                Some(meant) if meant == unread.name => format!("set {meant} in the environment, and take it out of {place}"),
                Some(meant) => format!("rename it to {meant}, or take it out of {place}"),
                None => format!("take it out of {place}"),
            };
            report.finding("names", &Err(Problem::new(unread.to_string(), remedy)))?;
        }
    }
    Ok(())
}

/// The way to AWS.
pub(crate) fn reach_aws(settings: &Settings) -> Result<Aws, Problem> {
    if let Some(NoCredentials { reason }) = &settings.no_credentials {
        return Err(Problem::new(format!("no credentials: {reason}"), SIGN_IN));
    }
    settings.credentials.clone().open(&settings.vars).map_err(|error| wrong_setting(&error))
}

/// Where in AWS that leads, and as whom.
pub(crate) fn region(aws: &Aws, settings: &Settings) -> String {
    let region = aws.config().region().map_or_else(String::new, ToString::to_string);
    format!("region {region}; credentials from {}", settings.credentials_from())
}

fn wrong_setting(ConfigError { variable, problem }: &ConfigError) -> Problem {
    Problem::new(format!("{variable} {problem}"), format!("change {variable} in the environment, the template or the secret"))
}

fn summary(config: &Config) -> String {
    let environment = match config.app.environment {
        Environment::Production => "production",
        Environment::Development => "development",
    };
    format!("complete, for {environment}")
}

fn no_provider(is_production: bool) -> Finding {
    if is_production {
        let what = "no provider is configured: setup and send-sms answer 503 sms_not_configured";
        Err(Problem::new(
            what,
            "put a provider's credentials into the secret (docs/operations.md, \"The secret\"), or name sns in SMS_PROVIDERS",
        ))
    } else {
        Ok("no provider is configured: codes are shown in answers, as this is development".to_owned())
    }
}

async fn check_provider(
    config: &ProviderConfig,
    aws: Option<&Aws>,
    http: &reqwest::Client,
    is_production: bool,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let name = config.provider().as_str();
    let finding = match (config, aws) {
        (ProviderConfig::Sns(_) | ProviderConfig::AwsSms(_), None) => return report.skipped(name, "there is no way to AWS"),
        (ProviderConfig::Sns(_), Some(aws)) => aws::sns(aws, is_production).await,
        (ProviderConfig::AwsSms(_), Some(aws)) => aws::end_user_messaging(aws, is_production).await,
        (ProviderConfig::Twilio(config), _) => providers::twilio(http, config, is_production).await,
        (ProviderConfig::Vonage(config), _) => providers::vonage(http, config).await,
        (ProviderConfig::MessageBird(config), _) => providers::messagebird(http, config).await,
        (ProviderConfig::Plivo(config), _) => providers::plivo(http, config, is_production).await,
    };
    report.finding(name, &finding)
}
