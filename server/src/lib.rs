//! The service as one HTTP server: the handlers of the Lambda functions behind one port, straight from HTTP requests.
//!
//! Requests come in through [`connections`], become the service's own in [`endpoints`], and are answered by the router of the function
//! `any`. [`admin`] tells an orchestrator how it goes, on a port of its own; [`lifecycle`] starts all of it and lets it end in order;
//! [`program`] is what the command line runs. The local server is built on the first two.

pub mod admin;
pub mod connections;
pub mod endpoints;
pub mod lifecycle;
pub mod metrics;
pub mod program;
pub mod settings;
pub mod trusted_proxies;
