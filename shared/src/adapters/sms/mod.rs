//! Text messages out: one file a provider, and the failover that goes through them.
//!
//! A provider's file knows its request and the meaning of its answers, and nothing else. What is common to the REST providers is
//! in `rest`.

mod aws;
pub mod aws_sms;
pub mod failover;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gateway;
mod health;
pub mod messagebird;
pub mod plivo;
mod rest;
pub mod sns;
mod transports;
pub mod twilio;
pub mod vonage;

pub use failover::{CredentialSource, Failover, FailoverSettings};
pub use gateway::{BoxFuture, SmsGateway};
pub use transports::Transports;
