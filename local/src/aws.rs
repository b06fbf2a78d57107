//! AWS where the local stack uses it: with region, credentials and endpoints of the person who runs it.

use two_factor::{
    app::AwsCredentials,
    config::{
        SmsConfig, Vars,
        secret_id::SecretId,
        settings::{SECRET_ID, TOKEN_SECRET_ID},
        sms::ProviderConfig,
        url::is_loopback,
    },
};
use two_factor_aws::{PersonalAws, personal};

use crate::{settings::Settings, stack::StackError};

/// Completes the settings with what the AWS configuration says beyond them, and returns the credentials. Looks at nothing where all
/// that the stack uses is on this machine, so that nobody has to be signed in for that.
///
/// # Errors
/// When AWS is used and there are no credentials.
pub async fn sign_in(settings: &mut Settings) -> Result<PersonalAws, StackError> {
    let vars = settings.vars();
    if vars.get("AWS_ACCESS_KEY_ID").is_some() || !is_used(&vars, settings.sms_inbox) {
        return Ok(PersonalAws { credentials: AwsCredentials::Environment, variables: [].into(), profile: None });
    }
    let (found, missing) = personal(&settings.variables).await?;
    if let Some(missing) = missing {
        return Err(StackError::Aws(missing));
    }
    for (name, value) in &found.variables {
        settings.set_default(name, value);
    }
    Ok(found)
}

/// Whether the stack calls AWS: for a secret, for text messages, or for a table that is not on this machine.
fn is_used(vars: &Vars, sms_inbox: bool) -> bool {
    let is_aws = |provider: &ProviderConfig| matches!(provider, ProviderConfig::Sns(_) | ProviderConfig::AwsSms(_));
    let sends = !sms_inbox && SmsConfig::from_vars(vars).is_ok_and(|sms| sms.providers.iter().any(is_aws));
    let endpoint = vars.get("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| vars.get("AWS_ENDPOINT_URL"));
    let is_elsewhere = endpoint.is_some_and(|url| !url.parse().is_ok_and(|url| is_loopback(&url)));
    let is_in_secrets_manager = |setting| matches!(SecretId::of(setting, vars), Some(SecretId::SecretsManager(_)));
    sends || is_elsewhere || is_in_secrets_manager(&SECRET_ID) || is_in_secrets_manager(&TOKEN_SECRET_ID)
}
