//! The program as an orchestrator runs it: its signals, its exit codes, and the credentials that it finds and renews by itself.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects has to stop"
)]

mod program;

use std::{collections::BTreeSet, time::Duration};

use two_factor::adapters::http::public_client;
use two_factor_tests::dynamodb_proxy::Proxy;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{body_string_contains, header, method, path},
};

use program::{Program, Table, free_port, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_until_sigterm_and_ends_with_0() {
    let (table, admin_port) = (Table::start().await, free_port());
    let endpoint = table.proxy.endpoint();
    let variables = [
        ("APP_ENV", "development"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
        ("PORT", "0"),
        ("ADMIN_PORT", &admin_port),
        ("DRAIN_SECONDS", "1"),
    ];
    let unhealthy = run(&["healthcheck"], &variables);
    assert_eq!(unhealthy.status.code(), Some(1), "nobody is there yet");
    let program = Program::start(&variables);
    program.until_it_says("ready");
    let healthy = run(&["healthcheck"], &variables);
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    program.ask_to_stop();
    program.until_it_says("stopping");
    let ready = public_client(&two_factor::config::Vars::default()).unwrap().get(format!("http://127.0.0.1:{admin_port}/readyz"));
    assert_eq!(ready.send().await.unwrap().status(), 503);
    program.until_it_says("stopped");
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn wrong_settings_and_wrong_commands_end_it_with_1_and_a_line_each_s22() {
    let wrong = run(&[], &[("TRUSTED_PROXIES", "everybody"), ("AWS_REGION", "us-east-1")]);
    assert_eq!(wrong.status.code(), Some(1));
    let (log, told) = (String::from_utf8(wrong.stdout).unwrap(), String::from_utf8(wrong.stderr).unwrap());
    for name in ["TRUSTED_PROXIES: ", "CODE_PEPPER: ", "AUTH_JWT_SECRET: "] {
        assert_eq!(told.lines().filter(|line| line.starts_with(name)).count(), 1, "{told}");
        assert!(log.contains(&format!(r#""message":"{name}"#)), "the log has it, too: {log}");
    }
    let unknown = run(&["serve"], &[]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8(unknown.stderr).unwrap().starts_with("usage: two-factor-server"));
}

/// The keys that the calls on the table were signed with since this was asked last. What only opens a connection is not signed.
fn signers(proxy: &Proxy) -> BTreeSet<String> {
    proxy.take_calls().into_iter().map(|call| call.signer).filter(|signer| !signer.is_empty()).collect()
}

/// A role on EKS (IRSA) and, by federation, on any other cluster: a projected token that STS takes for credentials that last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projected_token_becomes_a_roles_credentials_and_they_are_renewed_while_it_runs() {
    let (table, admin_port, sts) = (Table::start().await, free_port(), MockServer::start().await);
    let assume = Mock::given(method("POST"))
        .and(body_string_contains("Action=AssumeRoleWithWebIdentity"))
        .and(body_string_contains("WebIdentityToken=projected-token"))
        .and(body_string_contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ftwo-factor"));
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let answer = move |_: &Request| {
        let key = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        // Longer ago than any clock is wrong: each of them is renewed before it is used again.
        ResponseTemplate::new(200).set_body_string(format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
             <Credentials><AccessKeyId>ASIAROLE{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2026-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>"
        ))
    };
    assume.respond_with(answer).mount(&sts).await;
    let token = std::env::temp_dir().join(format!("two-factor-projected-token-{}", std::process::id()));
    std::fs::write(&token, "projected-token").unwrap();
    let (endpoint, sts_url) = (table.proxy.endpoint(), sts.uri());
    let variables = [
        ("APP_ENV", "development"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/two-factor"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &sts_url),
        ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
        ("PORT", "0"),
        ("ADMIN_PORT", &admin_port),
        ("DRAIN_SECONDS", "0"),
    ];
    renews(&table, &variables, "ASIAROLE").await;
}

/// EKS Pod Identity: an agent on the node that hands credentials to whoever shows the pod's token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pod_identity_hands_out_credentials_and_they_are_renewed_while_it_runs() {
    let (table, admin_port, agent) = (Table::start().await, free_port(), MockServer::start().await);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let answer = move |_: &Request| {
        let key = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        ResponseTemplate::new(200)
            .set_body_json(serde_json::json!({"AccessKeyId": format!("ASIAPOD{key}"), "SecretAccessKey": "s",
            "Token": "t", "Expiration": "2026-01-01T00:00:00Z"}))
    };
    let credentials = Mock::given(method("GET")).and(path("/v1/credentials")).and(header("authorization", "pod-token"));
    credentials.respond_with(answer).mount(&agent).await;
    let token = std::env::temp_dir().join(format!("two-factor-pod-token-{}", std::process::id()));
    std::fs::write(&token, "pod-token").unwrap();
    let (endpoint, agent_url) = (table.proxy.endpoint(), format!("{}/v1/credentials", agent.uri()));
    let variables = [
        ("APP_ENV", "development"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*agent_url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
        ("PORT", "0"),
        ("ADMIN_PORT", &admin_port),
        ("DRAIN_SECONDS", "0"),
    ];
    renews(&table, &variables, "ASIAPOD").await;
}

/// Starts the program and holds that its calls are signed with keys of this kind, and by and by with new ones.
async fn renews(table: &Table, variables: &[(&str, &str)], kind: &str) {
    let program = Program::start(variables);
    let line = program.until_it_says("ready");
    let port = line["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let first = signers(&table.proxy);
    assert!(!first.is_empty() && first.iter().all(|key| key.starts_with(kind)), "{first:?}");
    let http = public_client(&two_factor::config::Vars::default()).unwrap();
    let mint = two_factor::config::Config::from_vars(&two_factor::config::Vars::new(
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    ));
    let mint = two_factor::adapters::development_token::TokenMint::new(&mint.unwrap().auth).unwrap();
    let now = two_factor::ports::Clock::now(&two_factor::adapters::system::SystemClock);
    let token = mint.mint("alice", now, Duration::from_secs(60)).unwrap();
    let status = http.get(format!("http://127.0.0.1:{port}/api/v1/auth/2fa/setup")).bearer_auth(token);
    assert_eq!(status.send().await.unwrap().status(), 200);
    let next = signers(&table.proxy);
    assert!(!next.is_empty() && next.iter().all(|key| key.starts_with(kind)), "{next:?}");
    assert!(next.is_disjoint(&first), "{first:?}, then {next:?}");
    program.ask_to_stop();
    assert_eq!(program.wait().code(), Some(0));
}
