//! The files of `events/`, sent to the release binaries in the Lambda runtime interface emulator.
//!
//! Runs where `RIE` names the emulator and `BOOTSTRAPS` the folder that `cargo lambda build` filled: `make test-emulators`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use two_factor::config::Environment;
use two_factor_local::{settings::Settings, stack::start_database};
use two_factor_tests::rie::RuntimeEmulator;

/// The functions, with whose names those of their events begin.
const FUNCTIONS: [&str; 4] = ["setup", "send-sms", "verify", "any"];
/// What `sam local` gives every function, whatever the template says.
const SET_BY_SAM: [(&str, &str); 4] = [
    ("AWS_SAM_LOCAL", "true"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "defaultkey"),
    ("AWS_SECRET_ACCESS_KEY", "defaultsecret"),
];

#[tokio::test]
async fn every_event_gets_its_answer_from_the_release_binaries() {
    let (Some(rie), Some(bootstraps)) = (variable("RIE"), variable("BOOTSTRAPS")) else {
        eprintln!("skipped: needs RIE and BOOTSTRAPS, see `make test-emulators`");
        return;
    };
    let mut settings = Settings::read([], Path::new("no file"), Environment::Development).unwrap();
    let database = start_database(&mut settings).await.unwrap().unwrap();
    let endpoint = database.endpoint();
    let parameters = events_file("env")["Parameters"].clone();
    let parameters: BTreeMap<String, String> = serde_json::from_value(parameters).unwrap();
    let changed = [("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str()), ("SMS_COOLDOWN_SECONDS", "0")];
    let variables = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(SET_BY_SAM).chain(changed);

    let mut functions = BTreeMap::new();
    for function in FUNCTIONS {
        let bootstrap = bootstraps.join(function).join("bootstrap");
        let emulator = RuntimeEmulator::start(&rie, &bootstrap, variables.clone()).await.unwrap();
        functions.insert(function, emulator);
    }
    let mut session = Session { functions, sent: Vec::new() };

    for (event, status, code) in [
        ("setup-without-token", 401, "unauthorized"),
        ("setup-wrong-method", 405, "method_not_allowed"),
        ("setup-bad-number", 400, "invalid_phone_number"),
        ("setup-broken-json", 400, "invalid_request"),
        ("verify-number-not-string", 400, "invalid_request"),
        ("send-sms", 409, "no_pending_verification"),
        ("verify", 409, "no_pending_verification"),
        ("setup-disable", 409, "not_enabled"),
        ("any-wrong-method", 405, "method_not_allowed"),
        ("any-unknown-path", 404, "not_found"),
    ] {
        session.is_refused(event, status, code).await;
    }

    // Five sends, each spelling of an event and of a path once; the sixth is one too many.
    let mut answer = Value::Null;
    for event in ["setup", "setup-base64", "setup-rest-api", "send-sms-no-slash", "send-sms-rest-api"] {
        answer = session.is_answered(event, None).await;
        assert_eq!(answer["phone_number_masked"], "+1****0123", "{event}");
    }
    session.is_refused("send-sms", 429, "rate_limited").await;

    let code = answer["warning"].as_str().unwrap().rsplit(' ').next().unwrap();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let refusal = session.answer("verify", Some(wrong)).await;
    assert_eq!((&refusal.0, &refusal.1["code"]), (&json!(400), &json!("invalid_code")));
    let verified = session.is_answered("verify-rest-api", Some(code)).await;
    assert_eq!(verified["backup_codes"].as_array().unwrap().len(), 10);
    for event in ["setup-status", "setup-status-rest-api", "any-status"] {
        assert_eq!(session.is_answered(event, None).await["enabled"], true, "{event}");
    }
    let backup_code = verified["backup_codes"][0].as_str().unwrap();
    assert_eq!(session.is_answered("setup-disable", Some(backup_code)).await, json!({"enabled": false}));

    let preflight = session.function("any").invoke(&events_file("any-preflight")).await.unwrap();
    assert_eq!((&preflight["statusCode"], &preflight["headers"]["allow"]), (&json!(204), &json!("POST, GET, DELETE")));
    session.sent.push("any-preflight".to_owned());

    let files: Vec<String> = names_of_events().into_iter().filter(|name| !session.sent.contains(name)).collect();
    assert_eq!(files, ["env"], "every event was sent");
}

/// One emulator a function, and the events that went to them.
struct Session {
    functions: BTreeMap<&'static str, RuntimeEmulator>,
    sent: Vec<String>,
}

impl Session {
    /// The function that an event is for.
    fn function(&self, event: &str) -> &RuntimeEmulator {
        self.functions.iter().find(|(name, _)| event.starts_with(**name)).unwrap().1
    }

    /// The status and body of the answer to an event, with `code` in place of the code in its file.
    async fn answer(&mut self, name: &str, code: Option<&str>) -> (Value, Value) {
        self.sent.push(name.to_owned());
        let mut event = events_file(name);
        if let Some(code) = code {
            event["body"] = json!({ "code": code }).to_string().into();
        }
        let answer = self.function(name).invoke(&event).await.unwrap();
        let body = answer["body"].as_str().unwrap_or_else(|| panic!("{name}: {answer}"));
        (answer["statusCode"].clone(), serde_json::from_str(body).unwrap())
    }

    async fn is_answered(&mut self, name: &str, code: Option<&str>) -> Value {
        let (status, body) = self.answer(name, code).await;
        assert_eq!(status, 200, "{name}: {body}");
        body
    }

    async fn is_refused(&mut self, name: &str, status: u16, code: &str) {
        let refusal = self.answer(name, None).await;
        assert_eq!((&refusal.0, &refusal.1["code"]), (&json!(status), &json!(code)), "{name}");
    }
}

#[test]
fn every_event_names_a_function_and_a_token_that_lasts() {
    for name in names_of_events() {
        let event = events_file(&name);
        let headers = event["headers"].as_object();
        let token = headers.and_then(|headers| headers.iter().find(|(header, _)| header.eq_ignore_ascii_case("authorization")));
        assert_eq!(token.is_some(), !["env", "setup-without-token", "any-preflight"].contains(&name.as_str()), "{name}");
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn events_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn events_file(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(events_folder().join(name).with_extension("json")).unwrap()).unwrap()
}

fn names_of_events() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(events_folder())
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}
