//! What a setting such as `SECRET_ID` names, told by its form.

use super::{
    settings::Setting,
    vars::{ConfigError, Vars},
};

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretId<'a> {
    /// In AWS Secrets Manager, under this name or ARN.
    SecretsManager(&'a str),
    /// In a store of another kind.
    Elsewhere {
        /// What kind of store: what is before the first colon.
        scheme: &'a str,
        /// Which secret: what is behind that colon.
        rest: &'a str,
    },
}

impl<'a> SecretId<'a> {
    /// What `setting` names; `None` where it is unset. A name in Secrets Manager has no colon in it, and an ARN begins with `arn:`
    /// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>).
    pub fn of(setting: &Setting, vars: &'a Vars) -> Option<Self> {
        let id = setting.get(vars)?;
        Some(match id.split_once(':') {
            None | Some(("arn", _)) => Self::SecretsManager(id),
            Some((scheme, rest)) => Self::Elsewhere { scheme, rest },
        })
    }

    /// Refuses what Secrets Manager cannot be asked for.
    ///
    /// # Errors
    /// When `setting` names a secret in another store.
    pub fn must_be_in_secrets_manager(setting: &Setting, vars: &'a Vars) -> Result<(), ConfigError> {
        match Self::of(setting, vars) {
            None | Some(Self::SecretsManager(_)) => Ok(()),
            Some(Self::Elsewhere { .. }) => Err(setting.error(
                "must be the name or ARN of a secret in Secrets Manager here; file:… and gcp:… are forms of SECRET_ID, outside Lambda only",
            )),
        }
    }
}
