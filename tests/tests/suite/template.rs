//! `template.yaml` against the service: its routes, its rights, its table, its settings, and what its alarms watch. Rules of AWS that
//! only a deployment would show are held here too, each with its source.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use reqwest::Method;
use serde_json::{Value, json};
use two_factor::{
    adapters::dynamodb::table,
    api::route::{CONFIGURATION, KEYS, SEND_SMS, SETUP, VERIFY},
    config::{Config, Environment, SmsConfig, Vars},
    domain::Policy,
};
use two_factor_local::sms_inbox::Reply;
use two_factor_tests::{
    dynamodb_proxy::Call,
    service::{HOME, TestService, User, WORK, wrong},
    template::{Template, members, text_of},
};

/// Each function's logical name, and that of its package and, but for the last, endpoint.
const FUNCTIONS: [(&str, &str); 4] = [("Setup", "setup"), ("SendSms", "send-sms"), ("Verify", "verify"), ("Any", "any")];

#[test]
fn the_routes_are_those_of_the_contract_in_both_spellings_and_a_net_under_them() {
    let endpoints: [(_, _, Vec<_>); 3] = [
        ("Setup", SETUP.path(), SETUP.methods().collect()),
        ("SendSms", SEND_SMS.path(), SEND_SMS.methods().collect()),
        ("Verify", VERIFY.path(), VERIFY.methods().collect()),
    ];
    let mut expected = BTreeMap::new();
    for (function, path, methods) in endpoints {
        for method in methods {
            for spelling in [path.to_owned(), format!("{path}/{{proxy+}}")] {
                expected.insert(format!("{method} {spelling}"), format!("integrations/{function}Integration"));
            }
        }
    }
    for document in [CONFIGURATION.path(), KEYS.path()] {
        expected.insert(format!("GET {document}"), "integrations/AnyIntegration".to_owned());
    }
    for method in ["ANY", "OPTIONS"] {
        expected.insert(format!("{method} /api/v1/auth/2fa/{{proxy+}}"), "integrations/AnyIntegration".to_owned());
    }
    let template = Template::load();
    let routes = template.resources("AWS::ApiGatewayV2::Route");
    let made: BTreeMap<_, _> = routes
        .values()
        .map(|route| (text_of(&route["Properties"]["RouteKey"]), text_of(&route["Properties"]["Target"])))
        .collect();
    assert_eq!(made, expected);

    // The settings of a route are refused before the route exists, and a stage is made as early as it may be.
    let stage = template.resource("Stage");
    let before: BTreeSet<_> = stage["DependsOn"].as_array().unwrap().iter().map(text_of).collect();
    assert_eq!(before, routes.into_keys().collect());
    for (name, package) in FUNCTIONS {
        let integration = template.resource(&format!("{name}Integration"));
        assert_eq!(integration["Properties"]["IntegrationUri"], format!("{name}Function.Arn"));
        let permission = text_of(&template.resource(&format!("{name}Permission"))["Properties"]["SourceArn"]);
        let below = if package == "any" { "" } else { package };
        assert!(permission.ends_with(&format!("/api/v1/auth/2fa/{below}*")), "{permission}");
        let function = template.resource(&format!("{name}Function"));
        assert_eq!(function["Metadata"]["BuildProperties"]["Binary"], package);
        assert_eq!(function["Properties"]["Role"], format!("{name}Role.Arn"));
        assert_eq!(function["Properties"]["LoggingConfig"]["LogGroup"], format!("{name}LogGroup"));
    }
}

