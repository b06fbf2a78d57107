//! What is explored: how it begins, who does what at the same time, and which limits are near.

use std::time::Duration;

use two_factor::domain::{Policy, Purpose};

use crate::client::{
    Action::{self, Disable, Regenerate, Reset, Send, Setup, Unlock, Verify},
    Program,
    Typed::{Backup, Latest, Nth, Wrong},
};

/// A number in the USA.
pub const HOME: &str = "+12015550123";
/// A number in the United Kingdom.
pub const WORK: &str = "+447400123456";
/// Another one there.
pub const NEW: &str = "+447400123457";

/// A step of how a scenario begins, in which nothing goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Before {
    /// This user does this.
    Act(&'static str, Action),
    /// So many seconds pass.
    Pass(u64),
}

use Before::{Act, Pass};

/// Clients that act at the same time on something that is near a limit.
pub struct Scenario {
    /// What it is about, as a sentence.
    pub name: &'static str,
    /// The limits.
    pub policy: Policy,
    /// How it begins.
    pub before: &'static [Before],
    /// Who does what.
    pub clients: &'static [Program<'static>],
    /// How many seconds may pass in between: each leads across a limit.
    pub ticks: &'static [u64],
    /// Whether DynamoDB may delete what is stale.
    pub collects_garbage: bool,
}

/// Limits that are reached soon.
fn tight() -> Policy {
    Policy {
        code_max_attempts: 2,
        sms_max_per_window: 3,
        sms_cooldown: Duration::ZERO,
        sms_max_per_ip: 0,
        lock_after_failures: 3,
        disable_after_failures: 6,
        ..Policy::default()
    }
}

/// Limits as they are, but for the cooldown.
fn usual() -> Policy {
    Policy { sms_cooldown: Duration::ZERO, sms_max_per_window: 20, sms_max_per_ip: 0, ..Policy::default() }
}

const ALICE: &str = "alice";
const BOB: &str = "bob";

/// Alice has asked to enroll her number.
const PENDING: &[Before] = &[Act(ALICE, Setup(HOME, None))];
/// Alice's number is on.
const ON: &[Before] = &[Act(ALICE, Setup(HOME, None)), Act(ALICE, Verify(Latest, Purpose::Enroll)), Pass(3600)];
/// The same, and a code to sign in is out.
const SIGNING_IN: &[Before] =
    &[Act(ALICE, Setup(HOME, None)), Act(ALICE, Verify(Latest, Purpose::Enroll)), Pass(3600), Act(ALICE, Send(Purpose::SignIn))];
/// The same, and a code for a change is out.
const CHANGING: &[Before] =
    &[Act(ALICE, Setup(HOME, None)), Act(ALICE, Verify(Latest, Purpose::Enroll)), Pass(3600), Act(ALICE, Send(Purpose::Change))];
/// The same, and another number waits to take the place of the active one.
const REPLACING: &[Before] = &[
    Act(ALICE, Setup(HOME, None)),
    Act(ALICE, Verify(Latest, Purpose::Enroll)),
    Pass(3600),
    Act(ALICE, Send(Purpose::Change)),
    Act(ALICE, Setup(WORK, Some(Latest))),
];

