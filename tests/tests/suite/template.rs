//! `template.yaml` against the service: its routes, its rights, its table, its settings, and what its alarms watch.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use two_factor::{
    adapters::dynamodb::table,
    api::request::{SEND_SMS, SETUP, VERIFY},
    config::{Config, Environment, SmsConfig, Vars},
    domain::Policy,
};
use two_factor_local::sms_inbox::Reply;
use two_factor_tests::{
    dynamodb_proxy::Call,
    service::{HOME, TestService, User, WORK, wrong},
    template::{Template, members, text_of},
};

/// Each function's logical name, and that of its package and endpoint.
const FUNCTIONS: [(&str, &str); 3] = [("Setup", "setup"), ("SendSms", "send-sms"), ("Verify", "verify")];

#[test]
fn the_routes_are_exactly_those_of_the_contract_in_both_spellings() {
    let endpoints: [(_, _, Vec<_>); 3] = [
        ("Setup", SETUP.path(), SETUP.methods().collect()),
        ("SendSms", SEND_SMS.path(), SEND_SMS.methods().collect()),
        ("Verify", VERIFY.path(), VERIFY.methods().collect()),
    ];
    let mut expected = BTreeMap::new();
    for (function, path, methods) in endpoints {
        for method in methods {
            for spelling in [path.to_owned(), format!("{path}/")] {
                expected.insert(format!("{method} {spelling}"), format!("integrations/{function}Integration"));
            }
        }
    }
    let template = Template::load();
    let routes = template.resources("AWS::ApiGatewayV2::Route").into_values();
    let routes: BTreeMap<_, _> =
        routes.map(|route| (text_of(&route["Properties"]["RouteKey"]), text_of(&route["Properties"]["Target"]))).collect();
    assert_eq!(routes, expected);

    let throttled: BTreeSet<_> = members(&template.resource("Stage")["Properties"]["RouteSettings"]).into_keys().collect();
    assert_eq!(throttled, expected.into_keys().collect(), "every route has its own throttle");
    for (name, package) in FUNCTIONS {
        let integration = template.resource(&format!("{name}Integration"));
        assert_eq!(integration["Properties"]["IntegrationUri"], format!("{name}Function.Arn"));
        let permission = text_of(&template.resource(&format!("{name}Permission"))["Properties"]["SourceArn"]);
        assert!(permission.ends_with(&format!("/api/v1/auth/2fa/{package}*")), "{permission}");
        let function = template.resource(&format!("{name}Function"));
        assert_eq!(function["Metadata"]["BuildProperties"]["Binary"], package);
        assert_eq!(function["Properties"]["Role"], format!("{name}Role.Arn"));
    }
}

#[test]
fn every_route_is_behind_the_authorizer_where_there_is_one() {
    for (mode, kind, made) in [("gateway", "JWT", 1), ("hs256", "NONE", 0), ("jwks", "NONE", 0)] {
        let template =
            Template::load().with("AuthMode", mode).with("AuthIssuer", "https://issuer.example").with("AuthAudience", "a");
        for (name, route) in template.resources("AWS::ApiGatewayV2::Route") {
            assert_eq!(route["Properties"]["AuthorizationType"], kind, "{name}");
            assert_eq!(route["Properties"]["AuthorizerId"].is_string(), made == 1, "{name}");
        }
        assert_eq!(template.resources("AWS::ApiGatewayV2::Authorizer").len(), made);
        assert_eq!(template.environment()["AUTH_MODE"], mode);
    }
}

#[tokio::test]
async fn each_function_may_do_to_the_table_what_it_does_and_nothing_else() {
    let template = Template::load();
    let done = everything_each_function_does().await;
    for (name, package) in FUNCTIONS {
        let statements = statements(&template.resource(&format!("{name}Role"))["Properties"]["Policies"][0]["PolicyDocument"]);
        let store = &statements["Store"];
        assert_eq!(actions(store), done[package], "{package}");
        assert_eq!(store["Resource"], "Table.Arn", "{package}");
    }
}

