//! The text messages: one GSM-7 segment each, whatever the configuration says.

use std::{fmt, time::Duration};

use super::{
    gsm7::{SEGMENT_SEPTETS, gsm7_septets},
    notification::NotificationKind,
};
use crate::domain::{
    phone_number::PhoneNumber,
    sms::{challenge::Purpose, code::Code},
    timestamp::secs_ceil,
};

/// A message that is ready to be handed to a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct TextMessage {
    /// Where it goes.
    pub to: PhoneNumber,
    /// What it says. It may hold a code: it goes to the provider and nowhere else.
    pub body: String,
    /// How long the message is of use; a provider that can drops it after that.
    pub valid_for: Duration,
    /// Our name for the message; providers that take a client reference get it.
    pub reference: String,
}

impl fmt::Debug for TextMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextMessage").field("to", &self.to).field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// The wording of every message, with the names that the operator configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTemplate {
    app_name: String,
    webotp_domain: Option<String>,
}

/// Why a name cannot be used in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The application's name is empty or has a line break or a character outside the GSM-7 alphabet, which would double the price.
    #[error("must be one line of characters of the GSM-7 alphabet (3GPP TS 23.038)")]
    AppName,
    /// The domain of the `WebOTP` line is not a domain.
    #[error("must be a domain, such as example.com")]
    WebOtpDomain,
    /// A message would not fit into one segment.
    #[error("is too long: with it a message would not fit into one segment of 160 characters")]
    TooLong,
}

impl MessageTemplate {
    /// Checks that every message made with these names is one GSM-7 segment.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn new(app_name: &str, webotp_domain: Option<&str>) -> Result<Self, TemplateError> {
        let printable = !app_name.trim().is_empty() && !app_name.contains(['\n', '\r', '\u{c}']);
        if !printable || gsm7_septets(app_name).is_none() {
            return Err(TemplateError::AppName);
        }
        if !webotp_domain.is_none_or(is_domain) {
            return Err(TemplateError::WebOtpDomain);
        }
        let template = Self { app_name: app_name.to_owned(), webotp_domain: webotp_domain.map(str::to_owned) };
        let longest_life = Duration::from_secs(24 * 3600 - 1);
        let bodies = (Purpose::ALL.into_iter().map(|purpose| template.code_body("000000", purpose, longest_life)))
            .chain(NotificationKind::ALL.into_iter().map(|kind| template.notification_body(kind)));
        for body in bodies {
            if gsm7_septets(&body).is_none_or(|septets| septets > SEGMENT_SEPTETS) {
                return Err(TemplateError::TooLong);
            }
        }
        Ok(template)
    }

    /// The text that carries a code. With a domain configured its last line is the origin-bound one that browsers read
    /// (WICG, "Origin-bound one-time codes delivered via SMS").
    pub fn code_body(&self, code: &str, purpose: Purpose, valid_for: Duration) -> String {
        let purpose = match purpose {
            Purpose::Enroll => "to turn on two-factor authentication",
            Purpose::Replace => "to change your phone number",
            Purpose::SignIn => "to sign in",
            Purpose::Confirm => "to confirm a request",
            Purpose::Change => "to change your security settings",
        };
        let life = in_words(valid_for);
        let last_line = self.webotp_domain.as_ref().map(|domain| format!("\n@{domain} #{code}")).unwrap_or_default();
        format!("{code} is your {} code {purpose}. It expires in {life}. Never share it.{last_line}", self.app_name)
    }

    /// The text that tells a number of what happened to its account, and what to do if that was not its owner.
    pub fn notification_body(&self, kind: NotificationKind) -> String {
        let told = match kind {
            NotificationKind::Replaced => {
                "your two-factor phone number was changed. If this was not you, contact support at once."
            }
            NotificationKind::TurnedOff => {
                "two-factor authentication was turned off. If this was not you, contact support at once."
            }
            NotificationKind::BackupCodesReplaced => {
                "your backup codes were replaced. If this was not you, contact support at once."
            }
            NotificationKind::BackupCodeUsed => "a backup code was used. If this was not you, change your password at once.",
            NotificationKind::FailedAttempts => {
                "many wrong codes were entered. If this was not you, change your password at once."
            }
            NotificationKind::NumberDisabled => {
                "too many wrong codes: set up your number again with a backup code. Not you? Change your password."
            }
        };
        format!("{}: {told}", self.app_name)
    }

    /// The text of an operator's test: no code, and nothing to be done about it.
    pub fn test_body(&self) -> String {
        format!("{}: this is a test message. It holds no code, and there is nothing to do.", self.app_name)
    }

    /// The message that carries `code` to `to`.
    pub fn code_message(
        &self,
        to: PhoneNumber,
        code: &Code,
        purpose: Purpose,
        valid_for: Duration,
        reference: String,
    ) -> TextMessage {
        TextMessage { to, body: self.code_body(code.expose(), purpose, valid_for), valid_for, reference }
    }
}

