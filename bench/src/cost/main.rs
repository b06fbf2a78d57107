//! `make cost`: what the service costs on AWS, from what a real sign-in is counted to take and from published prices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what cannot be counted has to stop"
)]
#![expect(clippy::cast_precision_loss, reason = "counts and sizes here are far below what a double holds exactly")]

mod counted;
mod prices;

use std::fmt::Write as _;

use counted::{SignIn, Stack};
use prices as price;

/// Tables in Markdown, which docs/cost.md holds.
struct Report {
    text: String,
    sum: f64,
}

impl Report {
    fn table(&mut self, heading: &str) {
        let _ = write!(self.text, "| {heading} | taken | price, USD | USD |\n|---|---|---|---:|\n");
        self.sum = 0.0;
    }

    fn row(&mut self, what: &str, taken: &str, price: &str, cost: f64) {
        let _ = writeln!(self.text, "| {what} | {taken} | {price} | {cost:.2} |");
        self.sum += cost;
    }

    fn end(&mut self, text: &str) -> f64 {
        let _ = writeln!(self.text, "| **{text}** | | | **{:.2}** |\n", self.sum);
        self.sum
    }
}

/// The report, and what a million sign-ins and an idle month cost.
fn report(sign_in: &SignIn, stack: &Stack) -> (String, f64, f64) {
    let mut report = Report { text: String::new(), sum: 0.0 };
    let of_sign_ins = add_sign_ins(&mut report, sign_in, stack);
    let of_month = add_month(&mut report, stack);
    add_trail(&mut report, sign_in);
    (report.text.trim_end().to_owned() + "\n", of_sign_ins, of_month)
}

fn add_sign_ins(report: &mut Report, sign_in: &SignIn, stack: &Stack) -> f64 {
    let SignIn { requests, messages, table_calls, read_units, write_units, largest_item, .. } = *sign_in;
    let writes = format!("{write_units} units a sign-in; the largest item has {largest_item} bytes");
    let milliseconds =
        messages as f64 * price::PROVIDER_MS + table_calls as f64 * price::TABLE_MS + requests as f64 * price::PROCESSOR_MS;
    let gb_seconds = milliseconds / 1000.0 * stack.memory_mb / 1024.0;
    let bytes = sign_in.request_lines + sign_in.metric_lines + sign_in.lambdas_lines + sign_in.access_lines;
    let of_logs = format!(
        "{bytes} bytes a sign-in: {} of requests, {} of metrics, {} of Lambda's own, {} of the gateway's access log",
        sign_in.request_lines, sign_in.metric_lines, sign_in.lambdas_lines, sign_in.access_lines
    );
    // A million times so many bytes are as many thousandths of a GB.
    let gigabytes = bytes as f64 / 1000.0;
    let secret_calls = requests as f64 / price::REQUESTS_OF_AN_ENVIRONMENT * stack.secrets as f64;

    report.table("a million sign-ins");
    let per_million = |price: f64| format!("{price} a million");
    report.row("DynamoDB, writes", &writes, &per_million(price::WRITE_UNITS), write_units as f64 * price::WRITE_UNITS);
    let reads = format!("{read_units} units a sign-in, in {table_calls} calls with the writes");
    report.row("DynamoDB, reads", &reads, &per_million(price::READ_UNITS), read_units as f64 * price::READ_UNITS);
    let asked = format!("{requests} requests a sign-in");
    report.row(
        "API Gateway",
        &asked,
        &format!("{:.2} a million", price::GATEWAY_REQUESTS),
        requests as f64 * price::GATEWAY_REQUESTS,
    );
    report.row("Lambda, requests", &asked, &format!("{:.2} a million", price::INVOCATIONS), requests as f64 * price::INVOCATIONS);
    let time = format!("{milliseconds:.0} ms a sign-in at {:.0} MB, arm64 (assumed)", stack.memory_mb);
    report.row("Lambda, time", &time, &format!("{} a million GB-seconds", price::GB_SECONDS), gb_seconds * price::GB_SECONDS);
    report.row("Logs, taken in", &of_logs, &format!("{:.2} a GB", price::LOG_GB), gigabytes * price::LOG_GB);
    let kept = format!("compressed to {:.0} % (assumed)", 100.0 * price::COMPRESSED);
    let cost = gigabytes * price::COMPRESSED * price::LOG_GB_MONTH;
    report.row("Logs, kept for 30 days", &kept, &format!("{} a GB-month", price::LOG_GB_MONTH), cost);
    let read = format!("one environment for {:.0} requests (assumed)", price::REQUESTS_OF_AN_ENVIRONMENT);
    report.row("Secrets, read", &read, &format!("{:.2} a million", price::SECRET_CALLS), secret_calls * price::SECRET_CALLS);
    report.end("a million sign-ins, text messages apart")
}