/// The actions that each function's calls to DynamoDB take, read off the wire while everything is done that a client can do.
async fn everything_each_function_does() -> BTreeMap<&'static str, BTreeSet<String>> {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0"), ("SMS_MAX_PER_WINDOW", "50")]).await;
    let mut done: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    let user: User<'_> = service.user("alice");
    service.storage.take_calls();

    macro_rules! call {
        ($function:literal, $call:expr) => {{
            let reply = $call.await;
            done.entry($function).or_default().extend(service.storage.take_calls().iter().flat_map(actions_of));
            reply
        }};
    }
    call!("setup", user.status()).expect(200);
    call!("setup", user.disable("123456")).expect(409);
    call!("send-sms", user.send_sms()).expect(409);
    call!("verify", user.verify("123456")).expect(409);
    call!("setup", user.setup(HOME)).expect(200);
    call!("send-sms", user.send_sms()).expect(200);
    let code = service.last_code();
    call!("verify", user.verify(wrong(&code))).expect(400);
    let backup_codes = call!("verify", user.verify(&code)).expect(200).backup_codes();
    call!("verify", user.verify(&backup_codes[0])).expect(200);
    let regenerate = json!({"code": backup_codes[1], "regenerate_backup_codes": true});
    let backup_codes = call!("verify", user.call(Method::POST, "verify", regenerate)).expect(200).backup_codes();
    call!("setup", user.setup(WORK)).expect(403);
    call!("setup", user.replace(WORK, &backup_codes[0])).expect(200);
    call!("send-sms", user.call(Method::POST, "send-sms", json!({"pending": true}))).expect(200);
    let backup_codes = call!("verify", user.verify(&service.last_code())).expect(200).backup_codes();

    // What no provider takes is given back.
    service.inbox.script([Reply::refusal(400, 21_211)]);
    call!("send-sms", user.send_sms()).expect(502);
    service.inbox.script([Reply::refusal(400, 21_211)]);
    call!("setup", user.replace(HOME, &backup_codes[0])).expect(502);
    for _ in 0..10 {
        call!("verify", user.verify("ABCD-EFGH-JKMN-PQRS"));
    }
    call!("verify", user.verify(&backup_codes[1])).expect(429);
    service.clock.advance(Duration::from_secs(900));
    call!("setup", user.disable(&backup_codes[1])).expect(200);
    done
}

/// What IAM asks for: the action of each item of a transaction, since a transaction has none of its own.
fn actions_of(call: &Call) -> Vec<String> {
    let Some(items) = call.body["TransactItems"].as_array() else { return vec![format!("dynamodb:{}", call.operation)] };
    let action = |kind: &String| match &**kind {
        "Put" => "dynamodb:PutItem",
        "Update" => "dynamodb:UpdateItem",
        "Delete" => "dynamodb:DeleteItem",
        "ConditionCheck" => "dynamodb:ConditionCheckItem",
        other => panic!("{other} is no action"),
    };
    items.iter().flat_map(|item| item.as_object().unwrap().keys()).map(action).map(str::to_owned).collect()
}

#[test]
fn what_is_not_the_table_is_as_narrow_as_it_can_be() {
    let template = Template::load();
    for (name, package) in FUNCTIONS {
        let role = template.resource(&format!("{name}Role"));
        let mut statements = statements(&role["Properties"]["Policies"][0]["PolicyDocument"]);
        statements.remove("Store");
        let rights: Vec<_> = statements.values().map(|statement| (actions(statement), text_of(&statement["Resource"]))).collect();
        let actions = |list: &[&str]| list.iter().map(|action| (*action).to_owned()).collect();
        let expected: [(BTreeSet<String>, String); 3] = [
            (actions(&["logs:CreateLogStream", "logs:PutLogEvents"]), format!("{name}LogGroup.Arn")),
            (actions(&["secretsmanager:GetSecretValue"]), "Secret".to_owned()),
            (actions(&["xray:PutTraceSegments", "xray:PutTelemetryRecords"]), "*".to_owned()),
        ];
        assert_eq!(rights, expected, "{package}");
        assert!(role["Properties"]["ManagedPolicyArns"].is_null(), "{package}");
    }
    // Every call that the adapters make, but for the operator's and the local stack's, has its right.
    let secrets = source("shared/src/adapters/secrets.rs");
    assert!(secrets.contains(".get_secret_value()") && !secrets.contains(".put_secret_value()"));
}

