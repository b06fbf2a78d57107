//! `doctor check`: everything that the service needs, looked at without changing or sending anything.

mod aws;
mod providers;
mod tokens;

use std::{
    error::Error,
    io::{self, Write},
    sync::Arc,
};

use two_factor::{
    adapters::{aws::Aws, http::public_client},
    app::Parts,
    config::{Config, ConfigError, Environment, SmsConfig, app::table_name, sms::ProviderConfig},
};

use crate::{
    Ending, Failure,
    output::{counted, printable},
    settings::{SIGN_IN, Settings},
};

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    what: String,
    remedy: String,
}

impl Problem {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// What an error comes down to, without all that it went through.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// What one look found: how things are, or what is wrong.
type Finding = Result<String, Problem>;

/// Prints findings as they come, and counts them.
struct Report<'a> {
    out: &'a mut dyn Write,
    good: u64,
    problems: u64,
    skipped: u64,
}

impl Report<'_> {
    fn finding(&mut self, subject: &str, finding: &Finding) -> io::Result<()> {
        match finding {
            Ok(state) => {
                self.good += 1;
                writeln!(self.out, "ok       {subject:<12} {}", printable(state))
            }
            Err(Problem { what, remedy }) => {
                self.problems += 1;
                writeln!(self.out, "problem  {subject:<12} {}", printable(what))?;
                writeln!(self.out, "         {:<12} -> {}", "", printable(remedy))
            }
        }
    }

    fn skipped(&mut self, subject: &str, reason: &str) -> io::Result<()> {
        self.skipped += 1;
        writeln!(self.out, "skipped  {subject:<12} {reason}")
    }
}

/// Looks at everything, and says what is wrong.
pub(crate) async fn run(settings: &Settings, parts: &Parts, out: &mut dyn Write) -> Result<Ending, Failure> {
    let mut report = Report { out, good: 0, problems: 0, skipped: 0 };
    let http = public_client(&settings.vars)?;

    let aws = reach_aws(settings);
    let found = aws.as_ref().map(region).map_err(Clone::clone);
    report.finding("aws", &found)?;
    let aws = aws.ok();

    let mut vars = settings.vars.clone();
    let mut secret_is_known = true;
    match (vars.get("SECRET_ID").map(str::to_owned), &aws) {
        (None, _) => {
            let state = "none; SECRET_ID is not set, so secrets come from the environment";
            report.finding("secret", &Ok(state.to_owned()))?;
        }
        (Some(_), None) => {
            secret_is_known = false;
            report.skipped("secret", "there is no way to AWS")?;
        }
        (Some(id), Some(aws)) => match aws::secret(aws, &id, Arc::clone(&parts.clock)).await {
            Ok(secret) => {
                let keys: Vec<_> = secret.iter().filter(|(_, value)| !value.is_empty()).map(|(key, _)| key.as_str()).collect();
                report.finding("secret", &Ok(format!("readable; it holds {}", keys.join(", "))))?;
                vars = vars.with_secret(secret);
            }
            Err(problem) => {
                secret_is_known = false;
                report.finding("secret", &Err(problem))?;
            }
        },
    }

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

    match (&aws, table_name(&vars)) {
        (Some(aws), Ok(table)) => aws::table(aws, &table, &mut report).await?,
        (None, _) => report.skipped("table", "there is no way to AWS")?,
        (_, Err(_)) => report.skipped("table", "its name is wrong")?,
    }

    let is_production = Environment::of(&vars) == Ok(Environment::Production);
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

    let Report { good, problems, skipped, .. } = report;
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    writeln!(
        out,
        "\n{}: {good} ok{skipped}",
        if problems == 0 { "no problems".to_owned() } else { counted(problems, "problem") }
    )?;
    Ok(Ending::success_if(problems == 0))
}

fn reach_aws(settings: &Settings) -> Result<Aws, Problem> {
    if let Some(reason) = &settings.no_credentials {
        return Err(Problem::new(format!("no credentials: {reason}"), SIGN_IN));
    }
    Aws::from_environment(&settings.vars).map_err(|error| wrong_setting(&error))
}

fn region(aws: &Aws) -> String {
    let region = aws.config().region().map_or_else(String::new, ToString::to_string);
    format!("region {region}, credentials found")
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
