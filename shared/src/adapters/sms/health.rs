//! What this process knows of the providers' health: whom to ask after all others, for which messages, and until when (S26).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::domain::{
    Country, Provider, Timestamp,
    message::delivery::{Attempt, Scope},
};

/// How long a provider is asked after all others.
const AVOIDED_FOR: Duration = Duration::from_secs(300);

/// How long the request that tries a provider after an outage has for it. One that ends without having asked the provider leaves
/// the trial to the next; none lives longer than this.
const TRIAL: Duration = Duration::from_secs(30);

/// Refusals and outages as they were seen. Nothing of it is stored or shared: another process learns it by itself.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Until when a provider refuses messages: to one country, or to all where none is named.
    refusals: BTreeMap<(Provider, Option<Country>), Timestamp>,
    outages: BTreeMap<Provider, Outage>,
}

/// What speaks for a provider being down. No entry: its last answer was clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    /// The last attempt had no clear answer. Messages get lost now and then.
    Suspected,
    /// Two in a row had none. From `until` on, one request is let through to see.
    Down { until: Timestamp },
}

/// A provider that is avoided from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avoided {
    /// For messages to this country alone.
    pub(super) country: Option<Country>,
    pub(super) until: Timestamp,
}

impl Health {
    /// The providers to ask after all others, as [`Routes`](crate::domain::message::route::Routes) takes them. A provider that was
    /// down for long enough is missing from one such list: whoever got that one is its trial, while everybody else still avoids
    /// it. Refusals just end. They cost the next user no more than a moment, where an outage costs a message.
    pub(super) fn avoided(&mut self, now: Timestamp) -> BTreeSet<(Provider, Option<Country>)> {
        self.refusals.retain(|_, until| *until > now);
        let mut avoided: BTreeSet<_> = self.refusals.keys().copied().collect();
        for (provider, outage) in &mut self.outages {
            match outage {
                Outage::Suspected => {}
                Outage::Down { until } if *until > now => {
                    avoided.insert((*provider, None));
                }
                Outage::Down { until } => *until = now.plus(TRIAL),
            }
        }
        avoided
    }

    /// Learns from how a provider took a message to `country`. Tells if it is avoided from now on that was not before.
    pub(super) fn note(&mut self, attempt: &Attempt, country: Country, now: Timestamp) -> Option<Avoided> {
        let Attempt { provider, result, .. } = attempt;
        let scope = match result {
            Ok(_) => {
                self.refusals.remove(&(*provider, None));
                self.refusals.remove(&(*provider, Some(country)));
                Scope::Message
            }
            Err(failure) => failure.class.scope(),
        };
        if scope == Scope::Service {
            return self.note_outage(*provider, now);
        }
        // It answered, whatever it said.
        self.outages.remove(provider);
        let country = match scope {
            Scope::Message | Scope::Service => return None,
            Scope::Country => Some(country),
            Scope::Account => None,
        };
        let until = now.plus(AVOIDED_FOR);
        let earlier = self.refusals.insert((*provider, country), until);
        earlier.is_none_or(|earlier| earlier <= now).then_some(Avoided { country, until })
    }

    fn note_outage(&mut self, provider: Provider, now: Timestamp) -> Option<Avoided> {
        let until = now.plus(AVOIDED_FOR);
        let outage = self.outages.get(&provider).map_or(Outage::Suspected, |_| Outage::Down { until });
        let earlier = self.outages.insert(provider, outage);
        (outage != Outage::Suspected && earlier == Some(Outage::Suspected)).then_some(Avoided { country: None, until })
    }
}

#[cfg(test)]
mod tests {
    use FailureClass::{
        AuthFailed, ContentFiltered, CountryNotPermitted, FraudBlocked, InsufficientBalance, InvalidNumber, InvalidRequest,
        NotMobile, NotSent, OptedOut, RateLimited, RecipientNotVerified, Rejected, SenderMisconfigured, UnknownOutcome,
    };
    use Provider::{Sns, Twilio};

    use super::*;
    use crate::domain::{FailureClass, message::delivery::Failure};

    const START: Timestamp = Timestamp::from_millis(1_798_761_600_000);

    /// A health, and the clock that it is asked by.
    struct Stage {
        health: Health,
        now: Timestamp,
    }

    impl Stage {
        fn new() -> Self {
            Self { health: Health::default(), now: START }
        }

        fn pass(&mut self, time: Duration) {
            self.now = self.now.plus(time);
        }

        fn note(&mut self, provider: Provider, to: &str, result: Result<(), FailureClass>) -> Option<Avoided> {
            let result = result.map(|()| "id".to_owned()).map_err(Failure::of);
            self.health.note(&Attempt { provider, result, duration: Duration::ZERO }, country(to), self.now)
        }

        fn avoided(&mut self) -> Vec<(Provider, Option<Country>)> {
            self.health.avoided(self.now).into_iter().collect()
        }
    }

    fn country(code: &str) -> Country {
        Country::parse(code).unwrap()
    }

