//! Who a factor belongs to.

use std::fmt;

/// The caller's identifier, as a verified token names it: 1 to 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

/// Why a claim cannot name a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserIdError {
    /// The claim is an empty string.
    #[error("the user claim is empty")]
    Empty,
    /// The claim has more than 128 characters.
    #[error("the user claim has more than 128 characters")]
    TooLong,
}

impl UserId {
    /// The most characters an identifier may have.
    pub const MAX_CHARS: usize = 128;

    /// Takes an identifier from a verified claim.
    ///
    /// # Errors
    /// When it is empty or longer than [`UserId::MAX_CHARS`].
    pub fn parse(claim: &str) -> Result<Self, UserIdError> {
        if claim.is_empty() {
            Err(UserIdError::Empty)
        } else if claim.chars().count() > Self::MAX_CHARS {
            Err(UserIdError::TooLong)
        } else {
            Ok(Self(claim.to_owned()))
        }
    }

    /// The operators: what they do to no user is in the trail of this identifier, which has no account.
    pub fn operator() -> Self {
        Self("operator".to_owned())
    }

    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_1_to_128_characters_not_bytes() {
        assert_eq!(UserId::parse(""), Err(UserIdError::Empty));
        assert!(UserId::parse(&"ü".repeat(128)).is_ok());
        assert_eq!(UserId::parse(&"a".repeat(129)), Err(UserIdError::TooLong));
        assert_eq!(UserId::parse("alice").unwrap().to_string(), "alice");
    }
}
