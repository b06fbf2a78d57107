//! The promises, looked for in what was stored, sent and answered.

use std::collections::{BTreeMap, BTreeSet};

use two_factor::{
    domain::{
        Answer, AuditKind, AuditOutcome, BackupCodes, Policy, Purpose, Refusal, Timestamp,
        sms::send_window::{SendState, WindowKind},
    },
    use_cases::Failure,
};

use crate::{
    client::{Action, pepper},
    table::Applied,
    world::{Asked, Message, World},
};

type Promise = Result<(), String>;

/// Whether every promise is kept.
///
/// # Errors
/// With the first that is not, and how.
pub fn check(world: &World, policy: &Policy) -> Promise {
    for applied in &world.table.commits {
        recorded(applied)?;
        bound_as_a_whole(applied)?;
        if let Some(asked) = asked(world, applied) {
            judged(world, applied, asked, policy)?;
        }
    }
    accepted_once(world)?;
    decided_once(world)?;
    answers_are_true(world)?;
    sends_are_reserved(world)?;
    windows_hold(world, policy)
}

fn promise(holds: bool, name: &str, what: impl FnOnce() -> String) -> Promise {
    if holds { Ok(()) } else { Err(format!("{name}: {}", what())) }
}

fn asked<'a>(world: &'a World, applied: &Applied) -> Option<&'a Asked> {
    let record = applied.audit.first()?;
    world.asked.iter().find(|asked| asked.request == record.origin.request_id)
}

/// Whether the commit says of one of these kinds that it was done.
fn did(applied: &Applied, kinds: &[AuditKind]) -> bool {
    applied.audit.iter().any(|record| kinds.contains(&record.event.kind) && record.event.outcome == AuditOutcome::Success)
}

/// Whether the commit accepts a code.
fn accepts(applied: &Applied, asked: &Asked) -> bool {
    let by_proof = [AuditKind::Verify, AuditKind::Replace, AuditKind::Disable, AuditKind::BackupCodesRegenerated];
    asked.typed.is_some() && did(applied, &by_proof) && !matches!(asked.action, Action::Disable(Some(_)) if !had_factor(applied))
}

fn had_factor(applied: &Applied) -> bool {
    applied.before.has_factor()
}

fn counts_a_wrong_one(applied: &Applied) -> bool {
    applied.audit.iter().any(|record| matches!(record.event.outcome, AuditOutcome::Refused(Refusal::InvalidCode { .. })))
}

/// S15, S24: nothing changes without a record of it.
fn recorded(applied: &Applied) -> Promise {
    promise(applied.before == applied.after || !applied.audit.is_empty(), "S15", || {
        "an account changed without a record".to_owned()
    })
}

/// S15, S25: a factor comes on, or changes, in one commit with its backup codes, and takes its code with it.
fn bound_as_a_whole(applied: &Applied) -> Promise {
    let active = |account: &two_factor::domain::Account| account.sms.active().map(|active| active.phone.clone());
    let (before, after) = (active(&applied.before), active(&applied.after));
    if before == after {
        let fresh = applied.after.backup.digests.iter().any(|digest| !applied.before.backup.digests.contains(digest));
        return promise(
            !fresh || did(applied, &[AuditKind::BackupCodesRegenerated, AuditKind::Replaced, AuditKind::Enabled]),
            "S16",
            || "there are other backup codes without a reason".to_owned(),
        );
    }
    let Some(number) = after else {
        let by = [AuditKind::Disable, AuditKind::OperatorReset];
        return promise(did(applied, &by) && applied.after.backup.remaining() == 0, "S16", || {
            "a factor is off without a reason".to_owned()
        });
    };
    let waited = applied.before.sms.pending.as_ref().map(|pending| pending.phone.clone());
    promise(waited.as_ref() == Some(&number), "S15", || format!("{} is active and did not wait to be", number.as_e164()))?;
    promise(did(applied, &[AuditKind::Enabled, AuditKind::Replaced]), "S15", || "a factor is on without its record".to_owned())?;
    promise(applied.after.backup.remaining() == BackupCodes::SET, "S15", || {
        "a factor is on without its backup codes".to_owned()
    })?;
    promise(applied.after.sms.challenge.is_none(), "S3", || "a factor is on and its code still lives".to_owned())
}

