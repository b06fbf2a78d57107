//! `openapi.yaml` against the types: what it says of paths, methods, refusals and limits is what the service knows.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use two_factor::{
    api::{
        auth::AuthError,
        body::MAX_BODY_BYTES,
        problem::{FieldError, Problem},
        route::{CONFIGURATION, KEYS, SEND_SMS, SETUP, VERIFY},
    },
    config::Environment,
    domain::{
        BackupCodes, Nonce, PhoneNumberError, Proof, Purpose, Refusal, message::delivery::DeliveryReason,
        sms::send_window::SendLimit,
    },
};
use two_factor_tests::openapi::description;

/// Every problem that a client may be told.
fn problems() -> Vec<Problem> {
    let retry_after = Duration::from_secs(9);
    let refusals = [
        Refusal::InvalidCode { attempts_remaining: Some(1) },
        Refusal::CodeExpired,
        Refusal::CodeSuperseded { live: Purpose::SignIn },
        Refusal::WrongPurpose { live: Purpose::SignIn },
        Refusal::VerificationRequired,
        Refusal::NoPendingVerification,
        Refusal::AlreadyEnabled,
        Refusal::NotEnabled,
        Refusal::CountryNotAllowed,
        Refusal::NoSms,
        Refusal::RateLimited { limit: SendLimit::Cooldown, retry_after },
        Refusal::RateLimited { limit: SendLimit::User, retry_after },
        Refusal::RateLimited { limit: SendLimit::Number, retry_after },
        Refusal::RateLimited { limit: SendLimit::Address, retry_after },
        Refusal::RateLimited { limit: SendLimit::Refused, retry_after },
        Refusal::TooManyAttempts,
        Refusal::Locked { retry_after, has_backup_codes: true },
        Refusal::FactorDisabled,
    ];
    let undelivered = [
        DeliveryReason::InvalidNumber,
        DeliveryReason::NotMobile,
        DeliveryReason::OptedOut,
        DeliveryReason::CountryNotPermitted,
        DeliveryReason::ProviderUnavailable,
        DeliveryReason::Rejected,
    ];
    let numbers =
        [PhoneNumberError::NotE164, PhoneNumberError::NoSuchNumber, PhoneNumberError::CountryNotAllowed, PhoneNumberError::NoSms];
    let unknown = [AuthError::Missing, AuthError::Expired, AuthError::Invalid("it is not"), AuthError::KeysUnavailable];
    let mut problems = vec![
        Problem::InvalidRequest { errors: vec![FieldError { field: "code", detail: "This field is required.".into() }] },
        Problem::NotFound,
        Problem::MethodNotAllowed { allow: "POST".to_owned() },
        Problem::PayloadTooLarge,
        Problem::UnsupportedMediaType,
        Problem::SmsNotConfigured,
        Problem::Unavailable,
    ];
    problems.extend(refusals.map(|refusal| Problem::Refused { refusal, quota: None }));
    problems.extend(undelivered.map(Problem::DeliveryFailed));
    problems.extend(numbers.map(Problem::from));
    problems.extend(unknown.map(|error| Problem::from_auth(error, Environment::Production)));
    problems
}

#[test]
fn the_description_knows_every_refusal_and_no_other() {
    let known: BTreeSet<_> = problems()
        .iter()
        .map(|problem| (problem.code().to_owned(), problem.status().as_u16().into(), problem.reason().map(str::to_owned)))
        .collect();
    let mut described = BTreeSet::new();
    for schema in description().document["components"]["schemas"].as_object().unwrap().values() {
        let properties = &schema["properties"];
        let Some(code) = properties["code"]["const"].as_str() else { continue };
        let status = properties["status"]["const"].as_u64().unwrap();
        match properties["reason"]["enum"].as_array() {
            None => drop(described.insert((code.to_owned(), status, None))),
            Some(reasons) => {
                described.extend(reasons.iter().map(|reason| (code.to_owned(), status, reason.as_str().map(str::to_owned))));
            }
        }
    }
    assert_eq!(described, known);
}