fn add_month(report: &mut Report, stack: &Stack) -> f64 {
    let metrics: usize = stack.metrics.values().sum();
    let names: Vec<_> = stack.metrics.iter().map(|(name, count)| format!("{name} {count}")).collect();
    report.table("a month in which little happens");
    let per_month = |price: f64| format!("{price:.2} a month");
    let of_metrics = format!("{metrics} with {} countries and one provider: {}", stack.countries, names.join(", "));
    report.row("Metrics", &of_metrics, &per_month(price::METRIC_MONTH), metrics as f64 * price::METRIC_MONTH);
    let watched = format!("{} alarms that watch {} metrics", stack.alarms, stack.alarm_metrics);
    report.row("Alarms", &watched, &per_month(price::ALARM_METRIC_MONTH), stack.alarm_metrics as f64 * price::ALARM_METRIC_MONTH);
    report.row(
        "Secrets",
        &stack.secrets.to_string(),
        &per_month(price::SECRET_MONTH),
        stack.secrets as f64 * price::SECRET_MONTH,
    );
    report.end("a month")
}

/// What stays of a million sign-ins: each record has 100 bytes more than its own, for DynamoDB's index.
fn add_trail(report: &mut Report, sign_in: &SignIn) {
    let gigabytes = (sign_in.record_bytes + 100 * sign_in.records) as f64 / 1000.0;
    let gb_months = gigabytes * price::TRAIL_MONTHS;
    let taken =
        format!("{gigabytes:.2} GB for 400 days: {} records of {} bytes a sign-in", sign_in.records, sign_in.record_bytes);
    report.table("the audit trail of a million sign-ins");
    report.row(
        "DynamoDB, kept",
        &taken,
        &format!("{} a GB-month beyond the first 25 GB of an account", price::TABLE_GB_MONTH),
        gb_months * price::TABLE_GB_MONTH,
    );
    report.row(
        "Point-in-time recovery",
        "the same",
        &format!("{} a GB-month", price::RECOVERY_GB_MONTH),
        gb_months * price::RECOVERY_GB_MONTH,
    );
    report.end("over those 400 days");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (text, ..) = report(&counted::sign_in().await, &counted::stack().await);
    println!("{text}");
    println!("Prices: us-east-1, {}, without free tiers.", price::DATE);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[tokio::test]
    async fn the_document_says_what_is_counted_and_the_aims_are_kept() {
        let (sign_in, stack) = (counted::sign_in().await, counted::stack().await);
        let (text, of_sign_ins, of_month) = report(&sign_in, &stack);
        assert!(of_sign_ins <= 11.0, "{of_sign_ins:.2} USD for a million sign-ins\n{text}");
        assert!(of_month <= 20.0, "{of_month:.2} USD in an idle month\n{text}");
        assert!(sign_in.largest_item < 1024, "an item below 1,024 bytes is one unit: {sign_in:?}");
        let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cost.md")).unwrap();
        assert!(document.contains(&text), "docs/cost.md is not what `make cost` prints:\n{text}");
        assert!(document.contains(price::DATE), "the prices have a date");
    }
}
