//! What the ports stand for outside: AWS, SMS providers, HTTP.

pub mod aws;
pub mod http_client;
pub mod roots;
