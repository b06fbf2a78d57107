//! What a schedule is played in: the table, the phones, the time, and what may still go wrong.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use two_factor::{
    domain::{PhoneNumber, Timestamp, UserId},
    use_cases::{Failure, Granted},
};

use crate::{choices::Choices, client::Action, table::Table};

/// How much may go wrong in one schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Calls of storage and provider that fail.
    pub faults: u32,
    /// Processes that die.
    pub deaths: u32,
    /// Times that time passes.
    pub ticks: u32,
}

/// A message that was handed to the provider.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who caused it.
    pub user: UserId,
    /// In which request.
    pub request: String,
    /// Where it goes.
    pub to: PhoneNumber,
    /// The code in it.
    pub code: Option<String>,
    /// The name of its code.
    pub challenge: Option<String>,
    /// Whether it arrived.
    pub arrives: bool,
    /// Whether it may have left, as far as the service knows.
    pub counts: bool,
    /// How many commits had been stored by then.
    pub commits: usize,
}

/// A request that was begun.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its name.
    pub request: String,
    /// Whose it is.
    pub user: UserId,
    /// What is asked for.
    pub action: Action,
    /// The code that is handed in.
    pub typed: Option<String>,
}

/// A request that was answered.
#[derive(Debug)]
pub struct Answered {
    /// What was asked.
    pub asked: Asked,
    /// What was answered.
    pub result: Result<Granted, Failure>,
    /// How many commits had been stored by then.
    pub commits: usize,
}

/// Where a client waits to be let on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Before a read.
    Load,
    /// Before a commit, or before it is sent again.
    Commit,
    /// Before a message is handed over.
    Send,
}

/// Everything that clients share.
pub struct World {
    /// What is stored.
    pub table: Table,
    /// What was sent, in order.
    pub messages: Vec<Message>,
    /// What was asked, in order.
    pub asked: Vec<Asked>,
    /// What was answered, in order.
    pub answers: Vec<Answered>,
    /// What time it is.
    pub now: Timestamp,
    /// What goes which way.
    pub choices: Choices,
    /// What may still go wrong.
    pub budget: Budget,
    /// What happened, for people.
    pub trace: Vec<String>,
    /// Where each client waits.
    pub gates: Vec<Option<Gate>>,
    /// The next client token, and the next seed.
    pub counter: u64,
}

impl World {
    /// A world at the beginning of a year, in which nothing goes wrong.
    pub fn new() -> Self {
        Self {
            table: Table::default(),
            messages: Vec::new(),
            asked: Vec::new(),
            answers: Vec::new(),
            now: Timestamp::from_millis(1_798_761_600_000),
            choices: Choices::default(),
            budget: Budget::default(),
            trace: Vec::new(),
            gates: Vec::new(),
            counter: 0,
        }
    }

    /// Goes wrong in one of `ways`, or does not: 0. Costs nothing where nothing may go wrong any more.
    pub fn fault(&mut self, ways: usize) -> usize {
        if self.budget.faults == 0 {
            return 0;
        }
        let chosen = self.choices.choose(ways + 1);
        if chosen > 0 {
            self.budget.faults -= 1;
        }
        chosen
    }

    /// A number that was not given before.
    pub fn fresh(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Time passes.
    pub fn pass(&mut self, by: Duration) {
        self.now = self.now.plus(by);
    }

    /// The codes that arrived at phones of `user`, oldest first.
    pub fn codes(&self, user: &UserId) -> Vec<String> {
        let arrived = self.messages.iter().filter(|message| message.user == *user && message.arrives);
        arrived.filter_map(|message| message.code.clone()).collect()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A world that clients share.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// Shares `world`.
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// The world, for a moment.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what happens.
    pub fn note(&self, client: usize, what: &str) {
        let mut world = self.world();
        let line = format!("client {client}: {what}");
        world.trace.push(line);
    }
}
