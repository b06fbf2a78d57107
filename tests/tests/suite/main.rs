//! The one integration binary: a module a feature, names that are sentences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod any;
mod audit;
mod auth;
mod bad_input;
mod bootstraps;
mod budget;
mod builds;
mod config;
mod connections;
mod countries;
mod emulator;
mod hosts;
mod journeys;
mod judging;
mod jwks;
mod layering;
mod limits;
mod local_stack;
mod notifications;
mod operator;
mod outages;
mod personal_aws;
mod providers;
mod queries;
mod races;
mod requests;
mod secret_files;
mod secrets;
mod server;
mod settings;
mod status;
mod storage_faults;
mod store;
mod template;
mod upgrade;
