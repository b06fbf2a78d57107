//! A secret that is one value, as plain text: the token secret, which its issuer reads too.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::ports::{SecretError, SecretErrorKind, SecretSource};

/// Reads the value.
///
/// # Errors
/// When the source says so, and when the text is a JSON object, as the AWS console makes one: the issuer would sign with something
/// else than what is in it.
pub async fn read_plain(source: &dyn SecretSource) -> Result<SecretString, SecretError> {
    let text = source.read().await?;
    if serde_json::from_str::<Map<String, Value>>(text.expose_secret()).is_err() {
        return Ok(text);
    }
    Err(SecretError {
        secret: source.name().to_owned(),
        kind: SecretErrorKind::Malformed,
        problem: "is a JSON object".into(),
        remedy: "store the value alone, as plain text".into(),
    })
}
