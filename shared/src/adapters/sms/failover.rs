//! Goes through the providers in order, and never risks a second message (S12).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{CredentialSource, SmsGateway, Transports};
use crate::{
    config::{SmsConfig, sms::ProviderConfig},
    domain::{
        FailureClass, Provider, TextMessage, Timestamp,
        message::{
            delivery::{Attempt, Delivery, NextStep},
            route::Routes,
        },
        price,
    },
    ports::{Channel, Clock, Deadline, SmsSender},
};

/// How long a provider is passed over after it refused for a reason of its own.
pub const CIRCUIT_OPEN: Duration = Duration::from_secs(300);

/// With less than this left no provider is asked any more: it could not answer in time, and then nobody would know what became
/// of the message.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// How a [`Failover`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverSettings {
    /// The most that one send may take, over all providers. Less than the function's timeout, so that there is time left to
    /// store what became of the message.
    pub deadline: Duration,
    /// The most that one provider may take.
    pub attempt_timeout: Duration,
    /// What to do without providers: in development the code goes into the answer (S22).
    pub development: bool,
}

impl FailoverSettings {
    /// Settings for a function that has `deadline` for a send: a slow provider leaves time to ask a second one only if it could
    /// not be connected to, and otherwise nobody else may be asked anyway.
    pub const fn new(deadline: Duration, development: bool) -> Self {
        Self { deadline, attempt_timeout: Duration::from_secs(8), development }
    }
}

/// Sends through the first provider that takes the message.
pub struct Failover<C> {
    clock: C,
    settings: FailoverSettings,
    transports: Transports,
    credentials: Arc<dyn CredentialSource>,
    routes: RwLock<Vec<Arc<Route>>>,
    closed_until: Mutex<BTreeMap<Provider, Timestamp>>,
}

/// One provider, and the settings that its gateway was built from.
struct Route {
    config: ProviderConfig,
    gateway: Box<dyn SmsGateway>,
}

impl<C: Clock> Failover<C> {
    /// Sends through the providers of `config`, in its order. `credentials` is asked when a provider does not take those of
    /// `config` any more.
    pub fn new(
        config: &SmsConfig,
        transports: Transports,
        credentials: Arc<dyn CredentialSource>,
        clock: C,
        settings: FailoverSettings,
    ) -> Self {
        let routes = RwLock::new(routes(config, &transports));
        Self { clock, settings, transports, credentials, routes, closed_until: Mutex::default() }
    }

    fn routes(&self) -> Vec<Arc<Route>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The routes to try now, in order: those whose circuit is closed, or all of them if none is. A provider that may refuse is
    /// better than none.
    fn candidates(&self) -> Vec<Arc<Route>> {
        let routes = self.routes();
        let now = self.clock.now();
        let open = self.circuits().clone();
        let is_closed = |route: &&Arc<Route>| open.get(&route.config.provider()).is_none_or(|until| *until <= now);
        let closed: Vec<_> = routes.iter().filter(is_closed).cloned().collect();
        if closed.is_empty() { routes } else { closed }
    }

    fn circuits(&self) -> std::sync::MutexGuard<'_, BTreeMap<Provider, Timestamp>> {
        self.closed_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one provider and logs what it said: the one place where an attempt is logged.
    async fn attempt(&self, route: &Route, message: &TextMessage, left: Duration) -> Attempt {
        let started = Instant::now();
        let result = route.gateway.send(message, left.min(self.settings.attempt_timeout)).await;
        let attempt = Attempt { provider: route.config.provider(), result, duration: started.elapsed() };
        log(&attempt, message);
        attempt
    }

    /// Notes whether the provider should be asked first next time.
    fn note(&self, attempt: &Attempt) {
        let provider = attempt.provider;
        match &attempt.result {
            Err(failure) if failure.class.is_providers_own() => {
                let now = self.clock.now();
                let until = now.plus(CIRCUIT_OPEN);
                if self.circuits().insert(provider, until).is_none_or(|earlier| earlier <= now) {
                    tracing::warn!(%provider, %until, "the provider is passed over for a while");
                }
            }
            Ok(_) => {
                self.circuits().remove(&provider);
            }
            Err(_) => {}
        }
    }

