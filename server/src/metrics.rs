//! Metrics in Prometheus' text format: the same as on CloudWatch, and how many requests there are and how long they take.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use two_factor::observability::metrics::{Measurement, Recorder, RequestMetrics, UNVERIFIED_CODES};

/// Upper bounds of the durations that are told apart, in seconds: from an answer of the store at once to the longest request.
const DURATIONS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 27.0];

/// Names and values, all out of short lists.
type Labels = Vec<(String, String)>;

/// Counts what requests do, for `/metrics`.
pub struct Prometheus {
    registry: Mutex<Registered>,
    in_flight: Gauge,
    requests: Family<Labels, Counter>,
    durations: Family<Labels, Histogram>,
}

struct Registered {
    registry: Registry,
    /// Those that there was something to count of, by their names.
    counters: BTreeMap<String, Family<Labels, Counter>>,
    unverified_codes: Family<Labels, Gauge>,
}

impl Default for Prometheus {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("two_factor");
        let requests = Family::<Labels, Counter>::default();
        registry.register("requests", "Requests that were answered, by how", requests.clone());
        let durations = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new(DURATIONS));
        registry.register("request_duration_seconds", "How long requests take", durations.clone());
        let in_flight = Gauge::default();
        registry.register("requests_in_flight", "Requests that are being answered", in_flight.clone());
        let unverified_codes = Family::<Labels, Gauge>::default();
        registry.register(
            "unverified_codes",
            "Codes that were sent, less those that came back, since the start",
            unverified_codes.clone(),
        );
        let registry = Mutex::new(Registered { registry, counters: BTreeMap::new(), unverified_codes });
        Self { registry, in_flight, requests, durations }
    }
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").finish_non_exhaustive()
    }
}

impl Prometheus {
    /// All metrics, in the text format of `OpenMetrics` 1.0, which Prometheus reads. `in_flight` is how many requests are being answered.
    ///
    /// # Errors
    /// Never, since writing to a string does not fail.
    pub fn text(&self, in_flight: usize) -> Result<String, fmt::Error> {
        self.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner).registry)?;
        Ok(text)
    }
}

impl Recorder for Prometheus {
    fn record(&self, request: &RequestMetrics<'_>, measurements: &[Measurement<'_>]) {
        let function = ("function".to_owned(), request.function.to_owned());
        self.requests.get_or_create(&vec![function.clone(), ("outcome".to_owned(), request.outcome.to_owned())]).inc();
        self.durations.get_or_create(&vec![function]).observe(request.total.as_secs_f64());
        let mut registered = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        for measurement in measurements {
            registered.count(measurement);
        }
    }
}

impl Registered {
    /// Counts under each set of labels by itself: a set that has no label is the sum of the others, which Prometheus makes.
    fn count(&mut self, measurement: &Measurement<'_>) {
        let sets = measurement.sets.iter().filter(|set| !set.is_empty());
        let several = sets.clone().count() > 1;
        let sets: Vec<_> = if sets.clone().count() == 0 { vec![&[][..]] } else { sets.copied().collect() };
        for set in sets {
            let value = |name: &&'static str| {
                let (_, value) = measurement.dimensions.iter().find(|(dimension, _)| dimension == name)?;
                Some((snake_case(name), (*value).to_owned()))
            };
            let labels: Labels = set.iter().filter_map(value).collect();
            let name = snake_case(measurement.metric);
            if measurement.metric == UNVERIFIED_CODES {
                self.unverified_codes.get_or_create(&labels).inc_by(measurement.value);
                continue;
            }
            let name = match set.first() {
                Some(by) if several => format!("{name}_by_{}", snake_case(by)),
                _ => name,
            };
            let count = u64::try_from(measurement.value).unwrap_or_default();
            self.counter(name, measurement.metric).get_or_create(&labels).inc_by(count);
        }
    }

    fn counter(&mut self, name: String, metric: &str) -> &Family<Labels, Counter> {
        let registry = &mut self.registry;
        self.counters.entry(name).or_insert_with_key(|name| {
            let counter = Family::default();
            registry.register(name, format!("{metric}, as on CloudWatch"), Family::clone(&counter));
            counter
        })
    }
}

/// `EstimatedCostMicroUsd` as `estimated_cost_micro_usd`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}
