//! Bodies: the JSON objects of the contract, parsed into types. One answer names every field that is wrong.

use std::fmt;

use http::{HeaderMap, header::CONTENT_TYPE};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    problem::{FieldError, Problem},
    request::{Request, RequestBody},
};
use crate::domain::Proof;

/// A body of more bytes is refused.
pub const MAX_BODY_BYTES: usize = 4096;

/// The body of POST setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupBody {
    /// What the client calls a phone number: not judged yet.
    pub phone_number: String,
    /// The proof that replacing a number takes.
    pub code: Option<Proof>,
}

/// The body of POST send-sms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendBody {
    /// Whether the number that waits to replace the active one is meant.
    pub pending: bool,
}

/// The body of POST verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyBody {
    /// The code to judge.
    pub code: Proof,
    /// Whether new backup codes are to replace those there are.
    pub regenerate_backup_codes: bool,
}

/// The body of DELETE setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisableBody {
    /// The proof that turning 2FA off takes.
    pub code: Option<Proof>,
}

impl SetupBody {
    /// Reads `{"method": "sms", "phone_number": "+14155551234", "code": "…"}`.
    ///
    /// # Errors
    /// A [`Problem`] that names every wrong field.
    pub fn parse(request: &Request) -> Result<Self, Problem> {
        let mut fields = Fields::of(request)?;
        let method = fields.required("method", as_sms);
        let phone_number = fields.required("phone_number", as_text);
        let code = fields.optional("code", as_proof);
        fields.finish(method.zip(phone_number).zip(code).map(|(((), phone_number), code)| Self { phone_number, code }))
    }
}

impl SendBody {
    /// Reads `{}`, `{"pending": true}` or no body at all.
    ///
    /// # Errors
    /// A [`Problem`] that names every wrong field.
    pub fn parse(request: &Request) -> Result<Self, Problem> {
        let mut fields = Fields::of(request)?;
        let pending = fields.optional("pending", as_flag);
        fields.finish(pending.map(|pending| Self { pending: pending.unwrap_or(false) }))
    }
}

impl VerifyBody {
    /// Reads `{"code": "123456", "regenerate_backup_codes": false}`.
    ///
    /// # Errors
    /// A [`Problem`] that names every wrong field.
    pub fn parse(request: &Request) -> Result<Self, Problem> {
        let mut fields = Fields::of(request)?;
        let code = fields.required("code", as_proof);
        let regenerate = fields.optional("regenerate_backup_codes", as_flag);
        fields.finish(
            code.zip(regenerate).map(|(code, regenerate)| Self { code, regenerate_backup_codes: regenerate.unwrap_or(false) }),
        )
    }
}

impl DisableBody {
    /// Reads `{"code": "123456"}` or no body at all.
    ///
    /// # Errors
    /// A [`Problem`] that names every wrong field.
    pub fn parse(request: &Request) -> Result<Self, Problem> {
        let mut fields = Fields::of(request)?;
        let code = fields.optional("code", as_proof);
        fields.finish(code.map(|code| Self { code }))
    }
}

/// The fields of a body, and what was found wrong with them so far, so that one answer names all of it.
struct Fields<'a> {
    object: Object<'a>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    fn of(request: &'a Request) -> Result<Self, Problem> {
        let bytes = match &request.body {
            RequestBody::Undecodable => return Err(wrong_body("The body could not be decoded.")),
            RequestBody::Bytes(bytes) if bytes.len() > MAX_BODY_BYTES => return Err(Problem::PayloadTooLarge),
            RequestBody::Bytes(bytes) => bytes,
        };
        let object = if bytes.is_empty() {
            Object(Vec::new())
        } else if is_json(&request.headers) {
            serde_json::from_slice(bytes).map_err(|_| wrong_body("The body must be a JSON object."))?
        } else {
            return Err(Problem::UnsupportedMediaType);
        };
        Ok(Self { object, errors: Vec::new() })
    }

    /// The value of a field that must be there; `None` if an error was noted.
    fn required<T>(&mut self, name: &'static str, read: Reader<T>) -> Option<T> {
        let value = self.optional(name, read)?;
        if value.is_none() {
            self.errors.push(FieldError { field: name, detail: "This field is required." });
        }
        value
    }

    /// The value of a field that may be missing, or null, which is the same; the outer `None` if an error was noted.
    /// A field that is there twice is refused, since readers of JSON differ in which of the two they take (RFC 8259, 4).
    #[expect(clippy::option_option, reason = "wrong, missing and there are three cases, and `zip` wants an option")]
    fn optional<T>(&mut self, name: &'static str, read: Reader<T>) -> Option<Option<T>> {
        let mut values = self.object.0.iter().filter(|(field, _)| field == name).map(|(_, value)| *value);
        let result = match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err("This field must not be there twice."),
            (Some(value), None) if value.get() == "null" => Ok(None),
            (Some(value), None) => read(value).map(Some),
        };
        result.map_err(|detail| self.errors.push(FieldError { field: name, detail })).ok()
    }

    fn finish<T>(self, body: Option<T>) -> Result<T, Problem> {
        body.ok_or(Problem::InvalidRequest { errors: self.errors })
    }
}

/// Reads a value, or says what it should have been.
type Reader<T> = fn(&RawValue) -> Result<T, &'static str>;

fn as_text(value: &RawValue) -> Result<String, &'static str> {
    serde_json::from_str(value.get()).map_err(|_| "This field must be a string.")
}

fn as_flag(value: &RawValue) -> Result<bool, &'static str> {
    serde_json::from_str(value.get()).map_err(|_| "This field must be true or false.")
}

fn as_sms(value: &RawValue) -> Result<(), &'static str> {
    match as_text(value)?.as_str() {
        "sms" => Ok(()),
        _ => Err("The only method is \"sms\"."),
    }
}

fn as_proof(value: &RawValue) -> Result<Proof, &'static str> {
    let typed = as_text(value)?;
    Proof::parse(&typed).map_err(|_| "This field must be six digits, or a backup code such as XXXX-XXXX-XXXX-XXXX.")
}

fn wrong_body(detail: &'static str) -> Problem {
    Problem::InvalidRequest { errors: vec![FieldError { field: "body", detail }] }
}

/// Whether there is one `Content-Type`, and it is `application/json` with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// The entries of a JSON object, in order and with duplicates; the values are not looked into, however deep they nest.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
