//! What is said to people: the title of each problem, and the sentence that tells what to do next.

use std::time::Duration;

use super::{FieldError, Problem, UnauthorizedReason};
use crate::domain::{
    PhoneNumberError, Purpose, Refusal, message::delivery::DeliveryReason, sms::send_window::SendLimit, timestamp::secs_ceil,
};

impl Problem {
    /// The problem in a few words, the same for every occurrence.
    pub(super) const fn title(&self) -> &'static str {
        match self {
            Self::InvalidRequest { .. } => "Invalid request",
            Self::PhoneNumber(PhoneNumberError::NotE164 | PhoneNumberError::NoSuchNumber) => "Invalid phone number",
            Self::PhoneNumber(PhoneNumberError::CountryNotAllowed | PhoneNumberError::NoSms) => "Phone number not accepted",
            Self::Unauthorized { .. } => "Authentication required",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed { .. } => "Method not allowed",
            Self::PayloadTooLarge => "Request too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Refused { refusal, .. } => match refusal {
                Refusal::InvalidCode { .. } => "Wrong code",
                Refusal::CodeExpired => "Code expired",
                Refusal::CodeSuperseded { .. } => "Code superseded",
                Refusal::WrongPurpose { .. } => "Wrong purpose",
                Refusal::VerificationRequired => "Verification required",
                Refusal::NoPendingVerification => "Nothing to verify",
                Refusal::AlreadyEnabled => "Already enabled",
                Refusal::NotEnabled => "Not enabled",
                Refusal::RateLimited { .. } => "Too many text messages",
                Refusal::TooManyAttempts => "Too many attempts",
                Refusal::Locked { .. } => "Locked",
                Refusal::FactorDisabled => "Phone number disabled",
                Refusal::CountryNotAllowed | Refusal::NoSms => "Phone number not accepted",
            },
            Self::DeliveryFailed(_) => "Text message not delivered",
            Self::SmsNotConfigured => "Text messages not available",
            Self::Unavailable => "Service unavailable",
        }
    }

    /// What a person may do about it. Of what the client sent at most the name of a field is repeated; a 5xx says nothing about the inside.
    pub(super) fn detail(&self) -> String {
        let text = match self {
            Self::InvalidRequest { errors } => match errors.as_slice() {
                [FieldError { field: "body", detail }] => return detail.clone().into_owned(),
                errors => {
                    let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
                    return format!("Check these fields of the request: {}.", fields.join(", "));
                }
            },
            Self::PhoneNumber(error) => match error {
                PhoneNumberError::NotE164 => {
                    "Write the phone number in international format: +, the country calling code and the number, digits only, \
                     such as +12015550123."
                }
                PhoneNumberError::NoSuchNumber => "There is no such phone number. Check it for typing errors.",
                PhoneNumberError::CountryNotAllowed => COUNTRY_NOT_ALLOWED,
                PhoneNumberError::NoSms => NO_SMS,
            },
            Self::Unauthorized { explanation: Some(why), .. } => return format!("The access token is not valid: {why}."),
            Self::Unauthorized { reason, explanation: None } => match reason {
                UnauthorizedReason::Missing => {
                    "Send an access token in the Authorization header: Bearer, a space, and the token."
                }
                UnauthorizedReason::Expired => "The access token has expired. Sign in again.",
                UnauthorizedReason::Invalid => "The access token is not valid. Sign in again.",
            },
            Self::NotFound => "There is nothing at this path.",
            Self::MethodNotAllowed { allow } => return format!("Use one of these methods here: {allow}."),
            Self::PayloadTooLarge => "The body of a request may have at most 4096 bytes.",
            Self::UnsupportedMediaType => "Send the body as JSON, with the header Content-Type: application/json.",
            Self::Refused { refusal, .. } => match refusal {
                Refusal::InvalidCode { attempts_remaining: None } => "The backup code is wrong. Check it for typing errors.",
                Refusal::InvalidCode { attempts_remaining: Some(0) } => "The code is wrong. No attempts are left.",
                Refusal::InvalidCode { attempts_remaining: Some(1) } => "The code is wrong. 1 attempt is left.",
                Refusal::InvalidCode { attempts_remaining: Some(left) } => {
                    return format!("The code is wrong. {left} attempts are left.");
                }
                Refusal::CodeExpired => "The code is too old. Ask for a new one.",
                Refusal::CodeSuperseded { .. } => "A newer code was sent. Enter the one from the latest text message.",
                Refusal::WrongPurpose { live } => {
                    let purpose = purpose_in_words(*live);
                    return format!("The code that was sent last is {purpose}. Ask for one for what you want to do.");
                }
                Refusal::VerificationRequired => {
                    "Confirm this change with a code: ask for one by text message to the active number, or use a backup code."
                }
                Refusal::NoPendingVerification => "No code is outstanding. Set up a phone number, or ask for a code, first.",
                Refusal::AlreadyEnabled => "Two-factor authentication already uses this phone number.",
                Refusal::NotEnabled => "Two-factor authentication is not turned on.",
                Refusal::CountryNotAllowed => COUNTRY_NOT_ALLOWED,
                Refusal::NoSms => NO_SMS,
                Refusal::RateLimited { limit, retry_after } => {
                    let wait = in_words(*retry_after);
                    return match limit {
                        SendLimit::Cooldown => format!("You can ask for another text message in {wait}."),
                        SendLimit::User => format!("You asked for as many text messages as you may. Try again in {wait}."),
                        SendLimit::Number => {
                            format!(
                                "This number got as many text messages as it may. Try again in {wait}, or use another number."
                            )
                        }
                        SendLimit::Address => format!("Too many numbers were set up from your network. Try again in {wait}."),
                        SendLimit::Refused => {
                            format!("Too many text messages could not be delivered. Check the number, and try again in {wait}.")
                        }
                    };
                }
                Refusal::TooManyAttempts => "This code was tried too often. Ask for a new one.",
                Refusal::Locked { retry_after, has_backup_codes } => {
                    let wait = in_words(*retry_after);
                    let way_out = if *has_backup_codes { " A backup code works now." } else { "" };
                    return format!(
                        "Too many wrong codes were entered. Codes sent by text message work again in {wait}.{way_out}"
                    );
                }
                Refusal::FactorDisabled => {
                    "Too many wrong codes were entered. Set up the phone number again, with a backup code as proof."
                }
            },
            Self::DeliveryFailed(reason) => match reason {
                DeliveryReason::InvalidNumber => "The text message could not be delivered: the number does not exist.",
                DeliveryReason::NotMobile => "The text message could not be delivered: the number is not a mobile number.",
                DeliveryReason::OptedOut => {
                    "The text message could not be delivered: the number has opted out of our messages. Reply START to one of \
                     them, or use another number."
                }
                DeliveryReason::CountryNotPermitted => {
                    "The text message could not be delivered: messages to this country are not possible."
                }
                DeliveryReason::ProviderUnavailable => "The text message could not be sent at present. Try again later.",
                DeliveryReason::Rejected => "The text message was refused. Try another number, or contact support.",
            },
            Self::SmsNotConfigured => "Text messages cannot be sent at present. Try again later.",
            Self::Unavailable => "The service cannot answer at present. Try again in a few seconds.",
        };
        text.to_owned()
    }
}

