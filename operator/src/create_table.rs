//! `doctor table create`: the table of a deployment that no template made.

use std::io::{self, Write};

use aws_sdk_dynamodb::{
    Client, error::ProvideErrorMetadata as _, operation::describe_table::DescribeTableError,
    types::PointInTimeRecoverySpecification,
};
use two_factor::{
    adapters::dynamodb::{
        client,
        table::{TableError, ensure_table},
    },
    config::{Environment, app::table_name},
};

use crate::{
    Ending, Failure,
    check::{
        aws::{self, NO_BACKUPS, NO_BACKUPS_YET, refused},
        reach_aws, region,
    },
    report::{Patience, Problem, Report, Waiting},
    settings::Settings,
};

/// Makes the table, has it drop what is stale, and makes it safe from whoever deletes too much; then looks at it as `doctor check`
/// does. What is there already stays, so that it can be said again.
pub(crate) async fn run(settings: &Settings, mut patience: Patience, out: &mut dyn Write) -> Result<Ending, Failure> {
    let name = table_name(&settings.vars)?;
    let is_production = Environment::of(&settings.vars)? == Environment::Production;
    let mut report = Report::new(out);
    let aws = reach_aws(settings);
    report.finding("aws", &aws.as_ref().map(|aws| region(aws, settings)).map_err(Clone::clone))?;
    let Ok(aws) = aws else { return Ok(report.end()?) };
    let client = client(aws.config());
    let made = match make(&client, &name).await {
        Ok(()) => protect(&client, &name, &mut patience, &mut report).await?,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(()) => aws::table(&aws, &name, is_production, &mut patience, &mut report).await?,
        Err(problem) => report.finding("table", &Err(problem))?,
    }
    Ok(report.end()?)
}

/// Makes the table, and turns its expiry on.
async fn make(client: &Client, name: &str) -> Result<(), Problem> {
    // Asked first for the sake of a plain answer where there is no way to the database.
    if let Err(error) = client.describe_table().table_name(name).send().await
        && !error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception)
    {
        return Err(refused("dynamodb:DescribeTable", &error));
    }
    ensure_table(client, name).await.map_err(|error| not_made(&error))
}

fn not_made(error: &TableError) -> Problem {
    let remedy = match error {
        TableError::Foreign(_) => "set TABLE_NAME to the name of a table that is not there yet".to_owned(),
        TableError::NotActive(_) => "wait, and say it again: it is being made".to_owned(),
        TableError::Request { operation, .. } => {
            format!("your user or role needs dynamodb:{operation}; AWS_REGION has to be the right one")
        }
    };
    Problem::new(error.to_string(), remedy)
}

/// Turns point-in-time recovery and deletion protection on.
async fn protect(
    client: &Client,
    name: &str,
    patience: &mut Patience,
    report: &mut Report<'_>,
) -> io::Result<Result<(), Problem>> {
    let mut waiting = Waiting::default();
    let recovery = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
    let recovery = recovery.map_err(io::Error::other)?;
    loop {
        // Turning on what is on changes nothing.
        let update = client.update_continuous_backups().table_name(name);
        let Err(error) = update.point_in_time_recovery_specification(recovery.clone()).send().await else { break };
        match error.code() {
            Some(NO_BACKUPS) => break,
            Some(NO_BACKUPS_YET) => {
                let setting_up = "DynamoDB is setting them up for a table that is new";
                if !waiting.goes_on("backups", setting_up, patience, report).await? {
                    let what = format!("point-in-time recovery is not on yet: {setting_up}");
                    return Ok(Err(Problem::new(what, "wait, and say it again; --wait SECONDS waits longer")));
                }
            }
            _ => return Ok(Err(refused("dynamodb:UpdateContinuousBackups", &error))),
        }
    }
    let described = match client.describe_table().table_name(name).send().await {
        Ok(described) => described.table,
        Err(error) => return Ok(Err(refused("dynamodb:DescribeTable", &error))),
    };
    // DynamoDB refuses to turn on what is on.
    if described.and_then(|table| table.deletion_protection_enabled) == Some(true) {
        return Ok(Ok(()));
    }
    let update = client.update_table().table_name(name).deletion_protection_enabled(true).send().await;
    Ok(update.map(|_| ()).map_err(|error| refused("dynamodb:UpdateTable", &error)))
}