/// A route key of an HTTP API is a method and a path, each of whose parts must match `^(\{[\w.:-]+\+?\}|[a-zA-Z0-9.:_-]+)$`; an empty
/// part, as after a slash at the end, does not. API Gateway says so only when a deployment breaks: "One or more path parts appear
/// to be invalid. Parts are validated against this regular expression". The message as others met it:
/// <https://github.com/aws/aws-lambda-dotnet/blob/master/Tools/LambdaTestTool-v2/src/Amazon.Lambda.TestTool/Services/ApiGatewayRouteConfigService.cs>,
/// <https://github.com/storacha/w3infra/pull/166>. A greedy variable must be the last part:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>.
#[test]
fn every_route_key_is_one_that_an_http_api_takes() {
    let takes = |key: &str| {
        let Some((method, path)) = key.split_once(" /") else { return false };
        let methods = ["ANY", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "DELETE"];
        let of = |part: &str, more: &str| {
            !part.is_empty() && part.chars().all(|character| character.is_ascii_alphanumeric() || more.contains(character))
        };
        let parts: Vec<_> = path.split('/').collect();
        let is_greedy = |part: &str| part.ends_with("+}");
        let is_part = |part: &str| match part.strip_prefix('{').and_then(|variable| variable.strip_suffix('}')) {
            Some(variable) => of(variable.strip_suffix('+').unwrap_or(variable), "_.:-"),
            None => of(part, ".:_-"),
        };
        let greedy_is_last = parts.iter().rev().skip(1).all(|part| !is_greedy(part));
        methods.contains(&method) && parts.iter().all(|part| is_part(part)) && greedy_is_last
    };
    for wrong in ["POST /a/", "POST a", "POST /a//b", "POST /{a+}/b", "POST /a/{}", "POST /a/{proxy+", "post /a", "POST /a b"] {
        assert!(!takes(wrong), "{wrong}");
    }
    let template = Template::load();
    let routes = template.resources("AWS::ApiGatewayV2::Route").into_values();
    let keys: BTreeSet<_> = routes.map(|route| text_of(&route["Properties"]["RouteKey"])).collect();
    for key in &keys {
        assert!(takes(key), "{key}");
    }
    let settings = members(&template.resource("Stage")["Properties"]["RouteSettings"]);
    assert_eq!(settings.into_keys().collect::<BTreeSet<_>>(), keys, "each route has settings of its own, and nothing else has");
}

/// Throttling counts requests before any token is looked at, for each route key:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>. What messages cost is bounded behind
/// authentication, so this must be far above what users need.
#[test]
fn a_stranger_without_a_token_cannot_use_up_what_users_need() {
    let template = Template::load();
    let stage = template.resource("Stage")["Properties"].clone();
    let mut all = members(&stage["RouteSettings"]);
    all.insert("default".to_owned(), stage["DefaultRouteSettings"].clone());
    for (route, settings) in all {
        let number = |name: &str| text_of(&settings[name]).parse::<u32>().unwrap();
        assert!(number("ThrottlingRateLimit") >= 200 && number("ThrottlingBurstLimit") >= 400, "{route}: {settings}");
        assert_eq!(settings["DetailedMetricsEnabled"], false, "{route}: each route's metrics are paid for");
    }
}

/// A greedy route for all methods takes preflight requests too, which carry no token, so they need an open route of their own:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>. Authorizers of HTTP APIs take RSA keys only:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>.
#[test]
fn every_route_but_those_of_preflights_and_public_keys_is_behind_the_authorizer_where_there_is_one() {
    for (mode, at_gateway, made) in
        [("gateway", "false", 1), ("gateway", "true", 1), ("jwks", "true", 1), ("jwks", "false", 0), ("hs256", "false", 0)]
    {
        let template = Template::load().with("AuthMode", mode).with("AuthAtGateway", at_gateway);
        let template =
            template.with("AuthIssuer", "https://issuer.example").with("AuthAudience", "a").with("AuthJwksUrl", "https://i");
        assert_eq!(template.refusals(), Vec::<String>::new());
        for (name, route) in template.resources("AWS::ApiGatewayV2::Route") {
            let is_behind = made == 1 && !["PreflightRoute", "ConfigurationRoute", "KeysRoute"].contains(&name.as_str());
            assert_eq!(route["Properties"]["AuthorizationType"], if is_behind { "JWT" } else { "NONE" }, "{name}");
            assert_eq!(route["Properties"]["AuthorizerId"].is_string(), is_behind, "{name}");
        }
        assert_eq!(template.resources("AWS::ApiGatewayV2::Authorizer").len(), made);
        assert_eq!(template.environment()["AUTH_MODE"], mode);
    }
}

