//! The operator's commands, on the embedded database and with providers that are emulated at the wire.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use two_factor::{
    adapters::{
        dynamodb::{client, table::ensure_table},
        system::{SystemClock, SystemRandom},
    },
    app::Parts,
    domain::price,
    ports::Clock,
};
use two_factor_local::{
    database::{EmbeddedDatabase, sdk_config},
    sms_inbox::Reply,
};
use two_factor_operator::{Ending, Invocation, run};
use two_factor_tests::{
    clock::ManualClock,
    dynamodb_proxy::{Fault, Proxy},
    service::{HOME, TestService, WORK, wrong},
    tokens::SigningKey,
};
use wiremock::{
    Mock, MockBuilder, MockServer, ResponseTemplate,
    matchers::{basic_auth, body_string_contains, header, method, path, query_param},
};

const ACCOUNT: &str = "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef";
const TABLE: &str = "sms-2fa";
const DEVELOPMENT: [(&str, &str); 1] = [("APP_ENV", "development")];

/// What a call of the program leaves behind.
#[derive(Debug)]
struct Outcome {
    ending: Ending,
    out: String,
    err: String,
}

impl Outcome {
    /// The line about one subject, and the one after it, which says what to do.
    #[track_caller]
    fn about(&self, subject: &str) -> (&str, &str) {
        let is_about = |line: &str| line.split_whitespace().nth(1) == Some(subject) && !line.starts_with("waiting");
        let mut lines = self.out.lines().skip_while(|line| !is_about(line));
        (lines.next().unwrap_or_else(|| panic!("nothing about {subject}:\n{}", self.out)), lines.next().unwrap_or_default())
    }

    #[track_caller]
    fn is_ok(&self, subject: &str, state: &str) {
        let (line, _) = self.about(subject);
        assert!(line.starts_with("ok  ") && line.contains(state), "{state}\n{}", self.out);
    }

    /// A setting has this value, and came from there.
    #[track_caller]
    fn has_setting(&self, name: &str, value: &str, from: &str) {
        let line = self.out.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name}:\n{}", self.out));
        let rest = line.strip_prefix(name).unwrap().trim_start();
        assert!(rest.strip_prefix(value).is_some_and(|rest| rest.trim_start() == from), "{name} {value} {from}\n{}", self.out);
    }

    /// The check found something wrong, and says what to do about it.
    #[track_caller]
    fn is_problem(&self, subject: &str, what: &str, remedy: &str) {
        let (line, next) = self.about(subject);
        assert!(line.starts_with("problem") && line.contains(what), "{what}\n{}", self.out);
        assert!(next.trim_start().starts_with("-> ") && next.contains(remedy), "{remedy}\n{}", self.out);
        assert_eq!(self.ending, Ending::Problem, "{}", self.out);
    }
}

async fn doctor_at(clock: Arc<dyn Clock>, settings: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    doctor_with_input(clock, settings, arguments, "").await
}

async fn doctor_with_input(clock: Arc<dyn Clock>, settings: &[(&str, &str)], arguments: &[&str], input: &str) -> Outcome {
    let environment: BTreeMap<_, _> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let parts = Parts { clock, random: Arc::new(SystemRandom), request_time: Duration::ZERO, ..Parts::default() };
    let arguments = arguments.iter().map(Into::into).collect();
    let input = Box::new(io::Cursor::new(input.to_owned()));
    let invocation = Invocation { arguments, environment, input, parts, look_again_after: Duration::from_millis(1) };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ending = run(invocation, &mut out, &mut err).await;
    Outcome { ending, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

async fn doctor(settings: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    doctor_at(Arc::new(SystemClock), settings, arguments).await
}

/// A deployment for production: the table is real, everything else is emulated, and all of it is sound until a test breaks it.
struct Deployment {
    database: EmbeddedDatabase,
    storage: Proxy,
    server: MockServer,
    settings: BTreeMap<String, String>,
    next_priority: AtomicU8,
}

impl Deployment {
    async fn sound() -> Self {
        let database = EmbeddedDatabase::start(None, 0).unwrap();
        let tables = client(&sdk_config(&database.endpoint()).unwrap());
        ensure_table(&tables, TABLE).await.unwrap();
        tables.update_table().table_name(TABLE).deletion_protection_enabled(true).send().await.unwrap();
        let storage = Proxy::start(&database.endpoint());
        storage.fail_in_turns("DescribeContinuousBackups", [Some(backups("ENABLED"))]);
        let server = MockServer::start().await;
        let (table_url, url) = (storage.endpoint(), server.uri());
        let settings = [
            ("APP_ENV", "production"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "s3cr3t"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &table_url),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &url),
            ("AWS_ENDPOINT_URL_SNS", &url),
            ("AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2", &url),
            ("SECRET_ID", "two-factor/secret"),
            ("AUTH_MODE", "jwks"),
            ("AUTH_JWKS_URL", &format!("{url}/keys")),
            ("AUTH_AUDIENCE", "two-factor"),
            ("SMS_PROVIDERS", "twilio,sns,aws-sms,vonage,messagebird,plivo"),
            ("TWILIO_BASE_URL", &url),
            ("VONAGE_BASE_URL", &url),
            ("MESSAGEBIRD_BASE_URL", &url),
            ("PLIVO_BASE_URL", &url),
        ];
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let deployment = Self { database, storage, server, settings, next_priority: AtomicU8::new(u8::MAX) };
        deployment.secret(&secret()).await;
        let key = SigningKey::p256().jwk("current");
        deployment.answers(get("/keys"), 200, json!({"keys": [key, {"kty": "oct", "k": "AA"}]})).await;
        let twilio = || get_as("AC0123456789abcdef0123456789abcdef", "tw1l10-t0k3n");
        deployment.answers(twilio().and(path(format!("{ACCOUNT}.json"))), 200, json!({"status": "active", "type": "Full"})).await;
        let balance = json!({"balance": "12.34", "currency": "USD"});
        deployment.answers(twilio().and(path(format!("{ACCOUNT}/Balance.json"))), 200, balance).await;
        let numbers = twilio().and(path(format!("{ACCOUNT}/IncomingPhoneNumbers.json")));
        let ours = json!({"incoming_phone_numbers": [{"phone_number": "+15005550006", "capabilities": {"sms": true}}]});
        deployment.answers(numbers.and(query_param("PhoneNumber", "+15005550006")), 200, ours).await;
        deployment.sns("GetSMSSandboxAccountStatus", "<IsInSandbox>false</IsInSandbox>").await;
        let limit = "<attributes><entry><key>MonthlySpendLimit</key><value>100</value></entry></attributes>";
        deployment.sns("GetSMSAttributes", limit).await;
        let tier = json!({"AccountAttributes": [{"Name": "ACCOUNT_TIER", "Value": "PRODUCTION"}]});
        deployment.end_user_messaging("DescribeAccountAttributes", tier).await;
        let limit =
            json!({"Name": "TEXT_MESSAGE_MONTHLY_SPEND_LIMIT", "EnforcedLimit": 50, "MaxLimit": 100, "Overridden": false});
        deployment.end_user_messaging("DescribeSpendLimits", json!({"SpendLimits": [limit]})).await;
        let vonage = get_as("abcd1234", "v0n4g3-s3cr3t").and(path("/account/get-balance"));
        deployment.answers(vonage, 200, json!({"value": 10.28, "autoReload": false})).await;
        let messagebird = get("/balance").and(header("authorization", "AccessKey live_m3ss4g3b1rd"));
        deployment.answers(messagebird, 200, json!({"payment": "prepaid", "type": "euros", "amount": 9.2})).await;
        let plivo = || get_as("MA0123456789", "pl1v0-t0k3n");
        let account = json!({"account_type": "standard", "billing_mode": "prepaid", "cash_credits": "1.80900", "state": "NY"});
        deployment.answers(plivo().and(path("/v1/Account/MA0123456789/")), 200, account).await;
        let number = plivo().and(path("/v1/Account/MA0123456789/Number/15005550006/"));
        deployment.answers(number, 200, json!({"number": "15005550006", "sms_enabled": true})).await;
        deployment
    }

    /// Answers like this from now on, whatever was answered before.
    async fn answers(&self, request: MockBuilder, status: u16, body: Value) {
        let answer = ResponseTemplate::new(status).set_body_json(body);
        request.respond_with(answer).with_priority(self.priority()).mount(&self.server).await;
    }

    /// Smaller, and so more important, with each mock: the last one counts.
    fn priority(&self) -> u8 {
        self.next_priority.fetch_sub(1, Ordering::SeqCst)
    }

    async fn secret(&self, keys: &Value) {
        let request = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
        self.answers(request, 200, json!({"ARN": "arn:s", "Name": "s", "SecretString": keys.to_string()})).await;
    }

    async fn sns(&self, action: &str, result: &str) {
        let body = format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>");
        let request = Mock::given(method("POST")).and(body_string_contains(format!("Action={action}&")));
        let answer = ResponseTemplate::new(200).set_body_raw(body, "text/xml");
        request.respond_with(answer).with_priority(self.priority()).mount(&self.server).await;
    }

    async fn end_user_messaging(&self, action: &str, result: Value) {
        let request = Mock::given(method("POST")).and(header("x-amz-target", format!("PinpointSMSVoiceV2.{action}")));
        self.answers(request, 200, result).await;
    }

    async fn check(&self) -> Outcome {
        self.check_with(&[]).await
    }

    async fn check_with(&self, changes: &[(&str, &str)]) -> Outcome {
        self.check_at(ManualClock::new(), changes).await
    }

    async fn check_at(&self, clock: Arc<ManualClock>, changes: &[(&str, &str)]) -> Outcome {
        self.doctor_at(clock, changes, &["check"]).await
    }

    async fn doctor(&self, changes: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        self.doctor_at(ManualClock::new(), changes, arguments).await
    }

    async fn doctor_at(&self, clock: Arc<ManualClock>, changes: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        let settings = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let settings: Vec<_> = settings.chain(changes.iter().copied()).collect();
        let outcome = doctor_at(clock, &settings, arguments).await;
        for secret in ["t0k3n", "s3cr3t", "m3ss4g3b1rd", "p3pp3r"] {
            assert!(!outcome.out.contains(secret) && !outcome.err.contains(secret), "{secret} is shown:\n{}", outcome.out);
        }
        outcome
    }
}

fn secret() -> Value {
    json!({
        "CODE_PEPPER": "p3pp3r-p3pp3r-p3pp3r-p3pp3r-p3pp3r",
        "TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef", "TWILIO_AUTH_TOKEN": "tw1l10-t0k3n",
        "TWILIO_PHONE_NUMBER": "+15005550006",
        "VONAGE_API_KEY": "abcd1234", "VONAGE_API_SECRET": "v0n4g3-s3cr3t", "VONAGE_FROM": "ACME",
        "MESSAGEBIRD_ACCESS_KEY": "live_m3ss4g3b1rd", "MESSAGEBIRD_FROM": "ACME",
        "PLIVO_AUTH_ID": "MA0123456789", "PLIVO_AUTH_TOKEN": "pl1v0-t0k3n", "PLIVO_FROM": "+15005550006",
    })
}

/// What DynamoDB says of a table's point-in-time recovery, which the embedded one does not have.
fn backups(status: &str) -> Fault {
    Fault::Answer(json!({"ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status},
    }}))
}

