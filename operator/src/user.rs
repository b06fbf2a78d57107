//! `doctor user`: where a user stands, and what an operator may do about it.

use std::{
    io::{self, Write},
    time::Duration,
};

use two_factor::{
    app::App,
    domain::{
        Account, FailedAttempts, PhoneNumber, Policy, Purpose, Refusal, Timestamp,
        sms::{
            factor::{ActivePhone, Destination, FactorState, PendingPhone},
            send_window::Allowance,
        },
    },
    ports::Deadline,
    use_cases::{self, Caller, Erased, RequestStats, Told},
};

use crate::{
    Ending, Failure,
    arguments::UserAct,
    deadline,
    output::{counted, printable, roughly},
};

/// How long an erasure may take: a trail may have thousands of records, and each is written alone.
const ERASURE_TIME: Duration = Duration::from_mins(10);

/// Shows an account; unlocks, resets or erases it before, if asked to. `requests_take` is how long a request of the service may take.
pub(crate) async fn run(
    app: &App,
    caller: &Caller,
    act: UserAct,
    requests_take: Duration,
    out: &mut dyn Write,
) -> Result<Ending, Failure> {
    let name = printable(caller.user.as_str());
    let before = load(app, caller).await?;
    let is_known = before.is_some() || matches!(act, UserAct::Erase { .. }) && has_trail(app, caller).await?;
    if !is_known && act == UserAct::Show {
        writeln!(out, "{name}: nothing is stored of this user; two-factor authentication is off.")?;
        return Ok(Ending::Success);
    }
    if !is_known {
        return Err(Failure::Told(format!("nothing is stored of the user {name}: is the ID right?")));
    }
    let account = before.unwrap_or_default();
    match act {
        UserAct::Show => {}
        UserAct::Reset { confirmed: false } => {
            show(app, &name, &account, out)?;
            return unconfirmed("remove the factor and whatever is pending", "reset", out);
        }
        UserAct::Erase { confirmed: false } => {
            show(app, &name, &account, out)?;
            let would = "remove the factor and whatever is pending, and take phone numbers, addresses and user agents out of the audit trail";
            return unconfirmed(would, "erase", out);
        }
        UserAct::Unlock => unlock(app, caller, out).await?,
        UserAct::Reset { confirmed: true } => reset(app, caller, &account, out).await?,
        UserAct::Erase { confirmed: true } => erase(app, caller, &account, requests_take, out).await?,
    }
    let account = if act == UserAct::Show { account } else { load(app, caller).await?.unwrap_or_default() };
    show(app, &name, &account, out)?;
    Ok(Ending::Success)
}

fn show(app: &App, name: &str, account: &Account, out: &mut dyn Write) -> io::Result<()> {
    describe(name, account, app.service.policy(), app.service.now(), out)
}

/// Says what would be done, and what has to be done first.
fn unconfirmed(would: &str, act: &str, out: &mut dyn Write) -> Result<Ending, Failure> {
    writeln!(
        out,
        "\nNothing was changed. This would {would}.\n\
         First revoke the user's sessions where their tokens are issued: whoever holds a token that is still good could enroll a number\n\
         of their own at once, without any proof. Then say `doctor user {act}` again, with --yes."
    )?;
    Ok(Ending::Problem)
}

/// Whether the trail has any record of the user.
async fn has_trail(app: &App, caller: &Caller) -> Result<bool, Failure> {
    let mut stats = RequestStats::default();
    let trail = app.service.session(caller, deadline(), &mut stats).audit_trail(1).await;
    trail.map(|trail| !trail.is_empty()).map_err(|_| unavailable())
}

/// The account as it is now; `None` if nothing is stored of the user.
async fn load(app: &App, caller: &Caller) -> Result<Option<Account>, Failure> {
    let mut stats = RequestStats::default();
    app.service.session(caller, deadline(), &mut stats).account().await.map_err(|_| unavailable())
}

async fn unlock(app: &App, caller: &Caller, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stats = RequestStats::default();
    app.service.session(caller, deadline(), &mut stats).unlock().await.map_err(failed)?;
    writeln!(out, "Unlocked; the audit trail has it as {}.\n", caller.origin.request_id)?;
    Ok(())
}

async fn reset(app: &App, caller: &Caller, before: &Account, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stats = RequestStats::default();
    let told = app.service.session(caller, deadline(), &mut stats).reset().await.map_err(failed)?;
    writeln!(out, "Reset; the audit trail has it as {}.", caller.origin.request_id)?;
    tell(before, told, out)?;
    writeln!(out)?;
    Ok(())
}

async fn erase(
    app: &App,
    caller: &Caller,
    before: &Account,
    requests_take: Duration,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    writeln!(out, "Erasing. This waits {} for requests that are under way.", roughly(requests_take))?;
    let mut stats = RequestStats::default();
    let time = Deadline::after(ERASURE_TIME + requests_take * 2);
    let erased = app.service.session(caller, time, &mut stats).erase(requests_take).await.map_err(|failure| {
        let Failure::Told(reason) = failed(failure) else { return unavailable() };
        Failure::Told(format!("{reason}. What is erased stays erased; run this again for the rest"))
    })?;
    let Erased { told, records, came_back } = erased;
    writeln!(out, "Erased; the audit trail has it as {}.", caller.origin.request_id)?;
    if let Some(told) = told {
        tell(before, told, out)?;
    }
    match records {
        0 => writeln!(out, "No record of the audit trail had a number, an address or a user agent in it.")?,
        records => {
            let records = counted(records, "record");
            writeln!(out, "Numbers, addresses and user agents are out of {records} of the audit trail, which stay.")?;
        }
    }
    if came_back {
        writeln!(out, "The user set up a number meanwhile, which is removed too: their sessions are not revoked yet.")?;
    }
    writeln!(out, "Logs and backups have them until they expire: see docs/operations.md, \"Erasing a user\".\n")?;
    Ok(())
}

