//! The one integration binary: a module a feature, names that are sentences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod auth;
mod config;
mod jwks;
mod providers;
mod requests;
mod secrets;