fn get(at: &str) -> MockBuilder {
    Mock::given(method("GET")).and(path(at))
}

fn get_as(user: &str, password: &str) -> MockBuilder {
    Mock::given(method("GET")).and(basic_auth(user, password))
}

#[tokio::test]
async fn a_sound_deployment_has_no_problem_and_nothing_is_sent() {
    let deployment = Deployment::sound().await;
    let outcome = deployment.check().await;
    let (keys, prices) = (format!("{}/keys", deployment.server.uri()), price::date());
    let expected = format!(
        "\
ok       aws          region eu-central-1; credentials from environment
ok       secret       readable; it holds CODE_PEPPER, MESSAGEBIRD_ACCESS_KEY, MESSAGEBIRD_FROM, PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN, \
PLIVO_FROM, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER, VONAGE_API_KEY, VONAGE_API_SECRET, VONAGE_FROM
ok       settings     complete, for production
ok       table        sms-2fa is active, with the keys `pk` and `sk`
ok       expiry       what is stale is dropped by its attribute `ttl`
ok       backups      point-in-time recovery is on: any second of the last days can be brought back
ok       deletion     the table is protected: nobody deletes it by accident
ok       tokens       jwks, 1 usable key at {keys}; any issuer, one audience; the user is `sub`
ok       twilio       account active; balance 12.34 USD; sends as +15005550006
ok       sns          out of the sandbox; 100 USD may be spent in a month
ok       aws-sms      out of the sandbox; 50 USD may be spent in a month
ok       vonage       balance 10.28 EUR; sends as ACME
ok       messagebird  balance 9.2 euros; sends as ACME
ok       plivo        balance 1.81 USD; sends as +15005550006
ok       prices       list of {prices}

no problems: 15 ok
"
    );
    assert_eq!(outcome.out, expected);
    assert_eq!((outcome.ending.code(), outcome.err.as_str()), (0, ""));
    for request in deployment.server.received_requests().await.unwrap() {
        let (target, body) = (request.headers.get("x-amz-target"), String::from_utf8_lossy(&request.body));
        let reads = request.method.as_str() == "GET"
            || body.contains("Action=GetSMS")
            || target
                .is_some_and(|target| ["GetSecretValue", "Describe"].iter().any(|read| target.to_str().unwrap().contains(read)));
        assert!(reads, "{} {} {body}", request.method, request.url);
    }
}

#[tokio::test]
async fn prices_older_than_a_year_are_a_problem() {
    let deployment = Deployment::sound().await;
    let clock = ManualClock::new();
    clock.advance(Duration::from_hours(366 * 24));
    deployment.check_at(clock, &[]).await.is_problem("prices", "is older than a year", "shared/src/domain/prices.csv");
}