/// S2, S4, S5, S7, S8, S10, S17: what a judgement does.
fn judged(world: &World, applied: &Applied, asked: &Asked, policy: &Policy) -> Promise {
    let Some(typed) = &asked.typed else { return Ok(()) };
    let is_sms = typed.len() == 6;
    let (before, after) = (&applied.before, &applied.after);
    let (is_right, is_wrong) = (accepts(applied, asked), counts_a_wrong_one(applied));
    if is_sms && (is_right || is_wrong) {
        let locked = before.sms.failed_attempts.lock_remaining(applied.now).is_some();
        promise(!locked, "S10", || "a code was judged while locked".to_owned())?;
        let challenge = before.sms.challenge.as_ref().ok_or_else(|| "S5: a code was judged and none was out".to_owned())?;
        promise(challenge.expires_at > applied.now, "S2", || "a code was judged that was too old".to_owned())?;
        promise(challenge.failed_attempts < policy.code_max_attempts, "S7", || {
            "more guesses were judged than a code has".to_owned()
        })?;
        if is_right {
            let sent = world.messages.iter().find(|message| message.challenge == Some(challenge.id.to_string()));
            let is_it = sent.is_some_and(|message| message.code.as_ref() == Some(typed));
            promise(is_it, "S5", || format!("{typed} was accepted, and is not the code that was out"))?;
            promise(challenge.purpose == purpose_of(asked.action), "S4", || {
                format!("a code for {:?} served {:?}", challenge.purpose, asked.action)
            })?;
        } else {
            let at_code = after.sms.challenge.as_ref().is_none_or(|same| same.failed_attempts == challenge.failed_attempts + 1);
            let counted = at_code && after.sms.failed_attempts.count == before.sms.failed_attempts.count + 1;
            promise(counted, "S7", || "a wrong guess was not counted".to_owned())?;
        }
    }
    if !is_sms && is_right {
        let spent = before.backup.digests.len() == after.backup.digests.len() + 1;
        let made_anew = after.backup.digests.iter().all(|digest| !before.backup.digests.contains(digest));
        promise(spent || made_anew, "S17", || "a backup code was accepted and not spent".to_owned())?;
    }
    let is_less = after.sms.failed_attempts.count < before.sms.failed_attempts.count;
    promise(!is_less || is_right, "S8", || "failed attempts were forgotten without a right code".to_owned())
}

const fn purpose_of(action: Action) -> Purpose {
    match action {
        Action::Verify(_, purpose) | Action::Send(purpose) => purpose,
        Action::Setup(..) | Action::Regenerate(_) | Action::Disable(_) | Action::Unlock | Action::Reset => Purpose::Change,
    }
}

/// S3, S17: a code is accepted once, whoever hands it in and whatever is lost.
fn accepted_once(world: &World) -> Promise {
    let mut accepted = BTreeMap::new();
    for applied in &world.table.commits {
        let Some(asked) = asked(world, applied) else { continue };
        if accepts(applied, asked) {
            *accepted.entry((asked.user.as_str(), asked.typed.as_deref())).or_insert(0) += 1;
        }
    }
    // What is answered counts as well as what is stored, where it takes a code each time.
    let mut granted = BTreeMap::new();
    let takes_a_code = |action| matches!(action, Action::Verify(..) | Action::Regenerate(_));
    for answered in world.answers.iter().filter(|answered| answered.result.is_ok() && takes_a_code(answered.asked.action)) {
        *granted.entry((answered.asked.user.as_str(), answered.asked.typed.as_deref())).or_insert(0) += 1;
    }
    let twice = accepted.iter().chain(&granted).find(|(_, times)| **times > 1);
    promise(twice.is_none(), "S3", || format!("{twice:?}: a code was accepted more than once"))
}

/// S3, S7: a request is decided once. What it stores after that says what became of its messages.
fn decided_once(world: &World) -> Promise {
    for asked in &world.asked {
        let afterwards = [AuditKind::Delivery, AuditKind::Notification];
        let decides = |applied: &&Applied| {
            let mut mine = applied.audit.iter().filter(|record| record.origin.request_id == asked.request);
            mine.any(|record| !afterwards.contains(&record.event.kind))
        };
        let times = world.table.commits.iter().filter(decides).count();
        promise(times <= 1, "S3", || format!("{:?} was decided and stored {times} times", asked.action))?;
    }
    Ok(())
}

