//! Storage in one DynamoDB table: [`DynamoStore`], and the [`table`] it expects.

mod keys;
mod records;
mod store;
pub mod table;

pub use store::{DynamoStore, client};
