//! `doctor user`: where a user stands, and what an operator may do about it.

use std::io::{self, Write};

use two_factor::{
    app::App,
    domain::{
        Account, FailedAttempts, PhoneNumber, Policy, Purpose, Refusal, Timestamp,
        sms::{
            factor::{ActivePhone, Destination, FactorState, PendingPhone},
            send_window::Allowance,
        },
    },
    use_cases::{self, Caller, RequestStats, Told},
};

use crate::{
    Ending, Failure,
    arguments::UserAct,
    deadline,
    output::{printable, roughly},
};

/// Shows an account; unlocks or resets it before, if asked to.
pub(crate) async fn run(app: &App, caller: &Caller, act: UserAct, out: &mut dyn Write) -> Result<Ending, Failure> {
    let name = printable(caller.user.as_str());
    let before = load(app, caller).await?;
    match (act, &before) {
        (UserAct::Show, None) => {
            writeln!(out, "{name}: nothing is stored of this user; two-factor authentication is off.")?;
            return Ok(Ending::Success);
        }
        (UserAct::Unlock | UserAct::Reset, None) => {
            return Err(Failure::Told(format!("nothing is stored of the user {name}: is the ID right?")));
        }
        (UserAct::Show, Some(_)) => {}
        (UserAct::Unlock, Some(_)) => unlock(app, caller, out).await?,
        (UserAct::Reset, Some(account)) => reset(app, caller, account, out).await?,
    }
    let account = if act == UserAct::Show { before } else { load(app, caller).await? };
    describe(&name, &account.unwrap_or_default(), app.service.policy(), app.service.now(), out)?;
    Ok(Ending::Success)
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
    if let Some(active) = before.sms.active() {
        let number = active.phone.masked();
        let told = match told {
            Told::Failed => format!("The number {number} could not be told; the audit trail says why."),
            Told::Sent => format!("The number {number} is told of it, unless it was told three times in 24 hours."),
            Told::NoProvider => format!("There is no SMS provider to tell the number {number}."),
        };
        writeln!(out, "{told}")?;
    }
    writeln!(out)?;
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