#[test]
fn parameters_that_cannot_work_together_are_refused_before_anything_is_made() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let jwks = [("AuthMode", "jwks"), ("AuthJwksUrl", "https://issuer.example/keys")];
    let cases: [Case<'_>; 9] = [
        (&[], &[]),
        (&[("AuthMode", "gateway")], &["AuthMode gateway needs AuthIssuer.", "AuthMode gateway needs AuthAudience."]),
        (&[("AuthMode", "jwks"), ("AuthAudience", "a")], &["AuthMode jwks needs AuthJwksUrl."]),
        (&[jwks[0], jwks[1]], &["AuthMode jwks needs AuthIssuer or AuthAudience in production."]),
        (&[jwks[0], jwks[1], ("AppEnv", "development")], &[]),
        (&[jwks[0], jwks[1], ("AuthAtGateway", "true"), ("AuthAudience", "a")], &["AuthAtGateway needs AuthIssuer."]),
        (
            &[("AuthAtGateway", "true"), ("AuthIssuer", "i"), ("AuthAudience", "a")],
            &["AuthAtGateway needs AuthMode jwks or gateway."],
        ),
        (&[("DisableGeneratedAddress", "true")], &["DisableGeneratedAddress needs DomainName."]),
        (&[("DomainName", "api.example.com")], &["DomainName needs CertificateArn."]),
    ];
    for (parameters, refusals) in cases {
        let template = parameters.iter().fold(Template::load(), |template, (name, value)| template.with(name, value));
        assert_eq!(template.refusals(), refusals, "{parameters:?}");
    }
}

#[test]
fn a_domain_that_is_added_leaves_the_generated_address_to_the_clients_that_call_it() {
    let without = Template::load();
    let with = without.clone().with("DomainName", "api.example.com").with("CertificateArn", "arn:aws:acm:…");
    let alone = with.clone().with("DisableGeneratedAddress", "true");
    for (template, disabled) in [(&without, false), (&with, false), (&alone, true)] {
        assert_eq!(template.resource("Api")["Properties"]["DisableExecuteApiEndpoint"], disabled);
    }
    assert_eq!(with.evaluate(&with.part("Outputs")["ApiUrl"]["Value"]), "https://api.example.com");
}