/// Everything that is explored.
#[expect(clippy::too_many_lines, reason = "a table of what is explored, a paragraph each")]
pub fn all() -> Vec<Scenario> {
    let scenario =
        |name, policy, before, clients| Scenario { name, policy, before, clients, ticks: &[], collects_garbage: false };
    vec![
        Scenario {
            ticks: &[300, 3600],
            ..scenario(
                "the right code comes twice, and a wrong one",
                usual(),
                PENDING,
                &[
                    (ALICE, &[Verify(Latest, Purpose::Enroll)]),
                    (ALICE, &[Verify(Latest, Purpose::Enroll)]),
                    (ALICE, &[Verify(Wrong, Purpose::Enroll)]),
                ],
            )
        },
        scenario(
            "a code is sent again while the first one comes back",
            usual(),
            PENDING,
            &[(ALICE, &[Verify(Nth(0), Purpose::Enroll)]), (ALICE, &[Send(Purpose::Enroll), Verify(Latest, Purpose::Enroll)])],
        ),
        scenario(
            "another number is enrolled while the first one's code comes back",
            usual(),
            PENDING,
            &[(ALICE, &[Verify(Nth(0), Purpose::Enroll)]), (ALICE, &[Setup(WORK, None), Verify(Latest, Purpose::Enroll)])],
        ),
        scenario(
            "an enrollment is dropped while its code comes back",
            usual(),
            PENDING,
            &[(ALICE, &[Verify(Latest, Purpose::Enroll)]), (ALICE, &[Disable(None)])],
        ),
        Scenario {
            ticks: &[900],
            ..scenario(
                "wrong codes come at once, and the right one",
                tight(),
                SIGNING_IN,
                &[
                    (ALICE, &[Verify(Wrong, Purpose::SignIn)]),
                    (ALICE, &[Verify(Wrong, Purpose::SignIn)]),
                    (ALICE, &[Verify(Latest, Purpose::SignIn)]),
                ],
            )
        },
        Scenario {
            ticks: &[300],
            ..scenario(
                "the right code comes when it is about to be too old",
                usual(),
                SIGNING_IN,
                &[(ALICE, &[Verify(Latest, Purpose::SignIn)]), (ALICE, &[Verify(Latest, Purpose::SignIn)])],
            )
        },
        scenario(
            "backup codes are used at once, one of them twice",
            usual(),
            ON,
            &[
                (ALICE, &[Verify(Backup(0), Purpose::SignIn)]),
                (ALICE, &[Verify(Backup(0), Purpose::SignIn)]),
                (ALICE, &[Verify(Backup(1), Purpose::SignIn)]),
            ],
        ),
        scenario(
            "a backup code is used while all of them are made anew",
            usual(),
            CHANGING,
            &[(ALICE, &[Verify(Backup(0), Purpose::SignIn)]), (ALICE, &[Regenerate(Latest)]), (ALICE, &[Regenerate(Backup(0))])],
        ),
        scenario(
            "one proof is used for two changes",
            usual(),
            CHANGING,
            &[(ALICE, &[Disable(Some(Latest))]), (ALICE, &[Setup(WORK, Some(Latest))])],
        ),
        scenario(
            "a code for signing in is tried for everything else",
            usual(),
            SIGNING_IN,
            &[
                (ALICE, &[Verify(Latest, Purpose::Confirm)]),
                (ALICE, &[Regenerate(Latest)]),
                (ALICE, &[Setup(WORK, Some(Latest))]),
                (ALICE, &[Disable(Some(Latest))]),
            ],
        ),
        scenario(
            "two numbers are to take the active one's place",
            usual(),
            CHANGING,
            &[(ALICE, &[Setup(WORK, Some(Latest))]), (ALICE, &[Setup(NEW, Some(Backup(0)))])],
        ),
        scenario(
            "the number is replaced while somebody signs in and somebody turns it off",
            usual(),
            REPLACING,
            &[
                (ALICE, &[Verify(Latest, Purpose::Replace)]),
                (ALICE, &[Verify(Backup(0), Purpose::SignIn)]),
                (ALICE, &[Disable(Some(Backup(1)))]),
            ],
        ),
        Scenario {
            ticks: &[3600],
            ..scenario(
                "the last sends of a window are asked for at once",
                tight(),
                SIGNING_IN,
                &[
                    (ALICE, &[Send(Purpose::SignIn), Send(Purpose::SignIn)]),
                    (ALICE, &[Send(Purpose::Confirm), Send(Purpose::Confirm)]),
                ],
            )
        },
        scenario(
            "two users ask for codes to one number",
            tight(),
            PENDING,
            &[(ALICE, &[Send(Purpose::Enroll), Send(Purpose::Enroll)]), (BOB, &[Setup(HOME, None), Send(Purpose::Enroll)])],
        ),
        Scenario {
            ticks: &[3600],
            ..scenario(
                "a user tries one number after the other",
                tight(),
                PENDING,
                &[(ALICE, &[Setup(WORK, None), Setup(NEW, None)]), (ALICE, &[Setup(HOME, None), Setup(WORK, None)])],
            )
        },
        Scenario {
            ticks: &[3600],
            ..scenario(
                "a number is enrolled and dropped again and again",
                tight(),
                PENDING,
                &[
                    (ALICE, &[Disable(None), Setup(HOME, None), Setup(HOME, None)]),
                    (ALICE, &[Setup(HOME, None), Send(Purpose::Enroll)]),
                ],
            )
        },
        Scenario {
            ticks: &[2_592_000],
            collects_garbage: true,
            ..scenario(
                "a stale enrollment is deleted under those who read it",
                usual(),
                PENDING,
                &[(ALICE, &[Setup(HOME, None), Verify(Latest, Purpose::Enroll)]), (ALICE, &[Disable(None)])],
            )
        },
        scenario(
            "an operator unlocks and resets while codes come",
            tight(),
            SIGNING_IN,
            &[(ALICE, &[Verify(Wrong, Purpose::SignIn), Verify(Latest, Purpose::SignIn)]), (ALICE, &[Unlock]), (ALICE, &[Reset])],
        ),
        Scenario {
            ticks: &[900],
            ..scenario(
                "wrong codes lead to the lock while a code is sent",
                Policy { lock_after_failures: 2, code_max_attempts: 5, ..tight() },
                SIGNING_IN,
                &[
                    (ALICE, &[Verify(Wrong, Purpose::SignIn), Verify(Wrong, Purpose::SignIn)]),
                    (ALICE, &[Send(Purpose::SignIn)]),
                    (ALICE, &[Verify(Latest, Purpose::SignIn)]),
                ],
            )
        },
    ]
}
