//! Whatever a client sends over HTTP, and whatever a runtime hands to a function, gets a well-formed refusal, and what is refused
//! at the edge leaves no trace in storage (S23).

use std::{collections::BTreeSet, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::{
    prelude::{Just, Strategy, any, prop, prop_oneof},
    test_runner::{Config, TestRunner},
};
use reqwest::Method;
use serde_json::{Value, json};
use two_factor::api::gateway_event::Event;
use two_factor_tests::{
    service::{HOME, Reply, TestService, WORK, wrong},
    tokens::{SigningKey, base64url},
};

const SECRET: &str = "a token secret for bad input, which has 32 bytes";
const SETTINGS: &[(&str, &str)] = &[("AUTH_JWT_SECRET", SECRET), ("SMS_COOLDOWN_SECONDS", "0"), ("SMS_MAX_PER_WINDOW", "50")];

/// Nothing was ever stored for this user, and nothing may be.
const NOBODY: &str = "nobody";

const INVALID: (u16, &str) = (400, "invalid_request");
const UNAUTHORIZED: (u16, &str) = (401, "unauthorized");
const NO_NUMBER: (u16, &str) = (400, "invalid_phone_number");
const NOT_ALLOWED: (u16, &str) = (400, "phone_number_not_allowed");
const NOT_FOUND: (u16, &str) = (404, "not_found");
const WRONG_METHOD: (u16, &str) = (405, "method_not_allowed");
const TOO_LARGE: (u16, &str) = (413, "payload_too_large");
const NOT_JSON: (u16, &str) = (415, "unsupported_media_type");
const NO_TOKEN: &str = "Bearer";
const BAD_TOKEN: &str = "Bearer error=\"invalid_token\"";

/// One request, and the answer that it must get.
#[derive(Clone, Debug)]
struct Case {
    reason: String,
    method: &'static str,
    path: String,
    user: &'static str,
    /// The values of the `Authorization` header; the user's good token if this is `None`.
    authorization: Option<Vec<Vec<u8>>>,
    content_type: Option<Vec<u8>>,
    body: Vec<u8>,
    outcome: (u16, &'static str),
    /// What `errors` names, in order.
    fields: Vec<&'static str>,
    /// What `reason` says; `None` where nothing is expected of it.
    because: Option<&'static str>,
    /// A header that the answer must have, with its value.
    header: Option<(&'static str, &'static str)>,
}

impl Case {
    fn new(method: &'static str, function: &str, body: impl AsRef<[u8]>, reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            method,
            path: format!("/api/v1/auth/2fa/{function}/"),
            user: NOBODY,
            authorization: None,
            content_type: Some(b"application/json".to_vec()),
            body: body.as_ref().to_vec(),
            outcome: INVALID,
            fields: Vec::new(),
            because: None,
            header: None,
        }
    }

    fn gets(self, outcome: (u16, &'static str)) -> Self {
        Self { outcome, ..self }
    }

    fn names(self, fields: &[&'static str]) -> Self {
        Self { fields: fields.to_vec(), ..self }
    }

    fn because(self, reason: &'static str) -> Self {
        Self { because: Some(reason), ..self }
    }

    fn by(self, user: &'static str) -> Self {
        Self { user, ..self }
    }

    fn with(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    fn at(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    fn typed(self, content_type: Option<impl AsRef<[u8]>>) -> Self {
        Self { content_type: content_type.map(|value| value.as_ref().to_vec()), ..self }
    }

    fn authorized(self, values: &[impl AsRef<[u8]>]) -> Self {
        Self { authorization: Some(values.iter().map(|value| value.as_ref().to_vec()).collect()), ..self }
    }

    /// Whether the request is refused before anybody's account is looked at.
    fn ends_at_the_edge(&self) -> bool {
        matches!(self.outcome.0, 401 | 404 | 405 | 413 | 415) || [INVALID, NO_NUMBER, NOT_ALLOWED].contains(&self.outcome)
    }

    async fn send(&self, service: &TestService) -> Reply {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let root = service.url("setup").replace("/api/v1/auth/2fa/setup/", "");
        let mut request = service.request(method, &format!("{root}{}", self.path));
        match &self.authorization {
            None => request = request.bearer_auth(token(&claims(self.user))),
            Some(values) => {
                for value in values {
                    request = request.header("authorization", value.as_slice());
                }
            }
        }
        if let Some(content_type) = &self.content_type {
            request = request.header("content-type", content_type.as_slice());
        }
        if !self.body.is_empty() {
            request = request.body(self.body.clone());
        }
        service.send(request).await
    }

    /// Everything that the client wrote, in words of four characters and more.
    fn words(&self) -> BTreeSet<String> {
        let authorization = self.authorization.iter().flatten().flatten();
        let bytes: Vec<u8> = (self.path.bytes().chain([b' ']))
            .chain(self.body.iter().copied())
            .chain([b' '])
            .chain(authorization.copied())
            .chain([b' '])
            .chain(self.content_type.iter().flatten().copied())
            .collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| word.chars().count() >= 4);
        // The contract's own words are the service's to say, and a field's name that is nearly one of them.
        let ours = [
            "method",
            "phone_number",
            "code",
            "CODE",
            "pending",
            "purpose",
            "regenerate_backup_codes",
            "enroll",
            "replace",
            "sign_in",
            "change",
            "application",
            "json",
            "Bearer",
            "POST",
            "auth",
            "verify",
            "true",
        ];
        words.filter(|word| !ours.contains(word)).map(str::to_owned).collect()
    }
}

/// Year 2027, when the tests' clock starts, and ten years later.
const NOW: u64 = 1_798_761_600;
const LATER: u64 = NOW + 315_360_000;

fn claims(user: &str) -> Value {
    json!({"sub": user, "exp": LATER})
}

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::hmac(SECRET))
}

fn token(claims: &Value) -> String {
    key().token("any", claims)
}

/// What every answer of the service has, whatever was asked.
#[track_caller]
fn check_form(reply: &Reply, reason: &str) {
    assert_eq!(reply.header("cache-control"), "no-store", "{reason}");
    assert_eq!(reply.header("x-content-type-options"), "nosniff", "{reason}");
    let id = reply.header("x-request-id");
    assert!(!id.is_empty(), "{reason}");
    if reply.status == 200 {
        assert_eq!(reply.header("content-type"), "application/json", "{reason}");
        assert!(reply.body.is_object(), "{reason}: {}", reply.body);
        return;
    }
    assert_eq!(reply.header("content-type"), "application/problem+json", "{reason}");
    let code = reply.problem();
    assert_eq!(reply.body["type"], format!("urn:2fa:problem:{code}"), "{reason}");
    assert_eq!(reply.body["status"], reply.status, "{reason}");
    assert_eq!(reply.body["request_id"], id, "{reason}");
    for member in ["title", "detail", "code"] {
        assert!(reply.body[member].as_str().is_some_and(|text| !text.is_empty()), "{reason}: {member}");
    }
    assert!(reply.body["detail"].as_str().unwrap().ends_with('.'), "{reason}: a sentence");
    assert_eq!(reply.body.get("errors").is_some(), code == "invalid_request", "{reason}");
    let extras: &[&str] = match code {
        "invalid_request" => &["errors"],
        "invalid_code" => &["attempts_remaining"],
        "invalid_phone_number" | "phone_number_not_allowed" | "unauthorized" => &["reason"],
        "code_superseded" | "wrong_purpose" => &["purpose"],
        "rate_limited" => &["retry_after", "reason"],
        "locked" => &["retry_after"],
        _ => &[],
    };
    let known = [&["type", "title", "status", "detail", "code", "request_id"], extras].concat();
    for member in reply.body.as_object().unwrap().keys() {
        assert!(known.contains(&member.as_str()), "{reason}: {member}");
    }
    // But for a wrong backup code, at which guesses are not limited, each extra is there.
    for member in extras.iter().filter(|member| **member != "attempts_remaining") {
        assert!(!reply.body[*member].is_null(), "{reason}: {member}");
    }
    assert_eq!(reply.header("www-authenticate").is_empty(), reply.status != 401, "{reason}");
    assert_eq!(reply.header("allow").is_empty(), reply.status != 405, "{reason}");
    assert_eq!(reply.header("retry-after").is_empty(), reply.body.get("retry_after").is_none(), "{reason}");
}

/// What a person reads in an answer.
fn sentences(reply: &Reply) -> String {
    let errors = reply.body["errors"].as_array().into_iter().flatten().map(|error| &error["detail"]);
    let sentences = errors.chain([&reply.body["detail"], &reply.body["title"]]);
    sentences.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

fn fields(reply: &Reply) -> Vec<&str> {
    reply.body["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str()).collect()
}

/// Bodies that are no JSON object, for each endpoint that reads one.
fn bodies() -> Vec<Case> {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    let shapes: Vec<(Vec<u8>, &str)> = vec![
        (b" ".to_vec(), "a blank body"),
        (b"null".to_vec(), "null"),
        (b"true".to_vec(), "a boolean"),
        (b"[]".to_vec(), "a list"),
        (b"135799".to_vec(), "a number"),
        (b"\"135799\"".to_vec(), "a string"),
        (b"1e99999".to_vec(), "a number beyond all bounds"),
        (b"{".to_vec(), "cut"),
        (b"{}}".to_vec(), "an end too many"),
        (b"{} {}".to_vec(), "two objects"),
        (b"{},".to_vec(), "something after it"),
        (b"{,}".to_vec(), "a comma"),
        (b"{\"a\": 1,}".to_vec(), "a comma too many"),
        (b"{'a': 1}".to_vec(), "other quotes"),
        (b"{\"a\": .5}".to_vec(), "half a number"),
        (b"{\"a\" 1}".to_vec(), "no colon"),
        (b"{\"a\": undefined}".to_vec(), "JavaScript"),
        (b"{\"a\": \"\\x41\"}".to_vec(), "not an escape"),
        (b"{\"a\": \"\\u12\"}".to_vec(), "half an escape"),
        (b"{\"a\": \"first\nsecond\"}".to_vec(), "a raw line break"),
        (b"{\"a\": \"nul\0byte\"}".to_vec(), "a raw NUL"),
        (b"{}\0".to_vec(), "a NUL at the end"),
        (b"\0\0\0\0".to_vec(), "NULs only"),
        (b"\xef\xbb\xbf{}".to_vec(), "a byte order mark"),
        (b"\xff\xfe{\0}\0".to_vec(), "UTF-16"),
        (b"{\"a\": \"\xc0\xaf\"}".to_vec(), "an overlong form"),
        (b"{\"\xff\": 1}".to_vec(), "a name that is no UTF-8"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec(), "gzip"),
        (b"method=sms&phone_number=%2B12015550199".to_vec(), "a form"),
        (b"<code>135799</code>".to_vec(), "XML"),
        (nested(2000), "nested lists"),
        (b"[".repeat(4096), "lists without an end"),
        (b"{\"a\":".repeat(800), "objects without an end"),
    ];
    let endpoints = [("POST", "setup"), ("DELETE", "setup"), ("POST", "send-sms"), ("POST", "verify")];
    let mut cases = Vec::new();
    for (method, function) in endpoints {
        for (body, reason) in &shapes {
            cases.push(Case::new(method, function, body, *reason).names(&["body"]));
        }
        let padded = |bytes: usize| format!("{{\"padding\": \"{}\"}}", "x".repeat(bytes - 15));
        cases.push(Case::new(method, function, padded(4097), "4097 bytes").gets(TOO_LARGE));
        cases.push(Case::new(method, function, " ".repeat(4097), "4097 spaces").gets(TOO_LARGE));
        cases.push(Case::new(method, function, vec![0xff; 1_000_000], "a megabyte of no UTF-8").gets(TOO_LARGE));
        cases.push(Case::new(method, function, padded(5000), "too large, and no JSON").typed(Some("text/plain")).gets(TOO_LARGE));
        for (content_type, reason) in [
            (None, "no type"),
            (Some(&b"text/plain"[..]), "text"),
            (Some(b"application/x-www-form-urlencoded"), "a form"),
            (Some(b"application/json, application/json"), "two types in one"),
            (Some(b"application/jsonp"), "a longer name"),
            (Some(b"application/ json"), "a space inside"),
            (Some(b"json"), "half a type"),
            (Some(b"*/*"), "any type"),
            (Some(b"\xc3\xbc"), "a type that is not ASCII"),
        ] {
            cases.push(Case::new(method, function, "{}", reason).typed(content_type).gets(NOT_JSON));
        }
    }
    let full = format!("{{\"padding\": \"{}\"}}", "x".repeat(4096 - 15));
    assert_eq!(full.len(), 4096);
    cases.push(Case::new("POST", "verify", full, "4096 bytes are read").names(&["code"]));
    let extra = format!("{{\"extra\": {}}}", String::from_utf8(nested(2000)).unwrap());
    cases.push(Case::new("POST", "verify", extra, "an unknown field that nests deeply is not looked into").names(&["code"]));
    cases
}

/// Fields of the wrong type, missing, or there twice.
fn wrong_fields() -> Vec<Case> {
    let values: &[(&str, &str)] = &[
        ("true", "a boolean"),
        ("0", "zero"),
        ("135799", "a number"),
        ("-1.5e300", "a big number"),
        ("1e99999", "a number beyond all bounds"),
        ("[]", "a list"),
        ("[\"135799\"]", "a list of one"),
        ("{}", "an object"),
        ("{\"value\": \"135799\"}", "an object of one"),
        ("\"\\ud800\"", "half a character"),
    ];
    let mut cases = Vec::new();
    for (value, reason) in values {
        let case = |method, function, field: &'static str, body: String| {
            Case::new(method, function, body, format!("{field}: {reason}")).names(&[field])
        };
        cases.push(case("POST", "verify", "code", format!(r#"{{"code": {value}}}"#)));
        cases.push(case("DELETE", "setup", "code", format!(r#"{{"code": {value}}}"#)));
        cases.push(case("POST", "setup", "method", format!(r#"{{"method": {value}, "phone_number": "+12015550199"}}"#)));
        cases.push(case("POST", "setup", "phone_number", format!(r#"{{"method": "sms", "phone_number": {value}}}"#)));
        let setup = format!(r#"{{"method": "sms", "phone_number": "+12015550199", "code": {value}}}"#);
        cases.push(case("POST", "setup", "code", setup));
        cases.push(case("POST", "send-sms", "purpose", format!(r#"{{"purpose": {value}}}"#)));
        cases.push(case("POST", "send-sms", "pending", format!(r#"{{"pending": {value}}}"#)));
        cases.push(case("POST", "verify", "purpose", format!(r#"{{"code": "135799", "purpose": {value}}}"#)));
        cases.push(case("POST", "setup", "code", format!(r#"{{"method": "none", "code": {value}}}"#)));
        if *value != "true" {
            let verify = format!(r#"{{"code": "135799", "regenerate_backup_codes": {value}}}"#);
            cases.push(case("POST", "verify", "regenerate_backup_codes", verify));
        }
    }
    let singles: &[(&str, &str, &str, &[&'static str], &str)] = &[
        ("POST", "verify", "", &["code"], "no body"),
        ("POST", "verify", "{}", &["code"], "nothing"),
        ("POST", "verify", r#"{"code": null}"#, &["code"], "null is nothing"),
        ("POST", "verify", r#"{"CODE": "135799"}"#, &["code"], "names are case-sensitive"),
        ("POST", "verify", r#"{"code ": "135799"}"#, &["code"], "a name with a space"),
        ("POST", "verify", r#"{"": "135799"}"#, &["code"], "an empty name"),
        ("POST", "verify", r#"{"code": "135799", "code": "135799"}"#, &["code"], "twice the same"),
        ("POST", "verify", r#"{"code": null, "code": "135799"}"#, &["code"], "null and a code"),
        ("POST", "verify", r#"{"code": "135799", "\u0063ode": "246800"}"#, &["code"], "twice, once in disguise"),
        ("POST", "verify", r#"{"code": 1, "regenerate_backup_codes": 1}"#, &["code", "regenerate_backup_codes"], "both wrong"),
        ("POST", "verify", r#"{"regenerate_backup_codes": true}"#, &["code"], "a flag alone"),
        ("POST", "verify", r#"{"code": 1, "purpose": 1}"#, &["code", "purpose"], "code and purpose"),
        ("POST", "verify", r#"{"code": "135799", "purpose": "SIGN_IN"}"#, &["purpose"], "capitals"),
        ("POST", "verify", r#"{"code": "135799", "purpose": ""}"#, &["purpose"], "an empty purpose"),
        ("POST", "verify", r#"{"code": "135799", "purpose": "enroll", "purpose": "enroll"}"#, &["purpose"], "a purpose twice"),
        (
            "POST",
            "verify",
            r#"{"code": "135799", "purpose": "sign_in", "regenerate_backup_codes": true}"#,
            &["purpose"],
            "a sign-in that makes backup codes anew",
        ),
        ("POST", "verify", r#"{"code": "0123-4567-89AB-CDEF", "purpose": "replace"}"#, &["code"], "a backup code for a number"),
        ("POST", "send-sms", r#"{"purpose": "login"}"#, &["purpose"], "no purpose of ours"),
        ("POST", "send-sms", r#"{"purpose": "change\u0000"}"#, &["purpose"], "a NUL"),
        ("POST", "send-sms", r#"{"purpose": "change", "purpose": "change"}"#, &["purpose"], "twice the same"),
        ("POST", "send-sms", r#"{"pending": "true"}"#, &["pending"], "a flag in quotes"),
        ("POST", "send-sms", r#"{"pending": false}"#, &["pending"], "of the version before, and false"),
        ("POST", "send-sms", r#"{"pending": true, "pending": true}"#, &["pending"], "a flag twice"),
        ("POST", "send-sms", r#"{"pending": true, "purpose": "login"}"#, &["pending", "purpose"], "both"),
        ("POST", "setup", "", &["method", "phone_number"], "no body"),
        ("POST", "setup", "{}", &["method", "phone_number"], "nothing"),
        ("POST", "setup", r#"{"method": null, "phone_number": null}"#, &["method", "phone_number"], "nulls"),
        ("POST", "setup", r#"{"method": "sms"}"#, &["phone_number"], "no number"),
        ("POST", "setup", r#"{"phone_number": "+12015550199"}"#, &["method"], "no method"),
        ("POST", "setup", r#"{"method": "SMS", "phone_number": "+12015550199"}"#, &["method"], "capitals"),
        ("POST", "setup", r#"{"method": "sms ", "phone_number": "+12015550199"}"#, &["method"], "a space"),
        ("POST", "setup", r#"{"method": "", "phone_number": "+12015550199"}"#, &["method"], "an empty method"),
        ("POST", "setup", r#"{"method": "totp", "phone_number": "+12015550199"}"#, &["method"], "another method"),
        ("POST", "setup", r#"{"method": "sms\u0000", "phone_number": "+12015550199"}"#, &["method"], "a NUL"),
        (
            "POST",
            "setup",
            r#"{"method": "sms", "phone_number": "+12015550199", "phone_number": "+12015550198"}"#,
            &["phone_number"],
            "two numbers",
        ),
        ("POST", "setup", r#"{"method": 1, "phone_number": 2, "code": 3}"#, &["method", "phone_number", "code"], "all wrong"),
    ];
    cases.extend(
        singles.iter().map(|(method, function, body, names, reason)| Case::new(method, function, body, *reason).names(names)),
    );
    cases
}

/// Texts that have no code's shape, wherever a code is read.
fn codes() -> Vec<Case> {
    let texts = [
        ("", "empty"),
        (" ", "a space"),
        ("-", "a hyphen"),
        ("13579", "five digits"),
        ("1357999", "seven digits"),
        ("13579a", "a letter"),
        ("0x1357", "hexadecimal"),
        ("1357.9", "a fraction"),
        ("1.357e5", "an exponent"),
        ("+13579", "a plus"),
        ("135,799", "a comma"),
        ("135_799", "an underscore"),
        ("١٣٥٧٩٩", "Arabic-Indic digits"),
        ("१३५७९९", "Devanagari digits"),
        ("𝟏𝟑𝟓𝟕𝟗𝟗", "mathematical digits"),
        ("①③⑤⑦⑨⑨", "digits in circles"),
        ("135\u{200b}799", "a space of no width"),
        ("135\u{2013}799", "a dash"),
        ("135\u{2212}799", "a minus"),
        ("##135799", "two of #"),
        ("135799#", "a # at the end"),
        (".135799", "a full stop before it"),
        ("135.799", "a full stop within"),
        ("135799..", "two full stops"),
        ("１３５７９", "five full-width digits"),
        ("\u{202e}135799", "from right to left"),
        ("\u{feff}135799", "a byte order mark"),
        ("135799\0", "a NUL"),
        ("' OR 1=1 --", "SQL"),
        ("${jndi:ldap://x.example/a}", "a lookup"),
        ("ABCD-EFGH-JKMN-PQR", "15 characters"),
        ("ABCD-EFGH-JKMN-PQRST", "17 characters"),
        ("ABCD-EFGH-UJKM-NPQR", "a U"),
        ("ABCD.EFGH.JKMN.PQRS", "full stops"),
        ("ＡBCD-EFGH-JKMN-PQRS", "a full-width letter"),
    ];
    let mut cases: Vec<_> = texts
        .iter()
        .map(|(text, reason)| Case::new("POST", "verify", json!({"code": text}).to_string(), *reason).names(&["code"]))
        .collect();
    for (text, reason) in &texts[..12] {
        cases.push(Case::new("DELETE", "setup", json!({"code": text}).to_string(), *reason).names(&["code"]));
        let setup = json!({"method": "sms", "phone_number": "+12015550199", "code": text}).to_string();
        cases.push(Case::new("POST", "setup", setup, *reason).names(&["code"]));
    }
    let long = json!({"code": "1".repeat(4000)}).to_string();
    cases.push(Case::new("POST", "verify", long, "4000 digits").names(&["code"]));
    cases
}

/// Texts that are no number, and numbers that get no code.
fn numbers() -> Vec<Case> {
    const FORMAT: ((u16, &str), &str) = (NO_NUMBER, "format");
    const NO_SUCH_NUMBER: ((u16, &str), &str) = (NO_NUMBER, "no_such_number");
    const COUNTRY: ((u16, &str), &str) = (NOT_ALLOWED, "country");
    const LINE_TYPE: ((u16, &str), &str) = (NOT_ALLOWED, "line_type");
    let texts = [
        ("", FORMAT, "empty"),
        ("+", FORMAT, "a plus"),
        ("+1", FORMAT, "a country"),
        ("2015550199", FORMAT, "national"),
        ("12015550199", FORMAT, "no plus"),
        ("0012015550199", FORMAT, "an international prefix"),
        ("++12015550199", FORMAT, "two pluses"),
        ("+12015550199+", FORMAT, "a plus at the end"),
        ("-12015550199", FORMAT, "a minus"),
        ("1 201 555 0199", FORMAT, "separators, and no plus"),
        ("(+1) 201 555 0199", FORMAT, "a bracket before the plus"),
        ("+1/201/555/0199", FORMAT, "slashes"),
        ("+1_201_555_0199", FORMAT, "underscores"),
        ("+1 201 555 0199 ext. 5", FORMAT, "separators, and an extension"),
        ("tel:+12015550199", FORMAT, "a URI"),
        ("+12015550199;ext=5", FORMAT, "an extension"),
        ("+12015550199x5", FORMAT, "another extension"),
        ("+12015550199,+12015550198", FORMAT, "two numbers"),
        ("+1201555ABCD", FORMAT, "letters for digits"),
        ("+0201555019", FORMAT, "a zero first"),
        ("+1201555019900000", FORMAT, "16 digits"),
        ("＋12015550199", FORMAT, "a full-width plus"),
        ("+１２０１５５５０１９９", FORMAT, "full-width digits"),
        ("+١٢٠١٥٥٥٠١٩٩", FORMAT, "Arabic-Indic digits"),
        ("+1206555\u{200b}0143", FORMAT, "a space of no width"),
        ("+12015550199\0", FORMAT, "a NUL"),
        ("+12015550199\r\nTo: +19005551234", FORMAT, "a header"),
        ("+1201", NO_SUCH_NUMBER, "too short for the USA"),
        ("+120155501999", NO_SUCH_NUMBER, "too long for the USA"),
        ("+11234567890", NO_SUCH_NUMBER, "no such area"),
        ("+12010550199", NO_SUCH_NUMBER, "no such exchange"),
        ("+99955551299", NO_SUCH_NUMBER, "no such country"),
        ("+4474001234", NO_SUCH_NUMBER, "too short for the United Kingdom"),
        ("+33612345678", COUNTRY, "France"),
        ("+919876543210", COUNTRY, "India"),
        ("+8613812345678", COUNTRY, "China"),
        ("+5511961234567", COUNTRY, "Brazil"),
        ("+18762101234", COUNTRY, "Jamaica, which shares +1"),
        ("+17872345678", COUNTRY, "Puerto Rico, which shares +1"),
        ("+12423591234", COUNTRY, "the Bahamas, which share +1"),
        ("+447781123456", COUNTRY, "Guernsey, which shares +44"),
        ("+447797712345", COUNTRY, "Jersey, which shares +44"),
        ("+447624123456", COUNTRY, "the Isle of Man, which shares +44"),
        ("+442079460000", LINE_TYPE, "a landline in London"),
        ("+448001234567", LINE_TYPE, "toll-free in the United Kingdom"),
        ("+449012345678", LINE_TYPE, "premium rate in the United Kingdom"),
        ("+448431234567", LINE_TYPE, "shared cost in the United Kingdom"),
        ("+447012345678", LINE_TYPE, "a personal number in the United Kingdom"),
        ("+445612345678", LINE_TYPE, "VoIP in the United Kingdom"),
        ("+445512345678", LINE_TYPE, "a company's number in the United Kingdom"),
        ("+447640123456", LINE_TYPE, "a pager in the United Kingdom"),
        ("+4930123456", LINE_TYPE, "a landline in Berlin"),
        ("+498001234567", LINE_TYPE, "toll-free in Germany"),
        ("+499001234567", LINE_TYPE, "premium rate in Germany"),
        ("+4918012345", LINE_TYPE, "shared cost in Germany"),
        ("+4970012345678", LINE_TYPE, "a personal number in Germany"),
        ("+4916412345", LINE_TYPE, "a pager in Germany"),
        ("+61212345678", LINE_TYPE, "a landline in Sydney"),
        ("+611800123456", LINE_TYPE, "toll-free in Australia"),
        ("+611900123456", LINE_TYPE, "premium rate in Australia"),
        ("+611300123456", LINE_TYPE, "shared cost in Australia"),
        ("+61147101234", LINE_TYPE, "VoIP in Australia"),
        ("+18005551234", LINE_TYPE, "toll-free in North America"),
        ("+18885551234", LINE_TYPE, "toll-free again"),
        ("+19005551234", LINE_TYPE, "premium rate in North America"),
        ("+12129761234", LINE_TYPE, "a pay-per-call exchange in North America"),
        ("+1 (212) 976-1234", LINE_TYPE, "the same, as people write it"),
        ("+15002345678", LINE_TYPE, "a personal number in North America"),
        ("+80012345678", LINE_TYPE, "toll-free everywhere"),
        ("+808012345678", NO_SUCH_NUMBER, "too long for what it begins with"),
        ("+979123456789", LINE_TYPE, "premium rate everywhere"),
        ("+870773111632", LINE_TYPE, "a ship"),
        ("+883510012345", LINE_TYPE, "an international network"),
    ];
    let body = |number: &str| json!({"method": "sms", "phone_number": number}).to_string();
    let case =
        |(number, (outcome, because), reason)| Case::new("POST", "setup", body(number), reason).gets(outcome).because(because);
    let mut cases: Vec<_> = texts.into_iter().map(case).collect();
    let long = format!("+{}", "9".repeat(4000));
    cases.push(case((&long, FORMAT, "4000 digits")));
    cases
}

/// Paths that do not exist, and methods that a path does not know.
fn paths_and_methods() -> Vec<Case> {
    let mut cases: Vec<_> = [
        ("/", "the root"),
        ("/api/v1/auth/2fa", "half a path"),
        ("/api/v1/auth/2fa/", "half a path, with a slash"),
        ("/api/v1/auth/2fa/setups/", "a longer name"),
        ("/api/v1/auth/2fa/setu/", "a shorter name"),
        ("/api/v1/auth/2fa/setup//", "a slash too many at the end"),
        ("//api/v1/auth/2fa/setup/", "a slash too many at the beginning"),
        ("/api/v1/auth//2fa/verify/", "a slash too many in the middle"),
        ("/api/v1/auth/2fa/setup/extra", "below it"),
        ("/api/v1/auth/2fa/SETUP/", "capitals"),
        ("/API/v1/auth/2fa/verify/", "other capitals"),
        ("/api/v2/auth/2fa/setup/", "another version"),
        ("/prod/api/v1/auth/2fa/setup/", "behind a stage"),
        ("/api/v1/auth/2fa/%73etup/", "an escape"),
        ("/api/v1/auth/2fa/setup%2f", "an escaped slash"),
        ("/api/v1/auth%2F2fa/verify", "an escaped slash in the middle"),
        ("/api/v1/auth/2fa/setup%00", "a NUL"),
        ("/api/v1/auth/2fa/verify/%2e%2e/setup%20", "dots"),
        ("/api/v1/auth/2fa/send_sms/", "an underscore"),
        ("/api/v1/auth/2fa/sendsms/", "no hyphen"),
        ("/api/v1/auth/2fa/verify;x=1/", "a parameter"),
        ("/api/v1/auth/2fa/%EF%BC%B6erify/", "a full-width letter"),
        ("/api/v1/auth/2fa/%ff/", "no UTF-8"),
        ("/favicon.ico", "what a browser asks for"),
        ("/.env", "what a scanner asks for"),
    ]
    .into_iter()
    .map(|(path, reason)| Case::new("POST", "", "{}", reason).at(path).gets(NOT_FOUND))
    .collect();
    let long = format!("/{}", "a".repeat(8000));
    cases.push(Case::new("GET", "", "", "a long path").at(&long).gets(NOT_FOUND));
    cases.push(Case::new("GET", "", "", "no token is looked at").at("/nowhere").authorized(&["Bearer x"]).gets(NOT_FOUND));
    for (function, allow, methods) in [
        ("setup", "POST, GET, DELETE", &["PUT", "PATCH", "OPTIONS", "TRACE", "PURGE", "get"][..]),
        ("send-sms", "POST", &["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "post"]),
        ("verify", "POST", &["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "Post"]),
    ] {
        for method in methods {
            let case = Case::new(method, function, "", format!("{method} {function}"));
            cases.push(case.gets(WRONG_METHOD).with("allow", allow));
        }
        let slashless = Case::new("PUT", function, "{}", "without the slash").at(&format!("/api/v1/auth/2fa/{function}"));
        cases.push(slashless.gets(WRONG_METHOD).with("allow", allow));
        let query = Case::new("PUT", function, "{", "a query changes no method");
        cases.push(query.at(&format!("/api/v1/auth/2fa/{function}/?_method=POST")).gets(WRONG_METHOD).with("allow", allow));
        let anonymous: [&str; 0] = [];
        let case = Case::new("PUT", function, "", "the method comes before the token").authorized(&anonymous);
        cases.push(case.gets(WRONG_METHOD).with("allow", allow));
    }
    cases
}

/// Credentials that are missing or no good.
fn credentials() -> Vec<Case> {
    let good = token(&claims(NOBODY));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = base64url(r#"{"alg":"none","typ":"JWT"}"#);
    let signed = |alg: &str| key().sign(&json!({"alg": alg, "typ": "JWT"}), &claims(NOBODY));
    let claiming = |claims: Value| format!("Bearer {}", token(&claims));
    let other_payload = base64url(claims("mallory").to_string());
    let foreign = SigningKey::hmac("another secret that has 32 bytes or more");
    let (first, rest) = signature.split_at(1);
    let flipped = format!("{}{rest}", if first == "A" { "B" } else { "A" });
    let nobody: &[(&[String], &str)] = &[
        (&[], "no header"),
        (&[String::new()], "an empty header"),
        (&["Bearer".into()], "a scheme alone"),
        (&["Bearer  ".into()], "a blank token"),
        (&["Basic YWxpY2U6cGFzc3dvcmQ=".into()], "another scheme"),
        (&["Digest username=alice".into()], "yet another scheme"),
        (std::slice::from_ref(&good), "no scheme"),
        (&[format!("Token {good}")], "an unknown scheme"),
        (&[format!("Bearer{good}")], "no space"),
        (&[format!("Bearer\t{good}")], "a tab"),
        (&["Basic eA==".into(), format!("Bearer {good}")], "two schemes, which count as the first"),
    ];
    let invalid: Vec<(Vec<String>, &str)> = vec![
        (vec!["Bearer x".into()], "one word"),
        (vec!["Bearer ..".into()], "dots"),
        (vec!["Bearer null".into()], "null"),
        (vec!["Bearer \u{fc}.\u{fc}.\u{fc}".into()], "not ASCII"),
        (vec![format!("Bearer {good} {good}")], "two tokens"),
        (vec![format!("Bearer {good}, Bearer {good}")], "two headers in one"),
        (vec![format!("Bearer {good}"), format!("Bearer {good}")], "two headers"),
        (vec![format!("Bearer {header}.{payload}")], "two parts"),
        (vec![format!("Bearer {header}.{payload}.")], "no signature"),
        (vec![format!("Bearer {good}.{signature}")], "four parts"),
        (vec![format!("Bearer {good}=")], "padding"),
        (vec![format!("Bearer {header}.{other_payload}.{signature}")], "other claims"),
        (vec![format!("Bearer {header}.{payload}.{flipped}")], "another signature"),
        (vec![format!("Bearer {none}.{payload}.")], "alg none"),
        (vec![format!("Bearer {none}.{payload}.{signature}")], "alg none, and a signature"),
        (vec![format!("Bearer {}", signed("HS512"))], "HS512"),
        (vec![format!("Bearer {}", signed("HS384"))], "HS384"),
        (vec![format!("Bearer {}", signed("RS256"))], "RS256"),
        (vec![format!("Bearer {}", signed("hs256"))], "small letters"),
        (vec![format!("Bearer {}", foreign.token("any", &claims(NOBODY)))], "another secret"),
        (vec![claiming(json!({"sub": NOBODY, "exp": NOW - 61}))], "expired"),
        (vec![claiming(json!({"sub": NOBODY, "exp": NOW - 60}))], "expired, and the leeway is over"),
        (vec![claiming(json!({"sub": NOBODY}))], "no expiry"),
        (vec![claiming(json!({"sub": NOBODY, "exp": null}))], "an expiry that is null"),
        (vec![claiming(json!({"sub": NOBODY, "exp": LATER.to_string()}))], "an expiry that is a string"),
        (vec![claiming(json!({"sub": NOBODY, "exp": -1}))], "expired before all time"),
        (vec![claiming(json!({"sub": NOBODY, "exp": LATER, "nbf": NOW + 61}))], "not valid yet"),
        (vec![claiming(json!({"sub": NOBODY, "exp": LATER, "nbf": "now"}))], "valid from no time"),
        (vec![claiming(json!({"exp": LATER}))], "no user"),
        (vec![claiming(json!({"exp": LATER, "sub": null}))], "a user that is null"),
        (vec![claiming(json!({"exp": LATER, "sub": ""}))], "an empty user"),
        (vec![claiming(json!({"exp": LATER, "sub": "u".repeat(129)}))], "a user of 129 characters"),
        (vec![claiming(json!({"exp": LATER, "sub": true}))], "a user that is a boolean"),
        (vec![claiming(json!({"exp": LATER, "sub": 1.5}))], "a user that is a fraction"),
        (vec![claiming(json!({"exp": LATER, "sub": 1e300}))], "a user beyond any integer"),
        (vec![claiming(json!({"exp": LATER, "sub": [NOBODY]}))], "a list of users"),
        (vec![claiming(json!({"exp": LATER, "sub": {"id": NOBODY}}))], "a user that is an object"),
        (vec![claiming(json!([NOBODY]))], "claims that are a list"),
        (vec![claiming(json!(NOBODY))], "claims that are a string"),
        (vec![claiming(json!({"sub": NOBODY, "exp": LATER, "pad": "x".repeat(9000)}))], "a huge token"),
        (vec![format!("Bearer {}", "a".repeat(12_000))], "a huge word"),
        (vec![format!("Bearer {}.e30.e30", base64url("[".repeat(5000)))], "a header that nests deeply"),
    ];
    let body = r#"{"code": "135799"}"#;
    let mut cases = Vec::new();
    for (values, reason) in nobody {
        cases.push(
            Case::new("POST", "verify", body, *reason)
                .authorized(values)
                .gets(UNAUTHORIZED)
                .because("missing")
                .with("www-authenticate", NO_TOKEN),
        );
    }
    for (values, reason) in &invalid {
        cases.push(
            Case::new("POST", "verify", body, *reason)
                .authorized(values)
                .gets(UNAUTHORIZED)
                .because(if reason.starts_with("expired") { "expired" } else { "invalid" })
                .with("www-authenticate", BAD_TOKEN),
        );
    }
    let no_text = Case::new("POST", "verify", body, "no UTF-8").authorized(&[b"Bearer \xff\xfe"]);
    cases.push(no_text.gets(UNAUTHORIZED).with("www-authenticate", BAD_TOKEN));
    // The token comes before all that the body says, at every endpoint.
    for (method, function) in [("POST", "setup"), ("GET", "setup"), ("DELETE", "setup"), ("POST", "send-sms"), ("POST", "verify")]
    {
        for (values, challenge) in [(&[][..], NO_TOKEN), (&["Bearer x"][..], BAD_TOKEN)] {
            let body: &[u8] = if method == "GET" { b"" } else { b"{" };
            let case = Case::new(method, function, body, format!("{challenge}: {method} {function}")).typed(Some("text/plain"));
            cases.push(case.authorized(values).gets(UNAUTHORIZED).with("www-authenticate", challenge));
        }
    }
    let large = Case::new("POST", "verify", "x".repeat(100_000), "too large, and no token").authorized(&["Bearer x"]);
    cases.push(large.gets(UNAUTHORIZED).with("www-authenticate", BAD_TOKEN));
    cases
}

const PENDING: &str = "pending";
const ENABLED: &str = "enabled";
const STARTED: &str = "started";

/// Requests that are well formed and refused for what the user's account is: of a user without anything, of one whose enrollment
/// is pending, and of one with 2FA on and no code out.
#[expect(clippy::too_many_lines, reason = "it is one table")]
fn states(code_of_pending: &str) -> Vec<Case> {
    let setup = |number: &str| json!({"method": "sms", "phone_number": number}).to_string();
    let code = |code: &str| json!({"code": code}).to_string();
    let nothing = (409, "no_pending_verification");
    let not_enabled = (409, "not_enabled");
    let wrong_code = (400, "invalid_code");
    let wrong_purpose = (409, "wrong_purpose");
    let replacing = (403, "verification_required");
    let replace = |proof: &str| json!({"method": "sms", "phone_number": WORK, "code": proof}).to_string();
    let backup = "0123-4567-89AB-CDEF";
    let purpose = |code: &str, purpose: &str| json!({"code": code, "purpose": purpose}).to_string();
    let off = |code: Option<&str>| json!({"method": "none", "code": code}).to_string();
    let mut cases = vec![
        Case::new("POST", "send-sms", "", "nothing to send").by(STARTED).gets(nothing),
        Case::new("POST", "send-sms", "{}", "nothing to send, and a body").by(STARTED).gets(nothing),
        Case::new("POST", "send-sms", r#"{"purpose": null}"#, "null for the usual purpose").by(STARTED).gets(nothing),
        Case::new("POST", "send-sms", r#"{"pending": null}"#, "null is nothing").by(STARTED).gets(nothing),
        Case::new("POST", "send-sms", "", "no body needs no type").typed(None::<&str>).by(STARTED).gets(nothing),
        Case::new("POST", "verify", code("135799"), "nothing to verify").by(STARTED).gets(nothing),
        Case::new("POST", "verify", code(" 135-799 "), "spaces and hyphens").by(STARTED).gets(nothing),
        Case::new("POST", "verify", code("000000"), "zeros").by(STARTED).gets(nothing),
        Case::new("POST", "verify", code("1 3 5 7 9 9"), "spaces everywhere").by(STARTED).gets(nothing),
        Case::new("POST", "verify", r#"{"code": "\u0031\u00335799"}"#, "escapes").by(STARTED).gets(nothing),
        Case::new("POST", "verify", code(backup), "no backup codes").by(STARTED).gets(nothing),
        Case::new("POST", "verify", code("0123456789ABCDEF"), "a backup code without hyphens").by(STARTED).gets(nothing),
        Case::new("POST", "verify", r#"{"code": "135799", "regenerate_backup_codes": true}"#, "nothing to regenerate")
            .by(STARTED)
            .gets(nothing),
        Case::new("POST", "verify", r#"{"code": "135799", "x": 1, "x": 2}"#, "an unknown field twice").by(STARTED).gets(nothing),
        Case::new("POST", "verify", code("135799"), "a charset")
            .typed(Some("Application/JSON ; charset=\"utf-8\""))
            .by(STARTED)
            .gets(nothing),
        Case::new("POST", "verify", code("135799"), "without the slash").at("/api/v1/auth/2fa/verify").by(STARTED).gets(nothing),
        Case::new("POST", "verify", code("135799"), "a query").at("/api/v1/auth/2fa/verify?sub=x").by(STARTED).gets(nothing),
        Case::new("DELETE", "setup", "", "nothing to turn off").by(STARTED).gets(not_enabled),
        Case::new("DELETE", "setup", "{}", "nothing to turn off, and a body").by(STARTED).gets(not_enabled),
        Case::new("DELETE", "setup", r#"{"code": null}"#, "null for a proof").by(STARTED).gets(not_enabled),
        Case::new("DELETE", "setup", code("135799"), "a proof of nothing").by(STARTED).gets(not_enabled),
        Case::new("DELETE", "setup", code(backup), "a backup code of nothing").by(STARTED).gets(not_enabled),
        Case::new("POST", "verify", code(wrong(code_of_pending)), "a wrong code").by(PENDING).gets(wrong_code),
        Case::new("POST", "verify", code(backup), "backup codes there are none").by(PENDING).gets(nothing),
        Case::new("POST", "verify", r#"{"code": "135799", "regenerate_backup_codes": true}"#, "no backup codes to replace")
            .by(PENDING)
            .gets(wrong_purpose),
        Case::new("POST", "setup", setup("+33612345678"), "not even pending").by(PENDING).gets(NOT_ALLOWED),
        Case::new("POST", "setup", setup(HOME), "the same number, of which nothing is told").by(ENABLED).gets(replacing),
        Case::new("POST", "setup", setup("+112015550123"), "the same number, in another spelling").by(ENABLED).gets(replacing),
        Case::new("POST", "setup", setup(WORK), "another number").by(ENABLED).gets(replacing),
        Case::new("POST", "setup", replace("135799"), "no code is out").by(ENABLED).gets(nothing),
        Case::new("POST", "setup", replace(backup), "a wrong backup code").by(ENABLED).gets(wrong_code),
        Case::new("POST", "verify", code("135799"), "no code is out").by(ENABLED).gets(nothing),
        Case::new("POST", "verify", code(backup), "a wrong backup code").by(ENABLED).gets(wrong_code),
        Case::new("DELETE", "setup", "", "no proof").by(ENABLED).gets(replacing),
        Case::new("DELETE", "setup", "{}", "no proof, and a body").by(ENABLED).gets(replacing),
        Case::new("DELETE", "setup", r#"{"code": null}"#, "null for a proof").by(ENABLED).gets(replacing),
        Case::new("DELETE", "setup", code("135799"), "no code is out").by(ENABLED).gets(nothing),
        Case::new("DELETE", "setup", code(backup), "a wrong backup code").by(ENABLED).gets(wrong_code),
        Case::new("POST", "setup", off(None), "nothing to turn off, without a DELETE").by(STARTED).gets(not_enabled),
        Case::new("POST", "setup", off(Some(backup)), "a backup code of nothing").by(STARTED).gets(not_enabled),
        Case::new("POST", "setup", off(None), "no proof").by(ENABLED).gets(replacing),
        Case::new("POST", "setup", off(Some("135799")), "no code is out").by(ENABLED).gets(nothing),
        Case::new("POST", "setup", off(Some(backup)), "a wrong backup code").by(ENABLED).gets(wrong_code),
    ];
    for (text, reason) in [
        ("１３５７９９", "full-width digits"),
        ("13579９", "one full-width digit"),
        ("135\t799", "a tab"),
        ("135799\n", "a line break"),
        ("135799\r\n", "a line break of Windows"),
        ("135\u{a0}799", "a no-break space"),
        ("135\u{2009}799", "a thin space"),
        ("135\u{3000}799", "a wide space"),
        ("135\u{2011}799", "a no-break hyphen"),
        ("#135799", "a leading #"),
        ("135799.", "a full stop at the end"),
        (" # 135-799 . ", "all of that"),
        ("abcd-efgh-jkmn-pqrs", "small letters"),
        ("ABCD EFGH JKMN PQRS", "a backup code with spaces"),
        ("ABCD-EFGH-IJKM-NPQR", "an I for a 1"),
        ("ABCD-EFGH-LJKM-NPQR", "an L for a 1"),
        ("ABCD-EFGH-OJKM-NPQR", "an O for a 0"),
    ] {
        let reason = format!("{reason}: a code as people paste it, but nothing to verify");
        cases.push(Case::new("POST", "verify", code(text), reason).by(STARTED).gets(nothing));
    }
    // Of every purpose that does not go with the state there is nothing to send, and the code that is out is for something else.
    for name in ["enroll", "replace", "sign_in", "confirm", "change"] {
        let send = |user, reason: &str| {
            Case::new("POST", "send-sms", json!({"purpose": name}).to_string(), format!("{name}: {reason}"))
                .by(user)
                .gets(nothing)
        };
        cases.push(send(STARTED, "nothing to send"));
        cases.push(Case::new("POST", "verify", purpose("135799", name), format!("{name}: nothing")).by(STARTED).gets(nothing));
        cases.push(Case::new("POST", "verify", purpose("135799", name), format!("{name}: nothing")).by(ENABLED).gets(nothing));
        match name {
            "enroll" => cases.push(send(ENABLED, "it is on")),
            "replace" => cases.extend([send(ENABLED, "no replacement"), send(PENDING, "nothing to replace")]),
            _ => cases.push(send(PENDING, "no number is active")),
        }
        if name != "enroll" {
            let case = Case::new("POST", "verify", purpose(code_of_pending, name), format!("{name}: the code enrolls"));
            cases.push(case.by(PENDING).gets(wrong_purpose));
        }
    }
    cases
}

#[tokio::test]
async fn every_bad_request_gets_its_status_and_code_and_leaves_nothing_s23() {
    let service = TestService::development(SETTINGS).await;
    let user = |name| service.user(name);
    let code_of_pending = user(PENDING).setup("+12015550124").await.expect(200).development_code();
    user(ENABLED).enroll(HOME).await;
    service.storage.take_calls();

    let mut cases = bodies();
    for more in [wrong_fields(), codes(), numbers(), paths_and_methods(), credentials(), states(&code_of_pending)] {
        cases.extend(more);
    }
    let distinct: BTreeSet<_> =
        cases.iter().map(|case| format!("{:?}", Case { reason: String::new(), ..case.clone() })).collect();
    assert_eq!(distinct.len(), cases.len(), "no case is there twice");
    assert!(cases.len() >= 500, "{} cases", cases.len());

    let mut failures = Vec::new();
    for case in &cases {
        let reply = case.send(&service).await;
        let calls = service.storage.take_calls();
        let reason = format!("{} {}: {}", case.method, case.path.chars().take(60).collect::<String>(), case.reason);
        if (reply.status, reply.problem()) != case.outcome || fields(&reply) != case.fields {
            failures.push(format!("{reason}: {} instead of {:?} {:?}", reply.body, case.outcome, case.fields));
            continue;
        }
        check_form(&reply, &reason);
        if let Some(because) = case.because {
            assert_eq!(reply.body["reason"], because, "{reason}");
        }
        if let Some((name, value)) = case.header {
            assert_eq!(reply.header(name), value, "{reason}");
        }
        let sentences = sentences(&reply);
        for word in case.words() {
            if sentences.contains(&word) {
                failures.push(format!("{reason}: {word:?} is repeated in {sentences:?}"));
            }
        }
        assert_eq!(calls.is_empty(), case.ends_at_the_edge(), "{reason}: {calls:?}");
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));

    let partitions: BTreeSet<_> = service.items().await.iter().map(|item| item["pk"].as_s().unwrap().clone()).collect();
    let users: Vec<_> = partitions.iter().filter(|pk| pk.starts_with("USER#")).map(String::as_str).collect();
    assert_eq!(users, ["USER#enabled", "USER#pending"], "nobody left a trace, not even in the trail (S24)");
    // Whoever was refused for a state is where they were.
    assert_eq!(user(STARTED).status().await.body["pending"], false);
    assert_eq!(user(PENDING).status().await.body["pending_phone_number_masked"], "+1****0124");
    assert_eq!(user(ENABLED).status().await.body["phone_number_masked"], "+1****0123");
    user(PENDING).verify(&code_of_pending).await.expect(200);
}

/// An event of an HTTP API for `function`, with a good token.
fn event(method: &str, function: &str, body: &Value) -> Value {
    let path = format!("/api/v1/auth/2fa/{function}/");
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {"content-type": "application/json", "authorization": format!("Bearer {}", token(&claims(NOBODY)))},
        "requestContext": {"requestId": "r-1", "stage": "$default", "routeKey": "$default",
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.7"}},
        "body": body, "isBase64Encoded": false,
    })
}

fn raw(event: &Value) -> Event {
    serde_json::from_str(&event.to_string()).unwrap()
}

#[tokio::test]
async fn every_bad_event_gets_its_answer_from_the_function_itself_s23() {
    let service = TestService::development(SETTINGS).await;
    let setup = json!({"method": "sms", "phone_number": "+12015550199"}).to_string();
    let with = |pointer: &str, value: Value| {
        let mut event = event("POST", "setup", &json!(setup));
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    let without = |pointer: &str, name: &str| {
        let mut event = event("POST", "setup", &json!(setup));
        event.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
        event
    };
    let base64 = |body: &str| {
        let mut event = event("POST", "setup", &json!(body));
        event["isBase64Encoded"] = json!(true);
        event
    };
    let twice = {
        let mut event = event("POST", "setup", &json!(setup));
        let token = event["headers"]["authorization"].clone();
        event["multiValueHeaders"] = json!({"Authorization": [token, token]});
        event
    };
    for (event, outcome, reason) in [
        (json!({}), INVALID, "nothing"),
        (json!(null), INVALID, "null"),
        (json!([[[]]]), INVALID, "lists"),
        (json!({"Records": []}), INVALID, "another service's event"),
        (without("", "requestContext"), INVALID, "no context, and so no method"),
        (without("/requestContext", "http"), INVALID, "half a context"),
        (with("/requestContext/http/method", json!(7)), INVALID, "a method that is a number"),
        (with("/requestContext/http/method", json!("PO\0ST")), INVALID, "a method with a NUL"),
        (with("/requestContext/http/method", json!("PUT")), WRONG_METHOD, "another method"),
        (without("", "rawPath"), NOT_FOUND, "no path"),
        (with("/rawPath", json!({})), NOT_FOUND, "a path that is an object"),
        (with("/rawPath", json!("/api/v1/auth/2fa/verify/")), NOT_FOUND, "another function's path"),
        (without("", "headers"), UNAUTHORIZED, "no headers"),
        (with("/headers", json!("x")), UNAUTHORIZED, "headers that are a string"),
        (with("/headers/authorization", json!(["Bearer x"])), UNAUTHORIZED, "a header that is a list"),
        (with("/headers/authorization", json!("Bearer \r\nx")), UNAUTHORIZED, "a header with a line break"),
        (twice, UNAUTHORIZED, "two headers"),
        (with("/headers/content-type", json!(0)), NOT_JSON, "a type that is a number"),
        (with("/headers/content-type", json!("application/json\0")), NOT_JSON, "a type with a NUL"),
        (without("", "body"), INVALID, "no body"),
        (with("/body", json!(["+12015550199"])), INVALID, "a body that is a list"),
        (with("/body", json!({"method": "sms", "phone_number": "+12015550199"})), INVALID, "a body that is an object"),
        (with("/body", json!(false)), INVALID, "a body that is a boolean"),
        (base64("!!!!"), INVALID, "no base64"),
        (base64("eyJ"), INVALID, "cut base64"),
        (base64(&setup), INVALID, "JSON that is said to be base64"),
        (base64(&STANDARD.encode([0xff, 0x00])), INVALID, "bytes that are no text"),
        (base64(&STANDARD.encode([b' '; 4097])), TOO_LARGE, "4097 bytes"),
        (with("/body", json!("x".repeat(5_000_000))), TOO_LARGE, "five megabytes"),
        (base64(&STANDARD.encode(r#"{"method": "sms", "phone_number": "+33612345678"}"#)), NOT_ALLOWED, "France, in base64"),
    ] {
        let reply = service.invoke("/api/v1/auth/2fa/setup/", &raw(&event)).await;
        assert_eq!((reply.status, reply.problem()), outcome, "{reason}: {}", reply.body);
        check_form(&reply, reason);
    }
    let named = |calls: Vec<String>| calls.into_iter().filter(|call| !call.is_empty()).count();
    assert_eq!(named(service.storage.calls()), 0, "nothing was read or stored");
    // Strange parts that do no harm are no reason to refuse.
    for (pointer, value) in [
        ("/version", json!(9)),
        ("/requestContext/requestId", json!({})),
        ("/requestContext/http/sourceIp", json!("nowhere")),
        ("/rawQueryString", json!(7)),
    ] {
        let reply = service.invoke("/api/v1/auth/2fa/setup/", &raw(&with(pointer, value))).await;
        assert_eq!(reply.status, 200, "{pointer}: {}", reply.body);
    }
}

/// Any JSON value.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..6).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Any text, now and then one that nearly means something.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        "[0-9 -]{0,9}",
        "\\PC{0,12}",
        "[0-9]{6}",
        "[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}",
        "\\+1201555[0-9]{4}",
        "\\+[0-9]{0,16}",
        "sms|none",
        "enroll|replace|sign_in|confirm|change",
    ]
}

/// A body: bytes, JSON, or fields of the contract, each plausible or not, among others.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let value = || prop_oneof![any_text().prop_map(Value::from), any::<bool>().prop_map(Value::from), any_json()];
    let names = vec!["method", "phone_number", "code", "pending", "purpose", "regenerate_backup_codes"];
    let plausible = prop::collection::vec((prop::sample::select(names), value()), 0..5).prop_flat_map(|fields| {
        any_json().prop_map(move |others| {
            let mut object = others.as_object().cloned().unwrap_or_default();
            object.insert("method".to_owned(), "sms".into());
            object.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            Value::Object(object).to_string().into_bytes()
        })
    });
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => any_json().prop_map(|value| value.to_string().into_bytes()),
        1 => (0_usize..6000).prop_map(|length| vec![b'['; length]),
        6 => plausible,
    ]
}

/// A path near a right one.
fn any_path() -> impl Strategy<Value = String> {
    let right = prop::sample::select(vec!["setup", "send-sms", "verify"]).prop_map(|name| format!("/api/v1/auth/2fa/{name}/"));
    prop_oneof![
        8 => right.clone(),
        1 => right.clone().prop_map(|path| path.trim_end_matches('/').to_owned()),
        1 => (right, "[/a-z%.]{0,6}").prop_map(|(path, more)| format!("{path}{more}")),
        1 => "(/[a-zA-Z0-9%._~-]{0,8}){1,6}",
    ]
}

fn any_authorization() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        8 => "[a-c]".prop_map(|user| Some(format!("Bearer {}", token(&claims(&user))).into_bytes())),
        1 => any_json().prop_map(|sub| Some(format!("Bearer {}", token(&json!({"sub": sub, "exp": LATER}))).into_bytes())),
        1 => any_json().prop_map(|claims| Some(format!("Bearer {}", token(&claims)).into_bytes())),
        1 => prop::collection::vec(prop_oneof![Just(b'\t'), 0x20_u8..0x7f, 0x80_u8..=0xff], 0..40).prop_map(Some),
        1 => Just(None),
    ]
}

fn any_content_type() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        8 => Just(Some(b"application/json".to_vec())),
        1 => "[ -~]{0,20}".prop_map(|text| Some(text.into_bytes())),
        1 => Just(None),
    ]
}

/// An event whose parts are right, wrong or missing.
fn any_event() -> impl Strategy<Value = Value> {
    let pointers = prop::sample::select(vec![
        "/rawPath",
        "/headers",
        "/headers/authorization",
        "/headers/content-type",
        "/requestContext",
        "/requestContext/http",
        "/requestContext/http/method",
        "/requestContext/http/sourceIp",
        "/requestContext/requestId",
        "/requestContext/stage",
        "/requestContext/routeKey",
        "/body",
        "/isBase64Encoded",
    ]);
    let changes = prop::collection::vec((pointers, prop_oneof![any_json(), any::<bool>().prop_map(Value::from)]), 0..4);
    let method = prop::sample::select(vec!["POST", "GET", "DELETE", "PUT"]);
    let function = prop::sample::select(vec!["setup", "send-sms", "verify"]);
    let whole = (method, function, any_body(), changes).prop_map(|(method, function, body, changes)| {
        let mut event = match String::from_utf8(body) {
            Ok(text) => event(method, function, &json!(text)),
            Err(error) => {
                let mut event = event(method, function, &json!(STANDARD.encode(error.into_bytes())));
                event["isBase64Encoded"] = json!(true);
                event
            }
        };
        for (pointer, value) in changes {
            if let Some(part) = event.pointer_mut(pointer) {
                *part = value;
            }
        }
        event
    });
    prop_oneof![4 => whole, 1 => any_json()]
}

/// S23, over one running service: 300 requests through HTTP, and as many events.
#[test]
fn no_request_and_no_event_makes_a_panic_or_a_5xx_s23() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let service = runtime.block_on(TestService::development(SETTINGS));
    let methods = prop_oneof![
        8 => prop::sample::select(vec!["POST", "GET", "DELETE"]).prop_map(str::to_owned),
        1 => "[A-Za-z!#$*+.^_|~-]{1,12}".prop_filter("no tunnel, and an answer with a body", |method| {
            !["CONNECT", "HEAD"].contains(&method.as_str())
        }),
    ];
    let requests = (methods, any_path(), any_authorization(), any_content_type(), any_body());
    let paths = prop::sample::select(vec!["/api/v1/auth/2fa/setup", "/api/v1/auth/2fa/send-sms", "/api/v1/auth/2fa/verify"]);
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let statuses = std::cell::RefCell::new(BTreeSet::new());

    let outcome = TestRunner::new(config).run(&(requests, paths, any_event()), |(request, path, event)| {
        let (method, at, authorization, content_type, body) = request;
        runtime.block_on(async {
            let root = service.url("setup").replace("/api/v1/auth/2fa/setup/", "");
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = service.request(method, &format!("{root}{at}")).body(body);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            if let Some(value) = content_type {
                request = request.header("content-type", value);
            }
            for reply in [service.send(request).await, service.invoke(path, &raw(&event)).await] {
                assert!(reply.status < 500, "{} {}", reply.status, reply.body);
                check_form(&reply, "any request");
                statuses.borrow_mut().insert(reply.status);
            }
        });
        Ok(())
    });
    outcome.unwrap();
    let reached = statuses.into_inner();
    for status in [200, 400, 401, 404, 405, 409, 415] {
        assert!(reached.contains(&status), "the generator never came to {status}, only to {reached:?}");
    }
    let alive = runtime.block_on(service.user("alive").status());
    assert_eq!(alive.status, 200);
    drop(runtime.enter());
}
