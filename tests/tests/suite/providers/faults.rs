//! What no provider says but the way to it does: faults of servers, proxies and connections, the same for every provider.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use two_factor::domain::{FailureClass, message::delivery::Failure};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, path},
};

use super::{PATIENCE, Settings, aws_sms, bird, gateway, json, message, messagebird, plivo, sns, twilio, vonage};

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
        let started = std::time::Instant::now();
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
