//! What a message costs, by country and provider, from `prices.csv`.

use std::fmt;

use crate::domain::{Country, Provider};

const PRICES: &str = include_str!("prices.csv");

/// Millionths of a US dollar: sums of prices stay exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroDollars(pub u64);

impl MicroDollars {
    /// The price of `count` messages at this price each; `None` if that is beyond counting.
    pub fn times(self, count: u64) -> Option<Self> {
        self.0.checked_mul(count).map(Self)
    }

    /// An amount such as `0.0079`, at most six digits after the point.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || fraction.len() > 6 {
            return None;
        }
        let millionths: u64 = format!("{fraction:0<6}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(millionths).map(Self)
    }
}

impl fmt::Display for MicroDollars {
    /// US dollars with four digits after the point, or six where four would not be exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, millionths) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if millionths % 100 == 0 { write!(f, "{whole}.{:04}", millionths / 100) } else { write!(f, "{whole}.{millionths:06}") }
    }
}

/// What a message of one segment to `country` costs with `provider`; `None` where no price is known.
pub fn estimate(country: Country, provider: Provider) -> Option<MicroDollars> {
    let of = |name: &str| lines().find(|line| line.country == country.as_str() && line.provider == name);
    of(provider.as_str()).or_else(|| of(ANY_PROVIDER)).and_then(|line| MicroDollars::parse(line.price))
}

/// The countries that a price is known for, in the order of the file.
pub fn countries() -> impl Iterator<Item = Country> {
    let mut seen = Vec::new();
    lines().filter_map(|line| Country::parse(line.country)).filter(move |country| {
        let is_new = !seen.contains(country);
        seen.push(*country);
        is_new
    })
}

const ANY_PROVIDER: &str = "*";

struct Line {
    country: &'static str,
    provider: &'static str,
    price: &'static str,
}

fn lines() -> impl Iterator<Item = Line> {
    PRICES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split(',').map(str::trim);
        Some(Line { country: fields.next()?, provider: fields.next()?, price: fields.next()? })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_of_the_file_is_a_price_and_none_is_there_twice() {
        let text_lines = PRICES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
        let mut seen = BTreeSet::new();
        for Line { country, provider, price } in lines() {
            assert!(Country::parse(country).is_some(), "{country} is a country code");
            assert!(provider == ANY_PROVIDER || Provider::from_name(provider).is_some(), "{provider} is a provider");
            assert!(MicroDollars::parse(price).is_some(), "{price} is a price");
            assert!(seen.insert((country, provider)), "{country},{provider} is there once");
        }
        assert_eq!(seen.len(), text_lines);
    }

    #[test]
    fn the_known_prices_are_exact() {
        for (country, micro_dollars, text) in [
            ("US", 7_900, "0.0079"),
            ("CA", 7_900, "0.0079"),
            ("GB", 42_000, "0.0420"),
            ("DE", 72_000, "0.0720"),
            ("AU", 52_000, "0.0520"),
        ] {
            let price = estimate(Country::parse(country).unwrap(), Provider::Twilio).unwrap();
            assert_eq!((price, &*price.to_string()), (MicroDollars(micro_dollars), text), "{country}");
        }
        assert_eq!(estimate(Country::parse("AQ").unwrap(), Provider::Twilio), None);
    }

    #[test]
    fn an_amount_is_written_exactly() {
        for (micro_dollars, text) in [(0, "0.0000"), (5_810, "0.005810"), (15_800_000, "15.8000")] {
            assert_eq!(MicroDollars(micro_dollars).to_string(), text);
        }
        for text in ["", ".", "1.", ".5", "-1", "0.0000001", "1e3"] {
            assert_eq!(MicroDollars::parse(text), None, "{text:?}");
        }
    }
}
