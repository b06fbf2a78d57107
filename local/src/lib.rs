//! The local stack: everything that runs the service on one machine. No function depends on it.

pub mod api_description;
mod assertion_key;
pub mod aws;
pub mod clock;
pub mod database;
mod dynamodb_api;
mod lab;
pub mod messages;
pub mod server;
pub mod settings;
pub mod sms_inbox;
pub mod stack;
mod web_pages;
pub mod welcome;
