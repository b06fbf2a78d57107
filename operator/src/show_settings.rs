//! `doctor settings`: every setting of the deployment, and where it came from.

use std::io::Write;

use two_factor::{
    app::Parts,
    config::{
        SmsConfig, Vars,
        settings::{ALL, SMS_PROVIDERS, Setting},
        unread::unread_names,
    },
};

use crate::{
    Ending, Failure,
    output::{printable, table},
    secrets::{self, ReadSecret},
    settings::Settings,
};

/// What belongs to AWS: shown where it is set.
const AWS: [&str; 13] = [
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_SNS",
    "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_CA_BUNDLE",
];

/// Prints all settings as a table. It is a problem when a secret cannot be read: what is in there is not known then.
pub(crate) async fn run(settings: &Settings, parts: &Parts, out: &mut dyn Write) -> Result<Ending, Failure> {
    let (read, unreadable) = read_secrets(settings, parts).await?;
    let vars = secrets::behind(settings.vars.clone(), &read);
    let is_known = unreadable.is_empty();
    let of_service = ALL.iter().filter(|setting| setting.is_for_every_host());
    let mut rows: Vec<_> = of_service.map(|setting| row(setting, settings, &vars, &read, is_known)).collect();
    for name in AWS {
        if let Some((value, source)) = settings.vars.get(name).zip(settings.source(name)) {
            rows.push([name.to_owned(), value.to_owned(), source.to_string()]);
        }
    }
    rows.push(match &settings.no_credentials {
        None => ["AWS credentials".to_owned(), HIDDEN.to_owned(), settings.credentials_from().to_string()],
        Some(_) => ["AWS credentials".to_owned(), NOTHING.to_owned(), "not found; `doctor check` says why".to_owned()],
    });
    table(out, ["SETTING", "VALUE", "FROM"], &rows)?;
    let unread = unread_names(&vars);
    if !(unread.is_empty() && is_known) {
        writeln!(out)?;
    }
    for line in unread.iter().map(ToString::to_string).chain(unreadable.iter().cloned()) {
        writeln!(out, "{}", printable(&line))?;
    }
    Ok(Ending::success_if(is_known))
}

const HIDDEN: &str = "(hidden)";
const NOTHING: &str = "-";

/// The secrets, and why those cannot be read that cannot.
async fn read_secrets(settings: &Settings, parts: &Parts) -> Result<(Vec<ReadSecret>, Vec<String>), Failure> {
    if !secrets::are_named(&settings.vars) {
        return Ok((Vec::new(), Vec::new()));
    }
    let aws = match &settings.no_credentials {
        Some(_) => None,
        None => Some(settings.credentials.clone().open(&settings.vars)?),
    };
    let Some(read) = secrets::read(&settings.vars, aws.as_ref(), &parts.clock).await? else {
        return Ok((Vec::new(), settings.no_credentials.iter().map(ToString::to_string).collect()));
    };
    let unreadable = read.iter().filter_map(|secret| Some(format!("{}: {}", secret.setting.name, secret.found.as_ref().err()?)));
    let unreadable = unreadable.collect();
    Ok((read, unreadable))
}

fn row(setting: &Setting, settings: &Settings, vars: &Vars, read: &[ReadSecret], is_known: bool) -> [String; 3] {
    let name = setting.name.to_owned();
    let text = |text: &str| text.to_owned();
    if let Some((value, source)) = setting.get(&settings.vars).zip(settings.source(setting.name)) {
        let value = if setting.may_be_in_secret() { HIDDEN } else { value };
        return [name, text(value), source.to_string()];
    }
    let holds = |secret: &&ReadSecret| {
        let value = secret.found.as_ref().ok().and_then(|found| found.get(setting.name));
        value.is_some_and(|value| !value.trim().is_empty())
    };
    if let Some(secret) = read.iter().rev().find(holds).filter(|_| setting.may_be_in_secret()) {
        return [name, text(HIDDEN), format!("secret {}", secret.id)];
    }
    if setting.may_be_in_secret() && !is_known {
        return [name, text("?"), text("unknown: a secret cannot be read")];
    }
    if *setting == SMS_PROVIDERS && is_known {
        let providers = SmsConfig::from_vars(vars).map(|sms| sms.providers).unwrap_or_default();
        let providers: Vec<_> = providers.iter().map(|provider| provider.provider().as_str()).collect();
        if !providers.is_empty() {
            return [name, providers.join(","), text("those that are configured")];
        }
    }
    match setting.default {
        Some(default) => [name, text(default), text("default")],
        None => [name, text(NOTHING), text("not set")],
    }
}
