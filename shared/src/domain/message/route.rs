//! In which order the providers are asked for one message (S12, S26).

use std::collections::BTreeSet;

use super::delivery::Provider;
use crate::domain::phone_number::Country;

/// The providers that may be asked, and what this process knows of their health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    configured: Vec<Provider>,
    avoided: BTreeSet<(Provider, Option<Country>)>,
}

impl Routes {
    /// The `configured` providers in the operator's order. Those in `avoided` are asked after all others: for messages to that
    /// country, or to every one where none is named.
    pub fn new(configured: Vec<Provider>, avoided: BTreeSet<(Provider, Option<Country>)>) -> Self {
        Self { configured, avoided }
    }

    /// The order for a message to `country`. `unanswered` is the provider that was asked first for the user's last code, if that
    /// code never came back: the message may not have arrived, so the next provider is asked first (S26).
    pub fn order(&self, country: Country, unanswered: Option<Provider>) -> Vec<Provider> {
        let after = unanswered.and_then(|last| self.configured.iter().position(|provider| *provider == last));
        let start = after.map_or(0, |index| index + 1);
        let (before, from_start) = self.configured.split_at_checked(start).unwrap_or((&[], &self.configured));
        let is_avoided =
            |provider: &Provider| self.avoided.contains(&(*provider, None)) || self.avoided.contains(&(*provider, Some(country)));
        let (avoided, healthy): (Vec<_>, Vec<_>) = from_start.iter().chain(before).copied().partition(is_avoided);
        healthy.into_iter().chain(avoided).collect()
    }
}

#[cfg(test)]
mod tests {
    use Provider::{Plivo, Sns, Twilio};

    use super::*;

    fn country(code: &str) -> Country {
        Country::parse(code).unwrap()
    }

    #[test]
    fn the_provider_whose_last_code_never_came_back_is_asked_last_and_the_unhealthy_after_it_s26() {
        let all = [Twilio, Sns, Plivo];
        for (avoided, unanswered, order, reason) in [
            (vec![], None, [Twilio, Sns, Plivo], "the operator's order"),
            (vec![], Some(Twilio), [Sns, Plivo, Twilio], "the next one first"),
            (vec![], Some(Plivo), [Twilio, Sns, Plivo], "after the last comes the first"),
            (vec![], Some(Provider::Vonage), [Twilio, Sns, Plivo], "one that is configured no more"),
            (vec![(Twilio, None)], None, [Sns, Plivo, Twilio], "avoided everywhere"),
            (vec![(Twilio, Some(country("GB")))], None, [Twilio, Sns, Plivo], "avoided elsewhere"),
            (vec![(Twilio, Some(country("US")))], None, [Sns, Plivo, Twilio], "avoided for this country"),
            (vec![(Sns, None)], Some(Twilio), [Plivo, Twilio, Sns], "unanswered is better than unhealthy"),
            (vec![(Twilio, None), (Sns, None), (Plivo, None)], None, [Twilio, Sns, Plivo], "better than none"),
        ] {
            let routes = Routes::new(all.to_vec(), avoided.into_iter().collect());
            assert_eq!(routes.order(country("US"), unanswered), order, "{reason}");
        }
    }
}
