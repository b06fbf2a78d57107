//! `doctor user`: where a user stands, and what an operator may do about it.

use std::io::{self, Write};

use two_factor::{
    app::App,
    domain::{
        Account, AuditEvent, FailedAttempts, PhoneNumber, Policy, Purpose, Refusal, SmsFactor, Timestamp, UserId,
        account::{ActivePhone, Pending},
    },
    ports::{Channel, LoadRequest, SmsSender as _, Store as _},
    use_cases::{self, Caller, RequestStats},
};

use crate::{
    Ending, Failure,
    arguments::UserAct,
    output::{printable, roughly},
};

/// Shows an account; unlocks or resets it before, if asked to.
pub(crate) async fn run(app: &App, caller: &Caller, act: UserAct, out: &mut dyn Write) -> Result<Ending, Failure> {
    let name = printable(caller.user.as_str());
    let before = load(app, &caller.user).await?;
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
    let account = if act == UserAct::Show { before } else { load(app, &caller.user).await? };
    describe(&name, &account.unwrap_or_default(), &app.service.policy, app.service.clock.now(), out)?;
    Ok(Ending::Success)
}

/// The account as it is now; `None` if nothing is stored of the user.
async fn load(app: &App, user: &UserId) -> Result<Option<Account>, Failure> {
    let service = &app.service;
    let snapshot = service
        .store
        .load(LoadRequest { user, phone: None, address: None }, service.deadline())
        .await
        .map_err(|_| unavailable())?;
    Ok(snapshot.version.map(|_| snapshot.account.at(&service.policy, service.clock.now())))
}

async fn unlock(app: &App, caller: &Caller, out: &mut dyn Write) -> Result<(), Failure> {
    app.service.unlock(caller, &mut RequestStats::default()).await.map_err(failed)?;
    writeln!(out, "Unlocked; the audit trail has it as {}.\n", caller.origin.request_id)?;
    Ok(())
}

async fn reset(app: &App, caller: &Caller, before: &Account, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stats = RequestStats::default();
    app.service.reset(caller, &mut stats).await.map_err(failed)?;
    writeln!(out, "Reset; the audit trail has it as {}.", caller.origin.request_id)?;
    if let Some(active) = before.sms.active() {
        let number = active.phone.masked();
        let failed = stats.events.iter().any(|(event, _)| *event == AuditEvent::Notification);
        let told = match app.service.sms.channel() {
            Channel::Sms(_) if failed => format!("The number {number} could not be told; the audit trail says why."),
            Channel::Sms(_) => format!("The number {number} is told of it, unless it was told of three changes in 24 hours."),
            Channel::Answer | Channel::Missing => format!("There is no SMS provider to tell the number {number}."),
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
    let (state, number) = match &account.sms {
        SmsFactor::Off => ("off", "none".to_owned()),
        SmsFactor::On(active) => ("on", verified(active)),
        SmsFactor::Disabled(active) => ("on, but its number is disabled", verified(active)),
    };
    writeln!(out, "{name}: two-factor authentication is {state}\n")?;
    let mut line = |title: &str, text: String| writeln!(out, "  {title:<14}  {text}");
    line("number", number)?;
    line("pending number", account.pending.as_ref().map_or_else(|| "none".to_owned(), |pending| waiting(pending, now)))?;
    line("code sent", outstanding(account, policy, now))?;
    line("SMS codes", guesses(&account.sms_failed_attempts, policy, now))?;
    line("backup codes", backup_codes(account, policy, now))?;
    line("sends", sends(account, policy, now))?;
    line("notices", format!("{} in the last 24 hours", account.notifications.len()))?;
    let advice = match &account.sms {
        SmsFactor::Disabled(_) => {
            Some("The number is disabled: the user enrolls one anew with a backup code, or you reset the account.")
        }
        SmsFactor::Off | SmsFactor::On(_) => [&account.sms_failed_attempts, &account.backup.failed_attempts]
            .iter()
            .any(|count| count.lock_remaining(now).is_some())
            .then_some("It is locked: wait, or `doctor user unlock` once you know who is asking."),
    };
    advice.map_or(Ok(()), |advice| writeln!(out, "\n{advice}"))
}

fn shown(phone: &PhoneNumber) -> String {
    format!("{} ({})", phone.masked(), phone.country())
}

fn verified(active: &ActivePhone) -> String {
    format!("{}, verified {}", shown(&active.phone), active.enabled_at)
}

fn waiting(pending: &Pending, now: Timestamp) -> String {
    format!("{}, lapses {} (in {})", shown(&pending.phone), pending.expires_at, roughly(pending.expires_at.since(now)))
}

fn outstanding(account: &Account, policy: &Policy, now: Timestamp) -> String {
    let Some(challenge) = &account.challenge else { return "none".to_owned() };
    let purpose = match challenge.purpose {
        Purpose::Enroll => "to enroll",
        Purpose::Replace => "to replace the number",
        Purpose::SignIn => "to sign in or confirm",
    };
    let expires = if challenge.expires_at > now { "expires" } else { "expired" };
    let (wrong, most) = (challenge.failed_attempts, policy.code_max_attempts);
    format!("to {}, {purpose}, {expires} {}; {wrong} of {most} wrong guesses", challenge.phone.masked(), challenge.expires_at)
}

fn guesses(count: &FailedAttempts, policy: &Policy, now: Timestamp) -> String {
    let wrong = match count.last_failure {
        Some(last) => format!("{} wrong in a row, the last {last}", count.failures),
        None => "none wrong".to_owned(),
    };
    match (count.lock_remaining(now), count.locked_until) {
        (Some(left), Some(until)) => format!("{wrong}; locked until {until} (for {})", roughly(left)),
        _ if count.is_exhausted(policy) => format!("{wrong}; disabled"),
        _ => format!("{wrong}; not locked"),
    }
}

fn backup_codes(account: &Account, policy: &Policy, now: Timestamp) -> String {
    format!("{} left; {}", account.backup.remaining(), guesses(&account.backup.failed_attempts, policy, now))
}

fn sends(account: &Account, policy: &Policy, now: Timestamp) -> String {
    let in_window = account.sends.in_window(policy, now).count();
    let last = account.sends.iter().next_back().map(|send| format!(", the last at {}", send.at)).unwrap_or_default();
    format!("{in_window} of {} in the last {}{last}", policy.sms_max_per_window, roughly(policy.sms_window))
}
