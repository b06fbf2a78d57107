#!/usr/bin/env python3
"""Shows that the exploration of interleavings can fail: `make model-mutations`.

Each mutation breaks the service, or the table that it is explored on, in one place. The exploration has to find a schedule that
shows it; its promise and its trace are printed. Exits with 1 where one is not found.

    python3 tests/model/mutations.py [PART]     only those that have PART in what they break
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COPY = ROOT / "target" / "model" / "mutated"
BUILD = ROOT / "target" / "model" / "build"
USE_CASES = "shared/src/use_cases"
DOMAIN = "shared/src/domain"

# What is broken, in which file, and how.
MUTATIONS = [
    (
        "a commit whose fate is unknown counts as stored",
        f"{USE_CASES}/session.rs",
        "Err(CommitError::NotStored | CommitError::Unknown) => return Err(Failure::Unavailable),",
        """Err(CommitError::NotStored | CommitError::Unknown) => {
                    let Decision { outcome, code, notification, .. } = decision;
                    return Ok(Settled { outcome, code, notification });
                }""",
    ),
    (
        "a wrong code is answered whether it was counted or not",
        f"{USE_CASES}/session.rs",
        "Some(commit) => self.commit(commit).await,",
        "Some(commit) => self.commit(commit).await.or_else(|error| decision.outcome.is_err().then_some(()).ok_or(error)),",
    ),
    (
        "a lost race is answered as if it was won",
        f"{USE_CASES}/session.rs",
        "Err(CommitError::Conflict) => {",
        """Err(CommitError::Conflict) => {
                    if attempt == 1 {
                        let Decision { outcome, code, notification, .. } = decision;
                        return Ok(Settled { outcome, code, notification });
                    }""",
    ),
    (
        "a send takes no slot of its number",
        f"{USE_CASES}/session.rs",
        "take: self.slot_changes(decision.take.as_ref()),",
        "take: Vec::new(),",
    ),
    (
        "a send whose outcome is unknown is given back",
        f"{USE_CASES}/delivery.rs",
        """            Verdict::Unknown(_) => {
                self.append(delivery_ended(AuditOutcome::UnknownOutcome, to, challenge, delivery)).await;
                return Ok(());
            }
            Verdict::Refused(reason)""",
        """            Verdict::Unknown(_) => (DeliveryReason::Rejected, Failure::DeliveryFailed(DeliveryReason::Rejected)),
            Verdict::Refused(reason)""",
    ),
    ("a right code lives on", f"{DOMAIN}/decide/judge.rs", "            self.account.sms.challenge = None;\n", ""),
    ("a wrong code is not counted", f"{DOMAIN}/decide/judge.rs", "challenge.failed_attempts += 1;", "challenge.failed_attempts += 0;"),
    (
        "a code is judged that is too old",
        f"{DOMAIN}/decide/judge.rs",
        "if challenge.expires_at <= now {",
        "if challenge.expires_at <= now && now.as_millis() == 0 {",
    ),
    (
        "a lock locks sends alone",
        f"{DOMAIN}/decide/judge.rs",
        "        self.refuse_while_locked()?;\n        let challenge",
        "        let challenge",
    ),
    ("a purpose is not looked at", f"{DOMAIN}/decide/judge.rs", "if challenge.purpose != purpose {", "if challenge.purpose != purpose && now.as_millis() == 0 {"),
    (
        "a backup code is not spent",
        f"{DOMAIN}/backup_code.rs",
        """        self.digests.retain(|kept| !candidates.contains(kept));
        self.digests.len() < before""",
        """        self.digests.iter().filter(|kept| !candidates.contains(kept)).count() < before""",
    ),
    (
        "a code survives one guess more than it may",
        f"{DOMAIN}/decide/judge.rs",
        "if challenge.failed_attempts >= context.policy.code_max_attempts {",
        "if challenge.failed_attempts > context.policy.code_max_attempts {",
    ),
    (
        "a user's window holds one more",
        f"{DOMAIN}/sms/send_window.rs",
        "until_one_leaves(self.spent(allowance, policy, now), policy.sms_max_per_window, policy, now)",
        "until_one_leaves(self.spent(allowance, policy, now), policy.sms_max_per_window + 1, policy, now)",
    ),
]
# What the table that it is explored on does not do any more.
FAULTS = ["forgets-versions", "forgets-slots", "forgets-tokens", "loses-records"]


def run(*arguments, cwd=COPY):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(BUILD)}
    return subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True)


def explore(*arguments):
    """What the exploration says from the broken promise on; nothing where it found none."""
    built = run("cargo", "build", "--quiet", "--profile", "model", "--package", "two-factor-model")
    if built.returncode != 0:
        sys.exit(f"it does not compile:\n{built.stderr}")
    said = run(str(BUILD / "model" / "model"), *arguments).stdout
    at = said.find("broken promise")
    return said[at:] if at >= 0 else ""


def main():
    shutil.rmtree(COPY, ignore_errors=True)
    for name in run("git", "ls-files", "-z", cwd=ROOT).stdout.split("\0"):
        if (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)
    part = " ".join(sys.argv[1:])
    mutations = [mutation for mutation in MUTATIONS if part in mutation[0]]
    faults = [fault for fault in FAULTS if part in fault]
    missed = []

    def judge(what, found):
        print(f"\n== {what}\n{found or 'NOT FOUND'}", flush=True)
        if not found:
            missed.append(what)

    for what, name, old, new in mutations:
        file = COPY / name
        text = file.read_text()
        assert text.count(old) == 1, f"{what}: {name} has changed"
        file.write_text(text.replace(old, new))
        judge(what, explore())
        file.write_text(text)
    for fault in faults:
        judge(f"the table {fault}", explore("--fault", fault))
    count = len(mutations) + len(faults)
    print(f"\n{count - len(missed)} of {count} mutations were found")
    sys.exit(bool(missed))


main()
