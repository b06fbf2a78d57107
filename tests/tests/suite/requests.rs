//! What arrives at a function: events of both payload formats, good and bad, and what each is answered (S13, S23).
//!
//! The handlers here only route and parse. `200` means that the request reached the use case.

use std::net::IpAddr;

use lambda_http::http::Method;
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use serde_json::{Value, json};
use two_factor::{
    api::{
        body::{DisableBody, SendBody, SetupBody, VerifyBody},
        gateway_event::{Event, invoke},
        problem::Problem,
        request::{Request, RequestBody},
        response::Response,
        route::{Route, SEND_SMS, SETUP, SetupAction, VERIFY},
    },
    domain::Proof,
};

/// An answer as a client sees it.
#[derive(Debug)]
struct Seen {
    status: u64,
    headers: Value,
    body: Value,
}

impl Seen {
    /// `"200"`, or the status and the problem's code.
    fn outcome(&self) -> String {
        self.body["code"].as_str().map_or_else(|| self.status.to_string(), |code| format!("{} {code}", self.status))
    }

    /// The fields that were found wrong.
    fn fields(&self) -> Vec<&str> {
        self.body["errors"].as_array().into_iter().flatten().map(|error| error["field"].as_str().unwrap()).collect()
    }
}

/// What `path`'s function answers to an event: what it routes and parses, without authentication and use case.
async fn answer(event: &Value) -> Seen {
    answer_text(&event.to_string()).await
}

async fn answer_text(event: &str) -> Seen {
    let event: Event = serde_json::from_str(event).expect("any JSON is an event");
    let reply = invoke(&event, "invocation-1", None, async |request: Request| {
        // Every request goes to the function of its route, and each function judges it on its own.
        let result = match Route::of(&request) {
            Some(Route::Verify) => VERIFY.action(&request).and_then(|()| VerifyBody::parse(&request).map(drop)),
            Some(Route::SendSms) => SEND_SMS.action(&request).and_then(|()| SendBody::parse(&request).map(drop)),
            Some(Route::Setup) => SETUP.action(&request).and_then(|action| match action {
                SetupAction::Start => SetupBody::parse(&request).map(drop),
                SetupAction::Status => Ok(()),
                SetupAction::Disable => DisableBody::parse(&request).map(drop),
            }),
            None => {
                let by_each = [SETUP.action(&request).map(drop), SEND_SMS.action(&request), VERIFY.action(&request)];
                assert_eq!(by_each, [const { Err(Problem::NotFound) }; 3], "what has no route is no function's");
                Err(Problem::NotFound)
            }
        };
        result.map_or_else(|problem| problem.into_response(request.id()), |()| Response::new("{}".into()))
    });
    let reply = serde_json::to_value(reply.await).unwrap();
    let body = serde_json::from_str(reply["body"].as_str().unwrap_or("{}")).unwrap();
    Seen { status: reply["statusCode"].as_u64().unwrap(), headers: reply["headers"].clone(), body }
}

/// An HTTP API event, payload 2.0.
fn v2(method: &str, path: &str, content_type: Option<&str>, body: &str) -> Value {
    let mut headers = json!({"host": "api.example.com"});
    if let Some(content_type) = content_type {
        headers["content-type"] = json!(content_type);
    }
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers, "body": body,
        "requestContext": {"requestId": "r-1", "stage": "$default", "routeKey": "$default", "accountId": "1",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "curl/8"}},
        "isBase64Encoded": false,
    })
}

/// A REST API event, payload 1.0.
fn v1(method: &str, path: &str, body: &str) -> Value {
    json!({
        "resource": path, "path": path, "httpMethod": method, "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]}, "body": body, "isBase64Encoded": false,
        "requestContext": {"requestId": "r-1", "stage": "prod", "httpMethod": method, "path": format!("/prod{path}"),
            "resourcePath": "/{proxy+}", "identity": {"sourceIp": "192.0.2.7"}},
    })
}

fn json_request(method: &str, function: &str, body: &str) -> Value {
    v2(method, &format!("/api/v1/auth/2fa/{function}/"), Some("application/json"), body)
}

fn parsed(event: &Value) -> Request {
    let event: Event = serde_json::from_value(event.clone()).unwrap();
    event.to_request("invocation-1").unwrap()
}

/// Method, function, body, outcome, the fields that are found wrong, and what is special about it.
type Case<'a> = (&'a str, &'a str, &'a str, &'a str, &'a [&'a str], &'a str);

