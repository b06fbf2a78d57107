//! The one integration binary: a module a feature, names that are sentences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod any;
mod audit;
mod auth;
mod bad_input;
mod bootstraps;
mod budget;
mod config;
mod connections;
mod emulator;
mod journeys;
mod jwks;
mod layering;
mod local_stack;
mod operator;
mod outages;
mod providers;
mod races;
mod requests;
mod secrets;
mod store;
mod template;