/// S3, S7, S17, S21: what is answered is stored, and what is shown is what is stored.
fn answers_are_true(world: &World) -> Promise {
    for answered in &world.answers {
        let asked = &answered.asked;
        let mine = || {
            let stored = world.table.commits.iter().take(answered.commits);
            stored.filter(|applied| applied.audit.iter().any(|record| record.origin.request_id == asked.request))
        };
        match &answered.result {
            Ok(granted) => {
                let is_stored =
                    mine().any(|applied| applied.audit.iter().any(|record| record.event.outcome == AuditOutcome::Success));
                promise(is_stored, "S3", || format!("{:?} was granted and nothing is stored of it", asked.action))?;
                let shown = match &granted.answer {
                    Answer::Bound { backup_codes, .. } => Some(backup_codes),
                    Answer::Confirmed { backup_codes, .. } => backup_codes.as_ref(),
                    Answer::CodeSent { .. } | Answer::Disabled | Answer::Done => None,
                };
                if let Some(codes) = shown {
                    let digests: BTreeSet<_> =
                        codes.iter().map(|code| code.digest(&pepper(), &asked.user).as_bytes().to_vec()).collect();
                    let is_shown = mine().any(|applied| {
                        applied.after.backup.digests.iter().map(|digest| digest.as_bytes().to_vec()).collect::<BTreeSet<_>>()
                            == digests
                    });
                    promise(is_shown, "S3", || "the backup codes that were shown are not those that were stored".to_owned())?;
                }
                if let Answer::CodeSent { .. } = granted.answer {
                    let is_sent = world.messages.iter().any(|message| message.request == asked.request && message.counts);
                    promise(is_sent, "S12", || "a code is said to be on its way and is not".to_owned())?;
                }
            }
            Err(Failure::Refused(Refusal::InvalidCode { .. })) if asked.typed.as_ref().is_some_and(|typed| typed.len() == 6) => {
                promise(mine().any(counts_a_wrong_one), "S7", || "a wrong guess was answered and is not counted".to_owned())?;
            }
            Err(Failure::Refused(refusal)) if !matches!(refusal, Refusal::InvalidCode { .. }) => {
                promise(mine().next().is_none(), "S3", || {
                    format!("{:?} was refused, and what it asked for is stored", asked.action)
                })?;
            }
            Err(Failure::DeliveryFailed(_)) => {
                let left = world
                    .messages
                    .iter()
                    .any(|message| message.request == asked.request && message.challenge.is_some() && message.counts);
                promise(!left, "S12", || "a message is said not to have left, and may have".to_owned())?;
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// The commit that reserved the send of a message.
fn reservation<'a>(world: &'a World, message: &Message) -> Option<(usize, &'a Applied)> {
    let is_it = |applied: &Applied| {
        let id = |account: &two_factor::domain::Account| account.sms.challenge.as_ref().map(|challenge| challenge.id.to_string());
        id(&applied.after) == message.challenge && id(&applied.before) != message.challenge
    };
    world.table.commits.iter().enumerate().find(|(_, applied)| is_it(applied))
}

/// S12: a send is reserved before its provider is asked, once, and given back only if the message certainly did not leave.
fn sends_are_reserved(world: &World) -> Promise {
    let mut codes = BTreeMap::new();
    let begun =
        |message: &&Message| world.asked.iter().any(|asked| asked.request == message.request && message.challenge.is_some());
    for message in world.messages.iter().filter(begun) {
        let Some((index, _)) = reservation(world, message) else {
            return Err("S12: a message was sent and nothing was reserved".to_owned());
        };
        promise(index < message.commits, "S12", || "a message was sent before its send was reserved".to_owned())?;
        *codes.entry(message.challenge.clone()).or_insert(0) += 1;
        for applied in &world.table.commits {
            let given_back = |account: &two_factor::domain::Account| {
                account.sends.iter().any(|sent| {
                    Some(sent.challenge.to_string()) == message.challenge
                        && matches!(sent.state, SendState::Refused | SendState::GivenBack)
                })
            };
            promise(!(message.counts && given_back(&applied.after)), "S12", || {
                "a send was given back that may have left".to_owned()
            })?;
        }
    }
    promise(codes.values().all(|times| *times == 1), "S12", || "a code was sent twice".to_owned())
}

/// S11: no window holds more sends than it may. A send counts when it was reserved.
fn windows_hold(world: &World, policy: &Policy) -> Promise {
    let max = usize::from(policy.sms_max_per_window);
    let mut windows: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for message in world.messages.iter().filter(|message| message.counts && message.challenge.is_some()) {
        let Some((_, applied)) = reservation(world, message) else { continue };
        let kind = applied.before.sms.window_of(&message.to);
        let name = |kind| if kind == WindowKind::Binds { "to be bound" } else { "to an active number" };
        windows.entry(format!("{} {}", message.to.as_e164(), name(kind))).or_default().push(applied.now);
        let recovers = world.asked.iter().any(|asked| {
            asked.request == message.request
                && matches!(asked.action, Action::Setup(_, Some(_)))
                && asked.typed.as_ref().is_some_and(|typed| typed.len() > 6)
        });
        windows
            .entry(format!("{}{}", message.user.as_str(), if recovers { " recovering" } else { "" }))
            .or_default()
            .push(applied.now);
    }
    for (window, sends) in &windows {
        for from in sends {
            let within = sends.iter().filter(|at| **at >= *from && **at < from.plus(policy.sms_window)).count();
            promise(within <= max, "S11", || format!("{within} messages in one window: {window}"))?;
        }
    }
    Ok(())
}
