//! The table: what it looks like, and a way to create it where no template does.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::DisplayErrorContext,
    operation::{create_table::CreateTableError, describe_table::DescribeTableError},
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription, TableStatus,
        TimeToLiveSpecification, TimeToLiveStatus,
    },
};

pub use super::keys::{PK, SK, TTL};

/// How often the state of a table that is being created is looked at, and for how long at most.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const POLLS: u32 = 120;

/// Why the table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// There is a table of this name, with other keys than `pk` and `sk`.
    #[error("the table {0} has other keys than the strings `{PK}` and `{SK}`: it belongs to something else")]
    Foreign(String),
    /// The table was not active in time.
    #[error("the table {0} did not become active within a minute")]
    NotActive(String),
    /// DynamoDB failed.
    #[error("{operation} failed: {cause}")]
    Request {
        /// What was asked for.
        operation: &'static str,
        /// What came back.
        cause: String,
    },
}

/// Makes sure that the table `name` exists, is active, and drops expired items. Does nothing to a table that is so already.
///
/// # Errors
/// See [`TableError`].
pub async fn ensure_table(client: &Client, name: &str) -> Result<(), TableError> {
    if describe(client, name).await?.is_none() {
        create(client, name).await?;
    }
    wait_until_active(client, name).await?;
    enable_ttl(client, name).await
}

async fn describe(client: &Client, name: &str) -> Result<Option<TableDescription>, TableError> {
    match client.describe_table().table_name(name).send().await {
        Ok(output) => Ok(output.table),
        Err(error) if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) => Ok(None),
        Err(error) => Err(failed("DescribeTable", error)),
    }
}

async fn create(client: &Client, name: &str) -> Result<(), TableError> {
    let mut request = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, role) in [(PK, KeyType::Hash), (SK, KeyType::Range)] {
        let definition = AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S).build();
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(role).build();
        request = request
            .attribute_definitions(definition.map_err(|error| failed("CreateTable", error))?)
            .key_schema(key.map_err(|error| failed("CreateTable", error))?);
    }
    match request.send().await {
        Ok(_) => Ok(()),
        // Somebody else is creating it at the same time.
        Err(error) if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) => Ok(()),
        Err(error) => Err(failed("CreateTable", error)),
    }
}

async fn wait_until_active(client: &Client, name: &str) -> Result<(), TableError> {
    for _ in 0..POLLS {
        if let Some(table) = describe(client, name).await? {
            if !has_our_keys(&table) {
                return Err(TableError::Foreign(name.to_owned()));
            }
            if table.table_status == Some(TableStatus::Active) {
                return Ok(());
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Err(TableError::NotActive(name.to_owned()))
}

/// Whether the table has the keys that this service uses: the strings `pk` and `sk`.
pub fn has_our_keys(table: &TableDescription) -> bool {
    let keys = table.key_schema().iter().map(|key| (key.attribute_name(), key.key_type()));
    let all_strings = table.attribute_definitions().iter().all(|attribute| *attribute.attribute_type() == ScalarAttributeType::S);
    keys.eq([(PK, &KeyType::Hash), (SK, &KeyType::Range)]) && all_strings
}

async fn enable_ttl(client: &Client, name: &str) -> Result<(), TableError> {
    // DynamoDB refuses to enable what is enabled.
    if drops_what_is_stale(client, name).await? {
        return Ok(());
    }
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build();
    let ttl = ttl.map_err(|error| failed("UpdateTimeToLive", error))?;
    match client.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await {
        Ok(_) => Ok(()),
        // Somebody else was faster.
        Err(_) if drops_what_is_stale(client, name).await? => Ok(()),
        Err(error) => Err(failed("UpdateTimeToLive", error)),
    }
}

async fn drops_what_is_stale(client: &Client, name: &str) -> Result<bool, TableError> {
    let described = client.describe_time_to_live().table_name(name).send().await;
    let described = described.map_err(|error| failed("DescribeTimeToLive", error))?;
    let status = described.time_to_live_description.and_then(|ttl| ttl.time_to_live_status);
    Ok(matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)))
}

fn failed(operation: &'static str, error: impl std::error::Error) -> TableError {
    TableError::Request { operation, cause: DisplayErrorContext(error).to_string() }
}
