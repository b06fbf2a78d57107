//! The service starts on a table that the release before has left: accounts of schema 1 go on over HTTP as what they mean today.

use std::{collections::HashMap, time::Duration};

use aws_lc_rs::hmac;
use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use serde_json::{Value, json};
use two_factor_tests::service::{HOME, TestService, WORK, wrong};

/// The key under which the samples were made: 32 bytes of 3.
fn pepper() -> String {
    "\u{3}".repeat(32)
}

/// Milliseconds from the start of the test's clock to the moment at which the samples were written.
const UNTIL_SAMPLES: u64 = 1_800_000_000_000 - 1_798_761_600_000;

/// An account as the release before stored it.
fn sample(name: &str) -> Value {
    let samples = include_str!("../../../shared/src/adapters/dynamodb/records/account_schema_1_samples.json");
    serde_json::from_str::<Value>(samples).unwrap()[name].clone()
}

/// DynamoDB's JSON, as the AWS CLI shows it; binaries in hex.
fn attribute(json: &Value) -> AttributeValue {
    let (kind, value) = json.as_object().unwrap().iter().next().unwrap();
    match (&**kind, value) {
        ("S", Value::String(text)) => AttributeValue::S(text.clone()),
        ("N", Value::String(digits)) => AttributeValue::N(digits.clone()),
        ("B", Value::String(hex)) => {
            let byte = |index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap();
            AttributeValue::B(Blob::new((0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>()))
        }
        ("NULL", _) => AttributeValue::Null(true),
        ("L", Value::Array(elements)) => AttributeValue::L(elements.iter().map(attribute).collect()),
        ("M", Value::Object(fields)) => AttributeValue::M(item(fields)),
        other => panic!("{other:?}"),
    }
}

fn item(fields: &serde_json::Map<String, Value>) -> HashMap<String, AttributeValue> {
    fields.iter().map(|(name, field)| (name.clone(), attribute(field))).collect()
}

/// The digest that the release before stored: HMAC-SHA256 over the parts, each preceded by its length. In hex.
fn digest(parts: &[&[u8]]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, pepper().as_bytes()));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign().as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The digest of a backup code.
fn of_backup_code(user: &str, code: &str) -> Value {
    json!({"B": digest(&[b"backup-code", user.as_bytes(), code.replace('-', "").as_bytes()])})
}

/// A code to sign in with that is out to `number`, as the release before stored it.
fn sign_in_challenge(user: &str, number: &Value, e164: &str, code: &str) -> Value {
    let id = [0x77; 16];
    let of_code = digest(&[b"sms-code", user.as_bytes(), e164.as_bytes(), b"sign_in", &id, code.as_bytes()]);
    json!({"M": {
        "id": {"B": "77".repeat(16)}, "purpose": {"S": "sign_in"}, "phone": number, "digest": {"B": of_code},
        "expires_at": {"N": "1800000300000"}, "wrong_guesses": {"N": "2"},
    }})
}

/// A service on a table with this account, a second after the samples were written.
async fn service_with(account: &Value) -> TestService {
    let service = TestService::development(&[("CODE_PEPPER", &pepper())]).await;
    service.clock.advance(Duration::from_millis(UNTIL_SAMPLES + 1000));
    service.put_item(item(account.as_object().unwrap())).await;
    service
}

/// The account item of a user, as it is stored now.
async fn schema_of(service: &TestService, user: &str) -> String {
    let items = service.items().await;
    let key = format!("USER#{user}");
    let account = items.iter().find(|item| item["pk"].as_s().unwrap() == &key && item["sk"].as_s().unwrap() == "ACCOUNT");
    account.expect("an account")["schema"].as_n().unwrap().clone()
}

#[tokio::test]
async fn an_enrollment_that_the_version_before_began_is_finished() {
    let service = service_with(&sample("enrolling")).await;
    let alice = service.user("alice");
    let expected = json!({
        "enabled": false, "method": null, "phone_number_masked": null, "enabled_at": null, "backup_codes_remaining": 0,
        "factor_disabled": false, "locked_for": 0, "pending": true, "pending_phone_number_masked": "+1****0123",
        "live_code": {"purpose": "enroll", "expires_in": 299, "attempts_remaining": 4}, "sends_remaining": 4, "resend_in": 0,
    });
    assert_eq!(alice.status().await.expect(200).body, expected);
    assert_eq!(schema_of(&service, "alice").await, "1", "reading writes nothing");
    assert_eq!(alice.verify("123457").await.expect(400).body["attempts_remaining"], 3);
    assert_eq!(schema_of(&service, "alice").await, "2", "what is changed is written anew");
    let backup_codes = alice.verify("123456").await.expect(200).backup_codes();
    service.clock.pass(30);
    for left in [3, 2, 1, 0] {
        let sent = alice.send_sms().await.expect(200);
        assert_eq!(sent.body["sends_remaining"], left, "the send of the version before counts");
        alice.verify(&sent.development_code()).await.expect(200);
        service.clock.pass(30);
    }
    alice.send_sms().await.expect_problem(429, "rate_limited");
    alice.disable(&backup_codes[0]).await.expect(200);
}

