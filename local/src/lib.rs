//! The local stack: what stands in for the cloud while developing and testing.

pub mod database;
