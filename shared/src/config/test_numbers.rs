//! Numbers for tests: all of it is secret, since whoever knows it can sign in as those users.

use secrecy::ExposeSecret as _;
use time::{Date, format_description::well_known::Iso8601};

use super::{
    reader::Reader,
    settings::{Setting, TEST_NUMBERS, TEST_NUMBERS_UNTIL, TEST_USERS},
    vars::ConfigError,
};
use crate::domain::{AllowedCountries, Code, PhoneNumber, Proof, TestNumbers, Timestamp, test_numbers::TestUsers};

/// How many days ahead the last day may be.
const MAX_DAYS: u64 = 90;

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// The numbers for tests; the inner `None` where there are none, the outer one if something is wrong, which the reader remembers then.
#[expect(clippy::option_option, reason = "wrong, missing and there are three cases")]
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Option<TestNumbers>> {
    let settings = [TEST_NUMBERS, TEST_USERS, TEST_NUMBERS_UNTIL];
    let values = settings.each_ref().map(|setting| reader.secret(setting));
    if values.iter().all(Option::is_none) {
        return Some(None);
    }
    for (setting, _) in settings.iter().zip(&values).filter(|(_, value)| value.is_none()) {
        reader.wrong(setting, "is required: TEST_NUMBERS, TEST_USERS and TEST_NUMBERS_UNTIL go together");
    }
    let [numbers, users, until] = &values;
    let numbers = note(reader, &TEST_NUMBERS, parse_numbers(numbers.as_ref()?.expose_secret()));
    let users = note(reader, &TEST_USERS, parse_users(users.as_ref()?.expose_secret()));
    let until = note(reader, &TEST_NUMBERS_UNTIL, parse_end(until.as_ref()?.expose_secret()));
    Some(Some(TestNumbers::new(numbers?, users?, until?)))
}

fn note<T>(reader: &mut Reader<'_>, setting: &Setting, read: Result<T, &'static str>) -> Option<T> {
    reader.note(read.map_err(|problem| setting.error(problem)))
}

fn parse_numbers(list: &str) -> Result<Vec<(PhoneNumber, Code)>, &'static str> {
    const SHAPE: &str = "must be numbers in E.164, each with its code of six digits, such as +12015550123=123456";
    let mut numbers: Vec<(PhoneNumber, Code)> = Vec::new();
    for pair in list.split(',') {
        let (number, code) = pair.split_once('=').ok_or(SHAPE)?;
        let number = PhoneNumber::parse(number, &AllowedCountries::All).map_err(|_| SHAPE)?;
        let Ok(Proof::Sms(code)) = Proof::parse(code) else { return Err(SHAPE) };
        if numbers.iter().any(|(other, _)| *other == number) {
            return Err("has a number twice");
        }
        numbers.push((number, code));
    }
    if numbers.len() > TestNumbers::MAX { Err("has more than 10 numbers") } else { Ok(numbers) }
}

fn parse_users(list: &str) -> Result<Vec<TestUsers>, &'static str> {
    let parse = |text: &str| TestUsers::parse(text.trim());
    let users: Option<Vec<_>> = list.split(',').map(parse).collect();
    users.ok_or("must be users' identifiers, or beginnings of at least 4 characters and *, with commas between them")
}

/// The end of the last day, UTC.
fn parse_end(date: &str) -> Result<Timestamp, &'static str> {
    let date = Date::parse(date.trim(), &Iso8601::DATE).map_err(|_| "must be a day, such as 2026-12-31")?;
    let midnight = u64::try_from(date.midnight().assume_utc().unix_timestamp()).map_err(|_| "must be a day after 1970")?;
    Ok(Timestamp::from_millis(midnight * 1000).plus(DAY))
}

/// Refuses an end that is too far away from `now`.
///
/// # Errors
/// When it is.
pub fn judge_end(numbers: &TestNumbers, now: Timestamp) -> Result<(), ConfigError> {
    let latest = now.plus(DAY * u32::try_from(MAX_DAYS + 1).unwrap_or(u32::MAX));
    if numbers.until() > latest {
        return Err(TEST_NUMBERS_UNTIL.error(format_args!("must be at most {MAX_DAYS} days ahead")));
    }
    Ok(())
}