#[tokio::test]
async fn a_user_of_the_version_before_signs_in_with_the_code_and_the_backup_codes_that_are_out_s4() {
    let backup_codes = ["0123-4567-89AB-CDEF", "ZYXW-VTSR-QPNM-KJHG"];
    let mut account = sample("disabled");
    let number = account["sms"]["M"]["phone"].clone();
    account["pk"]["S"] = json!("USER#carol");
    account["sms"]["M"]["state"]["S"] = json!("on");
    account["sms_guesses"]["M"] =
        json!({"failures": {"N": "2"}, "last_failure": {"N": "1800000000500"}, "locked_until": {"NULL": true}});
    account["challenge"] = sign_in_challenge("carol", &number, WORK, "246802");
    account["backup_codes"]["L"] = backup_codes.map(|code| of_backup_code("carol", code)).into_iter().collect();
    account["sends"]["L"] = json!([{"M": {
        "challenge": {"B": "77".repeat(16)}, "at": {"N": "1800000000000"}, "phone_lease": {"N": "0"}, "address_lease": {"NULL": true},
    }}]);
    let service = service_with(&account).await;
    let carol = service.user("carol");

    let status = carol.status().await.expect(200).body;
    assert_eq!((&status["enabled"], &status["enabled_at"]), (&json!(true), &json!("2027-01-14T08:00:00Z")));
    assert_eq!(status["live_code"], json!({"purpose": "sign_in", "expires_in": 299, "attempts_remaining": 3}));
    // Then it confirmed changes, too; now it signs in, and nothing else.
    carol.disable("246802").await.expect_problem(409, "wrong_purpose");
    carol.replace(HOME, "246802").await.expect_problem(409, "wrong_purpose");
    let accepted = carol.verify("246802").await.expect(200).body;
    assert_eq!((&accepted["purpose"], &accepted["failed_attempts"]), (&json!("sign_in"), &json!(5)), "two and three wrong ones");
    assert_eq!(accepted["last_failed_at"], "2027-01-15T08:00:00Z");
    assert_eq!(carol.verify(backup_codes[0]).await.expect(200).body["backup_codes_remaining"], 1);
    carol.verify(backup_codes[0]).await.expect_problem(400, "invalid_code");

    let code = carol.send_sms_for("change").await.expect(200).development_code();
    carol.verify_for("change", wrong(&code)).await.expect_problem(400, "invalid_code");
    let proof = carol.replace(HOME, &code).await.expect(200).development_code();
    carol.verify_for("replace", &proof).await.expect(200);
    assert_eq!(carol.status().await.body["phone_number_masked"], "+1****0123");
}

#[tokio::test]
async fn a_number_that_the_version_before_disabled_is_bound_again_with_a_backup_code_s8() {
    let backup_code = "0123-4567-89AB-CDEF";
    let mut account = sample("disabled");
    account["backup_codes"]["L"][1] = of_backup_code("bob", backup_code);
    let service = service_with(&account).await;
    let bob = service.user("bob");
    let status = bob.status().await.expect(200).body;
    assert_eq!((&status["factor_disabled"], &status["backup_codes_remaining"]), (&json!(true), &json!(2)));
    assert_eq!(status["locked_for"], 86_400 - 1);
    bob.send_sms().await.expect_problem(403, "factor_disabled");
    bob.verify("123456").await.expect_problem(403, "factor_disabled");
    let sent = bob.replace(WORK, backup_code).await.expect(200);
    bob.verify(&sent.development_code()).await.expect(200);
    let status = bob.status().await.expect(200).body;
    assert_eq!((&status["factor_disabled"], &status["locked_for"]), (&json!(false), &json!(0)));
    service.clock.pass(30);
    let code = bob.send_sms().await.expect(200).development_code();
    bob.verify(&code).await.expect(200);
}
