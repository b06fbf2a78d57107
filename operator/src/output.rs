//! How things are shown to a person at a terminal.

use std::{
    io::{self, Write},
    time::Duration,
};

use tracing_subscriber::{filter::LevelFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// The text without anything that a terminal would obey: user agents and the like are whatever a client sent.
pub(crate) fn printable(text: &str) -> String {
    let is_harmful = |character: char| {
        character.is_control() || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|character| if is_harmful(character) { '\u{fffd}' } else { character }).collect()
}

/// Writes a table: a line of titles, then the rows, in columns as wide as they need to be.
pub(crate) fn table<const N: usize>(out: &mut dyn Write, titles: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let mut widths = titles.map(width);
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(cell).max(*widest);
        }
    }
    for row in [titles.map(str::to_owned)].iter().chain(&rows) {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A span as a person says it, roughly: `40 seconds`, `12 minutes`, `3 hours`.
pub(crate) fn roughly(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds.div_ceil(60), "minute"),
        7200..172_800 => (seconds.div_ceil(3600), "hour"),
        _ => (seconds.div_ceil(86_400), "day"),
    };
    counted(count, unit)
}

/// A number of things: `1 problem`, `2 problems`.
pub(crate) fn counted(count: impl Into<u64>, thing: &str) -> String {
    match count.into() {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}

/// Shows what the service logs, apart from what the command says.
pub(crate) fn log_to_stderr() {
    let layer = fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(false);
    let info = tracing_subscriber::filter::Targets::new().with_default(LevelFilter::INFO);
    // A second start, as in tests, changes nothing.
    let _ = tracing_subscriber::registry().with(info).with(layer).try_init();
}
