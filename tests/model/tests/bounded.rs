//! The exploration in a bounded form, for every run of the tests; `make model` explores the rest.

use two_factor_model::{
    run::{Report, explore},
    scenarios::{Scenario, all},
    table::Fault,
    world::Budget,
};

/// The most schedules of one scenario.
const LIMIT: u64 = 2000;

const NOTHING: Budget = Budget { faults: 0, deaths: 0, ticks: 0 };

fn told(scenario: &Scenario, report: &Report) -> String {
    let Some(violation) = &report.violation else { return String::new() };
    format!("{}\n{}\n{:?}\n{}", scenario.name, violation.promise, violation.schedule, violation.trace.join("\n"))
}

#[test]
fn every_order_of_what_clients_do_keeps_every_promise_s3_s5_s7_s8_s11_s12_s15_s17() {
    let (mut exhausted, mut schedules) = (0, 0);
    for scenario in all() {
        let report = explore(&scenario, NOTHING, LIMIT, None);
        assert!(report.violation.is_none(), "{}", told(&scenario, &report));
        schedules += report.schedules;
        exhausted += usize::from(report.is_exhausted);
    }
    assert!(exhausted > all().len() / 2 && schedules > 5000, "{exhausted} scenarios, {schedules} schedules");
}

#[test]
fn a_fault_a_death_or_time_in_between_changes_nothing_of_that() {
    for scenario in all() {
        for budget in [Budget { faults: 1, ..NOTHING }, Budget { deaths: 1, ..NOTHING }, Budget { ticks: 1, ..NOTHING }] {
            let report = explore(&scenario, budget, LIMIT / 4, None);
            assert!(report.violation.is_none(), "{}", told(&scenario, &report));
        }
    }
}

#[test]
fn a_table_that_breaks_what_it_promises_is_found() {
    for (name, fault) in Fault::ALL {
        let budget = Budget { faults: 1, ..NOTHING };
        let found = all().into_iter().find_map(|scenario| explore(&scenario, budget, LIMIT, Some(fault)).violation);
        let violation = found.unwrap_or_else(|| panic!("{name} is not found"));
        assert!(!violation.trace.is_empty() && !violation.promise.is_empty(), "{name}");
    }
}