const SETUP_OK: &str = r#"{"method": "sms", "phone_number": "+12015550123"}"#;
const BAD: &str = "400 invalid_request";

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn every_body_gets_its_answer_s23() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep = format!(r#"{{"code": {}}}"#, nested(2000));
    let deep_unknown = format!(r#"{{"code": "123456", "extra": {}}}"#, nested(2000));
    let deep_objects = format!(r#"{{"code": "123456", "extra": {}1{}}}"#, r#"{"a":"#.repeat(600), "}".repeat(600));
    let full = format!(r#"{{"code": "123456", "padding": "{}"}}"#, "x".repeat(4096 - 33));
    let over = format!(r#"{{"code": "123456", "padding": "{}"}}"#, "x".repeat(4097 - 33));
    assert_eq!((full.len(), over.len()), (4096, 4097));

    let cases: &[Case<'_>] = &[
        // verify
        ("POST", "verify", r#"{"code": "123456"}"#, "200", &[], "a code"),
        ("POST", "verify", r#"{"code": " 123-456 "}"#, "200", &[], "spaces and hyphens"),
        ("POST", "verify", r#"{"code": "ABCD-EFGH-JKMN-PQRS"}"#, "200", &[], "a backup code"),
        ("POST", "verify", r#"{"code": "ABCDEFGHJKMNPQRS"}"#, "200", &[], "a backup code without hyphens"),
        ("POST", "verify", r#"{"code": " abcd efgh jkmn pqrs "}"#, "200", &[], "a backup code in small letters, with spaces"),
        ("POST", "verify", r#"{"code": "oilO-ILab-cdef-ghjk"}"#, "200", &[], "a backup code with O for 0, I and L for 1"),
        ("POST", "verify", r#"{"code": "ABCD-EFGH-JKMN-PQRU"}"#, BAD, &["code"], "a U, which stands for nothing"),
        ("POST", "verify", r#"{"code": "１２３４５６"}"#, "200", &[], "full-width digits"),
        ("POST", "verify", r#"{"code": "12345６"}"#, "200", &[], "one full-width digit"),
        ("POST", "verify", r#"{"code": "123\u00a0456"}"#, "200", &[], "a no-break space"),
        ("POST", "verify", r#"{"code": "123\u2009456"}"#, "200", &[], "a thin space"),
        ("POST", "verify", r#"{"code": "\u3000123\t456\r\n"}"#, "200", &[], "white space of other kinds"),
        ("POST", "verify", r#"{"code": "123\n456"}"#, "200", &[], "a line break"),
        ("POST", "verify", r#"{"code": "123\u2010456"}"#, "200", &[], "a typographer's hyphen"),
        ("POST", "verify", r##"{"code": "#123456"}"##, "200", &[], "a leading #, as in the WebOTP line"),
        ("POST", "verify", r#"{"code": " # 123 456 . "}"#, "200", &[], "pasted with all of it"),
        ("POST", "verify", r#"{"code": "123456."}"#, "200", &[], "a full stop at the end"),
        ("POST", "verify", r###"{"code": "##123456"}"###, BAD, &["code"], "two of #"),
        ("POST", "verify", r#"{"code": "123456#"}"#, BAD, &["code"], "a # at the end"),
        ("POST", "verify", r#"{"code": ".123456"}"#, BAD, &["code"], "a full stop before it"),
        ("POST", "verify", r#"{"code": "123.456"}"#, BAD, &["code"], "a full stop within"),
        ("POST", "verify", r#"{"code": "123456.."}"#, BAD, &["code"], "two full stops"),
        ("POST", "verify", r#"{"code": "123\u200b456"}"#, BAD, &["code"], "a space of no width, which is no white space"),
        ("POST", "verify", r#"{"code": "123456", "purpose": "enroll"}"#, "200", &[], "to enroll"),
        ("POST", "verify", r#"{"code": "123456", "purpose": "replace"}"#, "200", &[], "to replace"),
        ("POST", "verify", r#"{"code": "123456", "purpose": "sign_in"}"#, "200", &[], "to sign in"),
        ("POST", "verify", r#"{"code": "123456", "purpose": "confirm"}"#, "200", &[], "to confirm"),
        ("POST", "verify", r#"{"code": "123456", "purpose": "change"}"#, "200", &[], "to change"),
        ("POST", "verify", r#"{"code": "123456", "purpose": null}"#, "200", &[], "null for the usual purpose"),
        ("POST", "verify", r#"{"code": "123456", "purpose": "Sign_In"}"#, BAD, &["purpose"], "capitals"),
        ("POST", "verify", r#"{"code": "123456", "purpose": "sign-in"}"#, BAD, &["purpose"], "a hyphen"),
        ("POST", "verify", r#"{"code": "123456", "purpose": ""}"#, BAD, &["purpose"], "an empty purpose"),
        ("POST", "verify", r#"{"code": "123456", "purpose": true}"#, BAD, &["purpose"], "a boolean"),
        ("POST", "verify", r#"{"code": "123456", "purpose": ["change"]}"#, BAD, &["purpose"], "a list of purposes"),
        ("POST", "verify", r#"{"code": "1", "purpose": "1"}"#, BAD, &["code", "purpose"], "code and purpose"),
        ("POST", "verify", r#"{"code": "123456", "purpose": "change", "purpose": "sign_in"}"#, BAD, &["purpose"], "two purposes"),
        (
            "POST",
            "verify",
            r#"{"code": "123456", "purpose": "change", "regenerate_backup_codes": true}"#,
            "200",
            &[],
            "what regenerating is",
        ),
        (
            "POST",
            "verify",
            r#"{"code": "123456", "purpose": "sign_in", "regenerate_backup_codes": true}"#,
            BAD,
            &["purpose"],
            "regenerating is no signing in",
        ),
        (
            "POST",
            "verify",
            r#"{"code": "ABCD-EFGH-JKMN-PQRS", "purpose": "enroll"}"#,
            BAD,
            &["code"],
            "a backup code binds no number",
        ),
        ("POST", "verify", r#"{"code": "123456", "regenerate_backup_codes": true}"#, "200", &[], "with new backup codes"),
        ("POST", "verify", r#"{"code": "123456", "regenerate_backup_codes": null}"#, "200", &[], "null is the same as none"),
        ("POST", "verify", r#"{"code": "123456", "user_id": "mallory"}"#, "200", &[], "an unknown field"),
        ("POST", "verify", r#"{"code": "123456", "x": 1, "x": 2}"#, "200", &[], "an unknown field twice"),
        ("POST", "verify", r#"{"code": "\u0031\u00323456"}"#, "200", &[], "escapes"),
        ("POST", "verify", "\t\r\n {\"code\": \"123456\"} \n", "200", &[], "white space around"),
        ("POST", "verify", &deep_unknown, "200", &[], "an unknown field that nests deeply"),
        ("POST", "verify", &deep_objects, "200", &[], "an unknown field of nested objects"),
        ("POST", "verify", &full, "200", &[], "4096 bytes"),
        ("POST", "verify", &over, "413 payload_too_large", &[], "4097 bytes"),
        ("POST", "verify", "", BAD, &["code"], "no body"),
        ("POST", "verify", " ", BAD, &["body"], "a blank body"),
        ("POST", "verify", "{}", BAD, &["code"], "no code"),
        ("POST", "verify", r#"{"Code": "123456"}"#, BAD, &["code"], "names are case-sensitive"),
        ("POST", "verify", r#"{"code": null}"#, BAD, &["code"], "null"),
        ("POST", "verify", r#"{"code": 123456}"#, BAD, &["code"], "a number"),
        ("POST", "verify", r#"{"code": 1e999}"#, BAD, &["code"], "a number beyond all bounds"),
        ("POST", "verify", r#"{"code": true}"#, BAD, &["code"], "a boolean"),
        ("POST", "verify", r#"{"code": ["123456"]}"#, BAD, &["code"], "a list"),
        ("POST", "verify", r#"{"code": {"value": "123456"}}"#, BAD, &["code"], "an object"),
        ("POST", "verify", &deep, BAD, &["code"], "a code that nests deeply"),
        ("POST", "verify", r#"{"code": "123456", "code": "123456"}"#, BAD, &["code"], "twice the same"),
        ("POST", "verify", r#"{"code": "123456", "\u0063ode": "654321"}"#, BAD, &["code"], "twice, once in disguise"),
        ("POST", "verify", r#"{"code": null, "code": "123456"}"#, BAD, &["code"], "null and a code"),
        ("POST", "verify", r#"{"code": ""}"#, BAD, &["code"], "empty"),
        ("POST", "verify", r#"{"code": "12345"}"#, BAD, &["code"], "five digits"),
        ("POST", "verify", r#"{"code": "1234567"}"#, BAD, &["code"], "seven digits"),
        ("POST", "verify", r#"{"code": "12345a"}"#, BAD, &["code"], "a letter"),
        ("POST", "verify", r#"{"code": "١٢٣٤٥٦"}"#, BAD, &["code"], "Arabic digits"),
        ("POST", "verify", r#"{"code": "123456\u0000"}"#, BAD, &["code"], "a NUL"),
        ("POST", "verify", r#"{"code": "123–456"}"#, BAD, &["code"], "a dash"),
        ("POST", "verify", r#"{"code": "+12345"}"#, BAD, &["code"], "a sign"),
        ("POST", "verify", r#"{"code": "\ud800"}"#, BAD, &["code"], "half a character"),
        (
            "POST",
            "verify",
            r#"{"code": "123456", "regenerate_backup_codes": "true"}"#,
            BAD,
            &["regenerate_backup_codes"],
            "a string",
        ),
        ("POST", "verify", r#"{"code": "123456", "regenerate_backup_codes": 1}"#, BAD, &["regenerate_backup_codes"], "a number"),
        (
            "POST",
            "verify",
            r#"{"code": 1, "regenerate_backup_codes": 1}"#,
            BAD,
            &["code", "regenerate_backup_codes"],
            "all at once",
        ),
        ("POST", "verify", "null", BAD, &["body"], "null"),
        ("POST", "verify", "[]", BAD, &["body"], "a list"),
        ("POST", "verify", r#"[{"code": "123456"}]"#, BAD, &["body"], "a list of one"),
        ("POST", "verify", r#""123456""#, BAD, &["body"], "a string"),
        ("POST", "verify", "123456", BAD, &["body"], "a number"),
        ("POST", "verify", "true", BAD, &["body"], "a boolean"),
        ("POST", "verify", "{", BAD, &["body"], "cut"),
        ("POST", "verify", r#"{"code": "123456""#, BAD, &["body"], "no end"),
        ("POST", "verify", r#"{"code": "123456"}}"#, BAD, &["body"], "too many ends"),
        ("POST", "verify", r#"{"code": "123456"} x"#, BAD, &["body"], "something after it"),
        ("POST", "verify", r#"{"code": "123456",}"#, BAD, &["body"], "a comma too many"),
        ("POST", "verify", r#"{code: "123456"}"#, BAD, &["body"], "a bare name"),
        ("POST", "verify", "{'code': '123456'}", BAD, &["body"], "other quotes"),
        ("POST", "verify", r#"{"code": 0123456}"#, BAD, &["body"], "an octal number"),
        ("POST", "verify", r#"{"code": NaN}"#, BAD, &["body"], "NaN"),
        ("POST", "verify", r#"{/* */ "code": "123456"}"#, BAD, &["body"], "a comment"),
        ("POST", "verify", "\u{feff}{\"code\": \"123456\"}", BAD, &["body"], "a byte order mark"),
        ("POST", "verify", "{\"code\": \"123\u{0}456\"}", BAD, &["body"], "a raw NUL"),
        ("POST", "verify", "{\"code\": \"123\n456\"}", BAD, &["body"], "a raw line break"),
        ("POST", "verify", "\u{0}\u{1}\u{2}", BAD, &["body"], "control characters"),
        ("POST", "verify", "code=123456", BAD, &["body"], "a form"),
        ("POST", "verify", "<code>123456</code>", BAD, &["body"], "XML"),
        ("POST", "verify", &nested(2000), BAD, &["body"], "nested lists"),
        ("POST", "verify", &"[".repeat(4096), BAD, &["body"], "open lists"),
        ("POST", "verify", &"{\"a\":".repeat(800), BAD, &["body"], "open objects"),
        // setup
        ("POST", "setup", SETUP_OK, "200", &[], "a number"),
        ("POST", "setup", r#"{"method": "sms", "phone_number": "+12015550123", "code": "123456"}"#, "200", &[], "with a proof"),
        ("POST", "setup", r#"{"method": "sms", "phone_number": "+12015550123", "code": null}"#, "200", &[], "null for a proof"),
        ("POST", "setup", r#"{"method": "sms", "phone_number": ""}"#, "200", &[], "the number is judged later"),
        ("POST", "setup", "", BAD, &["method", "phone_number"], "no body"),
        ("POST", "setup", "{}", BAD, &["method", "phone_number"], "nothing"),
        ("POST", "setup", r#"{"phone_number": "+12015550123"}"#, BAD, &["method"], "no method"),
        ("POST", "setup", r#"{"method": "sms"}"#, BAD, &["phone_number"], "no number"),
        ("POST", "setup", r#"{"method": "totp", "phone_number": "+12015550123"}"#, BAD, &["method"], "an unknown method"),
        ("POST", "setup", r#"{"method": "SMS", "phone_number": "+12015550123"}"#, BAD, &["method"], "capitals"),
        ("POST", "setup", r#"{"method": ["sms"], "phone_number": "+12015550123"}"#, BAD, &["method"], "a list of methods"),
        ("POST", "setup", r#"{"method": "sms", "phone_number": 12015550123}"#, BAD, &["phone_number"], "a number, literally"),
        ("POST", "setup", r#"{"method": "sms", "phone_number": null}"#, BAD, &["phone_number"], "null"),
        ("POST", "setup", r#"{"method": "sms", "phone_number": {}}"#, BAD, &["phone_number"], "an object"),
        (
            "POST",
            "setup",
            r#"{"method": "sms", "phone_number": "+12015550123", "phone_number": "+12015550124"}"#,
            BAD,
            &["phone_number"],
            "two numbers",
        ),
        (
            "POST",
            "setup",
            r#"{"method": "sms", "phone_number": "+12015550123", "code": "12"}"#,
            BAD,
            &["code"],
            "a malformed proof",
        ),
        (
            "POST",
            "setup",
            r#"{"method": 1, "phone_number": 2, "code": 3}"#,
            BAD,
            &["method", "phone_number", "code"],
            "all wrong",
        ),
        ("POST", "setup", r#"{"method": "none"}"#, "200", &[], "turning it off, without a proof"),
        ("POST", "setup", r#"{"method": "none", "code": "123456"}"#, "200", &[], "turning it off"),
        ("POST", "setup", r#"{"method": "none", "phone_number": 7}"#, "200", &[], "turning it off looks at no number"),
        ("POST", "setup", r#"{"method": "none", "code": "12"}"#, BAD, &["code"], "turning it off with a malformed proof"),
        ("POST", "setup", r#"{"method": "None"}"#, BAD, &["method", "phone_number"], "turning it off, in capitals"),
        ("GET", "setup", "", "200", &[], "status"),
        ("GET", "setup", "{", "200", &[], "status looks at no body"),
        ("DELETE", "setup", r#"{"code": "123456"}"#, "200", &[], "with a proof"),
        ("DELETE", "setup", "", "200", &[], "no body"),
        ("DELETE", "setup", "{}", "200", &[], "no proof"),
        ("DELETE", "setup", r#"{"code": null}"#, "200", &[], "null for a proof"),
        ("DELETE", "setup", r#"{"code": ""}"#, BAD, &["code"], "an empty proof"),
        ("DELETE", "setup", r#"{"code": 123456}"#, BAD, &["code"], "a number"),
        ("DELETE", "setup", "[]", BAD, &["body"], "a list"),
        // send-sms
        ("POST", "send-sms", "", "200", &[], "no body"),
        ("POST", "send-sms", "{}", "200", &[], "nothing"),
        ("POST", "send-sms", r#"{"purpose": "enroll"}"#, "200", &[], "to enroll"),
        ("POST", "send-sms", r#"{"purpose": "replace"}"#, "200", &[], "to replace"),
        ("POST", "send-sms", r#"{"purpose": "sign_in"}"#, "200", &[], "to sign in"),
        ("POST", "send-sms", r#"{"purpose": "confirm"}"#, "200", &[], "to confirm"),
        ("POST", "send-sms", r#"{"purpose": "change"}"#, "200", &[], "to change"),
        ("POST", "send-sms", r#"{"purpose": null}"#, "200", &[], "null"),
        ("POST", "send-sms", r#"{"purpose": "signin"}"#, BAD, &["purpose"], "no purpose"),
        ("POST", "send-sms", r#"{"purpose": 1}"#, BAD, &["purpose"], "a number"),
        ("POST", "send-sms", r#"{"purpose": []}"#, BAD, &["purpose"], "a list"),
        ("POST", "send-sms", r#"{"purpose": "change", "purpose": "change"}"#, BAD, &["purpose"], "twice the same"),
        ("POST", "send-sms", r#"{"phone_number": "+19005551234"}"#, "200", &[], "an unknown field"),
        ("POST", "send-sms", r#"{"pending": true}"#, BAD, &["pending"], "of the version before"),
        ("POST", "send-sms", r#"{"pending": false}"#, BAD, &["pending"], "of the version before, and false"),
        ("POST", "send-sms", r#"{"pending": "true"}"#, BAD, &["pending"], "a string"),
        ("POST", "send-sms", r#"{"pending": true, "pending": false}"#, BAD, &["pending"], "yes and no"),
        ("POST", "send-sms", r#"{"pending": true, "purpose": 1}"#, BAD, &["pending", "purpose"], "both wrong"),
        ("POST", "send-sms", r#"{"pending": null}"#, "200", &[], "null is nothing"),
        ("POST", "send-sms", r#"{"purpose": Change}"#, BAD, &["body"], "a bare word"),
        ("POST", "send-sms", "pending", BAD, &["body"], "a word"),
    ];
    for (method, function, body, outcome, fields, reason) in cases {
        let seen = answer(&json_request(method, function, body)).await;
        assert_eq!(seen.outcome(), *outcome, "{method} {function}: {reason}");
        assert_eq!(seen.fields(), *fields, "{method} {function}: {reason}");
        let of_rest = answer(&v1(method, &format!("/api/v1/auth/2fa/{function}"), body)).await;
        assert_eq!((of_rest.outcome(), of_rest.fields()), ((*outcome).to_owned(), fields.to_vec()), "REST: {reason}");
    }
}

#[tokio::test]
async fn the_field_of_the_version_before_is_refused_with_the_name_of_its_heir() {
    let refused = answer(&json_request("POST", "send-sms", r#"{"pending": true}"#)).await;
    assert_eq!(refused.outcome(), BAD);
    let error = &refused.body["errors"][0];
    assert_eq!(error["field"], "pending");
    assert!(error["detail"].as_str().unwrap().contains("\"purpose\""), "{error}");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_answered_with_the_place_and_nothing_of_it() {
    for (body, expected) in [
        (r#"{"code": "135790""#, "The body is not JSON: line 1, column 17: EOF while parsing an object."),
        (r#"{"code": 135790 "purpose": "sign_in"}"#, "The body is not JSON: line 1, column 17: expected `,` or `}`."),
        ("{\n  'code': '135790'\n}", "The body is not JSON: line 2, column 3: key must be a string."),
        ("code=135790", "The body is not JSON: line 1, column 1: expected value."),
        (r#""135790""#, "The body must be a JSON object."),
        (r#"["135790"]"#, "The body must be a JSON object."),
        ("135790", "The body must be a JSON object."),
    ] {
        let seen = answer(&json_request("POST", "verify", body)).await;
        let (detail, error) = (&seen.body["detail"], &seen.body["errors"][0]);
        assert_eq!((detail, error), (&json!(expected), &json!({"field": "body", "detail": expected})), "{body}");
    }
}

#[tokio::test]
async fn a_field_under_another_name_is_told_by_its_right_one() {
    let asked =
        |field: &str, written: &str| format!("This field is required. Did you mean \"{field}\" where you wrote \"{written}\"?");
    for (function, body, field, written) in [
        ("setup", r#"{"method": "sms", "phone": "+12015550123"}"#, "phone_number", "phone"),
        ("setup", r#"{"method": "sms", "phoneNumber": "+12015550123"}"#, "phone_number", "phoneNumber"),
        ("setup", r#"{"method": "sms", "phone-nubmer": "+12015550123"}"#, "phone_number", "phone-nubmer"),
        ("setup", r#"{"type": "sms", "phone_number": "+12015550123"}"#, "method", "type"),
        ("verify", r#"{"otp": "135790"}"#, "code", "otp"),
        ("verify", r#"{"Code": "135790"}"#, "code", "Code"),
        ("verify", r#"{"verification_code": "135790"}"#, "code", "verification_code"),
    ] {
        let seen = answer(&json_request("POST", function, body)).await;
        assert_eq!(seen.body["errors"], json!([{"field": field, "detail": asked(field, written)}]), "{body}");
    }
    for body in [r#"{"name": "135790"}"#, r#"{"\u0000otp": "135790"}"#, r#"{"o t p": 1}"#, r#"{"135790": 1}"#, "{}"] {
        let seen = answer(&json_request("POST", "verify", body)).await;
        assert_eq!(seen.body["errors"], json!([{"field": "code", "detail": "This field is required."}]), "{body}");
    }
}

#[tokio::test]
async fn a_body_is_declared_to_be_json_or_it_is_refused() {
    for (content_type, outcome) in [
        (Some("application/json"), "200"),
        (Some("application/json; charset=utf-8"), "200"),
        (Some("application/json;charset=UTF-8"), "200"),
        (Some("APPLICATION/JSON"), "200"),
        (Some(" application/json ; a=b; c=\"d\" "), "200"),
        (None, "415 unsupported_media_type"),
        (Some(""), "415 unsupported_media_type"),
        (Some("text/plain"), "415 unsupported_media_type"),
        (Some("text/json"), "415 unsupported_media_type"),
        (Some("application/problem+json"), "415 unsupported_media_type"),
        (Some("application/json5"), "415 unsupported_media_type"),
        (Some("application/x-www-form-urlencoded"), "415 unsupported_media_type"),
        (Some("multipart/form-data; boundary=application/json"), "415 unsupported_media_type"),
        (Some("application/json, application/json"), "415 unsupported_media_type"),
        (Some("ü"), "415 unsupported_media_type"),
        (Some("application/json\n"), "415 unsupported_media_type"),
    ] {
        let event = |body| v2("POST", "/api/v1/auth/2fa/verify", content_type, body);
        assert_eq!(answer(&event(r#"{"code": "123456"}"#)).await.outcome(), outcome, "{content_type:?}");
        let send = v2("POST", "/api/v1/auth/2fa/send-sms", content_type, "");
        assert_eq!(answer(&send).await.outcome(), "200", "no body needs no type: {content_type:?}");
    }
    let mut twice = v1("POST", "/api/v1/auth/2fa/verify", r#"{"code": "123456"}"#);
    twice["multiValueHeaders"]["Content-Type"] = json!(["application/json", "text/plain"]);
    assert_eq!(answer(&twice).await.outcome(), "415 unsupported_media_type", "two types");
    let huge = v2("POST", "/api/v1/auth/2fa/verify", Some("text/plain"), &"x".repeat(5_000_000));
    assert_eq!(answer(&huge).await.outcome(), "413 payload_too_large");
}

#[tokio::test]
async fn a_body_in_base64_is_decoded_first_s23() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    for (body, outcome, reason) in [
        (STANDARD.encode(r#"{"code": "123456"}"#), "200", "a code"),
        (String::new(), "400 invalid_request", "nothing"),
        (STANDARD.encode([0xff, 0xfe, 0x00]), "400 invalid_request", "no UTF-8"),
        (STANDARD.encode(b"{\"code\": \"\xff123456\"}"), "400 invalid_request", "no UTF-8 in a field"),
        (STANDARD.encode([0x1f, 0x8b, 0x08]), "400 invalid_request", "gzip"),
        (r#"{"code": "123456"}"#.to_owned(), "400 invalid_request", "JSON, not base64"),
        ("!!!!".to_owned(), "400 invalid_request", "not base64"),
        ("eyJ".to_owned(), "400 invalid_request", "cut"),
        ("ü".to_owned(), "400 invalid_request", "not ASCII"),
        (STANDARD.encode("x".repeat(4097)), "413 payload_too_large", "4097 bytes"),
        (STANDARD.encode(format!(r#"{{"code": "123456", "p": "{}"}}"#, "x".repeat(4000))), "200", "4029 bytes, 5372 in base64"),
    ] {
        for mut event in [json_request("POST", "verify", &body), v1("POST", "/api/v1/auth/2fa/verify/", &body)] {
            event["isBase64Encoded"] = json!(true);
            assert_eq!(answer(&event).await.outcome(), outcome, "{reason}");
        }
    }
}

#[tokio::test]
async fn a_function_answers_at_its_path_only() {
    let ok = r#"{"code": "123456"}"#;
    for (path, outcome, reason) in [
        ("/api/v1/auth/2fa/verify/", "200", "as documented"),
        ("/api/v1/auth/2fa/verify", "200", "without the slash"),
        ("/api/v1/auth/2fa/verify//", "404 not_found", "a slash too many"),
        ("//api/v1/auth/2fa/verify/", "404 not_found", "a slash too many at the beginning"),
        ("/api/v1/auth/2fa/verify/x", "404 not_found", "below it"),
        ("/api/v1/auth/2fa/verifyx", "404 not_found", "a longer name"),
        ("/api/v1/auth/2fa/VERIFY/", "404 not_found", "capitals"),
        ("/x/api/v1/auth/2fa/verify/", "404 not_found", "behind something else"),
        ("api/v1/auth/2fa/verify", "404 not_found", "no slash at the beginning"),
        ("/prod/api/v1/auth/2fa/verify/", "404 not_found", "behind a stage that the gateway does not name"),
        ("/api/v1/auth/2fa/%76erify/", "404 not_found", "escapes"),
        ("/api/v1/auth/2fa/../2fa/verify/", "404 not_found", "dots"),
        ("/api/v1/auth/2fa/verify/?x=1", "404 not_found", "a path holds no query"),
        ("verify", "404 not_found", "a name"),
    ] {
        assert_eq!(answer(&v2("POST", path, Some("application/json"), ok)).await.outcome(), outcome, "{reason}");
    }
}

#[tokio::test]
async fn stages_and_base_paths_that_the_gateway_names_are_looked_through() {
    let ok = r#"{"code": "123456"}"#;
    let mut staged = v2("POST", "/prod/api/v1/auth/2fa/verify/", Some("application/json"), ok);
    staged["requestContext"]["stage"] = json!("prod");
    assert_eq!(answer(&staged).await.outcome(), "200", "an HTTP API with a stage");
    staged["requestContext"]["stage"] = json!("pro");
    assert_eq!(answer(&staged).await.outcome(), "404 not_found", "another stage");
    staged["requestContext"]["stage"] = json!("");
    assert_eq!(answer(&staged).await.outcome(), "404 not_found", "no stage");
    let mut mapped = v2("POST", "/base/api/v1/auth/2fa/verify", Some("application/json"), ok);
    mapped["requestContext"]["routeKey"] = json!("POST /api/v1/auth/2fa/verify");
    assert_eq!(answer(&mapped).await.outcome(), "200", "a custom domain's mapping, and the gateway names the route");
    mapped["requestContext"]["routeKey"] = json!("POST /base/{proxy+}");
    assert_eq!(answer(&mapped).await.outcome(), "404 not_found", "a route for everything proves nothing");
    let mut rest = v1("POST", "/base/api/v1/auth/2fa/verify/", ok);
    rest["requestContext"]["resourcePath"] = json!("/api/v1/auth/2fa/verify/");
    assert_eq!(answer(&rest).await.outcome(), "200", "a REST API's base path mapping");
    rest["path"] = json!("/base/something/else/");
    assert_eq!(answer(&rest).await.outcome(), "404 not_found", "a path that is not what the gateway says it matched");
    let mut named = v1("POST", "/api/v1/auth/2fa/verify", ok);
    named["requestContext"]["stage"] = json!("api");
    assert_eq!(
        answer(&named).await.outcome(),
        "200",
        "a stage whose name begins the path, which a REST API's path does not have"
    );
}

#[test]
fn a_host_without_gateway_routes_by_path_alone() {
    let at = |path: &str, base: Option<&str>| {
        let mut request = Request { path: path.to_owned(), ..Request::default() };
        request.context.base_path = base.map(str::to_owned);
        Route::of(&request)
    };
    for (path, base, route) in [
        ("/api/v1/auth/2fa/setup", None, Some(Route::Setup)),
        ("/api/v1/auth/2fa/send-sms/", None, Some(Route::SendSms)),
        ("/api/v1/auth/2fa/verify/", Some("/base"), Some(Route::Verify)),
        ("/base/api/v1/auth/2fa/verify/", Some("/base"), Some(Route::Verify)),
        ("/base/api/v1/auth/2fa/verify/", None, None),
        ("/api/v1/auth/2fa/", None, None),
        ("/", Some("/"), None),
        ("", None, None),
    ] {
        assert_eq!(at(path, base), route, "{path} behind {base:?}");
    }
    for (route, path) in [(Route::Setup, SETUP.path()), (Route::SendSms, SEND_SMS.path()), (Route::Verify, VERIFY.path())] {
        assert_eq!(Route::at(path), Some(route));
    }
}

#[tokio::test]
async fn another_method_gets_405_and_the_list_of_those_that_work() {
    for (method, function, allow) in [
        ("PUT", "setup", Some("POST, GET, DELETE")),
        ("PATCH", "setup", Some("POST, GET, DELETE")),
        ("HEAD", "setup", Some("POST, GET, DELETE")),
        ("OPTIONS", "setup", Some("POST, GET, DELETE")),
        ("post", "setup", Some("POST, GET, DELETE")),
        ("GET", "verify", Some("POST")),
        ("DELETE", "verify", Some("POST")),
        ("GET", "send-sms", Some("POST")),
        ("TRACE", "send-sms", Some("POST")),
        ("CONNECT", "send-sms", Some("POST")),
        ("BREW", "send-sms", Some("POST")),
    ] {
        let seen = answer(&json_request(method, function, "")).await;
        assert_eq!(seen.outcome(), "405 method_not_allowed", "{method} {function}");
        assert_eq!(seen.headers["allow"].as_str(), allow, "{method} {function}");
    }
}

#[tokio::test]
async fn an_event_with_missing_or_strange_parts_gets_a_4xx_s23() {
    let good = json_request("POST", "verify", r#"{"code": "123456"}"#);
    let with = |pointer: &str, value: Value| {
        let mut event = good.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    for (event, outcome, reason) in [
        (json!({}), "400 invalid_request", "nothing"),
        (json!(null), "400 invalid_request", "null"),
        (json!([]), "400 invalid_request", "a list"),
        (json!("POST"), "400 invalid_request", "a string"),
        (json!(7), "400 invalid_request", "a number"),
        (json!({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}), "400 invalid_request", "another service's event"),
        (json!({"source": "aws.events", "detail": {}}), "400 invalid_request", "a timer's event"),
        (json!({"httpMethod": "POST"}), "404 not_found", "no path"),
        (json!({"httpMethod": "POST", "path": 7}), "404 not_found", "a path that is a number"),
        (json!({"path": "/api/v1/auth/2fa/verify"}), "400 invalid_request", "no method"),
        (
            json!({"httpMethod": "POST", "path": "/api/v1/auth/2fa/verify"}),
            "400 invalid_request",
            "neither headers, nor body, nor context",
        ),
        (json!({"httpMethod": "POST", "path": "/api/v1/auth/2fa/send-sms"}), "200", "all that send-sms needs"),
        (with("/requestContext", json!(null)), "400 invalid_request", "no context"),
        (with("/requestContext/http", json!({})), "400 invalid_request", "no method in the context"),
        (with("/requestContext/http/method", json!("")), "400 invalid_request", "an empty method"),
        (with("/requestContext/http/method", json!("PO ST")), "400 invalid_request", "a method with a space"),
        (with("/requestContext/http/method", json!("PÖST")), "400 invalid_request", "a method that is not ASCII"),
        (with("/requestContext/http/method", json!(["POST"])), "400 invalid_request", "a list of methods"),
        (with("/requestContext/http/sourceIp", json!("nowhere")), "200", "not an address"),
        (with("/requestContext/http/sourceIp", json!(null)), "200", "no address"),
        (with("/requestContext/requestId", json!(null)), "200", "no identifier"),
        (with("/requestContext/stage", json!(7)), "200", "a stage that is a number"),
        (with("/headers", json!(null)), "415 unsupported_media_type", "no headers"),
        (with("/headers", json!([])), "415 unsupported_media_type", "headers that are a list"),
        (with("/headers/content-type", json!(null)), "415 unsupported_media_type", "a header that is null"),
        (with("/headers/content-type", json!(["application/json"])), "415 unsupported_media_type", "a header that is a list"),
        (with("/headers/host", json!("bad host\u{0}")), "200", "not a host"),
        (with("/headers/host", json!("[::1")), "200", "half an address as host"),
        (with("/body", json!(null)), "400 invalid_request", "no body"),
        (with("/body", json!({"code": "123456"})), "400 invalid_request", "a body that is an object"),
        (with("/body", json!(7)), "400 invalid_request", "a body that is a number"),
        (with("/isBase64Encoded", json!("true")), "200", "a flag that is a string"),
        (with("/rawPath", json!(null)), "404 not_found", "no path"),
        (with("/rawPath", json!("")), "404 not_found", "an empty path"),
        (with("/rawPath", json!("/ü\u{0}%zz?#")), "404 not_found", "a path that is no URL"),
        (with("/rawQueryString", json!("%%%&&&===\u{0}")), "200", "not a query"),
        (with("/version", json!("9.9")), "200", "an unknown version"),
    ] {
        let seen = answer(&event).await;
        assert_eq!(seen.outcome(), outcome, "{reason}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(answer_text(&deep).await.outcome(), "400 invalid_request", "an event that nests deeply");
    let deep = format!(r#"{{"httpMethod": "POST", "path": "/", "x": {deep}}}"#);
    assert_eq!(answer_text(&deep).await.outcome(), "400 invalid_request", "a field that nests deeply");
    assert_eq!(answer_text(r#"{"httpMethod": "\ud800"}"#).await.outcome(), "400 invalid_request", "half a character");
    let many: Value = (0..40_000).map(|n| (format!("x-{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(answer(&with("/headers", many)).await.outcome(), "415 unsupported_media_type", "too many headers");
}

#[tokio::test]
async fn every_problem_carries_the_headers_and_members_of_the_contract() {
    let seen = answer(&json_request("POST", "verify", r#"{"code": 1}"#)).await;
    assert_eq!(
        seen.headers,
        json!({"content-type": "application/problem+json", "cache-control": "no-store", "x-content-type-options": "nosniff",
            "x-request-id": "r-1"})
    );
    assert_eq!(
        seen.body,
        json!({"type": "urn:2fa:problem:invalid_request", "title": "Invalid request", "status": 400, "code": "invalid_request",
            "detail": "Check these fields of the request: code.", "request_id": "r-1",
            "errors": [{"field": "code", "detail": "This field must be a string."}]})
    );
    let nameless = answer(&json!({})).await;
    assert_eq!(
        (&nameless.headers["x-request-id"], &nameless.body["request_id"]),
        (&json!("invocation-1"), &json!("invocation-1"))
    );
}

#[test]
fn the_source_address_is_the_gateways_word_and_no_headers_s13() {
    for mut event in [json_request("POST", "verify", ""), v1("POST", "/api/v1/auth/2fa/verify", "")] {
        for name in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"] {
            event["headers"][name] = json!("203.0.113.66");
            event["multiValueHeaders"][name] = json!(["203.0.113.66"]);
        }
        assert_eq!(parsed(&event).origin().address, Some("192.0.2.7".parse::<IpAddr>().unwrap()));
        event["requestContext"]["http"] = json!({"method": "POST"});
        event["requestContext"]["identity"] = json!({});
        assert_eq!(parsed(&event).origin().address, None, "no header steps in");
    }
    let mut v6 = json_request("POST", "verify", "");
    v6["requestContext"]["http"]["sourceIp"] = json!("2001:db8::7");
    assert_eq!(parsed(&v6).origin().address, Some("2001:db8::7".parse::<IpAddr>().unwrap()));
}

#[test]
fn what_the_client_says_of_itself_is_cut_to_size_for_the_audit_trail() {
    let mut event = json_request("POST", "verify", "");
    for (user_agent, kept) in [
        (json!("curl/8"), Some("curl/8".to_owned())),
        (json!("ü".repeat(300)), Some("ü".repeat(256))),
        (json!("a\tb"), Some("ab".to_owned())),
        (json!("a\u{85}\u{9b}31mb"), Some("a31mb".to_owned())),
        (json!("evil\r\nX: y"), None),
        (json!(""), None),
        (json!(null), None),
    ] {
        event["headers"]["user-agent"] = user_agent.clone();
        assert_eq!(parsed(&event).origin().user_agent, kept, "{user_agent}");
    }
}

#[test]
fn a_request_is_named_as_the_gateway_names_it() {
    let mut event = json_request("POST", "verify", "");
    for (id, named) in [
        (json!("JKJaXmPLvHcESHA="), "JKJaXmPLvHcESHA="),
        (json!("a b"), "invocation-1"),
        (json!("a\nb"), "invocation-1"),
        (json!("ü"), "invocation-1"),
        (json!(""), "invocation-1"),
        (json!("x".repeat(129)), "invocation-1"),
        (json!(7), "invocation-1"),
    ] {
        event["requestContext"]["requestId"] = id.clone();
        assert_eq!(parsed(&event).origin().request_id, named, "{id}");
    }
}

#[test]
fn claims_are_those_of_the_authorizer() {
    let mut http_api = json_request("POST", "verify", "");
    http_api["requestContext"]["authorizer"] = json!({"jwt": {"claims": {"sub": "alice"}, "scopes": null}});
    assert_eq!(parsed(&http_api).context.claims.unwrap()["sub"], "alice");
    let mut rest = v1("POST", "/api/v1/auth/2fa/verify", "");
    rest["requestContext"]["authorizer"] = json!({"claims": {"sub": "alice"}});
    assert_eq!(parsed(&rest).context.claims.unwrap()["sub"], "alice");
    for authorizer in [json!(null), json!({}), json!({"jwt": {}}), json!({"jwt": {"claims": "alice"}}), json!({"sub": "alice"})] {
        http_api["requestContext"]["authorizer"] = authorizer.clone();
        assert_eq!(parsed(&http_api).context.claims, None, "{authorizer}");
    }
}

#[test]
fn two_authorization_headers_stay_two() {
    let mut event = v1("POST", "/api/v1/auth/2fa/verify", "");
    event["multiValueHeaders"]["Authorization"] = json!(["Bearer a", "Bearer b"]);
    event["headers"]["Authorization"] = json!("Bearer b");
    assert_eq!(parsed(&event).headers.get_all("authorization").iter().count(), 2);
    let mut event = json_request("POST", "verify", "");
    event["headers"]["Authorization"] = json!("Bearer a");
    event["headers"]["authorization"] = json!("Bearer b");
    assert_eq!(parsed(&event).headers.get_all("authorization").iter().count(), 2, "in two spellings");
}

#[test]
fn a_good_event_is_read_as_lambda_http_reads_it() {
    let event = json_request("POST", "verify", r#"{"code": "123456"}"#);
    let ours = parsed(&event);
    let theirs = lambda_http::request::from_str(&event.to_string()).unwrap();
    assert_eq!((&ours.method, &*ours.path, &ours.headers), (theirs.method(), theirs.uri().path(), theirs.headers()));
    assert!(ours.body == RequestBody::Bytes(theirs.body().to_vec()));
}

#[test]
fn a_parsed_body_shows_no_code_in_debug_output() {
    let event = json_request("POST", "verify", r#"{"code": "135790"}"#);
    let request = parsed(&event);
    let body = VerifyBody::parse(&request).unwrap();
    assert!(matches!(body.code, Proof::Sms(_)));
    assert!(!format!("{request:?} {body:?}").contains("135790"));
}

/// Any JSON, now and then with the names that mean something.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::sample::select(vec!["123456", "sms", "+12015550123", "POST", "/api/v1/auth/2fa/verify"]).prop_map(Value::from),
        proptest::strategy::Just(Value::Null),
    ];
    let names = prop_oneof![
        ".{0,8}",
        prop::sample::select(vec![
            "code",
            "method",
            "phone_number",
            "pending",
            "purpose",
            "requestContext",
            "http",
            "httpMethod",
            "rawPath",
            "path",
            "headers",
            "multiValueHeaders",
            "content-type",
            "body",
            "isBase64Encoded",
            "authorizer",
            "jwt",
            "claims",
            "requestId",
            "stage",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..8).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    /// S23
    #[test]
    fn no_event_and_no_body_makes_a_panic_or_a_5xx(event in any_json(), body in any_json(), bytes: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert!(answer(&event).await.status < 500);
            for function in ["setup", "send-sms", "verify"] {
                assert!(answer(&json_request("POST", function, &body.to_string())).await.status < 500);
            }
        });
        let mut request = Request { method: Method::POST, ..Request::default() };
        request.headers.insert("content-type", "application/json".parse().unwrap());
        request.body = RequestBody::Bytes(bytes);
        let _: Result<_, Problem> = VerifyBody::parse(&request);
        let _: Result<_, Problem> = SetupBody::parse(&request);
    }
}