    /// The route to the same provider with other credentials, if there are other ones by now.
    async fn renewed(&self, route: &Route, left: Duration) -> Option<Arc<Route>> {
        if !route.config.has_credentials() {
            return None;
        }
        let other = |routes: &[Arc<Route>]| {
            let same = routes.iter().find(|other| other.config.provider() == route.config.provider());
            same.filter(|other| other.config != route.config).cloned()
        };
        if let Some(route) = other(&self.routes()) {
            return Some(route);
        }
        let config = tokio::time::timeout(left, self.credentials.reload()).await.ok()??;
        // Kept whichever provider's credentials changed: nobody reads them out of the secret a second time.
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes(&config, &self.transports);
        other(&self.routes())
    }
}

impl<C: Clock> SmsSender for Failover<C> {
    fn channel(&self) -> Channel {
        match self.candidates().first() {
            Some(_) => {
                let order = self.candidates().iter().map(|route| route.config.provider()).collect();
                Channel::Sms(Routes::new(order, std::collections::BTreeSet::new()))
            }
            None if self.settings.development => Channel::Answer,
            None => Channel::Missing,
        }
    }

    async fn send(&self, message: &TextMessage, _: &[Provider], _: Deadline) -> Delivery {
        let started = Instant::now();
        let left = || self.settings.deadline.saturating_sub(started.elapsed());
        let mut delivery = Delivery::default();
        for route in self.candidates() {
            if !delivery.attempts.is_empty() && left() < LEAST_TIME {
                tracing::warn!(reference = %message.reference, "no time left to ask another provider");
                break;
            }
            let mut attempt = self.attempt(&route, message, left()).await;
            if class_of(&attempt) == Some(FailureClass::AuthFailed)
                && let Some(renewed) = self.renewed(&route, left()).await
                && left() >= LEAST_TIME
            {
                delivery.attempts.push(attempt);
                attempt = self.attempt(&renewed, message, left()).await;
            }
            self.note(&attempt);
            let class = class_of(&attempt);
            delivery.attempts.push(attempt);
            match class.map(FailureClass::next_step) {
                Some(NextStep::TryNext) => {}
                None | Some(NextStep::Stop | NextStep::AssumeSent) => break,
            }
        }
        delivery
    }
}

fn routes(config: &SmsConfig, transports: &Transports) -> Vec<Arc<Route>> {
    let route = |config: &ProviderConfig| Arc::new(Route { config: config.clone(), gateway: transports.gateway(config) });
    config.providers.iter().map(route).collect()
}

fn class_of(attempt: &Attempt) -> Option<FailureClass> {
    attempt.result.as_ref().err().map(|failure| failure.class)
}

/// One line an attempt: nothing of the text, and the number masked.
fn log(attempt: &Attempt, message: &TextMessage) {
    let Attempt { provider, result, duration } = attempt;
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (reference, phone, country) = (&message.reference, message.to.masked(), message.to.country());
    // What may have been sent may have to be paid.
    let price = || price::estimate(country, *provider).amount();
    match result {
        Ok(id) => tracing::info!(
            %provider, outcome = "accepted", message_id = %id, duration_ms, %reference, %phone, %country,
            estimated_cost_usd = %price(), "a provider took the message"
        ),
        Err(failure) if failure.class == FailureClass::UnknownOutcome => tracing::warn!(
            %provider, outcome = failure.class.as_str(), code = failure.code(), duration_ms, %reference, %phone, %country,
            estimated_cost_usd = %price(), "a provider may have taken the message"
        ),
        Err(failure) => tracing::warn!(
            %provider, outcome = failure.class.as_str(), code = failure.code(), duration_ms, %reference, %phone, %country,
            "a provider did not take the message"
        ),
    }
}
