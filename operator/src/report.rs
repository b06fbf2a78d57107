//! What a command finds, as lines for a person: how things are, or what is wrong and what to do about it.

use std::{
    io::{self, Write},
    time::Duration,
};

use crate::{
    Ending,
    output::{counted, printable},
};

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) what: String,
    pub(crate) remedy: String,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// What one look found: how things are, or what is wrong.
pub(crate) type Finding = Result<String, Problem>;

/// Prints findings as they come, and counts them.
pub(crate) struct Report<'a> {
    out: &'a mut dyn Write,
    good: u64,
    problems: u64,
    skipped: u64,
}

impl<'a> Report<'a> {
    /// An empty one, which goes to `out`.
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, good: 0, problems: 0, skipped: 0 }
    }

    /// Says how many findings there were, and ends the command: well if none was a problem.
    pub(crate) fn end(self) -> io::Result<Ending> {
        let Self { out, good, problems, skipped } = self;
        let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
        let found = if problems == 0 { "no problems".to_owned() } else { counted(problems, "problem") };
        writeln!(out, "\n{found}: {good} ok{skipped}")?;
        Ok(Ending::success_if(problems == 0))
    }

    pub(crate) fn finding(&mut self, subject: &str, finding: &Finding) -> io::Result<()> {
        match finding {
            Ok(state) => {
                self.good += 1;
                writeln!(self.out, "ok       {subject:<12} {}", printable(state))
            }
            Err(Problem { what, remedy }) => {
                self.problems += 1;
                writeln!(self.out, "problem  {subject:<12} {}", printable(what))?;
                writeln!(self.out, "         {:<12} -> {}", "", printable(remedy))
            }
        }
    }

    /// Something to know that is neither good nor bad.
    pub(crate) fn notice(&mut self, subject: &str, what: &str) -> io::Result<()> {
        writeln!(self.out, "notice   {subject:<12} {}", printable(what))
    }

    /// Something that AWS is not done with.
    pub(crate) fn waiting(&mut self, subject: &str, what: &str) -> io::Result<()> {
        writeln!(self.out, "waiting  {subject:<12} {what}")?;
        self.out.flush()
    }

    pub(crate) fn skipped(&mut self, subject: &str, reason: &str) -> io::Result<()> {
        self.skipped += 1;
        writeln!(self.out, "skipped  {subject:<12} {reason}")
    }
}

/// How long the operator wants to wait for what AWS is not done with yet.
pub(crate) struct Patience {
    left: Duration,
    pause: Duration,
}

impl Patience {
    /// Waits `total` at most, and looks again after each `pause`.
    pub(crate) const fn new(total: Duration, pause: Duration) -> Self {
        Self { left: total, pause }
    }
}

/// The waiting for one thing.
#[derive(Default)]
pub(crate) struct Waiting {
    is_told: bool,
}

impl Waiting {
    /// Waits until it is time to look again, and tells the operator once; `false` where there is no patience left.
    pub(crate) async fn goes_on(
        &mut self,
        subject: &str,
        what: &str,
        patience: &mut Patience,
        report: &mut Report<'_>,
    ) -> io::Result<bool> {
        if patience.left < patience.pause {
            return Ok(false);
        }
        if !std::mem::replace(&mut self.is_told, true) {
            report.waiting(subject, what)?;
        }
        patience.left -= patience.pause;
        tokio::time::sleep(patience.pause).await;
        Ok(true)
    }
}
