//! What providers' settings are made of: credentials, senders and prices, each judged before a provider would refuse it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Something that opens a provider's account. Exposed at the wire only.
#[derive(Clone)]
pub struct Credential(SecretString);

impl Credential {
    /// This credential.
    pub(super) fn new(value: String) -> Self {
        Self(value.into())
    }

    /// The clear value, for the request that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Credential {
    // Both sides are ours: this tells a rotated credential from the one in use, so its timing tells nobody anything.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Credential {}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Who a message comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderId {
    kind: SenderKind,
    /// Without `+`.
    text: String,
}

/// What a sender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderKind {
    /// A phone number, with its country calling code.
    Number,
    /// A short code: digits that mean something in one country only.
    ShortCode,
    /// A name, which nobody can answer.
    Name,
}

impl SenderId {
    /// A phone number in E.164 (`+12015550123`), a short code of 3 to 8 digits, or a name of at most 11 letters, digits and `-_&.`,
    /// at least one of them a letter. No provider takes anything else.
    ///
    /// # Errors
    /// What is wrong with it, to be read after the name of the setting.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let sender = |kind, text: &str| Ok(Self { kind, text: text.to_owned() });
        match text.strip_prefix('+') {
            Some(digits) if all_digits(digits) && (7..=15).contains(&digits.len()) && !digits.starts_with('0') => {
                sender(SenderKind::Number, digits)
            }
            Some(_) => Err("must be + and 7 to 15 digits where it begins with +, such as +12015550123"),
            None if all_digits(text) && text.starts_with('0') => {
                Err("is a number as it is dialed within a country: write + and the country calling code instead of the 0")
            }
            None if all_digits(text) && (3..=8).contains(&text.len()) => sender(SenderKind::ShortCode, text),
            None if all_digits(text) => Err("is no short code, which has 3 to 8 digits: write a phone number with + before it"),
            None if text.contains([' ', '+']) => Err("must not have a space or + in it: no provider takes such a name"),
            None => {
                let is_name = (1..=11).contains(&text.len())
                    && text.bytes().any(|byte| byte.is_ascii_alphabetic())
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_&.".contains(&byte));
                let wrong = "must be a phone number (+12015550123), a short code, or a name of 1 to 11 letters and digits with at \
                             least one letter";
                if is_name { sender(SenderKind::Name, text) } else { Err(wrong) }
            }
        }
    }

    /// What the sender is.
    pub const fn kind(&self) -> SenderKind {
        self.kind
    }

    /// As the providers want it that write numbers with `+`.
    pub fn with_plus(&self) -> String {
        match self.kind {
            SenderKind::Number => format!("+{}", self.text),
            SenderKind::ShortCode | SenderKind::Name => self.text.clone(),
        }
    }

    /// As the providers want it that write numbers as digits alone.
    pub fn without_plus(&self) -> &str {
        &self.text
    }
}

/// An amount in USD, as the providers' APIs write it: digits, a point, digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price(String);

impl Price {
    /// At most two digits before the point and five after it, which is what AWS End User Messaging takes.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let fits = (1..=2).contains(&whole.len()) && (1..=5).contains(&fraction.len()) && digits(whole) && digits(fraction);
        fits.then(|| Self(format!("{whole}.{fraction}")))
    }

    /// The amount.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_written_with_and_without_plus() {
        for (text, kind, with_plus, without_plus) in [
            ("+15005550006", SenderKind::Number, "+15005550006", "15005550006"),
            ("12345", SenderKind::ShortCode, "12345", "12345"),
            ("12345678", SenderKind::ShortCode, "12345678", "12345678"),
            ("ACME", SenderKind::Name, "ACME", "ACME"),
            ("ACME-Inc.24", SenderKind::Name, "ACME-Inc.24", "ACME-Inc.24"),
            ("4ever", SenderKind::Name, "4ever", "4ever"),
        ] {
            let sender = SenderId::parse(text).unwrap();
            assert_eq!((sender.kind(), &*sender.with_plus(), sender.without_plus()), (kind, with_plus, without_plus));
        }
    }

    #[test]
    fn a_sender_that_every_provider_refuses_is_refused_at_the_start() {
        for (text, hint, reason) in [
            ("", "must be", "nothing"),
            ("+", "7 to 15 digits", "a plus"),
            ("+123456", "7 to 15 digits", "too short"),
            ("+1234567890123456", "7 to 15 digits", "too long"),
            ("+04155550100", "7 to 15 digits", "no country begins with 0"),
            ("+1 415 555 0100", "7 to 15 digits", "spaces in a number"),
            ("12", "no short code", "two digits"),
            ("123456789", "+ before it", "nine digits"),
            ("15005550006", "+ before it", "a number without its plus"),
            ("07400123456", "instead of the 0", "a national number"),
            ("0123", "instead of the 0", "short, and national"),
            ("ACME Inc", "a space or +", "a space in a name"),
            ("ACME+", "a space or +", "a plus in a name"),
            ("TwelveLetter", "1 to 11", "twelve letters"),
            ("1234-5678", "at least one letter", "no letter"),
            ("é", "letters and digits", "not ASCII"),
            ("a<b", "letters and digits", "a sign"),
        ] {
            let problem = SenderId::parse(text).expect_err(reason);
            assert!(problem.contains(hint), "{reason}: {problem}");
        }
    }

    #[test]
    fn a_price_has_a_point_in_it() {
        assert_eq!(Price::parse("1").unwrap().as_str(), "1.0");
        assert_eq!(Price::parse("0.05").unwrap().as_str(), "0.05");
        for text in ["", ".5", "1.", "-1", "1,5", "100", "0.000001"] {
            assert_eq!(Price::parse(text), None, "{text:?}");
        }
    }
}
