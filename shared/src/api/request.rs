//! Requests: which endpoint is meant, and the bodies of the contract, parsed into types.

use std::{fmt, net::IpAddr};

use lambda_http::http::{
    HeaderMap, Method,
    header::{CONTENT_TYPE, USER_AGENT},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::problem::{FieldError, Problem};
use crate::{domain::Proof, ports::Origin};

/// The most bytes that a body may have.
pub const MAX_BODY_BYTES: usize = 4096;

/// The most characters of a `User-Agent` that are kept.
const MAX_USER_AGENT_CHARS: usize = 256;

/// A request, whichever gateway it came through.
#[derive(Clone, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The headers, as the client sent them: claims, not facts.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// What the gateway itself says.
    pub gateway: Gateway,
}

/// A request's body.
#[derive(Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// These bytes; none if there is no body.
    Bytes(Vec<u8>),
    /// Not what the event says it is: base64 that is none, or no text at all.
    Undecodable,
}

impl Default for RequestBody {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

/// What the gateway says of a request. No client has a say in it.
#[derive(Clone, Default)]
pub struct Gateway {
    /// The request's identifier: the gateway's, or else the invocation's.
    pub request_id: String,
    /// The address that the request came from (S13).
    pub address: Option<IpAddr>,
    /// The stage, where paths may begin with it.
    pub stage: Option<String>,
    /// The path of the route that the gateway matched, without stage and base path.
    pub route: Option<String>,
    /// The claims of the token that the gateway's authorizer verified.
    pub claims: Option<Map<String, Value>>,
    /// Whether its answers have a field for cookies: those of payload format 2.0 do.
    pub cookies: bool,
}

impl fmt::Debug for Request {
    /// Tells nothing of headers, body and claims: they hold tokens and codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("request_id", &self.gateway.request_id)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// The request's identifier, which every answer and log line names.
    pub fn id(&self) -> &str {
        &self.gateway.request_id
    }

    /// Where the request came from, for the audit trail.
    pub fn origin(&self) -> Origin {
        let user_agent = self.headers.get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.chars().filter(|character| !character.is_control()).take(MAX_USER_AGENT_CHARS).collect::<String>()
        });
        Origin {
            request_id: self.gateway.request_id.clone(),
            address: self.gateway.address,
            user_agent: user_agent.filter(|text| !text.is_empty()),
        }
    }
}

/// What `setup` can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupAction {
    /// POST: enroll a number, or replace it.
    Start,
    /// GET: say where the user stands.
    Status,
    /// DELETE: turn 2FA off.
    Disable,
}

/// One endpoint: its path and, for each of its methods, what that does.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<A: 'static> {
    /// The path, without its trailing slash.
    path: &'static str,
    actions: &'static [(Method, A)],
}

/// `/api/v1/auth/2fa/setup/`
pub const SETUP: Endpoint<SetupAction> = Endpoint {
    path: "/api/v1/auth/2fa/setup",
    actions: &[(Method::POST, SetupAction::Start), (Method::GET, SetupAction::Status), (Method::DELETE, SetupAction::Disable)],
};

/// `/api/v1/auth/2fa/send-sms/`
pub const SEND_SMS: Endpoint<()> = Endpoint { path: "/api/v1/auth/2fa/send-sms", actions: &[(Method::POST, ())] };

/// `/api/v1/auth/2fa/verify/`
pub const VERIFY: Endpoint<()> = Endpoint { path: "/api/v1/auth/2fa/verify", actions: &[(Method::POST, ())] };

impl<A: Copy> Endpoint<A> {
    /// The path, without its trailing slash.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The methods that it knows.
    pub fn methods(&self) -> impl Iterator<Item = &'static Method> + use<A> {
        self.actions.iter().map(|(method, _)| method)
    }

    /// What the request asks this endpoint to do.
    ///
    /// # Errors
    /// [`Problem::NotFound`] if another path is meant, [`Problem::MethodNotAllowed`] if the endpoint does not know the method.
    pub fn action(&self, request: &Request) -> Result<A, Problem> {
        if !self.is_meant_by(request) {
            return Err(Problem::NotFound);
        }
        self.actions
            .iter()
            .find(|(method, _)| *method == request.method)
            .map(|&(_, action)| action)
            .ok_or_else(|| Problem::MethodNotAllowed { allow: self.allow() })
    }

    /// With or without trailing slash; behind the stage, if the gateway says that there is one; or, behind the base path of a
    /// custom domain, if the gateway says that this is the route it matched.
    fn is_meant_by(&self, request: &Request) -> bool {
        let Gateway { stage, route, .. } = &request.gateway;
        let behind_stage = || {
            let stage = stage.as_deref().filter(|stage| !stage.is_empty())?;
            request.path.strip_prefix('/')?.strip_prefix(stage)
        };
        self.is_path(&request.path) || behind_stage().is_some_and(|rest| self.is_path(rest)) || {
            route.as_deref().is_some_and(|route| self.is_path(route))
        }
    }

    fn is_path(&self, path: &str) -> bool {
        path.strip_suffix('/').unwrap_or(path) == self.path
    }

    fn allow(&self) -> String {
        self.methods().map(Method::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The body of POST setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupBody {
    /// `phone_number`: not judged yet.
    pub phone_number: String,
    /// `code`: the proof that replacing a number takes.
    pub code: Option<Proof>,
}

/// The body of POST send-sms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendBody {
    /// `pending`: whether the number that waits to replace the active one is meant.
    pub pending: bool,
}

/// The body of POST verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyBody {
    /// `code`
    pub code: Proof,
    /// `regenerate_backup_codes`
    pub regenerate_backup_codes: bool,
}

/// The body of DELETE setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisableBody {
    /// `code`: the proof that turning 2FA off takes.
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
    /// A field that is there twice is refused: which of the two is meant is anybody's guess (RFC 8259, 4).
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

/// Whether there is one `Content-Type`, and it is `application/json` with whatever parameters.
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