const NO_SMS: &str = "This phone number cannot receive text messages. Use a mobile number.";
const COUNTRY_NOT_ALLOWED: &str = "Phone numbers of this country are not accepted.";

/// What a code is for, as the end of a sentence.
const fn purpose_in_words(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Enroll => "for turning on two-factor authentication",
        Purpose::Replace => "for the new phone number",
        Purpose::SignIn => "for signing in",
        Purpose::Confirm => "for confirming a request",
        Purpose::Change => "for changing the security settings",
    }
}

/// A wait as a person says it, never too short.
fn in_words(wait: Duration) -> String {
    let (count, unit) = match secs_ceil(wait).max(1) {
        seconds @ 0..=119 => (seconds, "second"),
        seconds @ 120..=7199 => (seconds.div_ceil(60), "minute"),
        seconds => (seconds.div_ceil(3600), "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_words_and_never_too_short() {
        for (milliseconds, words) in [
            (0, "1 second"),
            (1_001, "2 seconds"),
            (119_000, "119 seconds"),
            (119_001, "2 minutes"),
            (900_000, "15 minutes"),
            (900_001, "16 minutes"),
            (7_200_000, "2 hours"),
            (86_400_000, "24 hours"),
        ] {
            assert_eq!(in_words(Duration::from_millis(milliseconds)), words);
        }
    }
}
