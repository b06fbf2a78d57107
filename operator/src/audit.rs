//! `doctor audit`: a user's audit trail as a table.

use std::io::Write;

use two_factor::{
    app::App,
    ports::AuditEntry,
    use_cases::{Caller, RequestStats},
};

use crate::{
    Ending, Failure, deadline,
    output::{printable, table},
};

/// Prints the latest records, newest last.
pub(crate) async fn run(app: &App, caller: &Caller, limit: usize, out: &mut dyn Write) -> Result<Ending, Failure> {
    let mut stats = RequestStats::default();
    let trail = app.service.session(caller, deadline(), &mut stats).audit_trail(limit).await;
    let trail = trail.map_err(|_| Failure::Told("the table cannot be read; `doctor check` says why".to_owned()))?;
    if trail.is_empty() {
        writeln!(out, "There is no record of {}.", printable(caller.user.as_str()))?;
        return Ok(Ending::Success);
    }
    let rows: Vec<_> = trail.iter().map(row).collect();
    table(out, ["TIME", "EVENT", "OUTCOME", "PHONE", "ADDRESS", "REQUEST", "DETAILS"], &rows)?;
    if trail.len() == limit {
        writeln!(out, "\nThere may be older records: --limit shows more than these {limit}.")?;
    }
    Ok(Ending::Success)
}

fn row(entry: &AuditEntry) -> [String; 7] {
    let AuditEntry { at, event, outcome, phone_masked, request_id, address, user_agent, details } = entry;
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut said: Vec<_> = details.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    said.extend(user_agent.as_ref().map(|agent| format!("client: {agent}")));
    [
        at.to_rfc3339(),
        event.clone(),
        outcome.clone(),
        or_dash(phone_masked),
        or_dash(address),
        request_id.clone(),
        said.join("; "),
    ]
}
