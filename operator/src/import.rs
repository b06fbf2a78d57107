//! `doctor import`: numbers that another service verified become the factors of users who have none here.

use std::{
    collections::HashSet,
    fs::File,
    io::{Read, Write},
    path::Path,
};

use serde_json::Value;
use two_factor::{
    app::App,
    domain::{PhoneNumber, Refusal, UserId},
    use_cases::{self, Caller, RequestStats},
};

use crate::{
    Ending, Failure, deadline,
    output::{counted, printable},
};

/// What is to be done with the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Whether to write, or else only say what would be written.
    pub(crate) confirmed: bool,
    /// Whether to leave lines out that cannot be used, instead of writing nothing because of them.
    pub(crate) skips: bool,
}

/// One line of the input.
struct Line {
    /// Counted from 1.
    number: usize,
    /// Whom it names, as a person may see it, if it names anybody.
    name: String,
    /// What it asks for, or why it cannot be used. The reason never repeats the number.
    wanted: Result<Import, String>,
}

/// This number for this user.
#[derive(Clone)]
struct Import {
    user: UserId,
    phone: PhoneNumber,
}

/// What became of a line, or would.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    New,
    Kept(Kept),
    Unusable,
}

/// Why a user stays as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Same,
    Other,
    Disabled,
}

/// How many lines became what.
#[derive(Default)]
struct Counts {
    new: u64,
    same: u64,
    other: u64,
    unusable: u64,
}

/// Opens the file, or takes what comes with the call where none is named.
pub(crate) fn open(file: Option<&Path>, input: Box<dyn Read>) -> Result<Box<dyn Read>, Failure> {
    let Some(file) = file else { return Ok(input) };
    let opened = File::open(file).map_err(|error| Failure::Told(format!("cannot read {}: {error}", file.display())))?;
    Ok(Box::new(opened))
}

/// Judges every line, and then, if that is confirmed, imports one after the other: each in a transaction of its own, with its audit
/// event that names the operator of `caller`. What was imported before is left alone, so that an import that was cut short is
/// finished by running it again.
pub(crate) async fn run(
    app: &App,
    caller: impl Fn(UserId) -> Caller,
    mut input: Box<dyn Read>,
    mode: Mode,
    out: &mut dyn Write,
) -> Result<Ending, Failure> {
    let mut text = Vec::new();
    input.read_to_end(&mut text)?;
    let lines = read(app, &text);
    let is_blocked = !mode.skips && lines.iter().any(|line| line.wanted.is_err());
    let writes = mode.confirmed && !is_blocked;
    let mut counts = Counts::default();
    for line in &lines {
        let fate = match &line.wanted {
            Err(_) => Fate::Unusable,
            Ok(wanted) => settle(app, &caller, wanted, writes).await.map_err(|reason| interrupted(line, writes, &reason))?,
        };
        counts.add(fate);
        writeln!(out, "{}", told(line, fate, writes))?;
    }
    writeln!(out, "\n{}", counts.summary(writes))?;
    let unusable = "No line is imported while one cannot be used: mend it, or leave such lines out with --skip.";
    match (is_blocked, writes) {
        (true, _) => writeln!(out, "Nothing was changed. {unusable}")?,
        (false, false) => writeln!(out, "Nothing was changed. Say it again, with --yes.")?,
        (false, true) => {}
    }
    Ok(Ending::success_if(!is_blocked))
}

