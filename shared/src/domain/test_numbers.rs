//! Numbers for end-to-end tests and app-store reviewers against a real deployment (S28): for some users, until a day, their code is a
//! given one, and no message leaves.

use std::fmt;

use super::{phone_number::PhoneNumber, sms::code::Code, timestamp::Timestamp, user_id::UserId};

/// The numbers, and for whom and how long they are that.
#[derive(Clone, Debug)]
pub struct TestNumbers {
    numbers: Vec<(PhoneNumber, Code)>,
    users: Vec<TestUsers>,
    until: Timestamp,
}

/// One user, or all whose identifiers begin alike.
#[derive(Clone, PartialEq, Eq)]
pub enum TestUsers {
    /// The user with this identifier.
    One(String),
    /// All users whose identifiers begin so.
    Prefix(String),
}

/// What a number is to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberRole<'a> {
    /// A number as any.
    Ordinary,
    /// A number for tests, whose code is this one.
    Test(&'a Code),
    /// A number for tests of others, which gets no SMS.
    OthersTest,
}

impl TestNumbers {
    /// The most numbers that there may be.
    pub const MAX: usize = 10;

    /// These numbers, each with its code, for these users, before `until`.
    pub const fn new(numbers: Vec<(PhoneNumber, Code)>, users: Vec<TestUsers>, until: Timestamp) -> Self {
        Self { numbers, users, until }
    }

    /// What `phone` is to `user` now.
    pub fn role(&self, phone: &PhoneNumber, user: &UserId, now: Timestamp) -> NumberRole<'_> {
        let found = self.numbers.iter().find(|(number, _)| number == phone).filter(|_| now < self.until);
        match found {
            None => NumberRole::Ordinary,
            Some((_, code)) if self.users.iter().any(|users| users.include(user)) => NumberRole::Test(code),
            Some(_) => NumberRole::OthersTest,
        }
    }

    /// How many numbers there are.
    pub const fn count(&self) -> usize {
        self.numbers.len()
    }

    /// From when on they are ordinary numbers.
    pub const fn until(&self) -> Timestamp {
        self.until
    }
}

impl TestUsers {
    /// The shortest prefix: a shorter one could be that of everybody.
    pub const MIN_PREFIX: usize = 4;

    /// A user's identifier, or a prefix of at least four characters and `*`; `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('*') {
            Some(prefix) => (prefix.chars().count() >= Self::MIN_PREFIX).then(|| Self::Prefix(prefix.to_owned())),
            None => UserId::parse(text).is_ok().then(|| Self::One(text.to_owned())),
        }
    }

    fn include(&self, user: &UserId) -> bool {
        match self {
            Self::One(id) => user.as_str() == id,
            Self::Prefix(prefix) => user.as_str().starts_with(prefix),
        }
    }
}

impl fmt::Debug for TestUsers {
    /// Who they are is as secret as their codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestUsers([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Proof, phone_number::tests::number};

    #[test]
    fn a_test_number_is_one_for_its_users_and_until_its_day_s28() {
        let Ok(Proof::Sms(code)) = Proof::parse("123456") else { panic!("a code") };
        let users = ["alice", "review-*"].map(|text| TestUsers::parse(text).unwrap()).into();
        let until = Timestamp::from_millis(1_000);
        let tests = TestNumbers::new(vec![(number("+12015550123"), code.clone())], users, until);
        let role = |phone, user, now| tests.role(&number(phone), &UserId::parse(user).unwrap(), Timestamp::from_millis(now));
        for (phone, user, now, expected) in [
            ("+12015550123", "alice", 999, NumberRole::Test(&code)),
            ("+12015550123", "review-7", 0, NumberRole::Test(&code)),
            ("+12015550123", "alice2", 0, NumberRole::OthersTest),
            ("+12015550123", "review", 0, NumberRole::OthersTest),
            ("+12015550123", "xreview-7", 0, NumberRole::OthersTest),
            ("+12015550123", "alice", 1_000, NumberRole::Ordinary),
            ("+12015550123", "mallory", 1_000, NumberRole::Ordinary),
            ("+12015550124", "alice", 0, NumberRole::Ordinary),
        ] {
            assert_eq!(role(phone, user, now), expected, "{phone} {user} {now}");
        }
    }

    #[test]
    fn users_are_named_or_begin_with_four_characters_or_more() {
        for good in ["alice", "e2e-*", "ünäö*", "*alice", "a"] {
            assert!(TestUsers::parse(good).is_some(), "{good}");
        }
        for bad in ["", "*", "e2e*", &"a".repeat(129)] {
            assert!(TestUsers::parse(bad).is_none(), "{bad}");
        }
    }
}
