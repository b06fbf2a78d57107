//! `openapi.yaml` as a judge: every answer that a test gets through HTTP, and every request that was understood, must be as it says.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a description that cannot be read fails the test, and so does an answer that is not as it says"
)]

use std::{collections::HashMap, sync::LazyLock};

use jsonschema::{Draft, Validator};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use two_factor_local::api_description;

/// What all paths of the API begin with.
const API: &str = "/api/v1/auth/2fa/";

/// Answers of these codes say that the request itself is not as it should be.
const BAD_REQUEST_CODES: [&str; 7] = [
    "invalid_request",
    "invalid_phone_number",
    "unauthorized",
    "not_found",
    "method_not_allowed",
    "payload_too_large",
    "unsupported_media_type",
];

static API_DESCRIPTION: LazyLock<Description> = LazyLock::new(Description::load);

/// The description, with a validator for each body that it knows.
#[derive(Debug)]
pub struct Description {
    /// The document as it is.
    pub document: Value,
    validators: HashMap<String, Validator>,
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path, with or without its trailing slash.
    pub path: String,
    /// The body, if there was one that is JSON.
    pub body: Option<Value>,
}

/// The description of the API.
pub fn description() -> &'static Description {
    &API_DESCRIPTION
}

impl Description {
    fn load() -> Self {
        let document = api_description::document();
        let strict = strict(document.clone());
        let mut validators = HashMap::new();
        let mut add = |pointer: String, is_answer: bool| {
            let mut schema = strict.clone();
            schema["$ref"] = json!(format!("#{pointer}"));
            if is_answer {
                schema["unevaluatedProperties"] = json!(false);
            }
            let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
            let validator = options.build(&schema).unwrap_or_else(|error| panic!("{pointer} is no schema: {error}"));
            validators.insert(pointer, validator);
        };
        for operation in operations(&document) {
            if let Some(schema) = schema_at(&document, &format!("{operation}/requestBody")) {
                add(schema, false);
            }
            for status in keys(&document, &format!("{operation}/responses")) {
                let response = resolve(&document, &format!("{operation}/responses/{status}"));
                add(schema_at(&document, &response).unwrap_or_else(|| panic!("{response} has no schema")), true);
            }
        }
        for response in keys(&document, "/components/responses") {
            add(schema_at(&document, &format!("/components/responses/{response}")).expect("a schema"), true);
        }
        Self { document, validators }
    }

    /// Judges what was answered to a request; what is not of this API is passed over.
    ///
    /// # Panics
    /// When the answer, or a request that was understood, is not as the description says.
    #[track_caller]
    pub fn judge(&self, asked: &Asked, status: u16, headers: &HeaderMap, body: &Value) {
        if !asked.path.starts_with(API) || asked.method == Method::OPTIONS {
            return;
        }
        let Asked { method, path, .. } = asked;
        let response = match (self.path(path), self.operation(method, path)) {
            (_, Some(operation)) => resolve(&self.document, &format!("{operation}/responses/{status}")),
            (Some(_), None) if status == 405 => "/components/responses/MethodNotAllowed".to_owned(),
            (None, None) if status == 404 => "/components/responses/NotFound".to_owned(),
            _ => panic!("{method} {path}: no answer {status} is described: {body}"),
        };
        let Some(described) = self.document.pointer(&response) else {
            panic!("{method} {path}: no answer {status} is described: {body}");
        };
        self.judge_headers(&format!("{method} {path} {status}"), described, headers);
        let schema = schema_at(&self.document, &response).expect("an answer has a schema");
        let media_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(described["content"].get(media_type).is_some(), "{method} {path} {status} has the type {media_type}");
        self.expect_valid(&schema, body, &format!("the answer to {method} {path}, {status}"));
        let is_understood = !BAD_REQUEST_CODES.iter().any(|code| body["code"] == *code);
        if let Some(operation) = self.operation(method, path)
            && let Some(schema) = schema_at(&self.document, &format!("{operation}/requestBody"))
            && let Some(asked) = asked.body.as_ref().filter(|_| is_understood)
        {
            self.expect_valid(&schema, asked, &format!("what was asked with {method} {path}"));
        }
    }

