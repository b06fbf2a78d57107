//! What is at AWS: the secret, the table and the two ways to send.

use std::{error::Error, io};

use aws_sdk_dynamodb::{
    Client as DynamoDb,
    error::{ProvideErrorMetadata, SdkError},
    operation::describe_table::DescribeTableError,
    types::{
        ContinuousBackupsDescription, PointInTimeRecoveryDescription, PointInTimeRecoveryStatus, TableDescription, TableStatus,
        TimeToLiveDescription, TimeToLiveStatus,
    },
};
use aws_sdk_pinpointsmsvoicev2::{
    Client as EndUserMessaging,
    types::{AccountAttributeName, SpendLimitName},
};
use aws_sdk_sns::Client as Sns;
use two_factor::adapters::{
    aws::Aws,
    dynamodb::{
        client,
        table::{TTL, has_our_keys},
    },
};
use two_factor_aws::SIGN_IN;

use super::innermost;
use crate::report::{Finding, Patience, Problem, Report, Waiting};

const SANDBOX: &str = "only numbers that were verified there get messages, and little may be spent";
const LEAVE_SANDBOX: &str = "ask AWS for production access (docs/operations.md, \"Providers\")";

/// The table: its keys, its expiry, and whether it is safe from whoever deletes too much.
pub(crate) async fn table(
    aws: &Aws,
    name: &str,
    is_production: bool,
    patience: &mut Patience,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let client = client(aws.config());
    let mut waiting = Waiting::default();
    let described = loop {
        let described = match client.describe_table().table_name(name).send().await {
            Ok(output) => Ok(output.table),
            Err(error) if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) => {
                Err(no_table(name))
            }
            Err(error) => Err(refused("dynamodb:DescribeTable", &error)),
        };
        let is_coming = |table: &TableDescription| table.table_status() == Some(&TableStatus::Creating);
        if !matches!(&described, Ok(Some(table)) if is_coming(table)) {
            break described;
        }
        if !waiting.goes_on("table", "it is being made or restored", patience, report).await? {
            break described;
        }
    };
    let judged = described.as_ref().map_err(Clone::clone).and_then(|table| judge_table(name, table.as_ref()));
    report.finding("table", &judged)?;
    let (Ok(table), Ok(_)) = (described, judged) else {
        for subject in ["expiry", "backups", "deletion"] {
            report.skipped(subject, "the table comes first")?;
        }
        return Ok(());
    };
    let expiry = match client.describe_time_to_live().table_name(name).send().await {
        Ok(output) => judge_expiry(name, output.time_to_live_description.as_ref()),
        Err(error) => Err(refused("dynamodb:DescribeTimeToLive", &error)),
    };
    report.finding("expiry", &expiry)?;
    backups(&client, name, is_production, patience, report).await?;
    let is_protected = table.as_ref().and_then(|table| table.deletion_protection_enabled) == Some(true);
    report.finding("deletion", &judge_protection(name, is_protected, is_production))
}

/// Point-in-time recovery.
async fn backups(
    client: &DynamoDb,
    name: &str,
    is_production: bool,
    patience: &mut Patience,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let mut waiting = Waiting::default();
    loop {
        let answer = client.describe_continuous_backups().table_name(name).send().await;
        let finding = match &answer {
            Ok(output) => judge_backups(name, output.continuous_backups_description(), is_production),
            Err(error) => match error.code() {
                Some(NO_BACKUPS_YET) => {
                    if waiting.goes_on("backups", "DynamoDB is setting them up for a table that is new", patience, report).await?
                    {
                        continue;
                    }
                    Err(Problem::new("DynamoDB is still setting them up for a table that is new", WAIT))
                }
                Some(NO_BACKUPS) => {
                    return report.skipped("backups", "this database, an emulated one, has none");
                }
                _ => Err(refused("dynamodb:DescribeContinuousBackups", error)),
            },
        };
        return report.finding("backups", &finding);
    }
}

/// What to do about what AWS is not done with.
const WAIT: &str = "wait, and check again; --wait SECONDS waits longer";

/// What DynamoDB says for a while after a table was made, and no more
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateContinuousBackups.html>).
pub(crate) const NO_BACKUPS_YET: &str = "ContinuousBackupsUnavailableException";
/// What an emulated database says of what it lacks.
pub(crate) const NO_BACKUPS: &str = "UnknownOperationException";

fn judge_backups(name: &str, backups: Option<&ContinuousBackupsDescription>, is_production: bool) -> Finding {
    let recovery = backups.and_then(ContinuousBackupsDescription::point_in_time_recovery_description);
    let status = recovery.and_then(PointInTimeRecoveryDescription::point_in_time_recovery_status);
    match (status, is_production) {
        (Some(PointInTimeRecoveryStatus::Enabled), _) => {
            Ok("point-in-time recovery is on: any second of the last days can be brought back".to_owned())
        }
        (_, false) => Ok("point-in-time recovery is off; this is development".to_owned()),
        (_, true) => Err(Problem::new(
            "point-in-time recovery is off: what is lost is lost",
            format!(
                "aws dynamodb update-continuous-backups --table-name {name} \
                 --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
            ),
        )),
    }
}

fn judge_protection(name: &str, is_protected: bool, is_production: bool) -> Finding {
    match (is_protected, is_production) {
        (true, _) => Ok("the table is protected: nobody deletes it by accident".to_owned()),
        (false, false) => Ok("the table is not protected; this is development".to_owned()),
        (false, true) => Err(Problem::new(
            "the table is not protected: one call deletes it",
            format!("aws dynamodb update-table --table-name {name} --deletion-protection-enabled"),
        )),
    }
}