#[tokio::test]
async fn each_function_may_do_to_the_table_what_it_does_and_nothing_else() {
    let template = Template::load();
    let mut done = everything_each_function_does().await;
    let all = done.values().flatten().cloned().collect();
    done.insert("any", all);
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
    call!("send-sms", user.send_sms_for("replace")).expect(200);
    let backup_codes = call!("verify", user.verify_for("replace", &service.last_code())).expect(200).backup_codes();

    // What no provider takes is given back.
    service.inbox.script([Reply::refusal(400, 21_211)]);
    call!("send-sms", user.send_sms()).expect(502);
    service.inbox.script([Reply::refusal(400, 21_211)]);
    call!("setup", user.replace(HOME, &backup_codes[0])).expect(502);
    for _ in 0..10 {
        call!("verify", user.verify("ABCD-EFGH-JKMN-PQRS")).expect(400);
    }
    call!("verify", user.verify(&backup_codes[1])).expect(200);
    call!("setup", user.disable(&backup_codes[2])).expect(200);
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
        let expected: [(BTreeSet<String>, String); 2] = [
            (actions(&["logs:CreateLogStream", "logs:PutLogEvents"]), format!("{name}LogGroup.Arn")),
            (actions(&["secretsmanager:GetSecretValue"]), r#"["Secret","TokenSecret"]"#.to_owned()),
        ];
        assert_eq!(rights, expected, "{package}");
        assert!(role["Properties"]["ManagedPolicyArns"].is_null(), "{package}");
    }
    // The token secret is the business of one mode, and traces cost money.
    let template = Template::load().with("AuthMode", "jwks").with("Tracing", "Active");
    let statements = statements(&template.resource("AnyRole")["Properties"]["Policies"][0]["PolicyDocument"]);
    assert_eq!(statements["Secrets"]["Resource"], json!(["Secret"]));
    assert_eq!(template.environment()["TOKEN_SECRET_ID"], "");
    assert_eq!(statements["Traces"]["Action"], json!(["xray:PutTraceSegments", "xray:PutTelemetryRecords"]));
    // Every call that the adapters make, but for the operator's and the local stack's, has its right.
    let secrets = source("shared/src/adapters/secrets/secrets_manager.rs");
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
            assert_eq!(policy["Properties"]["Roles"], json!(["SetupRole", "SendSmsRole", "VerifyRole", "AnyRole"]), "{name}");
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
    let elsewhere = Template::load().with("SmsProviders", "twilio").with("AwsSmsOriginationArn", sender);
    assert!(!elsewhere.condition("UsesAwsSms"), "a list that does not name it leaves it out");
    for (providers, origination, resource) in [("aws-sms", sender, sender), ("aws-sms", "", "*"), ("", sender, sender)] {
        let template = Template::load().with("SmsProviders", providers).with("AwsSmsOriginationArn", origination);
        let policy = template.resource("AwsSmsPolicy");
        let statement = statements(&policy["Properties"]["PolicyDocument"])["Sender"].clone();
        assert_eq!(
            (text_of(&statement["Action"]), text_of(&statement["Resource"])),
            ("sms-voice:SendTextMessage".into(), resource.into())
        );
        assert_eq!(template.environment()["AWS_SMS_ORIGINATION_IDENTITY"], origination);
        assert_eq!(template.environment()["SMS_PROVIDERS"], "aws-sms", "a sender alone says which provider is meant");
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

/// A change of `GenerateSecretString` generates anew:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-secretsmanager-secret.html>. So does a dynamic reference in
/// it once what it refers to has changed. Whoever changes these lines wipes the pepper of every deployed stack.
#[test]
fn the_secrets_are_generated_once_and_never_again() {
    let template = Template::load();
    let definition = |secret: &str| template.resource(secret)["Properties"]["GenerateSecretString"].clone();
    assert_eq!(definition("TokenSecret"), json!({"PasswordLength": 64, "ExcludePunctuation": true}));
    assert_eq!(
        definition("Secret"),
        json!({"SecretStringTemplate": "{}", "GenerateStringKey": "CODE_PEPPER", "PasswordLength": 64, "ExcludePunctuation": true})
    );
    assert!(!source("template.yaml").contains("{{resolve:"));
}

#[test]
fn a_stack_that_is_made_again_works_on_what_the_lost_one_left() {
    let arn = |name: &str| format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf");
    let (secret, token_secret) = (arn("Secret"), arn("TokenSecret"));
    let template = Template::load().with("RestoredTableName", "old-table");
    let template = template.with("RestoredSecretArn", &secret).with("RestoredTokenSecretArn", &token_secret);
    let variables = template.environment();
    assert_eq!(
        ["TABLE_NAME", "SECRET_ID", "TOKEN_SECRET_ID"].map(|name| &*variables[name]),
        ["old-table", &*secret, &*token_secret]
    );
    for (name, package) in FUNCTIONS {
        let role = template.resource(&format!("{name}Role"));
        let statements = statements(&role["Properties"]["Policies"][0]["PolicyDocument"]);
        assert_eq!(statements["Secrets"]["Resource"], json!([secret, token_secret]), "{package}");
        assert_eq!(statements["Store"]["Resource"], "arn:aws:dynamodb:us-east-1:123456789012:table/old-table", "{package}");
    }
    for (output, value) in [("TableName", "old-table"), ("SecretArn", &secret), ("TokenSecretArn", &token_secret)] {
        assert_eq!(template.evaluate(&template.part("Outputs")[output]["Value"]), value);
    }
}

#[test]
fn what_is_deployed_by_default_is_production_with_the_defaults_of_the_documentation_s22() {
    let template = Template::load();
    assert!(!template.condition("IsDevelopment"));
    let variables = template.environment();
    assert_eq!(variables["APP_ENV"], "production");
    let alone = Config::from_vars(&Vars::new(variables.clone())).unwrap_err();
    let missing: Vec<_> = alone.iter().map(|error| error.variable.as_str()).collect();
    assert_eq!(missing, ["CODE_PEPPER", "AUTH_JWT_SECRET"], "production has no built-in secrets");

    let secret = [("CODE_PEPPER", "pepper 1".repeat(8)), ("AUTH_JWT_SECRET", "tokens 2".repeat(8))]
        .map(|(name, value)| (name.to_owned(), value));
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
    let request = source("shared/src/app/mod.rs");
    let request = request.split("const REQUEST_TIME: Duration = Duration::from_secs(").nth(1).unwrap().split(')').next().unwrap();
    assert_eq!(
        timeout,
        request.parse::<u64>().unwrap() + 1,
        "a request is answered a second before its function's time is up (S25)"
    );
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
        if let Some(query) = text.split("SELECT SUM(\\\"").nth(1) {
            ours.insert(query.split('\\').next().unwrap().to_owned());
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
            if let Some(query) = metric[0]["expression"].as_str().and_then(|expression| expression.strip_prefix("SELECT SUM(\""))
            {
                ours.insert(query.split('"').next().unwrap().to_owned());
            }
        }
    }
    let filters = template.resources("AWS::Logs::MetricFilter").into_values();
    let filtered: BTreeSet<_> =
        filters.map(|filter| text_of(&filter["Properties"]["MetricTransformations"][0]["MetricName"])).collect();
    assert!(ours.len() > 10 && alarms.len() > 8, "{ours:?}");
    for metric in ours {
        assert!(written.contains(&format!("\"{metric}\"")) || filtered.contains(&metric), "nothing writes {metric}");
        assert!(documented.contains(&format!("`{metric}`")), "{metric} is not documented");
    }
}

/// `FROM SCHEMA` finds the metrics that have exactly these dimensions, and an alarm those that have exactly its own:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html>.
#[tokio::test]
async fn alarms_and_dashboard_ask_for_dimensions_that_are_written() {
    let settings = [("METRICS_NAMESPACE", "TwoFactor/two-factor"), ("SMS_COOLDOWN_SECONDS", "0"), ("LOCK_AFTER_FAILURES", "1")];
    let service = TestService::production(&settings).await;
    let alice = service.user("alice");
    alice.setup(HOME).await.expect(200);
    service.inbox.script([Reply::refusal(401, 20003)]);
    alice.send_sms().await.expect_problem(502, "sms_delivery_failed");
    alice.send_sms().await.expect(200);
    alice.verify(&service.last_code()).await.expect(200);
    alice.send_sms().await.expect(200);
    alice.verify(wrong(&service.last_code())).await.expect_problem(400, "invalid_code");
    let bob = service.user("bob");
    while bob.setup(WORK).await.status == 200 {}
    let mut written = BTreeSet::new();
    for line in service.metrics.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert_eq!(directive["Namespace"], "TwoFactor/two-factor");
            for metric in directive["Metrics"].as_array().unwrap() {
                for set in directive["Dimensions"].as_array().unwrap() {
                    let set: BTreeSet<_> = set.as_array().unwrap().iter().map(text_of).collect();
                    written.insert((text_of(&metric["Name"]), set));
                }
            }
        }
    }

    let template = Template::load();
    let (mut queries, mut asked) = (Vec::new(), BTreeSet::new());
    let dashboard: Value =
        serde_json::from_str(&text_of(&template.resource("Dashboard")["Properties"]["DashboardBody"])).unwrap();
    collect_queries(&dashboard, &mut queries);
    for alarm in template.resources("AWS::CloudWatch::Alarm").into_values() {
        collect_queries(&alarm, &mut queries);
        let metrics = alarm["Properties"]["Metrics"].as_array().cloned().unwrap_or_default();
        let watched = metrics.iter().map(|metric| metric["MetricStat"]["Metric"].clone());
        for metric in watched.chain([alarm["Properties"].clone()]).filter(|metric| metric["Namespace"] == "TwoFactor/two-factor")
        {
            let dimensions = metric["Dimensions"].as_array().cloned().unwrap_or_default();
            asked.insert((text_of(&metric["MetricName"]), dimensions.iter().map(|one| text_of(&one["Name"])).collect()));
        }
    }
    for widget in dashboard["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten().filter_map(Value::as_array) {
            if metric[0] == "TwoFactor/two-factor" {
                let named: Vec<_> = metric[2..].iter().filter_map(Value::as_str).collect();
                asked.insert((text_of(&metric[1]), named.iter().step_by(2).map(|name| (*name).to_owned()).collect()));
            }
        }
    }
    for query in queries {
        let quoted: Vec<_> = query.split(" GROUP").next().unwrap().split('"').skip(1).step_by(2).collect();
        let [metric, _, dimensions @ ..] = &quoted[..] else { panic!("{query}") };
        asked.insert(((*metric).to_owned(), dimensions.iter().map(|name| (*name).to_owned()).collect()));
    }
    let unwritten: Vec<_> = asked.difference(&written).map(|(metric, _)| metric.as_str()).collect();
    // One counts the gateway's lines, the others what this day did not bring: two requests at once, and a second provider.
    assert_eq!(unwritten, ["GatewayThrottles", "SmsFailover", "StoreConflicts"], "of {asked:?}");
}

