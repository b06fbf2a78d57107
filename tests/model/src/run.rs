//! Schedules: one after the other, until all were run or one breaks a promise.

use std::{
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::runtime;
use two_factor::domain::{Answer, BackupCode, Timestamp};

use crate::{
    choices::Choices,
    client::{Action, Program, Running, client},
    properties,
    scenarios::{Before, Scenario},
    table::{Fault, Table},
    world::{Asked, Budget, Gate, Message, Shared, World},
};

/// How long a client that has lost a race is let wait at a time.
const PAUSE: Duration = Duration::from_millis(250);

/// What came of exploring a scenario.
#[derive(Debug)]
pub struct Report {
    /// How many schedules were run to their end.
    pub schedules: u64,
    /// The most choices that one had.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether every schedule within the budget was run.
    pub is_exhausted: bool,
    /// The first schedule that broke a promise.
    pub violation: Option<Violation>,
}

/// A schedule that broke a promise.
#[derive(Debug)]
pub struct Violation {
    /// Which promise, and how.
    pub promise: String,
    /// The choices that lead there.
    pub schedule: Vec<usize>,
    /// What happened, step by step.
    pub trace: Vec<String>,
}

/// What a scenario begins with: made once, by real requests in which nothing goes wrong.
struct Prepared {
    table: Table,
    messages: Vec<Message>,
    asked: Vec<Asked>,
    now: Timestamp,
    counter: u64,
    backup: Vec<String>,
}

/// Runs every schedule of `scenario` within `budget`, `limit` of them at the most. `fault` is what is broken of the table, to see that
/// somebody notices.
///
/// # Panics
/// Where no runtime can be made.
pub fn explore(scenario: &Scenario, budget: Budget, limit: u64, fault: Option<Fault>) -> Report {
    let runtime = runtime();
    let prepared = runtime.block_on(prepare(scenario));
    let started = Instant::now();
    let mut report = Report { schedules: 0, depth: 0, took: Duration::ZERO, is_exhausted: false, violation: None };
    let mut choices = Choices::default();
    loop {
        let (world, is_whole) = runtime.block_on(play(scenario, &prepared, budget, choices, fault));
        report.depth = report.depth.max(world.choices.made().len());
        if is_whole {
            report.schedules += 1;
            if let Err(promise) = properties::check(&world, &scenario.policy) {
                let schedule = world.choices.made();
                report.violation = Some(Violation { promise, schedule, trace: world.trace });
                break;
            }
        }
        choices = world.choices;
        if !choices.turn() {
            report.is_exhausted = true;
            break;
        }
        if report.schedules >= limit {
            break;
        }
    }
    report.took = started.elapsed();
    report
}

#[expect(clippy::expect_used, reason = "without a runtime there is nothing to explore with")]
fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

/// Makes what the scenario begins with.
async fn prepare(scenario: &Scenario) -> Prepared {
    let shared = Shared::new(World::new());
    let mut backup = Vec::new();
    for step in scenario.before {
        match step {
            Before::Pass(seconds) => shared.world().pass(Duration::from_secs(*seconds)),
            Before::Act(user, action) => {
                let actions: &[Action] = std::slice::from_ref(action);
                alone(&shared, (*user, actions), scenario, &backup).await;
                let world = shared.world();
                let answer = world.answers.last().map(|answered| &answered.result);
                if let Some(Ok(granted)) = answer
                    && let Answer::Bound { backup_codes, .. } = &granted.answer
                    && backup.is_empty()
                {
                    backup = backup_codes.iter().map(BackupCode::expose).collect();
                }
            }
        }
    }
    let mut world = shared.world();
    let World { table, messages, asked, now, counter, .. } = std::mem::take(&mut *world);
    Prepared { table, messages, asked, now, counter, backup }
}

/// Lets one client do what it wants, with nobody beside it.
async fn alone(shared: &Shared, program: Program<'_>, scenario: &Scenario, backup: &[String]) {
    shared.world().gates = vec![None];
    let mut running = client(shared, 0, program, &scenario.policy, backup);
    while !step(shared, 0, &mut running).await {}
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Step(usize),
    Kill(usize),
    Tick(u64),
    Garbage,
}

/// Runs one schedule. `false` with it where it only says again what another one says.
async fn play(scenario: &Scenario, prepared: &Prepared, budget: Budget, choices: Choices, fault: Option<Fault>) -> (World, bool) {
    let mut world = World::new();
    world.table = prepared.table.clone();
    world.table.fault = fault;
    world.messages.clone_from(&prepared.messages);
    world.asked.clone_from(&prepared.asked);
    (world.now, world.counter, world.choices, world.budget) = (prepared.now, prepared.counter, choices, budget);
    world.gates = vec![None; scenario.clients.len()];
    let shared = Shared::new(world);
    let programs = scenario.clients.iter().enumerate();
    let mut clients: Vec<Option<Running>> =
        programs.map(|(n, program)| Some(client(&shared, n, *program, &scenario.policy, &prepared.backup))).collect();
    for (n, slot) in clients.iter_mut().enumerate() {
        advance(&shared, n, slot).await;
    }
    let mut last = None;
    let mut is_whole = true;
    while clients.iter().any(Option::is_some) {
        let moves = moves(&shared, scenario, &clients, last);
        if !moves.iter().any(|next| matches!(next, Move::Step(_))) {
            is_whole = false;
            break;
        }
        let chosen = shared.world().choices.choose(moves.len());
        let Some(next) = moves.get(chosen).copied() else { break };
        last = Some((next, gate_of(&shared, next)));
        match next {
            Move::Step(n) => {
                if let Some(slot) = clients.get_mut(n) {
                    advance(&shared, n, slot).await;
                }
            }
            Move::Kill(n) => {
                shared.note(n, "dies");
                shared.world().budget.deaths -= 1;
                if let Some(slot) = clients.get_mut(n) {
                    *slot = None;
                }
            }
            Move::Tick(seconds) => {
                let mut world = shared.world();
                world.budget.ticks -= 1;
                world.pass(Duration::from_secs(seconds));
                world.trace.push(format!("{seconds} seconds pass"));
            }
            Move::Garbage => {
                let mut world = shared.world();
                let now = world.now;
                world.table.collect_garbage(now);
                world.trace.push("what is stale is deleted".to_owned());
            }
        }
    }
    drop(clients);
    let world = std::mem::take(&mut *shared.world());
    (world, is_whole)
}

fn gate_of(shared: &Shared, next: Move) -> Option<Gate> {
    let Move::Step(n) = next else { return None };
    shared.world().gates.get(n).copied().flatten()
}

/// What may happen next, without what would only be another order of what makes no difference: two reads one after the other, and a
/// death later than it could be.
fn moves(shared: &Shared, scenario: &Scenario, clients: &[Option<Running>], last: Option<(Move, Option<Gate>)>) -> Vec<Move> {
    let world = shared.world();
    let after_read = match last {
        Some((Move::Step(n), Some(Gate::Load))) => Some(n),
        _ => None,
    };
    let alive = clients.iter().enumerate().filter(|(_, client)| client.is_some()).map(|(n, _)| n);
    let reads = |n: usize| world.gates.get(n).copied().flatten() == Some(Gate::Load);
    let mut moves: Vec<_> = alive.filter(|n| after_read.is_none_or(|read| *n >= read || !reads(*n))).map(Move::Step).collect();
    if let Some((Move::Step(n), _)) = last
        && world.budget.deaths > 0
        && clients.get(n).is_some_and(Option::is_some)
    {
        moves.push(Move::Kill(n));
    }
    if world.budget.ticks > 0 {
        moves.extend(scenario.ticks.iter().map(|seconds| Move::Tick(*seconds)));
    }
    if scenario.collects_garbage && world.table.has_garbage(world.now) {
        moves.push(Move::Garbage);
    }
    moves
}

/// Lets a client on to where it waits next; it is gone when it is done.
async fn advance(shared: &Shared, n: usize, slot: &mut Option<Running>) {
    if let Some(running) = slot
        && step(shared, n, running).await
    {
        *slot = None;
    }
}

/// Lets a client on to where it waits next. `true` where it is done.
async fn step(shared: &Shared, n: usize, running: &mut Running) -> bool {
    if let Some(gate) = shared.world().gates.get_mut(n) {
        *gate = None;
    }
    loop {
        let polled = running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if polled == Poll::Ready(()) {
            return true;
        }
        if shared.world().gates.get(n).copied().flatten().is_some() {
            return false;
        }
        // It has stepped back from a race.
        tokio::time::advance(PAUSE).await;
    }
}
