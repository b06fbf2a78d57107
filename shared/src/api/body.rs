//! Bodies: the JSON objects of the contract, parsed into types. One answer names every field that is wrong.

use std::{borrow::Cow, fmt};

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
use crate::{
    config::unread::distance,
    domain::{Nonce, Proof, Purpose},
};

/// A body of more bytes is refused.
pub const MAX_BODY_BYTES: usize = 4096;

/// The body of POST setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupBody {
    /// `"method": "sms"`: enroll a number, or replace the active one.
    Sms {
        /// `phone_number`: not judged yet.
        phone_number: String,
        /// `code`: the proof that replacing a number takes.
        code: Option<Proof>,
    },
    /// `"method": "none"`: turn 2FA off, for clients behind proxies that drop a DELETE's body.
    None(DisableBody),
}

/// The body of POST send-sms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendBody {
    /// What the code is for; `None` for the usual purpose.
    pub purpose: Option<Purpose>,
}

/// The body of POST verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyBody {
    /// The code to judge.
    pub code: Proof,
    /// What the caller means to do; `None` for the usual purpose.
    pub purpose: Option<Purpose>,
    /// Whether new backup codes are to replace those there are.
    pub regenerate_backup_codes: bool,
    /// What an assertion is to be bound to.
    pub nonce: Option<Nonce>,
}

/// The body of DELETE setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisableBody {
    /// The proof that turning 2FA off takes.
    pub code: Option<Proof>,
}

/// The values of `method`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SetupMethod {
    Sms,
    None,
}

impl SetupBody {
    /// Reads `{"method": "sms", "phone_number": "+12015550123", "code": "…"}` or `{"method": "none", "code": "…"}`.
    ///
    /// # Errors
    /// A [`Problem`] that names every wrong field.
    pub fn parse(request: &Request) -> Result<Self, Problem> {
        let mut fields = Fields::of(request)?;
        let method = fields.required("method", as_method);
        let phone_number = match method {
            Some(SetupMethod::None) => Some(String::new()),
            Some(SetupMethod::Sms) | None => fields.required("phone_number", as_text),
        };
        let code = fields.optional("code", as_proof);
        fields.finish(method.zip(phone_number).zip(code).map(|((method, phone_number), code)| match method {
            SetupMethod::Sms => Self::Sms { phone_number, code },
            SetupMethod::None => Self::None(DisableBody { code }),
        }))
    }
}

impl SendBody {
    /// Reads `{}`, `{"purpose": "sign_in"}` or no body at all.
    ///
    /// # Errors
    /// A [`Problem`] that names every wrong field.
    pub fn parse(request: &Request) -> Result<Self, Problem> {
        let mut fields = Fields::of(request)?;
        fields.refuse("pending", "This field is gone: name the \"purpose\", such as \"replace\" for the number that waits.");
        let purpose = fields.optional("purpose", as_purpose);
        fields.finish(purpose.map(|purpose| Self { purpose }))
    }
}

impl VerifyBody {
    /// Reads `{"code": "123456", "purpose": "sign_in", "regenerate_backup_codes": false}`.
    ///
    /// # Errors
    /// A [`Problem`] that names every wrong field.
    pub fn parse(request: &Request) -> Result<Self, Problem> {
        let mut fields = Fields::of(request)?;
        let code = fields.required("code", as_proof);
        let purpose = fields.optional("purpose", as_purpose);
        let regenerate = fields.optional("regenerate_backup_codes", as_flag).map(|flag| flag.unwrap_or(false));
        if let (Some(true), Some(Some(purpose))) = (regenerate, purpose)
            && purpose != Purpose::Change
        {
            fields.wrong("purpose", "Backup codes are replaced with the purpose \"change\".");
        }
        if let (Some(Proof::Backup(_)), Some(Some(purpose))) = (&code, purpose)
            && purpose.binds_a_number()
        {
            fields.wrong("code", "A new number is verified with the code from the text message, not with a backup code.");
        }
        let nonce = fields.optional("nonce", as_nonce);
        let body = code.zip(purpose).zip(regenerate).zip(nonce).map(|(((code, purpose), regenerate_backup_codes), nonce)| Self {
            code,
            purpose,
            regenerate_backup_codes,
            nonce,
        });
        fields.finish(body)
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

/// The fields of a body, and the errors found in them so far, so that one answer names all of them.
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
            serde_json::from_slice(bytes).map_err(|error| wrong_body(no_object(&error)))?
        } else {
            return Err(Problem::UnsupportedMediaType);
        };
        Ok(Self { object, errors: Vec::new() })
    }

    /// The value of a field that must be there; `None` if an error was noted.
    fn required<T>(&mut self, name: &'static str, read: Reader<T>) -> Option<T> {
        let value = self.optional(name, read)?;
        if value.is_none() {
            let detail = match self.meant_as(name) {
                Some(written) => format!("This field is required. Did you mean {name:?} where you wrote {written:?}?").into(),
                None => "This field is required.".into(),
            };
            self.errors.push(FieldError { field: name, detail });
        }
        value
    }

    /// A field of the body that is probably meant as this one.
    fn meant_as(&self, name: &str) -> Option<&str> {
        self.object.0.iter().map(|(written, _)| written.as_str()).find(|written| is_meant_as(written, name))
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
        result.map_err(|detail| self.wrong(name, detail)).ok()
    }

    /// Notes that a field is wrong.
    fn wrong(&mut self, field: &'static str, detail: &'static str) {
        self.errors.push(FieldError { field, detail: detail.into() });
    }

    /// Notes an error if a field is there that must not be; null is the same as missing here, too.
    fn refuse(&mut self, field: &'static str, detail: &'static str) {
        if self.object.0.iter().any(|(name, value)| name == field && value.get() != "null") {
            self.wrong(field, detail);
        }
    }

    fn finish<T>(self, body: Option<T>) -> Result<T, Problem> {
        let Self { errors, .. } = self;
        if errors.is_empty() { body.ok_or(Problem::InvalidRequest { errors }) } else { Err(Problem::InvalidRequest { errors }) }
    }
}