/// A span as a person says it: whole minutes where that is exact, seconds otherwise.
fn in_words(span: Duration) -> String {
    let seconds = secs_ceil(span);
    match (seconds / 60, seconds % 60) {
        (1, 0) => "1 minute".to_owned(),
        (minutes, 0) if minutes > 0 => format!("{minutes} minutes"),
        _ => format!("{seconds} seconds"),
    }
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone_number::tests::number;

    #[test]
    fn the_message_names_application_purpose_life_and_caution() {
        let template = MessageTemplate::new("CODITECT", None).unwrap();
        assert_eq!(
            template.code_body("012345", Purpose::Enroll, Duration::from_secs(300)),
            "012345 is your CODITECT code to turn on two-factor authentication. It expires in 5 minutes. Never share it."
        );
        assert!(
            template
                .code_body("012345", Purpose::Replace, Duration::from_secs(60))
                .contains("to change your phone number. It expires in 1 minute.")
        );
        assert!(
            template
                .code_body("012345", Purpose::SignIn, Duration::from_secs(90))
                .contains("to sign in. It expires in 90 seconds.")
        );
        assert_eq!(in_words(Duration::ZERO), "0 seconds");
    }

    #[test]
    fn a_message_is_shown_without_its_text_and_with_its_number_masked_s6() {
        let template = MessageTemplate::new("CODITECT", None).unwrap();
        let (to, body) = (number("+12015550123"), template.code_body("123456", Purpose::SignIn, Duration::from_secs(300)));
        let message = TextMessage { to, body, valid_for: Duration::from_secs(300), reference: "r1".to_owned() };
        assert_eq!(format!("{message:?}"), r#"TextMessage { to: +1****0123, reference: "r1", .. }"#);
    }

    #[test]
    fn the_test_message_is_no_longer_than_the_notices_which_fit_under_every_name() {
        let template = MessageTemplate::new("CODITECT", None).unwrap();
        assert_eq!(template.test_body(), "CODITECT: this is a test message. It holds no code, and there is nothing to do.");
        let longest_notification = template.notification_body(NotificationKind::TurnedOff);
        assert!(template.test_body().len() <= longest_notification.len());
        assert_eq!(gsm7_septets(&template.test_body()), Some(template.test_body().len()), "nothing of the extension table");
    }

    #[test]
    fn the_webotp_line_is_the_last_and_has_no_newline_after_it() {
        let template = MessageTemplate::new("CODITECT", Some("example.com")).unwrap();
        assert!(
            template
                .code_body("123456", Purpose::SignIn, Duration::from_secs(300))
                .ends_with("Never share it.\n@example.com #123456")
        );
    }

    #[test]
    fn every_message_is_one_gsm_7_segment_or_the_names_are_refused() {
        for (name, domain, error, reason) in [
            ("", None, TemplateError::AppName, "empty"),
            ("  ", None, TemplateError::AppName, "blank"),
            ("Acme 🔐", None, TemplateError::AppName, "an emoji"),
            ("Acme\nGmbH", None, TemplateError::AppName, "two lines"),
            (&*"A".repeat(80), None, TemplateError::TooLong, "too long"),
            (&*"€".repeat(35), None, TemplateError::TooLong, "too long in septets"),
            ("Acme", Some("exa mple.com"), TemplateError::WebOtpDomain, "a space in the domain"),
            ("Acme", Some("https://example.com"), TemplateError::WebOtpDomain, "a URL"),
            ("Acme", Some("example.com #1"), TemplateError::WebOtpDomain, "an injected code"),
            (
                "Acme",
                Some("a-long-domain.that-will-not-fit.into-one-segment.example.com"),
                TemplateError::TooLong,
                "a long domain",
            ),
        ] {
            assert_eq!(MessageTemplate::new(name, domain), Err(error), "{reason}");
        }
        assert!(MessageTemplate::new("Müller & Söhne", None).is_ok(), "umlauts are GSM-7");
    }
}
