//! Connections to what is outside: whom they trust, and that they are there before the first request needs them.

use std::{
    fs,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::Client;
use tokio::net::TcpListener;
use two_factor::{
    adapters::{
        aws::{Aws, AwsService},
        http::{open_connections, public_client},
    },
    config::Vars,
};
use two_factor_local::{database::EmbeddedDatabase, sms_inbox::SmsInbox};
use two_factor_tests::{
    dynamodb_proxy::{Fault, Proxy},
    tls_front::{Authority, TlsFront},
};

const LONG: Duration = Duration::from_secs(10);

fn vars(settings: &[(&str, &str)]) -> Vars {
    let always = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    Vars::new(always.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

async fn works(aws: &Aws) -> bool {
    Client::new(aws.config()).list_tables().send().await.is_ok()
}

/// A database behind TLS, and the file with the certificate that makes it trusted.
struct Fixture {
    front: TlsFront,
    ca_file: String,
    _database: EmbeddedDatabase,
    authority: Authority,
}

impl Fixture {
    fn start(name: &str) -> Self {
        let database = EmbeddedDatabase::start(None, 0).unwrap();
        let authority = Authority::new();
        let front = TlsFront::start(&authority, &database.endpoint());
        let ca_file = std::env::temp_dir().join(format!("two-factor-{name}-{}.pem", std::process::id()));
        fs::write(&ca_file, authority.pem()).unwrap();
        Self { front, ca_file: ca_file.to_str().unwrap().to_owned(), _database: database, authority }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        fs::remove_file(&self.ca_file).unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_was_opened_early_carries_the_first_call() {
    let fixture = Fixture::start("early");
    let url = fixture.front.url();
    let vars = vars(&[("AWS_ENDPOINT_URL_DYNAMODB", &url), ("EXTRA_CA_FILE", &fixture.ca_file)]);
    let aws = Aws::from_environment(&vars).unwrap();
    aws.open_connections(&[AwsService::DynamoDb], LONG).await;
    assert_eq!(fixture.front.handshakes(), 1);
    assert!(works(&aws).await);
    // A client of its own settings, as the store makes one, has the same pool.
    let patient = aws_sdk_dynamodb::config::timeout::TimeoutConfig::builder().connect_timeout(LONG).build();
    let config = aws_sdk_dynamodb::config::Builder::from(aws.config()).timeout_config(patient).build();
    Client::from_conf(config).list_tables().send().await.unwrap();
    assert_eq!(fixture.front.handshakes(), 1, "no call opened another connection");

    let inbox = SmsInbox::start(|_| {}).await.unwrap();
    let front = TlsFront::start(&fixture.authority, &inbox.url());
    let http = public_client(&vars).unwrap();
    open_connections(&http, &[front.url()], LONG).await;
    assert_eq!(front.handshakes(), 1);
    http.get(front.url() + "/_inbox").send().await.unwrap();
    assert_eq!(front.handshakes(), 1, "the request did not open another connection");
}

#[tokio::test]
async fn only_the_authorities_that_were_named_are_trusted() {
    let fixture = Fixture::start("trust");
    let url = fixture.front.url();
    let endpoint = ("AWS_ENDPOINT_URL", url.as_str());
    for (settings, trusted, reason) in [
        (vec![endpoint], false, "nobody vouches for the server"),
        (vec![endpoint, ("AWS_CA_BUNDLE", &fixture.ca_file)], true, "the bundle is what AWS clients trust"),
        (vec![endpoint, ("EXTRA_CA_FILE", &fixture.ca_file)], true, "everybody trusts the extra file"),
        (vec![endpoint, ("AWS_REGION", "us-gov-west-1")], false, "Mozilla does not know it either"),
    ] {
        let before = fixture.front.handshakes();
        assert_eq!(works(&Aws::from_environment(&vars(&settings)).unwrap()).await, trusted, "{reason}");
        assert_eq!(fixture.front.handshakes() > before, trusted, "{reason}");
    }
    let bundle = vars(&[("AWS_CA_BUNDLE", &fixture.ca_file)]);
    let error = public_client(&bundle).unwrap().get(&url).send().await.expect_err("the bundle is for AWS clients only");
    assert!(error.is_connect());
}

#[tokio::test]
async fn the_endpoint_of_a_service_wins_over_the_one_for_all() {
    let fixture = Fixture::start("endpoint");
    let url = fixture.front.url();
    let nowhere = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let aws = Aws::from_environment(&vars(&[nowhere, ("AWS_ENDPOINT_URL_DYNAMODB", &url), ("EXTRA_CA_FILE", &fixture.ca_file)]));
    assert!(works(&aws.unwrap()).await);
}

#[tokio::test]
async fn opening_connections_is_never_waited_for_longer_than_allowed_and_its_failure_is_none() {
    // One server that takes connections and is silent, and one that is not there.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let urls = [format!("http://{}", silent.local_addr().unwrap()), "http://127.0.0.1:9".to_owned()];
    let http = public_client(&Vars::default()).unwrap();
    let begin = Instant::now();
    open_connections(&http, &urls, Duration::from_millis(50)).await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(50) && took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_call_whose_connection_is_cut_is_tried_again() {
    let database = EmbeddedDatabase::start(None, 0).unwrap();
    let proxy = Proxy::start(&database.endpoint());
    proxy.fail_next(1, Fault::Drop);
    assert!(works(&Aws::from_environment(&vars(&[("AWS_ENDPOINT_URL", &proxy.endpoint())])).unwrap()).await);
    assert_eq!(proxy.calls(), ["ListTables", "ListTables"]);
}

#[test]
fn a_start_without_region_or_credentials_names_the_variable() {
    for missing in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        assert_eq!(Aws::from_environment(&vars(&[(missing, "")])).unwrap_err().variable, missing);
    }
}
