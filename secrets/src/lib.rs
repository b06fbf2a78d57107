//! Stores of secrets for hosts outside Lambda, told by the form of `SECRET_ID`.
//!
//! No function depends on this package: on Lambda the secret is in AWS Secrets Manager, which the service itself reads. Everything that
//! runs elsewhere asks [`source`] first, and hands what it gets to the service (`Parts::secret`).

mod file;
#[cfg(feature = "gcp")]
mod gcp;
mod keys;

use std::sync::Arc;

use two_factor::{
    config::{ConfigError, Vars, secret_id::SecretId, settings::SECRET_ID},
    ports::SecretSource,
};

pub use file::FileSource;

/// What `SECRET_ID` may be.
const FORMS: &str = "must be the name or ARN of a secret in AWS Secrets Manager, file:/path of a JSON file or of a folder, \
                     gcp:projects/P/secrets/S, or gcp:projects/P";

#[cfg(not(feature = "gcp"))]
const NO_GCP: &str =
    "names a secret of Google Secret Manager, which this program was built without: build it with --features gcp";

/// The store that `SECRET_ID` names; `None` where it is unset, or names a secret in AWS Secrets Manager. Nothing is read yet.
///
/// # Errors
/// When it has none of the forms that it may have.
pub fn source(vars: &Vars) -> Result<Option<Arc<dyn SecretSource>>, ConfigError> {
    match SecretId::of(&SECRET_ID, vars) {
        None | Some(SecretId::SecretsManager(_)) => Ok(None),
        Some(SecretId::Elsewhere { scheme: "file", rest }) if !rest.is_empty() => Ok(Some(Arc::new(FileSource::new(rest)))),
        #[cfg(feature = "gcp")]
        Some(SecretId::Elsewhere { scheme: "gcp", rest }) => match gcp::GcpSource::of(rest, vars)? {
            Some(source) => Ok(Some(Arc::new(source))),
            None => Err(SECRET_ID.error(FORMS)),
        },
        #[cfg(not(feature = "gcp"))]
        Some(SecretId::Elsewhere { scheme: "gcp", .. }) => Err(SECRET_ID.error(NO_GCP)),
        Some(SecretId::Elsewhere { .. }) => Err(SECRET_ID.error(FORMS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_of(id: &str) -> Result<Option<String>, String> {
        let vars = Vars::new([("SECRET_ID".to_owned(), id.to_owned())]);
        source(&vars).map(|source| source.map(|source| source.name().to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_form_of_the_name_tells_the_store() {
        for in_secrets_manager in ["", "two-factor/secret", "arn:aws:secretsmanager:eu-central-1:1:secret:s", "file", "a/gcp"] {
            assert_eq!(source_of(in_secrets_manager), Ok(None), "{in_secrets_manager}");
        }
        for file in ["file:/run/secrets/two-factor", "file:///run/secrets/two-factor", "file:secrets", "file:/a:b"] {
            assert_eq!(source_of(file), Ok(Some(file.to_owned())));
        }
    }

    #[cfg(not(feature = "gcp"))]
    #[test]
    fn google_secret_manager_takes_a_program_that_was_built_with_it() {
        for gcp in ["gcp:projects/p", "gcp:projects/p/secrets/s", "gcp:"] {
            let error = source_of(gcp).unwrap_err();
            assert!(error.starts_with("SECRET_ID: ") && error.contains("--features gcp"), "{error}");
        }
    }

    #[test]
    fn a_name_of_no_form_stops_the_start_with_the_forms_that_there_are() {
        for wrong in ["file:", "vault:secret/two-factor", "https://example.com/secret", ":", "FILE:/run/secrets/two-factor"] {
            let error = source_of(wrong).unwrap_err();
            assert!(error.starts_with("SECRET_ID: must be the name or ARN") && error.contains("file:/path"), "{wrong}: {error}");
            assert!(!error.contains(wrong) || wrong.len() < 6, "{error}");
        }
    }
}
