//! Storage in one DynamoDB table: [`DynamoStore`], and the [`table`] it expects.

mod commit;
#[cfg(fuzzing)]
pub mod fuzzing;
mod keys;
mod records;
mod store;
pub mod table;
mod transaction;
mod tries;

pub use store::{DynamoStore, TRY_TIMEOUT, client};
