//! Explores every scenario and prints what it took: `make model`.

use std::{process::ExitCode, time::Duration};

use two_factor_model::{
    run::{Report, explore},
    scenarios::{Scenario, all},
    table::Fault,
    world::Budget,
};

const USAGE: &str = "\
usage: model [--fault FAULT] [PART]

  PART     explores the scenarios alone that have it in their names
  --fault  breaks the table, to see that it is found: forgets-versions, forgets-slots, forgets-tokens, loses-records";

/// What goes wrong: two things in one schedule.
const PAIRS: [Budget; 3] = [budget(2, 0, 0), budget(1, 1, 0), budget(1, 0, 1)];
/// One thing, where so many requests act at once that pairs would take hours.
const SINGLES: [Budget; 3] = [budget(1, 0, 0), budget(0, 1, 0), budget(0, 0, 1)];

const fn budget(faults: u32, deaths: u32, ticks: u32) -> Budget {
    Budget { faults, deaths, ticks }
}

fn budgets(scenario: &Scenario) -> impl Iterator<Item = Budget> {
    let requests: usize = scenario.clients.iter().map(|(_, actions)| actions.len()).sum();
    let budgets = if scenario.clients.len() > 2 || requests > 3 { SINGLES } else { PAIRS };
    let has_ticks = !scenario.ticks.is_empty();
    budgets.into_iter().filter(move |budget| budget.ticks == 0 || has_ticks)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (fault, part) = match *arguments {
        [] => (None, ""),
        ["--fault", name] => (Fault::from_name(name), ""),
        ["--fault", name, part] => (Fault::from_name(name), part),
        [part] if !part.starts_with('-') => (None, part),
        _ => {
            say(USAGE);
            return ExitCode::FAILURE;
        }
    };
    if arguments.first() == Some(&"--fault") && fault.is_none() {
        say(USAGE);
        return ExitCode::FAILURE;
    }
    let (mut schedules, mut took) = (0, Duration::ZERO);
    say("  schedules  depth    seconds  faults deaths ticks");
    for scenario in all().iter().filter(|scenario| scenario.name.contains(part)) {
        say(scenario.name);
        for budget in budgets(scenario) {
            let report = explore(scenario, budget, u64::MAX, fault);
            schedules += report.schedules;
            took += report.took;
            show(&report, budget);
            if report.violation.is_some() {
                return ExitCode::FAILURE;
            }
        }
    }
    say(&format!("{schedules} schedules in {:.0} seconds, and every promise was kept in each", took.as_secs_f64()));
    ExitCode::SUCCESS
}

fn show(report: &Report, budget: Budget) {
    let Report { schedules, depth, took, violation, .. } = report;
    let Budget { faults, deaths, ticks } = budget;
    say(&format!("{schedules:11} {depth:6} {:10.1} {faults:7} {deaths:6} {ticks:5}", took.as_secs_f64()));
    if let Some(violation) = violation {
        say(&format!("broken promise: {}", violation.promise));
        say(&format!("schedule: {:?}", violation.schedule));
        for line in &violation.trace {
            say(&format!("  {line}"));
        }
    }
}

#[expect(clippy::print_stdout, reason = "a program whose output is read")]
fn say(line: &str) {
    println!("{line}");
}