    #[test]
    fn a_refusal_is_remembered_for_as_much_as_it_concerns_and_for_five_minutes() {
        let (us, all) = (vec![(Twilio, Some(country("US")))], vec![(Twilio, None)]);
        for (class, avoided) in [
            (CountryNotPermitted, &us),
            (SenderMisconfigured, &us),
            (AuthFailed, &all),
            (InsufficientBalance, &all),
            (InvalidNumber, &vec![]),
            (NotMobile, &vec![]),
            (OptedOut, &vec![]),
            (ContentFiltered, &vec![]),
            (FraudBlocked, &vec![]),
            (RecipientNotVerified, &vec![]),
            (RateLimited, &vec![]),
            (InvalidRequest, &vec![]),
            (Rejected, &vec![]),
        ] {
            let mut stage = Stage::new();
            let news = stage.note(Twilio, "US", Err(class));
            assert_eq!(news.map(|news| (Twilio, news.country)).as_slice(), avoided.as_slice(), "{class:?} is news");
            assert_eq!(stage.note(Twilio, "US", Err(class)), None, "{class:?} is no news again");
            assert_eq!(&stage.avoided(), avoided, "{class:?}");
            stage.pass(AVOIDED_FOR.saturating_sub(Duration::from_millis(1)));
            assert_eq!(&stage.avoided(), avoided, "{class:?}");
            stage.pass(Duration::from_millis(1));
            assert_eq!(stage.avoided(), [], "{class:?} ends");
        }
    }

    #[test]
    fn a_message_that_was_taken_ends_what_it_disproves_and_no_more() {
        let mut stage = Stage::new();
        stage.note(Twilio, "US", Err(SenderMisconfigured));
        stage.note(Twilio, "GB", Err(SenderMisconfigured));
        stage.note(Twilio, "DE", Err(AuthFailed));
        stage.note(Sns, "US", Err(AuthFailed));
        stage.note(Twilio, "US", Ok(()));
        assert_eq!(stage.avoided(), [(Twilio, Some(country("GB"))), (Sns, None)]);
    }

    #[test]
    fn one_message_without_a_clear_answer_is_none_too_many_and_two_in_a_row_are_an_outage_s26() {
        for (first, second) in [(UnknownOutcome, UnknownOutcome), (NotSent, NotSent), (UnknownOutcome, NotSent)] {
            let mut stage = Stage::new();
            assert_eq!(stage.note(Twilio, "US", Err(first)), None);
            assert_eq!(stage.avoided(), [], "{first:?} alone");
            let news = stage.note(Twilio, "GB", Err(second));
            assert_eq!(news, Some(Avoided { country: None, until: START.plus(AVOIDED_FOR) }));
            assert_eq!(stage.avoided(), [(Twilio, None)], "{first:?} and {second:?}, whatever the country");
        }
        for between in [Ok(()), Err(InvalidNumber), Err(RateLimited), Err(SenderMisconfigured)] {
            let mut stage = Stage::new();
            stage.note(Twilio, "US", Err(UnknownOutcome));
            stage.note(Twilio, "GB", between);
            stage.note(Twilio, "US", Err(UnknownOutcome));
            assert!(!stage.avoided().contains(&(Twilio, None)), "{between:?} was an answer");
        }
    }

    fn down() -> Stage {
        let mut stage = Stage::new();
        stage.note(Twilio, "US", Err(NotSent));
        stage.note(Twilio, "US", Err(NotSent));
        stage
    }

    #[test]
    fn after_five_minutes_one_request_tries_and_the_others_still_avoid_it_s26() {
        let mut stage = down();
        stage.pass(AVOIDED_FOR);
        assert_eq!(stage.avoided(), [], "the trial");
        assert_eq!(stage.avoided(), [(Twilio, None)], "and nobody else");
        assert_eq!(stage.note(Twilio, "US", Err(UnknownOutcome)), None, "it is down still, which is no news");
        stage.pass(AVOIDED_FOR.saturating_sub(Duration::from_millis(1)));
        assert_eq!(stage.avoided(), [(Twilio, None)], "five minutes more");
        stage.pass(Duration::from_millis(1));
        assert_eq!(stage.avoided(), [], "the next trial");
        stage.note(Twilio, "US", Ok(()));
        assert_eq!(stage.avoided(), [], "it is back");
        stage.note(Twilio, "US", Err(NotSent));
        assert_eq!(stage.avoided(), [], "and it takes two again");
    }

    #[test]
    fn a_trial_that_never_asked_is_left_to_another_request() {
        let mut stage = down();
        stage.pass(AVOIDED_FOR);
        assert_eq!(stage.avoided(), [], "the trial, which was refused for a limit");
        stage.pass(TRIAL.saturating_sub(Duration::from_millis(1)));
        assert_eq!(stage.avoided(), [(Twilio, None)]);
        stage.pass(Duration::from_millis(1));
        assert_eq!(stage.avoided(), [], "another one");
    }

    #[test]
    fn a_trial_that_is_refused_ends_the_outage_all_the_same() {
        let mut stage = down();
        stage.pass(AVOIDED_FOR);
        assert_eq!(stage.avoided(), []);
        stage.note(Twilio, "US", Err(SenderMisconfigured));
        assert_eq!(stage.avoided(), [(Twilio, Some(country("US")))], "it answers");
    }
}
