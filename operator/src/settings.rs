//! The settings of the service, as the operator's machine has them, and who the operator is.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use rand::RngExt as _;
use serde_json::Value;
use tokio::process::Command;
use two_factor::{
    config::{ConfigError, Vars, dotenv::with_dotenv, url::is_loopback},
    domain::UserId,
    ports::{Origin, Random},
    use_cases::Caller,
};

use crate::output::printable;

/// What helps where credentials are missing.
pub(crate) const SIGN_IN: &str =
    "set AWS_PROFILE and sign in (`aws sso login`), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

/// The longest name of an operator that goes into an audit event.
const MAX_NAME: usize = 64;

/// What a command runs with.
pub(crate) struct Settings {
    /// The service's variables.
    pub(crate) vars: Vars,
    /// Why there are no AWS credentials, if there are none.
    pub(crate) no_credentials: Option<String>,
    operator: String,
}

impl Settings {
    /// Settings from these environment variables and, where they say nothing, from a file: the one named, or `.env` if there is
    /// one.
    ///
    /// # Errors
    /// When the file cannot be read, or the one named is not there.
    pub(crate) async fn read(environment: BTreeMap<String, String>, file: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(file) = file.filter(|file| !file.exists()) {
            return Err(ConfigError::new(&file.display().to_string(), "there is no such file"));
        }
        let mut variables = with_dotenv(environment, file.unwrap_or(Path::new(".env")))?;
        let no_credentials = find_credentials(&mut variables).await.err();
        let name = |variable| Some(variables.get(variable)?.trim()).filter(|name| !name.is_empty());
        let operator = ["OPERATOR", "USER", "LOGNAME"].into_iter().find_map(name).unwrap_or("unknown");
        let operator = printable(operator).chars().take(MAX_NAME).collect();
        Ok(Self { vars: Vars::new(variables), no_credentials, operator })
    }

    /// The operator at work on the account of `user`, for its audit trail.
    pub(crate) fn caller(&self, user: UserId, random: &dyn Random) -> Caller {
        let number: u64 = random.rng().random();
        let origin = Origin {
            request_id: format!("operator-{number:016x}"),
            address: None,
            user_agent: Some(format!("two-factor-doctor/{} (operator {})", env!("CARGO_PKG_VERSION"), self.operator)),
        };
        Caller { user, origin }
    }
}

fn is_set(variables: &BTreeMap<String, String>, name: &str) -> bool {
    variables.get(name).is_some_and(|value| !value.is_empty())
}

/// Fills in AWS credentials and region, unless they are there: those that the local database takes, where that is the one in use,
/// or else those of the AWS CLI. The CLI knows every source that there is, profiles, single sign-on and roles among them, and
/// whoever operates the service has it.
///
/// # Errors
/// With the reason why there are no credentials.
async fn find_credentials(variables: &mut BTreeMap<String, String>) -> Result<(), String> {
    let is_local = !is_set(variables, "AWS_PROFILE") && is_on_this_machine(variables);
    if is_local && !is_set(variables, "AWS_ACCESS_KEY_ID") {
        variables.insert("AWS_ACCESS_KEY_ID".to_owned(), "local".to_owned());
        variables.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "local".to_owned());
    }
    if !is_set(variables, "AWS_REGION") && !is_set(variables, "AWS_DEFAULT_REGION") {
        let region =
            if is_local { Ok("us-east-1".to_owned()) } else { aws_cli(variables, &["configure", "get", "region"]).await };
        // Without a region the service's own message names the variable.
        variables.extend(region.ok().map(|region| ("AWS_REGION".to_owned(), region.trim().to_owned())));
    }
    if is_set(variables, "AWS_ACCESS_KEY_ID") {
        return Ok(());
    }
    let answer = aws_cli(variables, &["configure", "export-credentials", "--format", "process"]).await?;
    let credentials: Value = serde_json::from_str(&answer).map_err(|_| "the AWS CLI's answer makes no sense".to_owned())?;
    for (variable, member) in [
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ] {
        let value = credentials.get(member).and_then(Value::as_str).unwrap_or_default();
        variables.insert(variable.to_owned(), value.to_owned());
    }
    if is_set(variables, "AWS_ACCESS_KEY_ID") { Ok(()) } else { Err("the AWS CLI has none".to_owned()) }
}

/// Whether the table is in a database on this machine, which takes any credentials.
fn is_on_this_machine(variables: &BTreeMap<String, String>) -> bool {
    let endpoint = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"].into_iter().find_map(|name| variables.get(name));
    let url = endpoint.and_then(|endpoint| reqwest::Url::parse(endpoint).ok());
    url.is_some_and(|url| is_loopback(&url))
}

async fn aws_cli(variables: &BTreeMap<String, String>, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("aws");
    command.args(arguments).env_clear().envs(variables).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| format!("the AWS CLI cannot be run ({error})"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        if complaint.contains("usage:") {
            return Err("this AWS CLI is too old to export credentials; version 2 is not".to_owned());
        }
        let line = complaint.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
        Err(format!("the AWS CLI says: {}", printable(line)))
    }
}
