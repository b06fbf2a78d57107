//! What no provider says but the way to it does: faults of servers, proxies and connections, the same for every provider.

use std::time::{Duration, Instant};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, future},
};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use two_factor::{
    adapters::{aws::Aws, http::public_client, sms::Transports},
    domain::{FailureClass, message::delivery::Failure},
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, path},
};

use super::{
    PATIENCE, Settings, aws_sms, bird, config, gateway, json, message, messagebird, plivo, sns, twilio, vars, vonage,
    wire::{Act, Peer, full_backlog},
};

/// A provider, and how often it may be asked where the outcome stays unknown.
struct Case {
    name: &'static str,
    settings: Settings,
    requests: usize,
}

const CASES: &[Case] = &[
    Case { name: "twilio", settings: twilio, requests: 1 },
    Case { name: "sns", settings: sns, requests: 1 },
    Case { name: "aws-sms", settings: aws_sms, requests: 1 },
    Case { name: "vonage", settings: vonage, requests: 1 },
    Case { name: "messagebird", settings: messagebird, requests: 1 },
    Case { name: "messagebird (Bird)", settings: bird, requests: 2 },
    Case { name: "plivo", settings: plivo, requests: 1 },
];

#[tokio::test]
async fn an_answer_that_is_not_the_providers_own_leaves_the_outcome_unknown_and_nothing_is_repeated_s12() {
    let html = || "<html><body><h1>502 Bad Gateway</h1></body></html>";
    let answers = [
        ("a proxy's page", ResponseTemplate::new(502).set_body_raw(html(), "text/html")),
        ("a proxy's page as 503", ResponseTemplate::new(503).set_body_raw(html(), "text/html")),
        ("a proxy's refusal", ResponseTemplate::new(403).set_body_raw(html(), "text/html")),
        ("not found at a proxy", ResponseTemplate::new(404)),
        ("a timeout between proxies", ResponseTemplate::new(408)),
        ("an empty 500", ResponseTemplate::new(500)),
        ("an empty 400", ResponseTemplate::new(400)),
        ("an empty 200", ResponseTemplate::new(200)),
        ("an empty 201", ResponseTemplate::new(201)),
        ("an empty 202", ResponseTemplate::new(202)),
        ("no content", ResponseTemplate::new(204)),
        ("a page as 200", ResponseTemplate::new(200).set_body_raw(html(), "text/html")),
        ("JSON of another shape", json(200, r#"{"hello":["world"]}"#)),
        ("an array", json(201, "[]")),
        ("null", json(202, "null")),
        ("cut JSON", json(201, r#"{"sid":"SM01"#)),
        ("a refusal of another shape", json(400, r#"{"hello":"world"}"#)),
        ("not UTF-8", ResponseTemplate::new(200).set_body_raw(vec![0xff; 40], "application/json")),
        ("deep nesting", json(200, &"[".repeat(10_000))),
        ("an answer that is too long", json(201, &format!(r#"{{"sid":"SM01","id":"x","padding":"{}"}}"#, "x".repeat(70_000)))),
    ];
    for Case { name, settings, requests } in CASES {
        for (reason, answer) in &answers {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer.clone()).mount(&server).await;
            let result = gateway(*settings, &server.uri()).send(&message(), PATIENCE).await;
            assert_eq!(class(result), Some(FailureClass::UnknownOutcome), "{name}: {reason}");
            assert_eq!(server.received_requests().await.unwrap().len(), *requests, "{name}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_bare_429_was_not_processed() {
    for Case { name, settings, .. } in CASES {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(429)).expect(1).mount(&server).await;
        let result = gateway(*settings, &server.uri()).send(&message(), PATIENCE).await;
        assert_eq!(class(result), Some(FailureClass::RateLimited), "{name}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for Case { name, settings, requests } in CASES {
        for status in [301, 302, 303, 307, 308] {
            let server = MockServer::start().await;
            Mock::given(path("/elsewhere")).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
            let redirect = ResponseTemplate::new(status).insert_header("location", format!("{}/elsewhere", server.uri()));
            Mock::given(any()).respond_with(redirect).expect(u64::try_from(*requests).unwrap()).mount(&server).await;
            let result = gateway(*settings, &server.uri()).send(&message(), PATIENCE).await;
            assert_eq!(class(result), Some(FailureClass::UnknownOutcome), "{name}: {status}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown_s12() {
    for Case { name, settings, requests } in CASES {
        let server = MockServer::start().await;
        let slow = ResponseTemplate::new(201).set_delay(Duration::from_secs(30));
        Mock::given(any()).respond_with(slow).mount(&server).await;
        let timeout = Duration::from_millis(200);
        let started = Instant::now();
        let result = gateway(*settings, &server.uri()).send(&message(), timeout).await;
        assert_eq!(result.unwrap_err(), Failure::with_code(FailureClass::UnknownOutcome, "timeout"), "{name}");
        assert!(started.elapsed() < PATIENCE, "{name}: it is not waited for");
        assert_eq!(server.received_requests().await.unwrap().len(), *requests, "{name}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_request_leaves_the_outcome_unknown_s12() {
    let answers: [(&str, &[u8]); 3] = [
        ("before the answer", b""),
        ("in the headers", b"HTTP/1.1 201 Created\r\ncontent-ty"),
        ("in the body", b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"sid\":"),
    ];
    for Case { name, settings, requests } in CASES {
        for (reason, answer) in answers {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let server = tokio::spawn(async move {
                let mut connections = 0;
                loop {
                    let (mut connection, _) = listener.accept().await.unwrap();
                    connections += 1;
                    let read = connection.read(&mut [0; 8192]).await.unwrap();
                    assert!(read > 0, "a request came");
                    connection.write_all(answer).await.unwrap();
                    drop(connection);
                    if connections == 2 {
                        break;
                    }
                }
            });
            let result = gateway(*settings, &url).send(&message(), PATIENCE).await;
            assert_eq!(class(result), Some(FailureClass::UnknownOutcome), "{name}: cut {reason}");
            assert_eq!(server.is_finished(), *requests == 2, "{name}: cut {reason}, and not repeated");
            server.abort();
        }
    }
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_sent() {
    for Case { name, settings, .. } in CASES {
        let url = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        };
        let result = gateway(*settings, &url).send(&message(), PATIENCE).await;
        assert_eq!(result.unwrap_err(), Failure::with_code(FailureClass::NotSent, "no_connection"), "{name}");
    }
}

#[tokio::test]
async fn a_failed_handshake_means_that_nothing_was_sent() {
    for Case { name, settings, .. } in CASES {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            assert!(connection.read(&mut [0; 8192]).await.unwrap() > 0, "a request");
            connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let result = gateway(*settings, &url).send(&message(), PATIENCE).await;
        assert_eq!(result.unwrap_err(), Failure::with_code(FailureClass::NotSent, "no_connection"), "{name}");
        server.await.unwrap();
    }
}

fn class(result: Result<String, Failure>) -> Option<FailureClass> {
    result.err().map(|failure| failure.class)
}

/// How long a provider is given to answer; all of it, connecting included.
const ATTEMPT: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_connection_that_does_not_come_about_in_three_seconds_means_that_nothing_was_sent() {
    let silent = Peer::start(|_| vec![Act::Silence]).await;
    let (_full, unreachable) = full_backlog().await;
    let (handshake, unreachable) = (silent.url().replace("http://", "https://"), format!("http://{unreachable}"));
    let attempts = CASES.iter().flat_map(|case| [(case, &handshake), (case, &unreachable)]).map(async |(case, url)| {
        let started = Instant::now();
        let result = gateway(case.settings, url).send(&message(), ATTEMPT).await;
        let took = started.elapsed();
        assert_eq!(result.unwrap_err(), Failure::with_code(FailureClass::NotSent, "no_connection"), "{} at {url}", case.name);
        assert!(took >= Duration::from_secs(3) && took < ATTEMPT, "{} at {url}: {took:?}", case.name);
    });
    join_all(attempts).await;
}

/// Credentials that have to be fetched first, as those of a role.
#[derive(Debug)]
struct Fetched;

impl ProvideCredentials for Fetched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(Credentials::new("AKIDEXAMPLE", "s3cr3t", None, None, "tests"))
        })
    }
}

#[tokio::test]
async fn what_comes_before_a_connection_takes_nothing_from_its_three_seconds() {
    let silent = Peer::start(|_| vec![Act::Silence]).await;
    let url = silent.url().replace("http://", "https://");
    let vars =
        vars(&[("AWS_REGION", "eu-central-1"), ("AWS_ENDPOINT_URL_SNS", &url), ("AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2", &url)]);
    let aws = Aws::with_credentials(&vars, Fetched).unwrap();
    let transports = Transports { http: public_client(&vars).unwrap(), aws: aws.sending().clone() };
    let attempts = ["sns", "aws-sms"].map(async |name| {
        let gateway = transports.gateway(&config(&[("SMS_PROVIDERS", name)]).providers[0]);
        let result = gateway.send(&message(), ATTEMPT).await;
        assert_eq!(result.unwrap_err(), Failure::with_code(FailureClass::NotSent, "no_connection"), "{name}");
    });
    join_all(attempts).await;
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_connecting_may_is_waited_for() {
    let attempts = CASES.iter().map(async |case| {
        let server = MockServer::start().await;
        let accepted =
            r#"{"sid":"SM01","id":"x","message_uuid":["x"],"MessageId":"x","messages":[{"status":"0","message-id":"x"}]}"#;
        let sns = "<PublishResponse><PublishResult><MessageId>x</MessageId></PublishResult></PublishResponse>";
        let late = match case.name {
            "sns" => ResponseTemplate::new(200).set_body_raw(sns, "text/xml"),
            _ => json(200, accepted),
        };
        let late = late.set_delay(Duration::from_millis(3300));
        Mock::given(any()).respond_with(late).expect(1).mount(&server).await;
        assert_eq!(class(gateway(case.settings, &server.uri()).send(&message(), ATTEMPT).await), None, "{}", case.name);
    });
    join_all(attempts).await;
}

#[tokio::test]
async fn a_connection_that_is_reset_after_the_request_leaves_the_outcome_unknown_s12() {
    for Case { name, settings, requests } in CASES {
        let peer = Peer::start(|_| vec![Act::Read, Act::Reset]).await;
        let result = gateway(*settings, &peer.url()).send(&message(), PATIENCE).await;
        assert_eq!(result.unwrap_err(), Failure::with_code(FailureClass::UnknownOutcome, "connection_lost"), "{name}");
        assert_eq!(peer.requests(), *requests, "{name}");
    }
}

/// An answer that every REST provider's adapter can read as an acceptance or a refusal; what matters is that it is whole.
const WHOLE: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn a_connection_is_used_again_at_once_and_not_after_it_was_idle_for_longer_than_a_peer_may_keep_it() {
    for Case { name, settings, requests } in CASES {
        let peer =
            Peer::start(|_| vec![Act::Read, Act::Write(WHOLE), Act::Read, Act::Write(WHOLE), Act::Read, Act::Write(WHOLE)]).await;
        let gateway = gateway(*settings, &peer.url());
        for _ in 0..(2 / *requests) {
            drop(gateway.send(&message(), PATIENCE).await);
        }
        assert_eq!((peer.requests(), peer.connections()), (2, 1), "{name}: it is used again");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(5)).await;
        tokio::time::resume();
        drop(gateway.send(&message(), PATIENCE).await);
        assert_eq!(peer.connections(), 2, "{name}: after five seconds it is not");
    }
}

#[tokio::test]
async fn a_connection_that_the_peer_has_closed_meanwhile_is_not_used() {
    for Case { name, settings, requests } in CASES {
        let peer = Peer::start(|_| vec![Act::Read, Act::Write(WHOLE), Act::Close]).await;
        let gateway = gateway(*settings, &peer.url());
        for round in 1..=3 {
            let failure = gateway.send(&message(), PATIENCE).await.unwrap_err();
            assert_eq!(failure.code(), Some("http_400"), "{name}: each send is answered, over a connection of its own");
            assert_eq!(peer.requests(), round * requests, "{name}");
        }
    }
}
