//! What a text message costs, by country and provider: the list prices of `prices.csv`, and an assumption for all that it lacks.

use std::{fmt, time::Duration};

use time::{Date, format_description::well_known::Iso8601};

use super::{Country, Provider, Timestamp};

const PRICES: &str = include_str!("prices.csv");

/// The file's word for every provider, or every country, that has no line of its own.
const ANY: &str = "*";

/// How long prices are taken as current.
const CURRENT_FOR: Duration = Duration::from_hours(365 * 24);

/// Millionths of a US dollar: sums of prices stay exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroDollars(pub u64);

impl MicroDollars {
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

/// What is reckoned with for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// The list price for the country.
    Listed(MicroDollars),
    /// No price is known for the country: that of the dearest ones.
    Assumed(MicroDollars),
}

impl Price {
    /// The amount, wherever it comes from.
    pub const fn amount(self) -> MicroDollars {
        match self {
            Self::Listed(amount) | Self::Assumed(amount) => amount,
        }
    }
}

/// What is assumed should the file lack even the line for all other countries, which a test forbids.
const DEAREST: MicroDollars = MicroDollars(500_000);

/// What a message of one segment to `country` costs with `provider`. There is always an answer, so that no send is missing from
/// the cost metrics; one for an unlisted country errs on the dear side, so that the cost alarm is early rather than silent.
pub fn estimate(country: Country, provider: Provider) -> Price {
    estimate_from(PRICES, country, provider)
}

fn estimate_from(file: &str, country: Country, provider: Provider) -> Price {
    let line = |country: &str, provider: &str| lines(file).find(|line| line.country == country && line.provider == provider);
    let of = |country: &str| {
        let line = line(country, provider.as_str()).or_else(|| line(country, ANY))?;
        MicroDollars::parse(line.price)
    };
    of(country.as_str()).map_or_else(|| Price::Assumed(of(ANY).unwrap_or(DEAREST)), Price::Listed)
}

/// The day that the prices were last compared on, such as `2026-11-22`.
pub fn date() -> &'static str {
    header("date").unwrap_or_default()
}

/// That day's first instant in UTC.
fn as_of() -> Timestamp {
    let date = Date::parse(date(), &Iso8601::DATE).ok();
    let seconds = date.map_or(0, |date| date.midnight().assume_utc().unix_timestamp());
    Timestamp::from_millis(u64::try_from(seconds).unwrap_or_default() * 1000)
}

/// Whether the prices are older than a year.
pub fn are_outdated(now: Timestamp) -> bool {
    now.since(as_of()) > CURRENT_FOR
}

/// What follows `# name: ` in the lines that the file starts with.
fn header(name: &str) -> Option<&'static str> {
    let mut comments = PRICES.lines().filter_map(|line| line.strip_prefix("# "));
    comments.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

struct Line<'a> {
    country: &'a str,
    provider: &'a str,
    price: &'a str,
}

fn lines(file: &str) -> impl Iterator<Item = Line<'_>> {
    file.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
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
        for Line { country, provider, price } in lines(PRICES) {
            assert!(country == ANY || Country::parse(country).is_some(), "{country} is a country code");
            assert!(provider == ANY || Provider::from_name(provider).is_some(), "{provider} is a provider");
            assert!(MicroDollars::parse(price).is_some(), "{price} is a price");
            assert!(seen.insert((country, provider)), "{country},{provider} is there once");
        }
        assert_eq!(seen.len(), text_lines);
    }

    #[test]
    fn the_file_names_its_source_and_its_date_and_is_outdated_after_a_year() {
        assert!(header("source").is_some_and(|source| source.contains("https://")), "{:?}", header("source"));
        assert_eq!(as_of().to_rfc3339(), format!("{}T00:00:00Z", date()));
        let year = as_of().plus(Duration::from_secs(31_536_000));
        assert!(!are_outdated(as_of()) && !are_outdated(year));
        assert!(are_outdated(year.plus(Duration::from_millis(1))));
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
            let price = estimate(Country::parse(country).unwrap(), Provider::Twilio);
            assert_eq!(price, Price::Listed(MicroDollars(micro_dollars)), "{country}");
            assert_eq!(price.amount().to_string(), text, "{country}");
        }
    }

    #[test]
    fn every_other_country_is_taken_for_dearer_than_any_listed_one_with_each_provider() {
        let listed =
            lines(PRICES).filter(|line| line.country != ANY).filter_map(|line| MicroDollars::parse(line.price)).max().unwrap();
        for provider in Provider::ALL {
            assert!(
                lines(PRICES).any(|line| line.country == ANY && line.provider == provider.as_str()),
                "{provider} has its line"
            );
            let Price::Assumed(price) = estimate(Country::parse("AQ").unwrap(), provider) else { panic!("{provider}: listed") };
            assert!(price > listed, "{provider}: {price}");
        }
    }

    #[test]
    fn the_line_of_the_provider_comes_before_the_one_of_all_providers() {
        let file = "# date: 2026-01-01\nUS,sns,0.1\nUS,twilio,0.2\nUS,*,0.3\n*,plivo,0.4\n*,*,0.5\n";
        for (country, provider, price) in [
            ("US", Provider::Sns, Price::Listed(MicroDollars(100_000))),
            ("US", Provider::Twilio, Price::Listed(MicroDollars(200_000))),
            ("US", Provider::Plivo, Price::Listed(MicroDollars(300_000))),
            ("DE", Provider::Plivo, Price::Assumed(MicroDollars(400_000))),
            ("DE", Provider::Twilio, Price::Assumed(MicroDollars(500_000))),
        ] {
            assert_eq!(estimate_from(file, Country::parse(country).unwrap(), provider), price, "{country} {provider}");
        }
        assert_eq!(estimate_from("", Country::parse("US").unwrap(), Provider::Sns), Price::Assumed(DEAREST));
    }

    #[test]
    fn an_amount_is_written_exactly() {
        for (micro_dollars, text) in [(0, "0.0000"), (5_810, "0.005810"), (15_800_000, "15.8000")] {
            assert_eq!(MicroDollars(micro_dollars).to_string(), text);
        }
        for (text, micro_dollars) in [("0.000001", 1), ("0.123456", 123_456), ("7", 7_000_000), ("7.5", 7_500_000)] {
            assert_eq!(MicroDollars::parse(text), Some(MicroDollars(micro_dollars)), "{text:?}");
        }
        for text in ["", ".", "1.", ".5", "-1", "0.0000001", "1e3"] {
            assert_eq!(MicroDollars::parse(text), None, "{text:?}");
        }
    }
}