/// Says whether the number that was active knows.
fn tell(before: &Account, told: Told, out: &mut dyn Write) -> io::Result<()> {
    if let Some(active) = before.sms.active() {
        let number = active.phone.masked();
        let told = match told {
            Told::Failed => format!("The number {number} could not be told; the audit trail says why."),
            Told::Sent => format!("The number {number} is told of it, unless it was told three times in 24 hours."),
            Told::NoProvider => format!("There is no SMS provider to tell the number {number}."),
        };
        writeln!(out, "{told}")?;
    }
    Ok(())
}

fn unavailable() -> Failure {
    Failure::Told("the table cannot be read; `doctor check` says why".to_owned())
}

fn failed(failure: use_cases::Failure) -> Failure {
    match failure {
        use_cases::Failure::Refused(Refusal::NotEnabled) => {
            Failure::Told("there is nothing to reset: no number is active and none is pending".to_owned())
        }
        use_cases::Failure::Refused(refusal) => Failure::Told(format!("refused: {}", refusal.code())),
        use_cases::Failure::DeliveryFailed(_) | use_cases::Failure::SmsNotConfigured | use_cases::Failure::Unavailable => {
            Failure::Told("the account cannot be changed now; `doctor check` says why".to_owned())
        }
    }
}

/// Everything that an operator may see of an account: numbers are masked, codes and digests stay where they are.
fn describe(name: &str, account: &Account, policy: &Policy, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let (state, number) = match &account.sms.state {
        FactorState::Off => ("off", "none".to_owned()),
        FactorState::On(active) => ("on", verified(active)),
        FactorState::Disabled(active) => ("on, but its number is disabled", verified(active)),
    };
    writeln!(out, "{name}: two-factor authentication is {state}\n")?;
    let mut line = |title: &str, text: String| writeln!(out, "  {title:<14}  {text}");
    line("number", number)?;
    line("pending number", account.sms.pending.as_ref().map_or_else(|| "none".to_owned(), |pending| waiting(pending, now)))?;
    line("code sent", outstanding(account, policy, now))?;
    line("SMS codes", failed_attempts(&account.sms.failed_attempts, now))?;
    line("backup codes", backup_codes(account))?;
    line("sends", sends(account, policy, now))?;
    line("notifications", format!("{} in the last 24 hours", account.notifications.iter().len()))?;
    let is_locked = account.sms.failed_attempts.lock_remaining(now).is_some();
    let advice = match &account.sms.state {
        FactorState::Disabled(_) => {
            Some("The number is disabled: the user binds one anew with a backup code, or you reset the account.")
        }
        FactorState::Off | FactorState::On(_) if is_locked => {
            Some("It is locked: wait, or `doctor user unlock` once you know who is asking. A backup code lifts the lock, too.")
        }
        FactorState::Off | FactorState::On(_) => None,
    };
    advice.map_or(Ok(()), |advice| writeln!(out, "\n{advice}"))
}

fn shown(phone: &PhoneNumber) -> String {
    format!("{} ({})", phone.masked(), phone.country())
}

fn verified(active: &ActivePhone) -> String {
    format!("{}, verified {}", shown(&active.phone), active.enabled_at)
}

fn waiting(pending: &PendingPhone, now: Timestamp) -> String {
    format!("{}, lapses {} (in {})", shown(&pending.phone), pending.expires_at, roughly(pending.expires_at.since(now)))
}

fn outstanding(account: &Account, policy: &Policy, now: Timestamp) -> String {
    let Some(challenge) = &account.sms.challenge else { return "none".to_owned() };
    let purpose = match challenge.purpose {
        Purpose::Enroll => "to enroll",
        Purpose::Replace => "to replace the number",
        Purpose::SignIn => "to sign in",
        Purpose::Confirm => "to confirm a request",
        Purpose::Change => "to change the factor",
    };
    let to = match account.sms.destination(challenge.purpose) {
        Destination::Phone(phone) => format!("to {}, ", phone.masked()),
        Destination::Nowhere | Destination::Disabled => String::new(),
    };
    let expires = if challenge.expires_at > now { "expires" } else { "expired" };
    let (wrong, most) = (challenge.failed_attempts, policy.code_max_attempts);
    format!("{to}{purpose}, {expires} {}; {wrong} of {most} wrong codes", challenge.expires_at)
}

fn failed_attempts(failed: &FailedAttempts, now: Timestamp) -> String {
    let wrong = wrong_in_a_row(failed.count, failed.last_at);
    match (failed.lock_remaining(now), failed.locked_until) {
        (Some(left), Some(until)) => format!("{wrong}; locked until {until} (for {})", roughly(left)),
        _ => format!("{wrong}; not locked"),
    }
}

fn wrong_in_a_row(count: u32, last: Option<Timestamp>) -> String {
    last.map_or_else(|| "none wrong".to_owned(), |last| format!("{count} wrong in a row, the last {last}"))
}

fn backup_codes(account: &Account) -> String {
    let wrong = wrong_in_a_row(account.backup.failed_attempts, account.backup.last_failed_at);
    format!("{} left; {wrong}", account.backup.remaining())
}

fn sends(account: &Account, policy: &Policy, now: Timestamp) -> String {
    let spent = account.sends.spent(Allowance::User, policy, now).count();
    let last = account.sends.iter().next_back().map(|send| format!(", the last at {}", send.at)).unwrap_or_default();
    format!("{spent} of {} in the last {}{last}", policy.sms_max_per_window, roughly(policy.sms_window))
}
