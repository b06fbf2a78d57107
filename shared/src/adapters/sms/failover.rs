//! Goes through the providers in the order that was decided, and never risks a second message (S12).

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{
    CredentialSource, SmsGateway, Transports,
    health::{Avoided, Health},
};
use crate::{
    adapters::http::TOTAL_TIMEOUT,
    config::{SmsConfig, sms::ProviderConfig},
    domain::{
        FailureClass, Provider, TextMessage,
        message::{
            delivery::{Attempt, Delivery, DeliveryEnd, NextStep},
            route::Routes,
        },
        price,
    },
    ports::{Channel, Clock, Deadline, SmsSender},
};

/// How a [`Failover`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverSettings {
    /// The most that one provider may take, connecting included. No provider is asked with less time left.
    pub patience: Duration,
    /// What to do without providers: in development the code goes into the answer (S22).
    pub development: bool,
}

impl FailoverSettings {
    /// The settings of the functions: every provider has eight seconds, three of them to connect.
    pub const fn new(development: bool) -> Self {
        Self { patience: TOTAL_TIMEOUT, development }
    }
}

/// Sends through the first provider that takes the message.
pub struct Failover<C> {
    clock: C,
    settings: FailoverSettings,
    transports: Transports,
    credentials: Arc<dyn CredentialSource>,
    routes: RwLock<Vec<Arc<Route>>>,
    health: Mutex<Health>,
}

/// One provider, and the settings that its gateway was built from.
struct Route {
    config: ProviderConfig,
    gateway: Box<dyn SmsGateway>,
}

impl<C: Clock> Failover<C> {
    /// Sends through the providers of `config`. `credentials` is asked when a provider does not take those of `config` any more.
    pub fn new(
        config: &SmsConfig,
        transports: Transports,
        credentials: Arc<dyn CredentialSource>,
        clock: C,
        settings: FailoverSettings,
    ) -> Self {
        let routes = RwLock::new(routes(config, &transports));
        Self { clock, settings, transports, credentials, routes, health: Mutex::default() }
    }

    fn routes(&self) -> Vec<Arc<Route>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn route(&self, provider: Provider) -> Option<Arc<Route>> {
        self.routes().into_iter().find(|route| route.config.provider() == provider)
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a provider that is asked now has all its time before the deadline.
    fn has_time(&self, deadline: Deadline) -> bool {
        deadline.remaining() >= self.settings.patience
    }

    /// Asks one provider and logs what it said: the one place where an attempt is logged.
    async fn attempt(&self, route: &Route, message: &TextMessage) -> Attempt {
        let started = Instant::now();
        let result = route.gateway.send(message, self.settings.patience).await;
        let attempt = Attempt { provider: route.config.provider(), result, duration: started.elapsed() };
        log(&attempt, message);
        attempt
    }

    /// Notes whether the provider should be asked after all others from now on.
    fn note(&self, attempt: &Attempt, message: &TextMessage) {
        let news = self.health().note(attempt, message.to.country(), self.clock.now());
        if let Some(Avoided { country, until }) = news {
            let (provider, country) = (attempt.provider, country.map(tracing::field::display));
            tracing::warn!(%provider, country, %until, "the provider is asked after all others for a while");
        }
    }

    /// The route to the same provider with other credentials, if there are other ones by now and time to use them.
    async fn renewed(&self, route: &Route, deadline: Deadline) -> Option<Arc<Route>> {
        if !route.config.has_credentials() {
            return None;
        }
        let other = || self.route(route.config.provider()).filter(|other| other.config != route.config);
        if let Some(route) = other() {
            return Some(route);
        }
        let spare = deadline.remaining().saturating_sub(self.settings.patience);
        let config = tokio::time::timeout(spare, self.credentials.reload()).await.ok()??;
        // Kept whichever provider's credentials changed: nobody reads them out of the secret a second time.
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes(&config, &self.transports);
        other()
    }
}

impl<C: Clock> SmsSender for Failover<C> {
    fn channel(&self) -> Channel {
        let configured: Vec<_> = self.routes().iter().map(|route| route.config.provider()).collect();
        if !configured.is_empty() {
            return Channel::Sms(Routes::new(configured, self.health().avoided(self.clock.now())));
        }
        if self.settings.development { Channel::Answer } else { Channel::Missing }
    }

    async fn send(&self, message: &TextMessage, order: &[Provider], deadline: Deadline) -> Delivery {
        let mut delivery = Delivery::default();
        for provider in order {
            let Some(route) = self.route(*provider) else { continue };
            if !self.has_time(deadline) {
                tracing::warn!(%provider, reference = %message.reference, "no time left to ask this provider");
                delivery.end = DeliveryEnd::OutOfTime;
                break;
            }
            let mut attempt = self.attempt(&route, message).await;
            if class_of(&attempt) == Some(FailureClass::AuthFailed)
                && let Some(renewed) = self.renewed(&route, deadline).await
                && self.has_time(deadline)
            {
                delivery.attempts.push(attempt);
                attempt = self.attempt(&renewed, message).await;
            }
            self.note(&attempt, message);
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