/// A name in a query that is a reserved word must be in double quotes, and `Limit` is one:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-reserved-keywords.html>. All of them are, so
/// that nobody has to know the list.
#[test]
fn queries_put_every_name_into_quotes() {
    let template = Template::load();
    let mut queries = Vec::new();
    let dashboard = text_of(&template.resource("Dashboard")["Properties"]["DashboardBody"]);
    collect_queries(&serde_json::from_str(&dashboard).unwrap(), &mut queries);
    for alarm in template.resources("AWS::CloudWatch::Alarm").into_values() {
        collect_queries(&alarm, &mut queries);
    }
    assert_eq!(queries.len(), 7);
    for query in queries {
        // With what is quoted, and how many rows are wanted, taken out, only the language itself is left.
        let unquoted: String = query.split('"').step_by(2).collect();
        let words = unquoted.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let foreign: Vec<_> = words
            .filter(|word| {
                !["SELECT", "SUM", "FROM", "SCHEMA", "GROUP", "ORDER", "BY", "DESC", "LIMIT", "1", "10"].contains(word)
            })
            .collect();
        assert_eq!(foreign, Vec::<&str>::new(), "{query}");
    }
}

/// Every text that is a query of Metrics Insights.
fn collect_queries(value: &Value, queries: &mut Vec<String>) {
    match value {
        Value::String(text) if text.starts_with("SELECT ") => queries.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_queries(item, queries)),
        Value::Object(members) => members.values().for_each(|member| collect_queries(member, queries)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A sum of metrics has no value in a period in which one of them has none, and neither Lambda nor DynamoDB reports zeros for what
/// nobody calls: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html> (FILL). A percentile of too few
/// samples says nothing: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html>.
#[test]
fn an_alarm_sees_the_function_that_fails_although_the_others_are_not_called() {
    let template = Template::load();
    for (name, alarm) in template.resources("AWS::CloudWatch::Alarm") {
        let properties = &alarm["Properties"];
        let metrics = properties["Metrics"].as_array().cloned().unwrap_or_default();
        let ids: Vec<_> =
            metrics.iter().filter(|metric| metric["MetricStat"].is_object()).map(|metric| text_of(&metric["Id"])).collect();
        let expression = metrics.iter().find_map(|metric| metric["Expression"].as_str()).unwrap_or_default();
        if ids.len() > 2 {
            let filled: Vec<_> = ids.iter().map(|id| format!("FILL({id}, 0)")).collect();
            assert_eq!(expression, filled.join(" + "), "{name}");
        }
        if ["ErrorsAlarm", "ThrottlesAlarm"].contains(&name.as_str()) {
            let watched = alarm.to_string();
            for (function, _) in FUNCTIONS {
                assert!(watched.contains(&format!("\"{function}Function\"")), "{name} watches {function}");
            }
        }
        if properties["ExtendedStatistic"].is_string() {
            assert_eq!(properties["EvaluateLowSampleCountPercentile"], "ignore", "{name}");
        }
    }
}

/// Access logs under `/aws/vendedlogs/` need no entry in the account's resource policy, which has room for few:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html>. The variables of the format:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html>, which says that the integration's status
/// is Lambda's own, not that of our answer. So a 429 without a 200 of Lambda's is the gateway's.
#[test]
fn the_access_log_tells_who_floods_and_counts_what_the_gateway_turned_away() {
    let template = Template::load();
    let group = template.resource("ApiLogGroup");
    assert_eq!(group["Properties"]["LogGroupName"], "/aws/vendedlogs/apigateway/two-factor");
    let format = text_of(&template.resource("Stage")["Properties"]["AccessLogSettings"]["Format"]);
    assert!(!format.contains('\n'), "one line a request");
    let format: Value = serde_json::from_str(&format).unwrap();
    assert_eq!(format["address"], "$context.identity.sourceIp");
    assert_eq!(
        (&format["status"], &format["integration_status"]),
        (&json!("$context.status"), &json!("$context.integrationStatus"))
    );

    let filter = template.resource("GatewayThrottles")["Properties"].clone();
    assert_eq!(filter["LogGroupName"], "ApiLogGroup");
    assert_eq!(filter["FilterPattern"], r#"{ ($.status = "429") && ($.integration_status != "200") }"#);
    let metric = &filter["MetricTransformations"][0];
    let alarm = template.resource("GatewayThrottlesAlarm")["Properties"].clone();
    assert_eq!((&metric["MetricNamespace"], &metric["MetricName"]), (&alarm["Namespace"], &alarm["MetricName"]));
}

/// What costs money and is of use to few is off unless somebody turns it on.
#[test]
fn traces_are_a_choice_that_names_its_price() {
    let template = Template::load();
    let tracing = |template: &Template| template.evaluate(&template.part("Globals")["Function"]["Tracing"]);
    assert_eq!(
        (tracing(&template), tracing(&template.clone().with("Tracing", "Active"))),
        (json!("PassThrough"), json!("Active"))
    );
    assert!(text_of(&template.part("Parameters")["Tracing"]["Description"]).contains("USD per million"));
}

#[test]
fn one_architecture_is_the_default_everywhere() {
    let template = Template::load();
    let default = text_of(&template.part("Parameters")["Architecture"]["Default"]);
    assert_eq!(default, "arm64");
    assert!(source("Makefile").contains(&format!("\nARCH ?= {default}\n")));
    // Both `sam build` and `sam deploy` take it from there, so that neither builds for what the other does not deploy.
    assert!(source("samconfig.toml").contains(&format!("parameter_overrides = \"Architecture={default}\"\n")));
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