#[test]
fn the_functions_may_send_through_aws_only_where_it_is_chosen() {
    for (providers, sns, aws_sms) in [
        ("", false, false),
        ("twilio", false, false),
        ("twilio,vonage,messagebird,plivo", false, false),
        ("sns", true, false),
        ("twilio,sns", true, false),
        ("aws-sms", false, true),
        ("aws-sms,sns,twilio", true, true),
    ] {
        let template = Template::load().with("SmsProviders", providers);
        assert_eq!((template.condition("UsesSns"), template.condition("UsesAwsSms")), (sns, aws_sms), "{providers:?}");
        let policies = template.resources("AWS::IAM::ManagedPolicy");
        assert_eq!(policies.len(), usize::from(sns) + usize::from(aws_sms), "{providers:?}");
        for (name, policy) in policies {
            assert_eq!(policy["Properties"]["Roles"], json!(["SetupRole", "SendSmsRole", "VerifyRole"]), "{name}");
        }
        assert_eq!(template.environment()["SMS_PROVIDERS"], providers);
    }

    let sns = Template::load().with("SmsProviders", "sns").resource("SnsPolicy");
    let sns = statements(&sns["Properties"]["PolicyDocument"]);
    assert_eq!((&sns["PhoneNumbers"]["Effect"], &sns["PhoneNumbers"]["Action"]), (&json!("Allow"), &json!("sns:Publish")));
    assert_eq!(
        (&sns["NothingButPhoneNumbers"]["Effect"], &sns["NothingButPhoneNumbers"]["Resource"]),
        (&json!("Deny"), &json!("arn:aws:sns:*:*:*"))
    );

    let sender = "arn:aws:sms-voice:us-east-1:123456789012:phone-number/phone-0123456789abcdef";
    let alone = Template::load().with("AwsSmsOriginationArn", sender);
    assert!(!alone.condition("UsesAwsSms"), "the service sends through AWS only where it is named");
    for (origination, resource) in [(sender, sender), ("", "*")] {
        let template = Template::load().with("SmsProviders", "aws-sms").with("AwsSmsOriginationArn", origination);
        let policy = template.resource("AwsSmsPolicy");
        let statement = statements(&policy["Properties"]["PolicyDocument"])["Sender"].clone();
        assert_eq!(
            (text_of(&statement["Action"]), text_of(&statement["Resource"])),
            ("sms-voice:SendTextMessage".into(), resource.into())
        );
        assert_eq!(template.environment()["AWS_SMS_ORIGINATION_IDENTITY"], origination);
    }
}

#[test]
fn the_table_is_the_one_that_the_store_works_on_and_nothing_of_it_is_lost_by_accident() {
    let table = Template::load().resource("Table");
    let properties = &table["Properties"];
    let keys = |kind: &str| {
        let schema = properties["KeySchema"].as_array().unwrap().iter();
        schema.filter(|key| key["KeyType"] == kind).map(|key| text_of(&key["AttributeName"])).collect::<Vec<_>>()
    };
    assert_eq!((keys("HASH"), keys("RANGE")), (vec![table::PK.to_owned()], vec![table::SK.to_owned()]));
    for definition in properties["AttributeDefinitions"].as_array().unwrap() {
        assert_eq!(definition["AttributeType"], "S");
    }
    assert_eq!(properties["TimeToLiveSpecification"], json!({"AttributeName": table::TTL, "Enabled": true}));
    assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(properties["SSESpecification"]["SSEEnabled"], true);
    assert_eq!(properties["DeletionProtectionEnabled"], true);
    let template = Template::load();
    for kept in ["Table", "Secret", "TokenSecret"] {
        let kept = template.resource(kept);
        assert_eq!((&kept["DeletionPolicy"], &kept["UpdateReplacePolicy"]), (&json!("Retain"), &json!("Retain")));
    }
}

#[test]
fn what_is_deployed_by_default_is_production_with_the_defaults_of_the_documentation_s22() {
    let template = Template::load();
    assert!(!template.condition("IsDevelopment"));
    let variables = template.environment();
    assert_eq!(variables["APP_ENV"], "production");
    let alone = Config::from_vars(&Vars::new(variables.clone())).unwrap_err();
    assert_eq!(alone.variable, "CODE_PEPPER", "production has no built-in secrets");

    let secret =
        [("CODE_PEPPER", "p".repeat(64)), ("AUTH_JWT_SECRET", "t".repeat(64))].map(|(name, value)| (name.to_owned(), value));
    let vars = Vars::new(variables).with_secret(secret);
    let config = Config::from_vars(&vars).unwrap();
    assert_eq!(config.app.environment, Environment::Production);
    assert_eq!(config.policy, Policy::default());
    let unset = Config::from_vars(&Vars::new([("APP_ENV".to_owned(), "development".to_owned())])).unwrap();
    assert_eq!(config.app.messages, unset.app.messages);
    assert_eq!(config.app.allowed_countries, unset.app.allowed_countries);
    assert!(SmsConfig::from_vars(&vars).unwrap().providers.is_empty(), "no provider before its credentials are filled in");

    let development = Template::load().with("AppEnv", "development");
    assert!(development.condition("IsDevelopment"), "and only then");
    assert_eq!(template.part("Outputs")["WARNING"]["Condition"], "IsDevelopment");
}

#[test]
fn every_variable_of_the_functions_is_one_that_the_service_reads() {
    let sources: String = rust_files("shared/src").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    for variable in Template::load().environment().keys() {
        // The name of an endpoint's variable is put together from that of the service.
        let read_as = if variable.starts_with("AWS_ENDPOINT_URL_") { "AWS_ENDPOINT_URL" } else { variable };
        assert!(sources.contains(&format!("\"{read_as}\"")), "nothing reads {variable}");
    }
}