#[tokio::test]
async fn a_problem_of_a_provider_is_named_with_what_to_do() {
    let deployment = Deployment::sound().await;
    let (twilio, plivo) = ("tw1l10-t0k3n", "pl1v0-t0k3n");
    let account = || get_as("AC0123456789abcdef0123456789abcdef", twilio).and(path(format!("{ACCOUNT}.json")));
    let numbers =
        || get_as("AC0123456789abcdef0123456789abcdef", twilio).and(path(format!("{ACCOUNT}/IncomingPhoneNumbers.json")));
    deployment.answers(numbers(), 200, json!({"incoming_phone_numbers": []})).await;
    deployment.sns("GetSMSSandboxAccountStatus", "<IsInSandbox>true</IsInSandbox>").await;
    let nothing = json!({"Name": "TEXT_MESSAGE_MONTHLY_SPEND_LIMIT", "EnforcedLimit": 0, "MaxLimit": 1, "Overridden": true});
    deployment.end_user_messaging("DescribeSpendLimits", json!({"SpendLimits": [nothing]})).await;
    deployment.answers(get("/account/get-balance"), 401, json!({"error-code": "401"})).await;
    deployment.answers(get("/balance"), 200, json!({"payment": "prepaid", "type": "euros", "amount": 0})).await;
    let number = get_as("MA0123456789", plivo).and(path("/v1/Account/MA0123456789/Number/15005550006/"));
    deployment.answers(number, 404, json!({"error": "not found"})).await;
    let outcome = deployment.check().await;
    outcome.is_problem("twilio", "+15005550006 is not a number of this account", "TWILIO_PHONE_NUMBER");
    outcome.is_problem("sns", "the account is in the sandbox", "production access");
    outcome.is_problem("aws-sms", "nothing may be spent", "set-text-message-spend-limit-override");
    outcome.is_problem("vonage", "does not take the credentials", "VONAGE_API_KEY and VONAGE_API_SECRET");
    outcome.is_problem("messagebird", "the balance is 0 euros", "top up");
    outcome.is_problem("plivo", "+15005550006 does not belong to this account", "PLIVO_FROM");
    outcome.is_ok("table", "is active");
    assert!(outcome.out.ends_with("\n6 problems: 9 ok\n"), "{}", outcome.out);
    assert_eq!(outcome.ending.code(), 1);

    for (status, body, what, remedy) in [
        (401, json!({"code": 20003}), "does not take the credentials", "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
        (404, json!({"code": 20404}), "no such account", "TWILIO_ACCOUNT_SID"),
        (200, json!({"status": "suspended"}), "the account is suspended", "console"),
        (200, json!({"status": "active", "type": "Trial"}), "trial account", "upgrade"),
        (503, json!({}), "answers 503", "status page"),
    ] {
        deployment.answers(account(), status, body).await;
        deployment.check_with(&[("SMS_PROVIDERS", "twilio")]).await.is_problem("twilio", what, remedy);
    }
    deployment.check_with(&[("SMS_PROVIDERS", "vonage"), ("VONAGE_BASE_URL", "http://127.0.0.1:9")]).await.is_problem(
        "vonage",
        "cannot be reached: Connection refused",
        "network",
    );
}

#[tokio::test]
async fn a_question_that_aws_refuses_names_the_permission() {
    let deployment = Deployment::sound().await;
    let error = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>not you</Message></Error></ErrorResponse>";
    let answer = ResponseTemplate::new(403).set_body_raw(error, "text/xml");
    let request = Mock::given(method("POST")).and(body_string_contains("Action=GetSMSAttributes&"));
    request.respond_with(answer).with_priority(deployment.priority()).mount(&deployment.server).await;
    let voice = Mock::given(method("POST")).and(header("x-amz-target", "PinpointSMSVoiceV2.DescribeSpendLimits"));
    deployment.answers(voice, 400, json!({"__type": "ExpiredTokenException", "message": "too late"})).await;
    let outcome = deployment.check_with(&[("SMS_PROVIDERS", "sns,aws-sms")]).await;
    outcome.is_problem("sns", "AuthorizationError: not you", "your user or role needs sns:GetSMSAttributes");
    outcome.is_problem("aws-sms", "ExpiredTokenException: too late", "aws sso login");
}

#[tokio::test]
async fn accounts_that_pay_by_invoice_need_no_balance_and_bird_shows_none() {
    let deployment = Deployment::sound().await;
    deployment.answers(get("/balance"), 200, json!({"payment": "postpaid", "type": "euros", "amount": 0})).await;
    let account = json!({"account_type": "standard", "billing_mode": "postpaid", "cash_credits": "0"});
    deployment.answers(get("/v1/Account/MA0123456789/"), 200, account).await;
    let outcome = deployment.check_with(&[("SMS_PROVIDERS", "messagebird,plivo")]).await;
    outcome.is_ok("messagebird", "pays by invoice");
    outcome.is_ok("plivo", "pays by invoice; sends as +15005550006");
    let bird = [("SMS_PROVIDERS", "messagebird"), ("MESSAGEBIRD_ACCESS_KEY", "bk_eu1_b1rd")];
    deployment.check_with(&bird).await.is_ok("messagebird", "does not refuse the key");
    deployment.answers(get("/v1/sms/messages"), 401, json!({"error": {"code": "E1"}})).await;
    deployment.check_with(&bird).await.is_problem("messagebird", "does not take the credentials", "MESSAGEBIRD_ACCESS_KEY");
}

#[tokio::test]
async fn an_api_key_that_may_not_see_the_account_is_judged_by_the_sender() {
    let deployment = Deployment::sound().await;
    let key = [
        ("SMS_PROVIDERS", "twilio"),
        ("TWILIO_API_KEY_SID", "SK0123456789abcdef0123456789abcdef"),
        ("TWILIO_API_KEY_SECRET", "k3y-s3cr3t"),
    ];
    let refused = deployment.check_with(&key).await;
    refused.is_problem("twilio", "there is no such account", "TWILIO_ACCOUNT_SID");
    for resource in [".json", "/Balance.json", "/IncomingPhoneNumbers.json"] {
        let request = get_as("SK0123456789abcdef0123456789abcdef", "k3y-s3cr3t").and(path(format!("{ACCOUNT}{resource}")));
        deployment.answers(request, 401, json!({"code": 20003})).await;
    }
    let refused = deployment.check_with(&key).await;
    refused.is_problem("twilio", "does not take the credentials", "TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET");
    let numbers =
        get_as("SK0123456789abcdef0123456789abcdef", "k3y-s3cr3t").and(path(format!("{ACCOUNT}/IncomingPhoneNumbers.json")));
    let ours = json!({"incoming_phone_numbers": [{"phone_number": "+15005550006", "capabilities": {"sms": true}}]});
    deployment.answers(numbers, 200, ours).await;
    let outcome = deployment.check_with(&key).await;
    outcome.is_ok("twilio", "sends as +15005550006; the API key may not see the account");
    assert_eq!(outcome.ending, Ending::Success);
}

#[tokio::test]
async fn a_messaging_service_has_to_exist_and_to_have_a_sender() {
    let deployment = Deployment::sound().await;
    let service = [("SMS_PROVIDERS", "twilio"), ("TWILIO_MESSAGING_SERVICE_SID", "MG0123456789abcdef0123456789abcdef")];
    deployment.check_with(&service).await.is_problem(
        "twilio",
        "there is no Messaging Service MG0123456789abcdef0123456789abcdef",
        "TWILIO_MESSAGING_SERVICE_SID",
    );
    deployment
        .answers(
            get("/v1/Services/MG0123456789abcdef0123456789abcdef"),
            200,
            json!({"sid": "MG0123456789abcdef0123456789abcdef"}),
        )
        .await;
    for (kind, list) in [("PhoneNumbers", "phone_numbers"), ("ShortCodes", "short_codes"), ("AlphaSenders", "alpha_senders")] {
        deployment.answers(get(&format!("/v1/Services/MG0123456789abcdef0123456789abcdef/{kind}")), 200, json!({list: []})).await;
    }
    deployment.check_with(&service).await.is_problem(
        "twilio",
        "MG0123456789abcdef0123456789abcdef has no sender (error 21703)",
        "sender pool",
    );
    deployment
        .answers(
            get("/v1/Services/MG0123456789abcdef0123456789abcdef/PhoneNumbers"),
            200,
            json!({"phone_numbers": [{"sid": "PN1"}]}),
        )
        .await;
    deployment.check_with(&service).await.is_ok("twilio", "sends as the Messaging Service MG0123456789abcdef0123456789abcdef");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_one_problem_not_many() {
    let deployment = Deployment::sound().await;
    let request = || Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
    deployment.answers(request(), 400, json!({"__type": "ResourceNotFoundException", "message": "no"})).await;
    let outcome = deployment.check_with(&[("SMS_PROVIDERS", "")]).await;
    outcome.is_problem("secret", "two-factor/secret is not in Secrets Manager", "SecretArn");
    for subject in ["settings", "tokens", "sms"] {
        assert!(outcome.about(subject).0.starts_with("skipped"), "{}", outcome.out);
    }
    outcome.is_ok("table", "sms-2fa is active");
    assert!(outcome.out.ends_with("\n1 problem: 5 ok, 3 skipped\n"), "{}", outcome.out);

    let mut incomplete = secret();
    incomplete.as_object_mut().unwrap().remove("CODE_PEPPER");
    incomplete.as_object_mut().unwrap().remove("TWILIO_AUTH_TOKEN");
    deployment.secret(&incomplete).await;
    let outcome = deployment.check().await;
    outcome.is_problem("settings", "CODE_PEPPER is required in production", "change CODE_PEPPER");
    outcome.is_problem("sms", "TWILIO_AUTH_TOKEN is not set", "change TWILIO_AUTH_TOKEN");
    deployment.secret(&json!({"CODE_PEPPER": "p3pp3r-p3pp3r-p3pp3r-p3pp3r-p3pp3r"})).await;
    let outcome = deployment.check_with(&[("SMS_PROVIDERS", "")]).await;
    outcome.is_problem("sms", "503 sms_not_configured", "into the secret");
}

/// A table with this sort key, and without expiry.
async fn make_table(database: &Client, name: &str, sort_key: &str) {
    let mut table = database.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, role) in [("pk", KeyType::Hash), (sort_key, KeyType::Range)] {
        let definition = AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(role);
        table = table.attribute_definitions(definition.build().unwrap()).key_schema(key.build().unwrap());
    }
    table.send().await.unwrap();
}

#[tokio::test]
async fn the_table_has_to_be_there_with_its_keys_and_its_expiry() {
    let deployment = Deployment::sound().await;
    let with_table = async |name| deployment.check_with(&[("SMS_PROVIDERS", "sns"), ("TABLE_NAME", name)]).await;
    with_table("elsewhere").await.is_problem("table", "there is no table elsewhere", "output TableName");
    let database = client(&sdk_config(&deployment.database.endpoint()).unwrap());
    make_table(&database, "foreign", "created").await;
    make_table(&database, "lasting", "sk").await;
    with_table("foreign").await.is_problem("table", "foreign has other keys", "belongs to something else");
    let outcome = with_table("lasting").await;
    outcome.is_ok("table", "lasting is active");
    outcome.is_problem("expiry", "not enabled", "update-time-to-live --table-name lasting");
    outcome.is_problem("deletion", "is not protected", "update-table --table-name lasting --deletion-protection-enabled");
    let unreachable = [("SMS_PROVIDERS", "sns"), ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")];
    deployment.check_with(&unreachable).await.is_problem("table", "Connection refused", "AWS_REGION");
}

#[tokio::test]
async fn a_table_that_can_be_lost_is_a_problem_in_production_alone() {
    let deployment = Deployment::sound().await;
    let only_sns = ("SMS_PROVIDERS", "sns");
    deployment.storage.fail_in_turns("DescribeContinuousBackups", [Some(backups("DISABLED"))]);
    let command = "update-continuous-backups --table-name sms-2fa";
    deployment.check_with(&[only_sns]).await.is_problem("backups", "point-in-time recovery is off", command);
    let outcome = deployment.check_with(&[only_sns, ("APP_ENV", "development")]).await;
    outcome.is_ok("backups", "is off; this is development");
    let denied = Fault::Error(400, "AccessDeniedException");
    deployment.storage.fail_in_turns("DescribeContinuousBackups", [Some(denied)]);
    let outcome = deployment.check_with(&[only_sns]).await;
    outcome.is_problem("backups", "AccessDeniedException", "needs dynamodb:DescribeContinuousBackups");
}

#[tokio::test]
async fn a_check_waits_for_what_aws_is_not_done_with_as_long_as_it_may() {
    let deployment = Deployment::sound().await;
    let only_sns = [("SMS_PROVIDERS", "sns")];
    let coming = || {
        Fault::Answer(json!({"Table": {"TableName": TABLE, "TableStatus": "CREATING",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]}}))
    };
    let unready = || Fault::Error(400, "ContinuousBackupsUnavailableException");
    deployment.storage.fail_next_of("DescribeTable", 3, coming());
    deployment.storage.fail_next_of("DescribeContinuousBackups", 2, unready());
    let outcome = deployment.check_with(&only_sns).await;
    outcome.is_ok("backups", "is on");
    let waited: Vec<_> = outcome.out.lines().filter(|line| line.starts_with("waiting")).collect();
    assert!(
        matches!(waited[..], [table, backups] if table.contains("made or restored") && backups.contains("new")),
        "{waited:?}"
    );
    assert!(
        outcome.out.contains("ok       table        sms-2fa is active") && outcome.ending == Ending::Success,
        "{}",
        outcome.out
    );

    deployment.storage.fail_next_of("DescribeTable", 1, coming());
    let outcome = deployment.doctor(&only_sns, &["check", "--wait", "0"]).await;
    outcome.is_problem("table", "sms-2fa is being made or restored", "--wait SECONDS");
    for subject in ["expiry", "backups", "deletion"] {
        assert!(outcome.about(subject).0.starts_with("skipped"), "{}", outcome.out);
    }
    deployment.storage.fail_next_of("DescribeContinuousBackups", 1, unready());
    let outcome = deployment.doctor(&only_sns, &["check", "--wait", "0"]).await;
    outcome.is_problem("backups", "still setting them up", "--wait SECONDS");
}

#[tokio::test]
async fn a_table_is_made_once_with_expiry_recovery_and_protection() {
    let deployment = Deployment::sound().await;
    let here = [("TABLE_NAME", "fresh")];
    let unready = || Fault::Error(400, "ContinuousBackupsUnavailableException");
    let turned_on = || Fault::Answer(json!({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED"}}));
    deployment.storage.fail_in_turns("UpdateContinuousBackups", [Some(unready()), Some(turned_on())]);
    for made in ["made", "there before"] {
        deployment.storage.take_calls();
        let outcome = deployment.doctor(&here, &["table", "create"]).await;
        assert_eq!(outcome.ending.code(), 0, "{made}: {}{}", outcome.out, outcome.err);
        outcome.is_ok("aws", "region eu-central-1");
        outcome.is_ok("table", "fresh is active, with the keys `pk` and `sk`");
        outcome.is_ok("expiry", "attribute `ttl`");
        outcome.is_ok("backups", "recovery is on");
        outcome.is_ok("deletion", "is protected");
        assert!(outcome.out.contains("waiting  backups") && outcome.out.ends_with("no problems: 5 ok\n"), "{}", outcome.out);
        let calls = deployment.storage.calls();
        for changed in ["CreateTable", "UpdateTimeToLive", "UpdateTable"] {
            assert_eq!(calls.iter().filter(|call| *call == changed).count(), usize::from(made == "made"), "{made}: {changed}");
        }
    }
    let outcome = deployment.doctor(&[("TABLE_NAME", "other")], &["table", "create", "--wait", "0"]).await;
    outcome.is_problem("table", "not on yet: DynamoDB is setting them up", "say it again; --wait");
}

#[tokio::test]
async fn a_table_that_cannot_be_made_is_told_with_what_to_do() {
    let deployment = Deployment::sound().await;
    let create = async || deployment.doctor(&[("TABLE_NAME", "fresh")], &["table", "create"]).await;
    let denied = || Fault::Error(400, "AccessDeniedException");
    deployment.storage.fail_next_of("CreateTable", 1, denied());
    let outcome = create().await;
    outcome.is_problem("table", "CreateTable failed", "needs dynamodb:CreateTable");
    assert_eq!(outcome.ending.code(), 1);
    deployment.storage.fail_next_of("UpdateContinuousBackups", 1, denied());
    create().await.is_problem("table", "AccessDeniedException", "needs dynamodb:UpdateContinuousBackups");
    // The embedded database has no recovery, as Amazon's DynamoDB Local has none.
    deployment.storage.recover();
    deployment.storage.fail_next_of("UpdateTable", 1, denied());
    create().await.is_problem("table", "AccessDeniedException", "needs dynamodb:UpdateTable");
    let outcome = create().await;
    assert!(outcome.out.contains("skipped  backups      this database, an emulated one, has none"), "{}", outcome.out);
    outcome.is_ok("deletion", "is protected");
    assert_eq!(outcome.ending.code(), 0, "{}", outcome.out);

    let unreachable = [("TABLE_NAME", "fresh"), ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")];
    let outcome = deployment.doctor(&unreachable, &["table", "create"]).await;
    outcome.is_problem("table", "Connection refused", "AWS_REGION");

    let database = client(&sdk_config(&deployment.database.endpoint()).unwrap());
    let outcome = deployment.doctor(&[("TABLE_NAME", "x")], &["table", "create"]).await;
    assert!(outcome.err.contains("TABLE_NAME"), "{}", outcome.err);
    make_table(&database, "foreign", "created").await;
    let outcome = deployment.doctor(&[("TABLE_NAME", "foreign")], &["table", "create"]).await;
    outcome.is_problem("table", "has other keys", "the name of a table that is not there yet");
}

#[tokio::test]
async fn a_misspelled_setting_of_the_deployment_is_a_problem_and_one_of_this_machine_a_notice() {
    let deployment = Deployment::sound().await;
    let mut misspelled = secret();
    misspelled["TWILIO_ACOUNT_SID"] = "hush".into();
    misspelled["SMS_COOLDOWN_SECONDS"] = "30".into();
    misspelled["COLOR"] = "hush".into();
    deployment.secret(&misspelled).await;
    let outcome = deployment.check_with(&[("SMS_PROVIDERS", "sns"), ("SMS_MAX_PER_ADDRESS", "5")]).await;
    for said in [
        "notice   names        nothing reads SMS_MAX_PER_ADDRESS",
        "TWILIO_ACCOUNT_SID is probably meant\n                      -> rename it to TWILIO_ACCOUNT_SID, or take it out of the secret",
        "and not from the secret\n                      -> set SMS_COOLDOWN_SECONDS in the environment, and take it out of the secret",
        "key \"COLOR\"\n                      -> take it out of the secret",
    ] {
        assert!(outcome.out.contains(said), "{said}:\n{}", outcome.out);
    }
    assert!(outcome.out.ends_with("\n3 problems: 10 ok\n") && !outcome.out.contains("hush"), "{}", outcome.out);

    deployment.secret(&secret()).await;
    let file = std::env::temp_dir().join(format!("two-factor-doctor-misspelled-{}.env", std::process::id()));
    fs::write(&file, "CODE_TTL=60\n").unwrap();
    let named = ["--env-file", file.to_str().unwrap(), "check"];
    let outcome = deployment.doctor(&[("SMS_PROVIDERS", "sns")], &named).await;
    outcome.is_problem("names", "nothing reads CODE_TTL", "rename it to CODE_TTL_SECONDS, or take it out of the file");
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn each_problem_of_a_secret_has_its_own_remedy() {
    let deployment = Deployment::sound().await;
    let tokens = ("AUTH_MODE", "hs256");
    let settings = [("SMS_PROVIDERS", ""), tokens, ("TOKEN_SECRET_ID", "two-factor/tokens")];
    let read = |id: &str| {
        let request = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
        request.and(body_string_contains(id.to_owned()))
    };
    let value = |text: &str| json!({"ARN": "arn:s", "Name": "s", "SecretString": text});
    let key = "a t0k3n secret that has 32 bytes or more";
    deployment.answers(read("two-factor/tokens"), 200, value(key)).await;
    let outcome = deployment.check_with(&settings).await;
    outcome.is_ok("token-secret", "readable");
    outcome.is_ok("tokens", "hs256, with a secret of 32 bytes or more");
    assert!(!outcome.out.contains(key), "{}", outcome.out);

    deployment.answers(read("two-factor/tokens"), 200, value(r#"{"AUTH_JWT_SECRET": "t0k3n"}"#)).await;
    let outcome = deployment.check_with(&settings).await;
    outcome.is_problem("token-secret", "two-factor/tokens is a JSON object", "as plain text");
    assert!(outcome.about("settings").0.starts_with("skipped"), "{}", outcome.out);
    for (code, message, what, remedy) in [
        ("ResourceNotFoundException", "no", "is not in Secrets Manager", "TOKEN_SECRET_ID is the stack's output TokenSecretArn"),
        ("ResourceNotFoundException", "for staging label: AWSCURRENT", "has no current value", "put one into it"),
        ("InvalidRequestException", "marked for deletion", "is marked for deletion", "aws secretsmanager restore-secret"),
        ("ValidationException", "no", "is no name that a secret can have", "correct the name"),
        ("AccessDeniedException", "no", "may not be read", "allow secretsmanager:GetSecretValue"),
        ("AccessDeniedException", "Access to KMS is not allowed", "cannot be decrypted", "kms:Decrypt"),
        ("DecryptionFailure", "no", "cannot be decrypted", "kms:Decrypt"),
        ("ExpiredTokenException", "no", "have expired", "aws sso login"),
        ("InternalServiceError", "no", "does not answer", "network"),
    ] {
        deployment.answers(read("two-factor/tokens"), 400, json!({"__type": code, "message": message})).await;
        deployment.check_with(&settings).await.is_problem("token-secret", what, remedy);
    }
    deployment.answers(read("two-factor/secret"), 200, value("CODE_PEPPER=p3pp3r")).await;
    let outcome = deployment.check_with(&[("SMS_PROVIDERS", "")]).await;
    outcome.is_problem("secret", "is not a JSON object", "takes the value before back");
}

#[tokio::test]
async fn a_secret_that_is_mounted_is_read_as_the_server_reads_it_and_aws_is_not_asked() {
    let deployment = Deployment::sound().await;
    let folder = std::env::temp_dir().join(format!("two-factor-mounted-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (file, value) in secret().as_object().unwrap() {
        fs::write(folder.join(file.to_lowercase().replace('_', "-")), value.as_str().unwrap()).unwrap();
    }
    let refused = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
    deployment.answers(refused, 400, json!({"__type": "AccessDeniedException"})).await;
    let id = format!("file:{}", folder.display());
    let here = [("SECRET_ID", &*id)];
    let outcome = deployment.check_with(&here).await;
    outcome.is_ok("secret", "readable; it holds CODE_PEPPER");
    outcome.is_ok("twilio", "");
    let settings = deployment.doctor(&here, &["settings"]).await;
    settings.has_setting("TWILIO_AUTH_TOKEN", "(hidden)", &format!("secret {id}"));
    let shown = deployment
        .doctor(&[("SECRET_ID", &id), ("AUTH_JWT_SECRET", "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t")], &["user", "show", "alice"])
        .await;
    assert_eq!(shown.ending.code(), 0, "{shown:?}");
    fs::remove_dir_all(&folder).unwrap();
    deployment.check_with(&here).await.is_problem("secret", "does not exist", "mount the secret at this path");
    let wrong = deployment.check_with(&[("SECRET_ID", "vault:two-factor")]).await;
    wrong.is_problem("secret", "SECRET_ID must be the name or ARN", "change SECRET_ID");
}

#[tokio::test]
async fn every_setting_is_shown_with_where_it_came_from_and_no_secret_is() {
    let deployment = Deployment::sound().await;
    let file = std::env::temp_dir().join(format!("two-factor-doctor-settings-{}.env", std::process::id()));
    fs::write(&file, "CODE_TTL_SECONDS=60\nALLOWED_COUNTRIES=US\nTWILIO_AUTH_TOKEN=t0k3n-of-the-file\n").unwrap();
    let named = ["--env-file", file.to_str().unwrap(), "settings"];
    let outcome = deployment.doctor(&[("ALLOWED_COUNTRIES", "GB"), ("SMS_PROVIDERS", "")], &named).await;
    let from_file = format!("file {}", file.display());
    outcome.has_setting("ALLOWED_COUNTRIES", "GB", "environment");
    outcome.has_setting("CODE_TTL_SECONDS", "60", &from_file);
    outcome.has_setting("CODE_MAX_ATTEMPTS", "5", "default");
    outcome.has_setting("CODE_PEPPER", "(hidden)", "secret two-factor/secret");
    outcome.has_setting("TWILIO_AUTH_TOKEN", "(hidden)", &from_file);
    outcome.has_setting("AUTH_ISSUER", "-", "not set");
    outcome.has_setting("SMS_PROVIDERS", "twilio,vonage,messagebird,plivo", "those that are configured");
    outcome.has_setting("AWS_REGION", "eu-central-1", "environment");
    let credentials = outcome.out.lines().find(|line| line.starts_with("AWS credentials  ")).expect("a line of their own");
    assert!(credentials.contains("(hidden)") && credentials.ends_with("environment"), "{credentials}");
    let missing: Vec<_> = two_factor::config::settings::ALL
        .iter()
        .filter(|setting| setting.is_for_every_host())
        .filter(|setting| !outcome.out.lines().any(|line| line.split_whitespace().next() == Some(setting.name)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(outcome.ending, Ending::Success, "{}", outcome.err);

    let request = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
    deployment.answers(request, 400, json!({"__type": "AccessDeniedException", "message": "no"})).await;
    let outcome = deployment.doctor(&[], &["settings"]).await;
    outcome.has_setting("CODE_PEPPER", "?", "unknown: a secret cannot be read");
    assert!(outcome.out.contains("\nSECRET_ID: the secret \"two-factor/secret\" may not be read"), "{}", outcome.out);
    assert_eq!(outcome.ending, Ending::Problem);
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn token_keys_have_to_be_there_and_usable() {
    let deployment = Deployment::sound().await;
    let only_sns = [("SMS_PROVIDERS", "sns")];
    deployment.answers(get("/keys"), 200, json!({"keys": [{"kty": "oct", "k": "AA"}]})).await;
    deployment.check_with(&only_sns).await.is_problem("tokens", "no set of usable keys", "JSON Web Key Set");
    deployment.answers(get("/keys"), 404, json!({})).await;
    deployment.check_with(&only_sns).await.is_problem("tokens", "it answers 404", "AUTH_JWKS_URL");
    let short = [("SMS_PROVIDERS", "sns"), ("AUTH_MODE", "hs256"), ("AUTH_JWT_SECRET", "short")];
    deployment.check_with(&short).await.is_problem("settings", "AUTH_JWT_SECRET must have at least 32 bytes", "AUTH_JWT_SECRET");
    deployment
        .check_with(&[("SMS_PROVIDERS", "sns"), ("AUTH_MODE", "gateway")])
        .await
        .is_ok("tokens", "API Gateway's authorizer");
}

#[tokio::test]
async fn wrong_arguments_are_explained_and_end_with_2() {
    for (arguments, reason) in [
        (&[][..], "no command"),
        (&["chekc"], "no command \"chekc\""),
        (&["check", "all"], "check takes no argument"),
        (&["check", "--fast"], "--fast"),
        (&["user", "show"], "one user's ID"),
        (&["user", "delete", "alice"], "show, unlock, reset or erase"),
        (&["user", "erase"], "one user's ID"),
        (&["user", "unlock", "alice", "--yes"], "--yes is for import, user reset and user erase"),
        (&["user", "reset", "alice", "--skip"], "--skip are for import"),
        (&["import", "phones", "more"], "one file"),
        (&["import", "--yes", "--dry-run"], "exclude each other"),
        (&["settings", "all"], "settings takes no argument"),
        (&["settings", "--wait", "1"], "--wait is for check and table create"),
        (&["table"], "table takes create"),
        (&["table", "delete"], "table takes create"),
        (&["check", "--wait", "100000"], "from 0 to 86400"),
        (&["user", "show", ""], "1 to 128 characters"),
        (&["audit", "alice", "--limit", "many"], "many"),
        (&["audit", "alice", "--limit=0"], "from 1 to 1000"),
        (&["audit"], "one user's ID"),
        (&["check", "--limit", "3"], "--limit is for audit"),
        (&["token"], "--sub ID"),
        (&["token", "alice"], "--sub ID"),
        (&["send-test"], "+12015550123"),
        (&["--env-file"], "--env-file"),
    ] {
        let outcome = doctor(&[], arguments).await;
        assert_eq!(outcome.ending.code(), 2, "{arguments:?}");
        assert!(outcome.err.starts_with("doctor: ") && outcome.err.contains(reason), "{arguments:?}: {}", outcome.err);
        assert!(outcome.err.contains("doctor --help") && outcome.out.is_empty(), "{arguments:?}");
    }
    let help = doctor(&[], &["--help"]).await;
    assert_eq!(help.ending.code(), 0);
    for command in [
        "check",
        "table create",
        "send-test",
        "settings",
        "user show",
        "user unlock",
        "user reset",
        "user erase",
        "import",
        "audit",
        "token",
    ] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command}");
    }
    assert!(help.out.lines().all(|line| line.chars().count() <= 130));
    let missing = doctor(&[], &["--env-file", "no-such-file", "check"]).await;
    assert_eq!((missing.ending.code(), missing.err.as_str()), (1, "doctor: no-such-file: there is no such file\n"));
}

/// A service in production, and the doctor with the same settings and the same clock.
struct Practice {
    service: TestService,
    settings: Vec<(&'static str, String)>,
}

impl Practice {
    async fn open() -> Self {
        let service = TestService::production(&[("LOCK_AFTER_FAILURES", "3"), ("SMS_COOLDOWN_SECONDS", "0")]).await;
        let settings = vec![
            ("APP_ENV", "production".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", service.storage.endpoint()),
            ("CODE_PEPPER", "a pepper for tests, which has 32 bytes or more".to_owned()),
            ("AUTH_JWT_SECRET", "a token secret for tests, which has 32 bytes".to_owned()),
            ("TWILIO_BASE_URL", service.inbox.url()),
            ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef".to_owned()),
            ("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef".to_owned()),
            ("TWILIO_PHONE_NUMBER", "+15005550006".to_owned()),
            ("LOCK_AFTER_FAILURES", "3".to_owned()),
            ("OPERATOR", "Olivia Ops".to_owned()),
        ];
        Self { service, settings }
    }

    async fn doctor(&self, arguments: &[&str]) -> Outcome {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        doctor_at(self.service.clock.clone(), &settings, arguments).await
    }

    async fn import(&self, arguments: &[&str], lines: &str) -> Outcome {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        doctor_with_input(self.service.clock.clone(), &settings, arguments, lines).await
    }
}

#[tokio::test]
async fn an_unlocked_user_can_sign_in_again_and_the_trail_says_who_unlocked_s24() {
    let practice = Practice::open().await;
    let alice = practice.service.user("alice");
    alice.enroll(HOME).await;
    alice.send_sms().await.expect(200);
    let code = practice.service.last_code();
    for _ in 0..3 {
        alice.verify(wrong(&code)).await.expect(400);
    }
    alice.verify(&code).await.expect_problem(429, "locked");

    let shown = practice.doctor(&["user", "show", "alice"]).await;
    let expected = "\
alice: two-factor authentication is on

  number          +1****0123 (US), verified 2027-01-01T00:00:00Z
  pending number  none
  code sent       to +1****0123, to sign in, expires 2027-01-01T00:05:00Z; 3 of 5 wrong codes
  SMS codes       3 wrong in a row, the last 2027-01-01T00:00:00Z; locked until 2027-01-01T00:15:00Z (for 15 minutes)
  backup codes    10 left; none wrong
  sends           2 of 5 in the last 60 minutes, the last at 2027-01-01T00:00:00Z
  notifications   1 in the last 24 hours

It is locked: wait, or `doctor user unlock` once you know who is asking. A backup code lifts the lock, too.
";
    assert_eq!((shown.out.as_str(), shown.ending), (expected, Ending::Success), "{}", shown.err);

    practice.service.clock.pass(60);
    let unlocked = practice.doctor(&["user", "unlock", "alice"]).await;
    assert_eq!(unlocked.ending, Ending::Success, "{}", unlocked.err);
    assert!(unlocked.out.contains("\n  SMS codes       none wrong; not locked\n"), "{}", unlocked.out);
    practice.service.clock.pass(60);
    alice.verify(&code).await.expect(200);

    let trail = practice.doctor(&["audit", "alice", "--limit", "3"]).await;
    let lines: Vec<_> = trail.out.lines().collect();
    assert!(lines[0].starts_with("TIME                  EVENT"), "{}", trail.out);
    let unlock = lines.iter().find(|line| line.contains("operator_unlock")).expect("the unlocking is in the trail");
    assert!(unlock.starts_with("2027-01-01T00:01:00Z  operator_unlock  success  -"), "{unlock}");
    assert!(unlock.contains("  operator-") && unlock.ends_with("(operator Olivia Ops)"), "{unlock}");
    assert!(unlocked.out.contains(unlock.split_whitespace().find(|word| word.starts_with("operator-")).unwrap()));
    let verified = lines.iter().rfind(|line| line.contains("  verify ")).expect("the sign-in is in the trail");
    assert!(verified.contains("  +1****0123  127.0.0.1"), "{verified}");
    assert!(trail.out.ends_with("--limit shows more than these 3.\n"), "{}", trail.out);
    for clear in [HOME, &code] {
        assert!(!trail.out.contains(clear) && !shown.out.contains(clear), "{clear}");
    }
}

#[tokio::test]
async fn a_reset_user_can_enroll_anew_and_the_old_number_is_told_s18_s24() {
    let practice = Practice::open().await;
    let alice = practice.service.user("alice");
    alice.enroll(HOME).await;
    let unconfirmed = practice.doctor(&["user", "reset", "alice"]).await;
    assert_eq!(unconfirmed.ending, Ending::Problem);
    for said in ["alice: two-factor authentication is on\n", "Nothing was changed.", "First revoke the user's sessions", "--yes"]
    {
        assert!(unconfirmed.out.contains(said), "{said}: {}", unconfirmed.out);
    }
    assert_eq!(alice.status().await.body["enabled"], true, "nothing was changed");
    let reset = practice.doctor(&["user", "reset", "alice", "--yes"]).await;
    assert_eq!(reset.ending, Ending::Success, "{}", reset.err);
    assert!(reset.out.contains("The number +1****0123 is told of it"), "{}", reset.out);
    assert!(reset.out.contains("alice: two-factor authentication is off\n"), "{}", reset.out);
    let notification = practice.service.inbox.received().last().cloned().unwrap();
    assert_eq!((notification.to(), notification.body().contains("turned off")), (HOME, true));
    assert_eq!(alice.status().await.body["enabled"], false);
    alice.enroll(WORK).await;
    let trail = practice.doctor(&["audit", "alice"]).await;
    let line = trail.out.lines().find(|line| line.contains("operator_reset")).expect("the reset is in the trail");
    assert!(line.contains("success") && line.contains("+1****0123") && line.contains("Olivia Ops"), "{line}");

    let sent = practice.service.inbox.received().len();
    practice.service.user("bob").setup(HOME).await.expect(200);
    let dropped = practice.doctor(&["user", "reset", "bob", "--yes"]).await;
    assert!(dropped.out.contains("pending number  none") && !dropped.out.contains("is told"), "{}", dropped.out);
    assert_eq!(
        practice.service.inbox.received().len(),
        sent + 1,
        "the code, and no notification to a number that was never verified"
    );
    let again = practice.doctor(&["user", "reset", "bob", "--yes"]).await;
    assert_eq!(again.ending, Ending::Problem);
    assert_eq!(again.err, "doctor: there is nothing to reset: no number is active and none is pending\n");

    practice.service.inbox.script([Reply::refusal(400, 21_610)]);
    let untold = practice.doctor(&["user", "reset", "alice", "--yes"]).await;
    assert_eq!(untold.ending, Ending::Success, "it is done all the same: {}", untold.err);
    assert!(untold.out.contains("The number +44****3456 could not be told; the audit trail says why."), "{}", untold.out);
}

/// Calls the API as this user, from a client that says what it is.
async fn call_as(practice: &Practice, client: &str, user: &str, endpoint: &str, body: Value) -> two_factor_tests::service::Reply {
    let user = practice.service.user(user);
    let request = practice.service.request(reqwest::Method::POST, &practice.service.url(endpoint));
    practice.service.send(request.bearer_auth(user.token()).header("user-agent", client).json(&body)).await
}

/// All that is stored of a user: the items of the table by their sort keys.
struct Stored(BTreeMap<String, HashMap<String, AttributeValue>>);

impl Stored {
    fn contains(&self, text: &str) -> bool {
        format!("{:?}", self.0).contains(text)
    }
}

async fn stored_of(practice: &Practice, user: &str) -> Stored {
    let partition = AttributeValue::S(format!("USER#{user}"));
    let items = practice.service.items().await.into_iter().filter(|item| item["pk"] == partition);
    Stored(items.map(|item| (item["sk"].as_s().unwrap().clone(), item)).collect())
}

const SOURCE: &str = "127.0.0.1";

#[tokio::test]
async fn an_erased_user_leaves_events_and_neither_number_nor_address_nor_user_agent_s29() {
    let practice = Practice::open().await;
    for user in ["alice", "bob"] {
        let client = format!("Browser of {user}/1.0");
        let setup = |number: &str| json!({"method": "sms", "phone_number": number});
        let number = if user == "alice" { HOME } else { "+12015550124" };
        call_as(&practice, &client, user, "setup", setup(number)).await.expect(200);
        let code = practice.service.last_code();
        let codes = call_as(&practice, &client, user, "verify", json!({"code": code})).await.expect(200).backup_codes();
        call_as(&practice, &client, user, "verify", json!({"code": "000000"})).await.expect(409);
        call_as(&practice, &client, user, "send-sms", json!({})).await.expect(200);
        let code = practice.service.last_code();
        call_as(&practice, &client, user, "verify", json!({"code": wrong(&code)})).await.expect(400);
        let mut replace = setup(if user == "alice" { WORK } else { "+447400123457" });
        replace["code"] = codes[0].as_str().into();
        call_as(&practice, &client, user, "setup", replace).await.expect(200);
    }
    let personal = [HOME, WORK, "+1****0123", "+44****3456", SOURCE, "Browser of alice"];
    let before = stored_of(&practice, "alice").await;
    for part in personal {
        assert!(before.contains(part), "{part}");
    }
    let bobs = stored_of(&practice, "bob").await;
    let events: Vec<_> = practice.service.audit_trail("alice").await.into_iter().map(|entry| (entry.at, entry.event)).collect();

    let unconfirmed = practice.doctor(&["user", "erase", "alice"]).await;
    assert_eq!((unconfirmed.ending, stored_of(&practice, "alice").await.0 == before.0), (Ending::Problem, true));
    for said in ["alice: two-factor authentication is on\n", "Nothing was changed.", "First revoke the user's sessions"] {
        assert!(unconfirmed.out.contains(said), "{said}: {}", unconfirmed.out);
    }

    let erased = practice.doctor(&["user", "erase", "alice", "--yes"]).await;
    assert_eq!(erased.ending, Ending::Success, "{}", erased.err);
    for said in
        ["The number +1****0123 is told of it", "of the audit trail, which stay.", "alice: two-factor authentication is off\n"]
    {
        assert!(erased.out.contains(said), "{said}: {}", erased.out);
    }
    assert!(!erased.out.contains("set up a number meanwhile"), "{}", erased.out);
    let notification = practice.service.inbox.received().last().cloned().unwrap();
    assert_eq!((notification.to(), notification.body().contains("turned off")), (HOME, true), "S18");

    let everything = format!("{:?}", practice.service.items().await);
    for part in [HOME, WORK, "Browser of alice"] {
        assert!(!everything.contains(part), "{part} is in the table");
    }
    let after = stored_of(&practice, "alice").await;
    for part in personal {
        assert!(!after.contains(part), "{part}: {:?}", after.0);
    }
    assert_eq!(stored_of(&practice, "bob").await.0, bobs.0, "nobody else is touched");
    let trail = practice.service.audit_trail("alice").await;
    let (kept, added) = trail.split_at(events.len());
    assert_eq!(kept.iter().map(|entry| (entry.at, entry.event.clone())).collect::<Vec<_>>(), events, "every event stays");
    let added: Vec<_> =
        added.iter().map(|entry| (entry.event.as_str(), entry.user_agent.as_deref().unwrap_or_default())).collect();
    assert!(
        matches!(added[..], [("operator_reset", one), ("operator_erase", two)] if one == two && one.contains("Olivia Ops")),
        "it stays known who did it: {added:?}"
    );

    // Once more, and once more with nothing to do.
    let again = practice.doctor(&["user", "erase", "alice", "--yes"]).await;
    assert!(
        again.ending == Ending::Success && again.out.contains("No record of the audit trail had"),
        "{}{}",
        again.out,
        again.err
    );
    assert!(!again.out.contains("is told of it"), "{}", again.out);
    // The user may enroll anew, as anybody may.
    practice.service.user("alice").enroll(HOME).await;
}

#[tokio::test]
async fn requests_that_were_under_way_bring_nothing_of_an_erased_user_back() {
    let practice = Practice::open().await;
    let client = "Browser of alice/1.0";
    let enroll = json!({"method": "sms", "phone_number": HOME});
    call_as(&practice, client, "alice", "setup", enroll).await.expect(200);
    let code = practice.service.last_code();

    // One that has read the account, and commits after it was erased: it is decided anew.
    let storage = &practice.service.storage;
    let stopped = storage.stop_next_of("TransactWriteItems");
    let verify = call_as(&practice, client, "alice", "verify", json!({"code": code}));
    let erase = async {
        stopped.done().await;
        let erased = practice.doctor(&["user", "erase", "alice", "--yes"]).await;
        stopped.go_on();
        erased
    };
    let (verified, erased) = tokio::join!(verify, erase);
    assert_eq!(erased.ending, Ending::Success, "{}", erased.err);
    verified.expect_problem(409, "no_pending_verification");
    assert!(!stored_of(&practice, "alice").await.contains(HOME));

    // One whose message is out while the account is erased, and of which a record is written between the two looks at the trail.
    practice.service.user("alice").enroll(HOME).await;
    practice.service.inbox.script([Reply::Cut]);
    let record = storage.stop_next_of("PutItem");
    let (answered, is_answered) = oneshot::channel();
    let send = async {
        call_as(&practice, client, "alice", "send-sms", json!({})).await.expect(200);
        answered.send(()).unwrap();
    };
    let erase = async {
        record.done().await;
        storage.pass_next_of("Query", 1);
        let second_look = storage.stop_next_of("Query");
        let meanwhile = async {
            second_look.done().await;
            assert!(!stored_of(&practice, "alice").await.contains(SOURCE), "the first look is over");
            record.go_on();
            is_answered.await.unwrap();
            assert!(stored_of(&practice, "alice").await.contains(SOURCE), "the late record is there");
            second_look.go_on();
        };
        tokio::join!(practice.doctor(&["user", "erase", "alice", "--yes"]), meanwhile).0
    };
    let ((), erased) = tokio::join!(send, erase);
    assert_eq!(erased.ending, Ending::Success, "{}", erased.err);
    // Those of enrolling (two of setup, two of verify), the send, the reset, and the late one.
    assert!(erased.out.contains("are out of 7 records"), "{}", erased.out);
    let after = stored_of(&practice, "alice").await;
    for part in [HOME, "+1****0123", SOURCE, client] {
        assert!(!after.contains(part), "{part}: {:?}", after.0);
    }
}

#[tokio::test]
async fn an_erasure_that_was_cut_short_is_finished_by_the_next_and_one_without_a_record_erases_nothing() {
    let practice = Practice::open().await;
    let client = "Browser of alice/1.0";
    call_as(&practice, client, "alice", "setup", json!({"method": "sms", "phone_number": HOME})).await.expect(200);
    let storage = &practice.service.storage;
    storage.fail_next_of("PutItem", 1, Fault::Error(400, "AccessDeniedException"));
    let unrecorded = practice.doctor(&["user", "erase", "alice", "--yes"]).await;
    assert!(unrecorded.ending == Ending::Problem && unrecorded.err.contains("run this again"), "{}", unrecorded.err);
    assert!(stored_of(&practice, "alice").await.contains(client), "no record, no erasing of records");

    storage.pass_next_of("UpdateItem", 1);
    storage.fail_next_of("UpdateItem", 1, Fault::Error(400, "AccessDeniedException"));
    let cut_short = practice.doctor(&["user", "erase", "alice", "--yes"]).await;
    assert!(cut_short.ending == Ending::Problem && cut_short.err.contains("run this again"), "{}", cut_short.err);
    practice.service.storage.recover();
    let finished = practice.doctor(&["user", "erase", "alice", "--yes"]).await;
    assert_eq!(finished.ending, Ending::Success, "{}", finished.err);
    let after = stored_of(&practice, "alice").await;
    assert!(!after.contains(client) && !after.contains(SOURCE) && !after.contains(HOME), "{:?}", after.0);
}

const PHONES: &str = concat!(
    r#"{"user": "alice", "phone_number": "+12015550123"}"#,
    "\n\n",
    r#"{"user": 42, "phone_number": "+44 7400 123456", "name": "default"}"#,
    "\r\n",
    r#"{"user": "bob", "phone_number": "+12015550123"}"#,
);

#[tokio::test]
async fn an_import_says_what_it_would_do_does_it_once_and_sends_nothing_s15_s29() {
    let practice = Practice::open().await;
    practice.service.user("bob").enroll(WORK).await;
    let sent = practice.service.inbox.received().len();
    let dry = practice.import(&["import"], PHONES).await;
    let expected = "\
would import  line 1  alice  +1****0123 (US)
would import  line 3  42  +44****3456 (GB)
left alone    line 4  bob  +1****0123 (US): has another number, which stays

2 numbers to import, 0 active already, 1 kept another, 0 unusable
Nothing was changed. Say it again, with --yes.
";
    assert_eq!((dry.out.as_str(), dry.ending), (expected, Ending::Success), "{}", dry.err);
    assert_eq!(practice.service.user("alice").status().await.body["enabled"], false);
    assert_eq!(practice.doctor(&["audit", "alice"]).await.out, "There is no record of alice.\n");

    let done = practice.import(&["import", "-", "--yes"], PHONES).await;
    let expected = "\
imported      line 1  alice  +1****0123 (US)
imported      line 3  42  +44****3456 (GB)
left alone    line 4  bob  +1****0123 (US): has another number, which stays

2 numbers imported, 0 active already, 1 kept another, 0 unusable
";
    assert_eq!((done.out.as_str(), done.ending), (expected, Ending::Success), "{}", done.err);
    let trail = practice.doctor(&["audit", "alice"]).await;
    let records: Vec<_> = trail.out.lines().skip(1).collect();
    assert!(matches!(records[..], [line] if line.contains("  operator_import  success  +1****0123  ")), "{}", trail.out);
    assert!(records[0].ends_with("(operator Olivia Ops)"), "{}", trail.out);
    let status = practice.service.user("alice").status().await.body;
    assert_eq!((&status["enabled"], &status["backup_codes_remaining"]), (&json!(true), &json!(0)));
    assert_eq!(practice.service.user("bob").status().await.body["phone_number_masked"], "+44****3456");

    let before = practice.service.items().await.len();
    let again = practice.import(&["import", "--yes"], PHONES).await;
    assert!(again.out.contains("0 numbers imported, 2 active already, 1 kept another"), "{}", again.out);
    assert!(again.out.contains("left alone    line 1  alice  +1****0123 (US): is active already\n"), "{}", again.out);
    assert_eq!(practice.service.items().await.len(), before, "what was left alone has no record");
    assert_eq!(practice.service.inbox.received().len(), sent, "no message was sent");

    let alice = practice.service.user("alice");
    alice.send_sms().await.expect(200);
    let answer = alice.verify(&practice.service.last_code()).await;
    answer.expect(200);
    assert_eq!(practice.service.inbox.received().last().unwrap().to(), HOME);
    alice.send_sms_for("change").await.expect(200);
    let regenerate = json!({"code": practice.service.last_code(), "regenerate_backup_codes": true});
    let codes = alice.call(Method::POST, "verify", regenerate).await;
    assert_eq!(codes.body["backup_codes"].as_array().map(Vec::len), Some(10), "the codes that an import does not make");
}

#[tokio::test]
async fn a_line_that_cannot_be_used_stops_an_import_before_it_begins_unless_it_is_left_out() {
    let practice = Practice::open().await;
    let lines = [
        (r#"{"user": "alice", "phone_number": "+12015550123"}"#, "would import  line 1  alice  +1****0123 (US)"),
        ("{\"user\": \"bob\", ", "unusable      line 2  ?  not JSON, from column"),
        (r#"{"user": true, "phone_number": "+12015550123"}"#, "unusable      line 3  ?  `user` is a string or an integer"),
        (r#"{"user": "", "phone_number": "+12015550123"}"#, "unusable      line 4  ?  `user` has 1 to 128 characters"),
        (r#"{"user": "bob", "phone": "+12015550123"}"#, "unusable      line 5  ?  `phone_number` is a string"),
        (r#"{"user": "carol", "phone_number": "2015550123"}"#, "unusable      line 6  carol  a phone number is written in E.164"),
        (r#"{"user": "carol", "phone_number": "+11234567890"}"#, "unusable      line 7  carol  there is no such phone number"),
        (r#"{"user": "carol", "phone_number": "+33612345678"}"#, "unusable      line 8  carol  phone numbers of this country"),
        (r#"{"user": "carol", "phone_number": "+442079460000"}"#, "unusable      line 9  carol  this kind of phone number"),
        (r#"{"user": "alice", "phone_number": "+12015550124"}"#, "unusable      line 10  alice  a line above names this user"),
        ("\u{1b}[31m", "unusable      line 11  ?  not JSON"),
    ];
    let input = lines.map(|(line, _)| line).join("\n");
    for arguments in [&["import"][..], &["import", "--yes"]] {
        let outcome = practice.import(arguments, &input).await;
        for (told, (_, expected)) in outcome.out.lines().zip(lines) {
            assert!(told.starts_with(expected), "{expected}\n{told}");
        }
        assert!(outcome.out.contains("1 number to import, 0 active already, 0 kept another, 10 unusable\n"), "{}", outcome.out);
        assert!(outcome.out.contains("Nothing was changed.") && outcome.out.contains("--skip"), "{}", outcome.out);
        assert_eq!(outcome.ending, Ending::Problem);
        for clear in ["2015550123", "11234567890", "33612345678", "442079460000"] {
            assert!(!outcome.out.contains(clear) && !outcome.err.contains(clear), "{clear} is shown");
        }
    }
    assert!(practice.service.items().await.is_empty(), "nothing was written");

    let file = std::env::temp_dir().join(format!("two-factor-import-{}.jsonl", std::process::id()));
    fs::write(&file, &input).unwrap();
    let skipped = practice.doctor(&["import", file.to_str().unwrap(), "--yes", "--skip"]).await;
    fs::remove_file(&file).unwrap();
    assert_eq!(skipped.ending, Ending::Success, "{}{}", skipped.out, skipped.err);
    assert!(skipped.out.contains("\n1 number imported, 0 active already, 0 kept another, 10 unusable\n"), "{}", skipped.out);
    assert_eq!(practice.service.user("alice").status().await.body["enabled"], true);
    let missing = practice.doctor(&["import", file.to_str().unwrap()]).await;
    assert!(missing.ending == Ending::Problem && missing.err.contains("cannot read"), "{}", missing.err);
}

#[tokio::test]
async fn an_import_that_is_cut_short_says_where_and_is_finished_by_the_next() {
    let practice = Practice::open().await;
    practice.service.user("bob").enroll(WORK).await;
    practice.service.storage.fail_in_turns("TransactWriteItems", [None, Some(Fault::Error(400, "AccessDeniedException"))]);
    let cut = practice.import(&["import", "--yes"], PHONES).await;
    assert_eq!((cut.ending, cut.out.as_str()), (Ending::Problem, "imported      line 1  alice  +1****0123 (US)\n"));
    assert!(cut.err.starts_with("doctor: line 3: the table cannot be reached"), "{}", cut.err);
    let finished = practice.import(&["import", "--yes"], PHONES).await;
    assert!(finished.out.contains("1 number imported, 1 active already, 1 kept another"), "{}", finished.out);
}

#[tokio::test]
async fn a_mistyped_user_is_noticed_and_gets_no_record() {
    let practice = Practice::open().await;
    for act in ["unlock", "reset", "erase"] {
        let outcome = practice.doctor(&["user", act, "alcie"]).await;
        assert_eq!(outcome.ending, Ending::Problem);
        assert_eq!(outcome.err, "doctor: nothing is stored of the user alcie: is the ID right?\n");
    }
    assert_eq!(practice.doctor(&["audit", "alcie"]).await.out, "There is no record of alcie.\n");
    let shown = practice.doctor(&["user", "show", "al\u{1b}[31mcie"]).await;
    assert!(shown.out.contains("nothing is stored") && !shown.out.contains('\u{1b}'), "a terminal obeys what it is shown");
}

#[tokio::test]
async fn a_test_message_says_what_it_is_and_who_took_it() {
    let practice = Practice::open().await;
    let sent = practice.doctor(&["send-test", HOME]).await;
    assert_eq!(sent.ending, Ending::Success, "{}", sent.err);
    assert!(sent.out.starts_with("A test message to +1****0123:\n\nPROVIDER  OUTCOME   CODE OR MESSAGE ID"), "{}", sent.out);
    assert!(sent.out.contains("\ntwilio    accepted  SM00000000000000000000000000000001"), "{}", sent.out);
    let [message] = &practice.service.inbox.received()[..] else { panic!("one message") };
    assert_eq!(
        (message.to(), message.body()),
        (HOME, "CODITECT: this is a test message. It holds no code, and there is nothing to do.")
    );

    practice.service.inbox.script([Reply::refusal(400, 21610)]);
    let refused = practice.doctor(&["send-test", HOME]).await;
    assert_eq!(refused.ending, Ending::Problem);
    assert!(refused.out.contains("twilio    opted_out  21610") && refused.out.contains("`opted_out`"), "{}", refused.out);
    practice.service.inbox.script([Reply::Cut]);
    let unknown = practice.doctor(&["send-test", HOME]).await;
    assert_eq!(unknown.ending, Ending::Problem);
    assert!(unknown.out.contains("unknown_outcome") && unknown.out.contains("nobody knows"), "{}", unknown.out);

    let trail = practice.doctor(&["audit", "operator"]).await.out;
    for attempts in ["twilio accepted SM00000000000000000000000000000001", "twilio opted_out 21610", "twilio unknown_outcome"] {
        assert!(trail.contains(attempts), "{attempts}: {trail}");
    }
    for (number, reason) in [("+33612345678", "country"), ("2015550123", "E.164"), ("+442079460000", "cannot receive")] {
        let outcome = practice.doctor(&["send-test", number]).await;
        assert!(outcome.ending == Ending::Problem && outcome.err.contains(reason), "{number}: {}", outcome.err);
    }
    assert_eq!(practice.service.inbox.received().len(), 3, "nothing was sent to them");
    let endpoint = practice.service.storage.endpoint();
    let none = doctor(&[DEVELOPMENT[0], ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)], &["send-test", HOME]).await;
    assert!(none.ending == Ending::Problem && none.err.contains("no SMS provider is configured"), "{}", none.err);
}

#[tokio::test]
async fn a_test_message_goes_through_the_providers_in_their_order() {
    let mut practice = Practice::open().await;
    let vonage = MockServer::start().await;
    let accepted = json!({"message-count": "1", "messages": [{"status": "0", "message-id": "0A0000000123ABCD1"}]});
    Mock::given(method("POST"))
        .and(path("/sms/json"))
        .respond_with(ResponseTemplate::new(200).set_body_json(accepted))
        .expect(1)
        .mount(&vonage)
        .await;
    let settings = [("VONAGE_API_KEY", "abcd1234"), ("VONAGE_API_SECRET", "s3cr3t"), ("VONAGE_FROM", "ACME")];
    practice.settings.extend(settings.map(|(name, value)| (name, value.to_owned())));
    practice.settings.push(("VONAGE_BASE_URL", vonage.uri()));
    practice.service.inbox.script([Reply::refusal(401, 20003)]);
    let sent = practice.doctor(&["send-test", HOME]).await;
    assert_eq!(sent.ending, Ending::Success, "{}", sent.err);
    let lines: Vec<_> = sent.out.lines().collect();
    assert!(lines[3].starts_with("twilio    auth_failed  20003"), "{}", sent.out);
    assert!(lines[4].starts_with("vonage    accepted     0A0000000123ABCD1"), "{}", sent.out);
    assert!(sent.out.contains("vonage took it."), "{}", sent.out);
}

#[tokio::test]
async fn a_token_is_made_in_development_only_s22() {
    for production in [&[][..], &[("APP_ENV", "production")], &[("APP_ENV", "")], &[("SECRET_ID", "two-factor/secret")]] {
        let refused = doctor(production, &["token", "--sub", "alice"]).await;
        assert_eq!((refused.ending, refused.out.as_str()), (Ending::Problem, ""));
        assert!(refused.err.contains("in development only"), "{}", refused.err);
    }
    let service = TestService::development(&[]).await;
    let token = doctor_at(service.clock.clone(), &DEVELOPMENT, &["token", "--sub", "alice"]).await;
    assert_eq!(token.ending, Ending::Success, "{}", token.err);
    let request = service.request(reqwest::Method::GET, &service.url("setup")).bearer_auth(token.out.trim());
    service.send(request).await.expect(200);
}

/// An AWS configuration file, which is gone when this is.
struct AwsConfig(PathBuf);

impl AwsConfig {
    fn new(name: &str, text: &str) -> Self {
        let file = std::env::temp_dir().join(format!("two-factor-doctor-{name}-{}", std::process::id()));
        fs::write(&file, text).unwrap();
        Self(file)
    }

    /// The settings of an operator who has no keys in the environment, and uses the profile `ops`.
    fn in_use(&self) -> [(&str, &str); 5] {
        let file = self.0.to_str().unwrap();
        [
            ("AWS_CONFIG_FILE", file),
            ("AWS_SHARED_CREDENTIALS_FILE", file),
            ("AWS_PROFILE", "ops"),
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_REGION", ""),
        ]
    }
}

impl Drop for AwsConfig {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn credentials_region_and_endpoints_come_from_the_profile_in_use() {
    let deployment = Deployment::sound().await;
    let process =
        r#"printf '{"Version": 1, "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "s3cr3t", "SessionToken": "t0k3n"}'"#;
    let text = format!(
        "[profile ops]\nregion = ap-southeast-2\nservices = emulated\ncredential_process = {process}\n\
         [services emulated]\nsns =\n  endpoint_url = {url}\nsecrets_manager =\n  endpoint_url = {url}\n\
         [profile away]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:9\nsource_profile = ops\n",
        url = deployment.server.uri()
    );
    let config = AwsConfig::new("profile", &text);
    let endpoints = [("AWS_ENDPOINT_URL_SNS", ""), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", ""), ("SMS_PROVIDERS", "sns")];
    let settings: Vec<_> = config.in_use().into_iter().chain(endpoints).collect();
    let outcome = deployment.check_with(&settings).await;
    outcome.is_ok("aws", "region ap-southeast-2; credentials from AWS profile ops");
    outcome.is_ok("secret", "readable");
    outcome.is_ok("sns", "out of the sandbox");
    let requests = deployment.server.received_requests().await.unwrap();
    let signed: Vec<_> =
        requests.iter().filter_map(|request| request.headers.get("authorization")?.to_str().ok()).map(str::to_owned).collect();
    let signed: Vec<_> = signed.iter().filter(|value| value.starts_with("AWS4")).collect();
    assert!(!signed.is_empty() && signed.iter().all(|value| value.contains("Credential=ASIAEXAMPLE/")), "{signed:?}");

    let shown = deployment.doctor(&settings, &["settings"]).await;
    shown.has_setting("AWS_REGION", "ap-southeast-2", "AWS profile ops");
    shown.has_setting("AWS_ENDPOINT_URL_SNS", &deployment.server.uri(), "AWS profile ops");
    shown.has_setting("AWS_PROFILE", "ops", "environment");

    // A variable wins over the profile, and one for all services over a profile's for one.
    let elsewhere = [("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("AWS_REGION", "eu-central-1")];
    let settings: Vec<_> = settings.into_iter().chain(elsewhere).collect();
    let outcome = deployment.check_with(&settings).await;
    outcome.is_ok("aws", "region eu-central-1");
    assert!(outcome.about("secret").0.starts_with("problem"), "{}", outcome.out);
}

#[tokio::test]
async fn an_operator_who_is_not_signed_in_is_told_how_to() {
    let deployment = Deployment::sound().await;
    let config = AwsConfig::new(
        "signed-out",
        "[profile ops]\nregion = eu-central-1\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Operator\n\
         [sso-session corp]\nsso_start_url = https://corp.awsapps.com/start-nobody-signed-in-there\nsso_region = eu-central-1\n",
    );
    let settings: Vec<_> = config.in_use().into_iter().chain([("SMS_PROVIDERS", "sns")]).collect();
    let outcome = deployment.check_with(&settings).await;
    outcome.is_problem("aws", "no credentials: ", "aws sso login");
    assert!(outcome.about("secret").0.starts_with("skipped"), "{}", outcome.out);
    let outcome = deployment.doctor(&settings, &["user", "show", "alice"]).await;
    assert!(outcome.ending == Ending::Problem && outcome.err.contains("aws sso login"), "{}", outcome.err);
    fs::write(&config.0, "[profile ops]\nregion = eu-central-1\ncredential_process = echo 'too late' >&2; exit 255\n").unwrap();
    deployment.check_with(&settings).await.is_problem("aws", "too late", "AWS_ACCESS_KEY_ID");
}

#[tokio::test]
async fn the_local_database_needs_no_credentials_and_settings_come_from_a_file_too() {
    let deployment = Deployment::sound().await;
    let file = std::env::temp_dir().join(format!("two-factor-doctor-{}.env", std::process::id()));
    let text =
        format!("APP_ENV=development\nAWS_ENDPOINT_URL_DYNAMODB={}\nTABLE_NAME=elsewhere\n", deployment.database.endpoint());
    fs::write(&file, text).unwrap();
    let named = ["--env-file", file.to_str().unwrap(), "check"];
    let outcome = doctor(&[("TABLE_NAME", TABLE)], &named).await;
    assert_eq!(outcome.ending, Ending::Success, "{}{}", outcome.out, outcome.err);
    outcome.is_ok("table", "sms-2fa is active");
    outcome.is_ok("sms", "codes are shown in answers");
    doctor(&[], &named).await.is_problem("table", "there is no table elsewhere", "TABLE_NAME");
    fs::remove_file(file).unwrap();
}