fn no_table(name: &str) -> Problem {
    Problem::new(
        format!("there is no table {name}"),
        "set TABLE_NAME to the stack's output TableName, AWS_REGION to its region, or deploy the stack",
    )
}

fn judge_table(name: &str, table: Option<&TableDescription>) -> Finding {
    let table = table.ok_or_else(|| no_table(name))?;
    if !has_our_keys(table) {
        let remedy = "it belongs to something else: set TABLE_NAME to the stack's output TableName";
        return Err(Problem::new(format!("{name} has other keys than the strings `pk` and `sk`"), remedy));
    }
    match table.table_status() {
        Some(TableStatus::Active) => Ok(format!("{name} is active, with the keys `pk` and `sk`")),
        Some(TableStatus::Updating) => Ok(format!("{name} is being changed, and serves meanwhile, with the keys `pk` and `sk`")),
        Some(TableStatus::Creating) => Err(Problem::new(format!("{name} is being made or restored"), WAIT)),
        status => {
            let status = status.map_or("in no known state", TableStatus::as_str);
            Err(Problem::new(
                format!("{name} is {status}, not ACTIVE"),
                "if somebody deletes or archives it, docs/operations.md, \"Restore\", brings back what was there",
            ))
        }
    }
}

fn judge_expiry(name: &str, ttl: Option<&TimeToLiveDescription>) -> Finding {
    let command = format!(
        "aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification Enabled=true,AttributeName={TTL}"
    );
    let status = ttl.and_then(TimeToLiveDescription::time_to_live_status);
    let attribute = ttl.and_then(TimeToLiveDescription::attribute_name).unwrap_or_default();
    match status {
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) if attribute == TTL => {
            Ok(format!("what is stale is dropped by its attribute `{TTL}`"))
        }
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => {
            let remedy = format!("disable it for `{attribute}` first; then: {command}");
            Err(Problem::new(format!("time to live looks at `{attribute}`, not at `{TTL}`"), remedy))
        }
        _ => Err(Problem::new("time to live is not enabled: what is stale stays for ever", command)),
    }
}

/// Amazon SNS: its sandbox and what may be spent.
pub(super) async fn sns(aws: &Aws, is_production: bool) -> Finding {
    let client = Sns::new(aws.config());
    let sandbox = client.get_sms_sandbox_account_status().send().await;
    let sandbox = sandbox.map_err(|error| refused("sns:GetSMSSandboxAccountStatus", &error))?.is_in_sandbox;
    let attributes = client.get_sms_attributes().attributes("MonthlySpendLimit").send().await;
    let attributes = attributes.map_err(|error| refused("sns:GetSMSAttributes", &error))?.attributes.unwrap_or_default();
    let limit = attributes.get("MonthlySpendLimit").map_or("1", String::as_str);
    judge_spending(sandbox, limit.parse().ok(), is_production, "aws sns set-sms-attributes --attributes MonthlySpendLimit=…")
}

/// AWS End User Messaging: the same.
pub(super) async fn end_user_messaging(aws: &Aws, is_production: bool) -> Finding {
    let client = EndUserMessaging::new(aws.config());
    let attributes = client.describe_account_attributes().send().await;
    let attributes = attributes.map_err(|error| refused("sms-voice:DescribeAccountAttributes", &error))?;
    let tier = attributes.account_attributes().iter().find(|attribute| *attribute.name() == AccountAttributeName::AccountTier);
    let is_in_sandbox = tier.is_some_and(|tier| tier.value() == "SANDBOX");
    let limits = client.describe_spend_limits().send().await;
    let limits = limits.map_err(|error| refused("sms-voice:DescribeSpendLimits", &error))?;
    let limit = limits.spend_limits().iter().find(|limit| *limit.name() == SpendLimitName::TextMessageMonthlySpendLimit);
    let limit = limit.and_then(|limit| i32::try_from(limit.enforced_limit()).ok()).map(f64::from);
    judge_spending(
        is_in_sandbox,
        limit,
        is_production,
        "aws pinpoint-sms-voice-v2 set-text-message-spend-limit-override --monthly-limit …",
    )
}

fn judge_spending(is_in_sandbox: bool, limit: Option<f64>, is_production: bool, raise: &str) -> Finding {
    let spending = limit.map_or_else(|| "an unknown amount".to_owned(), |limit| format!("{limit} USD"));
    if limit.is_some_and(|limit| limit <= 0.0) {
        return Err(Problem::new("nothing may be spent in a month", format!("raise the limit: {raise}")));
    }
    match (is_in_sandbox, is_production) {
        (true, true) => {
            Err(Problem::new(format!("the account is in the sandbox: {SANDBOX} ({spending} a month)"), LEAVE_SANDBOX))
        }
        (true, false) => Ok(format!("in the sandbox: {SANDBOX} ({spending} a month)")),
        (false, _) => Ok(format!("out of the sandbox; {spending} may be spent in a month")),
    }
}

/// Why AWS did not answer a question.
/// What it means that AWS refused an action, and what mends it.
pub(crate) fn refused<E, R>(action: &str, error: &SdkError<E, R>) -> Problem
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    let network = "look at AWS_REGION, AWS_ENDPOINT_URL_… if one is set, and the network";
    let Some(code) = error.code() else {
        let what = match error {
            SdkError::TimeoutError(_) => "AWS does not answer in time".to_owned(),
            error => format!("AWS cannot be asked: {}", innermost(error)),
        };
        return Problem::new(what, network);
    };
    let message = error.message().unwrap_or("no message");
    let remedy = match code {
        code if code.contains("AccessDenied") || code.contains("Authorization") => format!("your user or role needs {action}"),
        code if code.contains("Token") || code.contains("Signature") => SIGN_IN.to_owned(),
        _ => network.to_owned(),
    };
    Problem::new(format!("{code}: {message}"), remedy)
}