/// Imports, or asks whether that would be possible.
async fn settle(app: &App, caller: impl Fn(UserId) -> Caller, wanted: &Import, writes: bool) -> Result<Fate, String> {
    let Import { user, phone } = wanted.clone();
    let caller = caller(user);
    let mut stats = RequestStats::default();
    let mut session = app.service.session(&caller, deadline(), &mut stats);
    let refusal = if writes {
        match session.import(phone).await {
            Ok(()) => Ok(None),
            Err(use_cases::Failure::Refused(refusal)) => Ok(Some(refusal)),
            Err(failure) => Err(failure),
        }
    } else {
        session.would_import(phone).await
    };
    match refusal.map_err(|_| "the table cannot be reached; `doctor check` says why".to_owned())? {
        None => Ok(Fate::New),
        Some(Refusal::AlreadyEnabled) => Ok(Fate::Kept(Kept::Same)),
        Some(Refusal::VerificationRequired) => Ok(Fate::Kept(Kept::Other)),
        Some(Refusal::FactorDisabled) => Ok(Fate::Kept(Kept::Disabled)),
        Some(refusal) => Err(format!("refused: {}", refusal.code())),
    }
}

fn interrupted(line: &Line, writes: bool, reason: &str) -> Failure {
    let number = line.number;
    let remedy = if writes { ". What is above is done; run it again for the rest, from this line on" } else { "" };
    Failure::Told(format!("line {number}: {reason}{remedy}"))
}

/// The lines that are not blank, each judged on its own, and a user who is named twice.
fn read(app: &App, text: &[u8]) -> Vec<Line> {
    let mut named = HashSet::new();
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines
        .map(|(index, text)| {
            let (user, phone) = match parse(text) {
                Ok(found) => found,
                Err(reason) => return Line { number: index + 1, name: "?".to_owned(), wanted: Err(reason) },
            };
            let name = printable(user.as_str());
            let wanted = match app.service.phone_number(&phone, &user) {
                Err(error) => Err(error.to_string()),
                Ok(_) if !named.insert(user.clone()) => Err("a line above names this user too".to_owned()),
                Ok(phone) => Ok(Import { user, phone }),
            };
            Line { number: index + 1, name, wanted }
        })
        .collect()
}

/// The user and the number that a line names. A user is a string or an integer, as in a token.
fn parse(line: &[u8]) -> Result<(UserId, String), String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| format!("not JSON, from column {} on", error.column()))?;
    let user = match value.get("user") {
        Some(Value::String(user)) => user.clone(),
        Some(Value::Number(user)) if user.is_i64() || user.is_u64() => user.to_string(),
        _ => return Err("`user` is a string or an integer".to_owned()),
    };
    let user = UserId::parse(&user).map_err(|_| format!("`user` has 1 to {} characters", UserId::MAX_CHARS))?;
    match value.get("phone_number") {
        Some(Value::String(phone)) => Ok((user, phone.clone())),
        _ => Err("`phone_number` is a string".to_owned()),
    }
}

/// A line for a line.
fn told(line: &Line, fate: Fate, writes: bool) -> String {
    let state = match fate {
        Fate::New if writes => "imported",
        Fate::New => "would import",
        Fate::Kept(_) => "left alone",
        Fate::Unusable => "unusable",
    };
    let Line { number, name, wanted } = line;
    let shown = match wanted {
        Ok(Import { phone, .. }) => format!("{} ({})", phone.masked(), phone.country()),
        Err(reason) => reason.clone(),
    };
    let because = match fate {
        Fate::Kept(Kept::Same) => ": is active already",
        Fate::Kept(Kept::Other) => ": has another number, which stays",
        Fate::Kept(Kept::Disabled) => ": has a number that is disabled, which stays so",
        Fate::New | Fate::Unusable => "",
    };
    format!("{state:<12}  line {number}  {name}  {shown}{because}")
}

impl Counts {
    fn add(&mut self, fate: Fate) {
        let count = match fate {
            Fate::New => &mut self.new,
            Fate::Kept(Kept::Same) => &mut self.same,
            Fate::Kept(Kept::Other | Kept::Disabled) => &mut self.other,
            Fate::Unusable => &mut self.unusable,
        };
        *count += 1;
    }

    fn summary(&self, writes: bool) -> String {
        let Self { new, same, other, unusable } = *self;
        let done = if writes { "imported" } else { "to import" };
        let new = counted(new, "number");
        format!("{new} {done}, {same} active already, {other} kept another, {unusable} unusable")
    }
}
