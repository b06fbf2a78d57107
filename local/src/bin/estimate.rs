//! `make estimate`: what the text messages of a month cost.

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use two_factor::domain::{
    Country, Provider,
    price::{self, Price},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match Estimate::new(&arguments) {
        Ok(estimate) => match write!(io::stdout(), "{estimate}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What is wrong with an argument. Each is named as `make estimate` names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum ArgumentError {
    #[error("usage: estimate USERS SMS MIX [PROVIDER], such as: estimate 1000 2 US=70,GB=30 twilio")]
    Usage,
    #[error("{0}: {1:?} is no whole number from 1 to {2}")]
    Count(&'static str, String, u64),
    #[error("MIX: {0:?} is no country with its share in percent, such as US=100 or US=70,GB=30")]
    Share(String),
    #[error("MIX: {0} is there twice")]
    Twice(Country),
    #[error("MIX: the shares come to {0} percent, not to 100")]
    Sum(u64),
    #[error("PROVIDER: {0:?} is none of {all}", all = Provider::ALL.map(Provider::as_str).join(", "))]
    Provider(String),
}

/// The messages of a month and what they cost.
#[derive(Debug)]
struct Estimate {
    users: u64,
    sms: u64,
    provider: Provider,
    rows: Vec<Row>,
}

/// One country's part.
#[derive(Debug)]
struct Row {
    country: Country,
    percent: u64,
    price: Price,
}

const MOST_USERS: u64 = 1_000_000_000;
const MOST_SMS: u64 = 1000;

impl Estimate {
    fn new(arguments: &[&str]) -> Result<Self, ArgumentError> {
        let (users, sms, mix, provider) = match *arguments {
            [users, sms, mix] => (users, sms, mix, Provider::Twilio.as_str()),
            [users, sms, mix, provider] => (users, sms, mix, provider),
            _ => return Err(ArgumentError::Usage),
        };
        let provider = Provider::from_name(provider).ok_or_else(|| ArgumentError::Provider(provider.to_owned()))?;
        Ok(Self {
            users: count("USERS", users, MOST_USERS)?,
            sms: count("SMS", sms, MOST_SMS)?,
            provider,
            rows: rows(mix, provider)?,
        })
    }

    const fn messages(&self) -> u64 {
        self.users * self.sms
    }
}

fn count(name: &'static str, text: &str, most: u64) -> Result<u64, ArgumentError> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| ArgumentError::Count(name, text.to_owned(), most))
}

fn rows(mix: &str, provider: Provider) -> Result<Vec<Row>, ArgumentError> {
    let mut rows: Vec<Row> = Vec::new();
    for share in mix.split(',').map(str::trim) {
        let wrong = || ArgumentError::Share(share.to_owned());
        let (country, percent) = share.split_once('=').ok_or_else(wrong)?;
        let country = Country::parse(&country.to_ascii_uppercase()).ok_or_else(wrong)?;
        let percent =
            percent.trim_end_matches('%').parse().ok().filter(|percent| (1..=100).contains(percent)).ok_or_else(wrong)?;
        if rows.iter().any(|row| row.country == country) {
            return Err(ArgumentError::Twice(country));
        }
        rows.push(Row { country, percent, price: price::estimate(country, provider) });
    }
    let sum = rows.iter().map(|row| row.percent).sum();
    if sum == 100 { Ok(rows) } else { Err(ArgumentError::Sum(sum)) }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, sms, provider, rows } = self;
        writeln!(f, "A month with {users} users, {sms} text messages to each, through {provider}:\n")?;
        writeln!(f, "{:<8} {:>6} {:>16} {:>14} {:>16}", "country", "share", "messages", "USD a message", "USD a month")?;
        let mut total = Hundredths(0);
        for Row { country, percent, price } in rows {
            let messages = Hundredths(u128::from(self.messages()) * u128::from(*percent));
            let cost = Hundredths(messages.0 * u128::from(price.amount().0));
            total.0 += cost.0;
            let mark = if matches!(price, Price::Assumed(_)) { "*" } else { "" };
            let (country, price) = (country.as_str(), format!("{}{mark}", price.amount()));
            writeln!(f, "{country:<8} {percent:>5}% {:>16} {price:>14} {:>16}", messages.rounded(1), dollars(&cost))?;
        }
        writeln!(f, "{:<8} {:>5}% {:>16} {:>14} {:>16}", "total", 100, self.messages(), "", dollars(&total))?;
        let date = price::date();
        writeln!(
            f,
            "\nList prices of one segment each, from prices.csv of {date}; carrier fees, numbers and taxes come on top."
        )?;
        if rows.iter().any(|row| matches!(row.price, Price::Assumed(_))) {
            writeln!(f, "* prices.csv has no price for this country: that of the dearest ones is assumed.")?;
        }
        Ok(())
    }
}

/// Hundredths of something, which a percentage of a whole number is.
struct Hundredths(u128);

impl Hundredths {
    /// The nearest multiple of `unit`, in units.
    const fn rounded(&self, unit: u128) -> u128 {
        (self.0 + 50 * unit) / (100 * unit)
    }
}

/// Hundredths of millionths of a dollar, to the cent.
fn dollars(cost: &Hundredths) -> String {
    let cents = cost.rounded(10_000);
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(arguments: &[&str]) -> String {
        Estimate::new(arguments).unwrap().to_string()
    }

    #[test]
    fn a_thousand_users_in_the_usa_cost_about_sixteen_dollars() {
        let table = table(&["1000", "2", "US=100"]);
        assert!(table.contains("US         100%             2000         0.0079            15.80"), "{table}");
        assert!(table.contains("total      100%             2000                           15.80"), "{table}");
    }

    #[test]
    fn a_mix_is_summed_exactly() {
        let table = table(&["1000000000", "1000", "US=34,gb=33,DE=33%", "sns"]);
        // 340e9 * 0.0079 + 330e9 * 0.0420 + 330e9 * 0.0720
        assert!(table.contains("40306000000.00"), "{table}");
        assert!(table.contains("through sns"), "{table}");
    }

    #[test]
    fn a_country_without_a_price_is_reckoned_with_as_dear_and_marked() {
        let table = table(&["1000", "2", "US=50,FR=50"]);
        assert!(table.contains("FR          50%             1000        0.5000*           500.00"), "{table}");
        assert!(table.ends_with("* prices.csv has no price for this country: that of the dearest ones is assumed.\n"), "{table}");
        assert!(table.contains("from prices.csv of 20"), "{table}");
    }

    #[test]
    fn a_wrong_argument_is_named_in_one_line() {
        for (arguments, error) in [
            (&["1000", "2"][..], "usage: "),
            (&["", "2", "US=100"], "USERS: \"\" is no whole number"),
            (&["0", "2", "US=100"], "USERS: \"0\" is no whole number"),
            (&["-5", "2", "US=100"], "USERS: "),
            (&["99999999999999999999", "2", "US=100"], "USERS: "),
            (&["1000", "two", "US=100"], "SMS: \"two\""),
            (&["1000", "2", ""], "MIX: \"\" is no country"),
            (&["1000", "2", "US"], "MIX: \"US\" is no country"),
            (&["1000", "2", "USA=100"], "MIX: \"USA=100\" is no country"),
            (&["1000", "2", "US=all"], "MIX: \"US=all\""),
            (&["1000", "2", "US=0,GB=100"], "MIX: \"US=0\""),
            (&["1000", "2", "US=50,US=50"], "MIX: US is there twice"),
            (&["1000", "2", "US=50,GB=40"], "MIX: the shares come to 90 percent"),
            (&["1000", "2", "US=100", "pigeon"], "PROVIDER: \"pigeon\" is none of twilio, sns"),
        ] {
            let found = Estimate::new(arguments).unwrap_err().to_string();
            assert!(found.starts_with(error), "{found}");
            assert_eq!(found.lines().count(), 1, "{found}");
        }
    }
}
