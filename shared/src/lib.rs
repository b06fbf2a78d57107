//! The logic of the SMS two-factor service, shared by its functions.
//!
//! Imports point one way: `app → api, adapters → use_cases → ports → domain`. `ARCHITECTURE.md` is the map; the invariants S1 to S29
//! that comments and tests name are defined in `SECURITY.md`.

pub mod adapters;
pub mod api;
pub mod app;
pub mod config;
pub mod domain;
pub mod observability;
pub mod ports;
pub mod use_cases;