    fn judge_headers(&self, what: &str, described: &Value, headers: &HeaderMap) {
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            let header = header["$ref"].as_str().and_then(|pointer| self.document.pointer(&pointer[1..])).unwrap_or(header);
            let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else {
                assert!(header["required"] != true, "{what} has no {name}");
                continue;
            };
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number)),
                _ => json!(value),
            };
            assert!(jsonschema::is_valid(&header["schema"], &value), "{what}: {name} is {value}");
        }
    }

    /// What the schema at this pointer finds wrong with `value`; nothing if it is as described.
    pub fn problems(&self, schema: &str, value: &Value) -> Vec<String> {
        let validator = self.validators.get(schema).unwrap_or_else(|| panic!("{schema} has no validator"));
        validator.iter_errors(value).map(|error| error.to_string()).collect()
    }

    #[track_caller]
    fn expect_valid(&self, schema: &str, value: &Value, what: &str) {
        let problems = self.problems(schema, value);
        assert!(problems.is_empty(), "{what} is not as openapi.yaml says: {}\n{value}", problems.join("; "));
    }

    /// The pointers to all operations.
    pub fn operations(&self) -> Vec<String> {
        operations(&self.document)
    }

    /// The pointer to the body's schema of a request or an answer.
    pub fn schema_at(&self, pointer: &str) -> Option<String> {
        schema_at(&self.document, &resolve(&self.document, pointer))
    }

    fn path(&self, path: &str) -> Option<&str> {
        let bare = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
        self.document["paths"].as_object()?.keys().find(|described| bare(described) == bare(path)).map(String::as_str)
    }

    fn operation(&self, method: &Method, path: &str) -> Option<String> {
        // The names of methods are case-sensitive (RFC 9110, 9.1); the description has them in small letters.
        let name = method.as_str().to_ascii_lowercase();
        let is_known = method.as_str() == name.to_ascii_uppercase();
        let pointer = format!("/paths/{}/{name}", escape(self.path(path).filter(|_| is_known)?));
        self.document.pointer(&pointer).map(|_| pointer)
    }
}

/// Clients must put up with members that come later; a test must not put up with those that are not described.
fn strict(mut document: Value) -> Value {
    fn close(schema: &mut Value) {
        let is_plain = schema["type"] == "object" && schema.get("allOf").is_none() && schema.get("oneOf").is_none();
        if is_plain {
            schema["additionalProperties"] = json!(false);
        }
        for part in schema.as_object_mut().into_iter().flatten().map(|(_, part)| part) {
            close_all(part);
        }
    }
    fn close_all(part: &mut Value) {
        match part {
            Value::Object(_) => close(part),
            Value::Array(parts) => parts.iter_mut().for_each(close_all),
            _ => {}
        }
    }
    let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
    for (name, schema) in schemas {
        // Requests may have unknown fields, and the problems are made of this one.
        if !name.ends_with("Request") && name != "Problem" {
            close(schema);
        }
    }
    document
}

fn operations(document: &Value) -> Vec<String> {
    let paths = keys(document, "/paths");
    let methods =
        |path: String| keys(document, &format!("/paths/{path}")).into_iter().map(move |method| format!("/paths/{path}/{method}"));
    paths.into_iter().flat_map(methods).collect()
}

/// The names in the object at `pointer`, escaped for a pointer.
fn keys(document: &Value, pointer: &str) -> Vec<String> {
    let object = document.pointer(pointer).and_then(Value::as_object).unwrap_or_else(|| panic!("{pointer} is no object"));
    object.keys().map(|name| escape(name)).collect()
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Where the reference at `pointer` leads, or `pointer` where there is none.
fn resolve(document: &Value, pointer: &str) -> String {
    let target = document.pointer(pointer).and_then(|value| value["$ref"].as_str()).and_then(|target| target.strip_prefix('#'));
    target.unwrap_or(pointer).to_owned()
}

/// The pointer to the schema of the only kind of body of what is at `pointer`.
fn schema_at(document: &Value, pointer: &str) -> Option<String> {
    let content = document.pointer(pointer)?.get("content")?.as_object()?;
    let media_type = content.keys().next().filter(|_| content.len() == 1)?;
    Some(format!("{pointer}/content/{}/schema", escape(media_type)))
}
