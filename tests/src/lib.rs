//! Tools of the tests: what stands between the service and the world, and can be told to misbehave.

pub mod dynamodb_proxy;