#[test]
fn sam_local_passes_on_every_variable_of_its_file_and_leaves_no_name_of_a_thing_in_the_cloud() {
    let template = Template::load();
    let mut variables = template.environment();
    let file: Value = serde_json::from_str(&source("events/env.json")).unwrap();
    assert_eq!(members(&file).into_keys().collect::<Vec<_>>(), ["Parameters"], "for every function");
    let local: BTreeMap<_, _> = members(&file["Parameters"]).into_iter().map(|(name, value)| (name, text_of(&value))).collect();
    for name in local.keys() {
        assert!(variables.contains_key(name), "SAM drops {name} without a word: the template does not declare it");
    }
    for (name, value) in &variables {
        let resource = value.split('.').next().unwrap();
        let made_by_the_stack = template.part("Resources")[resource].is_object();
        assert!(!made_by_the_stack || local.contains_key(name), "{name} would be {value}, which is nothing on this machine");
    }

    variables.extend(local);
    assert!(variables["AWS_ENDPOINT_URL_DYNAMODB"].starts_with("http://host.docker.internal:"), "this machine to a container");
    let vars = Vars::new(variables);
    assert_eq!(Config::from_vars(&vars).unwrap().app.environment, Environment::Development);
    assert!(SmsConfig::from_vars(&vars).unwrap().providers.is_empty(), "the code is in the answer");
}

/// SAM looks for routes only of the kind of API that it meets first, and a function counts as its own kind
/// (`samcli/lib/providers/api_provider.py`).
#[test]
fn sam_local_meets_the_api_before_any_function() {
    let text = source("template.yaml");
    let first = |kind: &str| text.find(&format!("\n    Type: {kind}")).unwrap();
    assert!(first("AWS::ApiGatewayV2::") < first("AWS::Serverless::Function"));
}

#[test]
fn a_function_has_time_to_tell_what_a_slow_provider_did() {
    let template = Template::load();
    let timeout = template.part("Globals")["Function"]["Timeout"].as_u64().unwrap();
    let sending = source("shared/src/app/mod.rs");
    let sending = sending.split("const SENDING: Duration = Duration::from_secs(").nth(1).unwrap().split(')').next().unwrap();
    assert!(timeout >= sending.parse::<u64>().unwrap() + 4, "a commit may take 4 s on top of all providers");
    for (name, integration) in template.resources("AWS::ApiGatewayV2::Integration") {
        let gateway = integration["Properties"]["TimeoutInMillis"].as_u64().unwrap();
        assert!(gateway > timeout * 1000 && gateway <= 30_000, "{name}");
    }
}

#[test]
fn alarms_and_dashboard_look_at_metrics_that_are_written_and_documented() {
    let template = Template::load();
    let written = source("shared/src/observability/metrics.rs");
    let documented = source("docs/operations.md");
    let mut ours = BTreeSet::new();
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    for (name, alarm) in &alarms {
        let text = alarm.to_string();
        if let Some(query) = text.split("SELECT SUM(").nth(1) {
            ours.insert(query.split(')').next().unwrap().to_owned());
        }
        let mut single = vec![alarm["Properties"].clone()];
        let metrics = alarm["Properties"]["Metrics"].as_array().cloned().unwrap_or_default();
        single.extend(metrics.iter().map(|metric| metric["MetricStat"]["Metric"].clone()));
        for metric in single.iter().filter(|metric| metric["Namespace"] == "TwoFactor/two-factor") {
            ours.insert(text_of(&metric["MetricName"]));
        }
        let description = text_of(&alarm["Properties"]["AlarmDescription"]);
        assert!(description.contains("Look first at"), "{name} says where to look");
        assert!(
            documented.contains(&format!("`{}`", text_of(&alarm["Properties"]["AlarmName"]).trim_start_matches("two-factor-"))),
            "{name}"
        );
    }
    let dashboard = template.resource("Dashboard");
    let dashboard: Value = serde_json::from_str(&text_of(&dashboard["Properties"]["DashboardBody"])).unwrap();
    for widget in dashboard["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            if metric[0] == "TwoFactor/two-factor" {
                ours.insert(text_of(&metric[1]));
            }
            if let Some(query) = metric[0]["expression"].as_str().and_then(|expression| expression.strip_prefix("SELECT SUM(")) {
                ours.insert(query.split(')').next().unwrap().to_owned());
            }
        }
    }
    assert!(ours.len() > 10 && alarms.len() > 8, "{ours:?}");
    for metric in ours {
        assert!(written.contains(&format!("\"{metric}\"")), "nothing writes {metric}");
        assert!(documented.contains(&format!("`{metric}`")), "{metric} is not documented");
    }
}

fn statements(policy: &Value) -> BTreeMap<String, Value> {
    policy["Statement"].as_array().unwrap().iter().map(|statement| (text_of(&statement["Sid"]), statement.clone())).collect()
}

fn actions(statement: &Value) -> BTreeSet<String> {
    match &statement["Action"] {
        Value::Array(actions) => actions.iter().map(text_of).collect(),
        one => BTreeSet::from([text_of(one)]),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn source(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
