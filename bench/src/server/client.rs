//! A client that costs next to nothing, so that it does not take the processor away from what is measured: one connection, one request
//! at a time.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A request, ready to be sent.
pub(crate) struct Request(String);

impl Request {
    /// A request to an endpoint with this body, or without one if it is null.
    pub(crate) fn new(method: &str, endpoint: &str, token: &str, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self(format!(
            "{method} /api/v1/auth/2fa/{endpoint} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

/// A connection to the server.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server accepts");
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new() }
    }

    /// Sends a request and returns the body of the answer.
    pub(crate) async fn send(&mut self, request: &Request) -> Value {
        self.stream.write_all(request.0.as_bytes()).await.expect("the server reads");
        self.received.clear();
        loop {
            let read = self.stream.read_buf(&mut self.received).await.expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            let text = std::str::from_utf8(&self.received).expect("answers are text");
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.expect("the answer has a length").parse().unwrap();
            if body.len() == length {
                return serde_json::from_str(body).expect("answers are JSON");
            }
        }
    }
}