#[test]
fn the_description_has_the_paths_and_methods_of_the_routes() {
    fn methods<A: Copy>(endpoint: &two_factor::api::route::Endpoint<A>, slash: &str) -> Vec<String> {
        let path = format!("{}{slash}", endpoint.path()).replace('/', "~1");
        endpoint.methods().map(|method| format!("/paths/{path}/{}", method.as_str().to_ascii_lowercase())).collect()
    }
    let mut known = methods(&SETUP, "/");
    known.extend(methods(&SEND_SMS, "/"));
    known.extend(methods(&VERIFY, "/"));
    known.extend(methods(&CONFIGURATION, ""));
    known.extend(methods(&KEYS, ""));
    assert_eq!(description().operations().into_iter().collect::<BTreeSet<_>>(), known.into_iter().collect());
}

#[test]
fn the_description_says_the_limits_of_the_types() {
    let document = &description().document;
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Purpose"]["enum"], Purpose::ALL.map(Purpose::as_str).into_iter().collect::<Value>());
    let backup_codes = &schemas["CodeAccepted"]["properties"]["backup_codes"];
    assert_eq!((&backup_codes["minItems"], &backup_codes["maxItems"]), (&json!(BackupCodes::SET), &json!(BackupCodes::SET)));
    assert_eq!(schemas["Status"]["properties"]["backup_codes_remaining"]["maximum"], BackupCodes::SET);
    assert_eq!(schemas["VerifyRequest"]["properties"]["nonce"]["maxLength"], Nonce::MAX_CHARS);
    let too_large = document["components"]["responses"]["PayloadTooLarge"]["description"].as_str().unwrap();
    assert!(too_large.contains(&format!("{MAX_BODY_BYTES} bytes")), "{too_large}");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn codes_are_described_as_they_are_read() {
    let description = description();
    let verify = description.schema_at("/paths/~1api~1v1~1auth~12fa~1verify~1/post/requestBody").unwrap();
    let is_valid = |code: &str| description.problems(&verify, &json!({"code": code})).is_empty();
    for code in [
        "123456",
        " 123-456 ",
        "#123456",
        "123456.",
        " # 123 456.\r\n",
        "１２３４５６",
        "123\u{a0}456",
        "ZZZ2-5NGT-1X0S-0RPY",
        "zzz25ngt1x0s0rpy",
        "oil0-oil0-oil0-oil0",
        "12345",
        "1234567",
        "##123456",
        "123.456",
        "123456..",
        "ZZZ2-5NGT-1X0S-0RPU",
        "ZZZ2-5NGT-1X0S-0RP",
        "",
        "abcdef",
        "+12015550123",
    ] {
        assert_eq!(is_valid(code), Proof::parse(code).is_ok(), "{code:?}");
    }
}

#[test]
fn every_example_is_as_its_schema_says() {
    let description = description();
    let mut examples = 0;
    for operation in description.operations() {
        let responses = description.document.pointer(&format!("{operation}/responses")).unwrap().as_object().unwrap();
        let mut bodies: Vec<_> = responses.keys().map(|status| format!("{operation}/responses/{status}")).collect();
        bodies.push(format!("{operation}/requestBody"));
        for body in bodies {
            let Some(schema) = description.schema_at(&body) else { continue };
            let content = schema.strip_suffix("/schema").unwrap();
            let named = description.document.pointer(&format!("{content}/examples")).and_then(Value::as_object);
            for (name, example) in named.into_iter().flatten() {
                let problems = description.problems(&schema, &example["value"]);
                assert!(problems.is_empty(), "the example {name} of {operation}: {problems:?}");
                examples += 1;
            }
        }
    }
    assert!(examples >= 20, "{examples}");
}

#[test]
fn what_is_not_described_is_noticed() {
    let description = description();
    let verify = description.schema_at("/paths/~1api~1v1~1auth~12fa~1verify~1/post/responses/200").unwrap();
    let answer = json!({"verified": true, "enabled": true, "method": "sms", "purpose": "sign_in", "failed_attempts": 0});
    assert_eq!(description.problems(&verify, &answer), Vec::<String>::new());
    for (member, value) in
        [("more", json!(1)), ("failed_attempts", json!("0")), ("purpose", json!("pay")), ("verified", json!(false))]
    {
        let mut other = answer.clone();
        other[member] = value;
        assert!(!description.problems(&verify, &other).is_empty(), "{other}");
    }
}
