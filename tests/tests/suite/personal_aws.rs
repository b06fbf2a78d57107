//! The local stack with the AWS configuration of the person who runs it.

use std::{fs, path::Path};

use serde_json::json;
use two_factor::config::Environment;
use two_factor_local::{aws::sign_in, settings::Settings, stack::Stack};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method},
};

/// The settings of somebody who works in development with these variables and this AWS configuration, and no keys anywhere.
fn settings(name: &str, configuration: &str, variables: &[(&str, &str)]) -> Settings {
    let file = std::env::temp_dir().join(format!("two-factor-personal-{name}-{}", std::process::id()));
    fs::write(&file, configuration).unwrap();
    let file = file.to_str().unwrap();
    let own = [("AWS_CONFIG_FILE", file), ("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "dev"), ("PORT", "0")];
    let variables = own.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::read(variables, Path::new("no-such-file"), Environment::Development).unwrap()
}

const KEYS: &str =
    r#"credential_process = printf '{"Version": 1, "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "s", "SessionToken": "t"}'"#;

#[tokio::test]
async fn make_run_reads_a_secret_as_the_profile_in_use() {
    let server = MockServer::start().await;
    let secret =
        json!({"ARN": "arn:s", "Name": "s", "SecretString": r#"{"CODE_PEPPER": "a pepper of 32 bytes or more, for a test"}"#});
    let read = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
    read.respond_with(ResponseTemplate::new(200).set_body_json(secret)).mount(&server).await;
    let profile = format!(
        "[profile dev]\nregion = eu-west-3\nservices = emulated\n{KEYS}\n[services emulated]\nsecrets_manager =\n  endpoint_url = {}\n",
        server.uri()
    );
    let stack = Stack::start(settings("run", &profile, &[("SECRET_ID", "two-factor/dev")]), |_| {}).await.unwrap();
    assert!(stack.database.is_some(), "the table is on this machine all the same");
    let [request] = &server.received_requests().await.unwrap()[..] else { panic!("one call") };
    let signature = request.headers["authorization"].to_str().unwrap();
    assert!(signature.contains("Credential=ASIAEXAMPLE/") && signature.contains("/eu-west-3/secretsmanager/"), "{signature}");
}

#[tokio::test]
async fn make_watch_hands_the_profile_to_the_functions_as_variables() {
    let mut settings = settings("watch", &format!("[profile dev]\nregion = eu-west-3\n{KEYS}\n"), &[("SMS_PROVIDERS", "sns")]);
    let found = sign_in(&mut settings).await.unwrap();
    assert_eq!(settings.vars().get("AWS_REGION"), Some("eu-west-3"));
    let keys = found.credentials_as_variables().await.unwrap();
    let keys: Vec<_> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(keys, ["AWS_ACCESS_KEY_ID=ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=s", "AWS_SESSION_TOKEN=t"]);
}

#[tokio::test]
async fn nobody_has_to_be_signed_in_for_what_is_on_this_machine() {
    let broken = "[profile dev]\nregion = eu-west-3\ncredential_process = exit 255\n";
    for variables in [&[][..], &[("SMS_INBOX", "1"), ("SMS_PROVIDERS", "sns")]] {
        let stack = Stack::start(settings("signed-out", broken, variables), |_| {}).await;
        assert!(stack.is_ok(), "{variables:?}: {:?}", stack.err());
    }
    let secret = settings("signed-out", broken, &[("SECRET_ID", "two-factor/dev")]);
    let refused = Stack::start(secret, |_| {}).await.map(drop).unwrap_err().to_string();
    assert!(refused.starts_with("no AWS credentials: ") && refused.contains("aws sso login"), "{refused}");
}