/// Reads a value, or says what it should have been.
type Reader<T> = fn(&RawValue) -> Result<T, &'static str>;

fn as_text(value: &RawValue) -> Result<String, &'static str> {
    serde_json::from_str(value.get()).map_err(|_| "This field must be a string.")
}

fn as_nonce(value: &RawValue) -> Result<Nonce, &'static str> {
    let nonce = as_text(value)?;
    Nonce::parse(&nonce).map_err(|_| "This field must have 1 to 128 printable ASCII characters.")
}

fn as_flag(value: &RawValue) -> Result<bool, &'static str> {
    serde_json::from_str(value.get()).map_err(|_| "This field must be true or false.")
}

fn as_method(value: &RawValue) -> Result<SetupMethod, &'static str> {
    match as_text(value)?.as_str() {
        "sms" => Ok(SetupMethod::Sms),
        "none" => Ok(SetupMethod::None),
        _ => Err("The methods are \"sms\" and, to turn two-factor authentication off, \"none\"."),
    }
}

fn as_purpose(value: &RawValue) -> Result<Purpose, &'static str> {
    Purpose::from_name(&as_text(value)?)
        .ok_or("The purposes are \"enroll\", \"replace\", \"sign_in\", \"confirm\" and \"change\".")
}

fn as_proof(value: &RawValue) -> Result<Proof, &'static str> {
    let typed = as_text(value)?;
    Proof::parse(&typed).map_err(|_| "This field must be six digits, or a backup code such as XXXX-XXXX-XXXX-XXXX.")
}

fn wrong_body(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::InvalidRequest { errors: vec![FieldError { field: "body", detail: detail.into() }] }
}

/// Why a body is no JSON object. Where it is no JSON, the parser's words tell what it expected; where it is JSON of another kind, they
/// would repeat the value, which may be a code.
fn no_object(error: &serde_json::Error) -> Cow<'static, str> {
    if error.is_data() {
        return "The body must be a JSON object.".into();
    }
    let (line, column, words) = (error.line(), error.column(), error.to_string());
    let expected = words.rsplit_once(" at line ").map_or(&*words, |(expected, _)| expected);
    format!("The body is not JSON: line {line}, column {column}: {expected}.").into()
}

/// What else clients call a field.
const OTHER_NAMES: [(&str, &[&str]); 3] = [
    ("phone_number", &["phone", "number", "mobile", "tel", "telephone", "msisdn", "to"]),
    ("code", &["otp", "pin", "token", "passcode", "smscode", "verificationcode", "backupcode"]),
    ("method", &["type", "channel"]),
];

/// Whether a field that nothing reads is probably meant as this one. Only what looks like a field's name is repeated in an answer.
fn is_meant_as(written: &str, name: &str) -> bool {
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let is_name = written.len() <= 32 && written.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let others = OTHER_NAMES.iter().find(|(field, _)| *field == name).map_or(&[][..], |(_, others)| others);
    let (plain_written, plain_name) = (plain(written), plain(name));
    is_name && (others.contains(&&*plain_written) || distance(&plain_written, &plain_name) <= name.len() / 4)
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
