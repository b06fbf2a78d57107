//! A setting a value: how the files of a folder, or the secrets of a project, are named after settings, and become one JSON object.

use std::collections::BTreeMap;

use secrecy::SecretString;
use two_factor::config::{settings::ALL, unread::is_or_looks_like_a_setting};

/// What is kept under a name, by that name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// This setting.
    Setting(&'static str),
    /// Nothing that is read, but this was probably meant as a setting.
    Misspelled(&'a str),
    /// Nothing of ours.
    Foreign,
}

impl<'a> Named<'a> {
    /// What `name` says. A setting is spelled as its variable, or in kebab case: `TWILIO_AUTH_TOKEN`, `twilio-auth-token`.
    pub(crate) fn by(name: &'a str) -> Self {
        let setting = ALL.iter().find(|setting| setting.name == name || kebab_case(setting.name) == name);
        match setting {
            Some(setting) => Self::Setting(setting.name),
            None if is_or_looks_like_a_setting(name) => Self::Misspelled(name),
            None => Self::Foreign,
        }
    }
}

/// `twilio-auth-token` for `TWILIO_AUTH_TOKEN`.
pub(crate) fn kebab_case(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The text without one newline at its end, which editors and `echo` put there.
pub(crate) fn without_newline(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

/// The values as the text of one JSON object, as any store has it.
pub(crate) fn json(values: BTreeMap<String, String>) -> SecretString {
    let values = values.into_iter().map(|(key, value)| (key, value.into()));
    serde_json::Value::Object(values.collect()).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_spelled_as_its_variable_or_in_kebab_case() {
        for (name, named) in [
            ("TWILIO_AUTH_TOKEN", Named::Setting("TWILIO_AUTH_TOKEN")),
            ("twilio-auth-token", Named::Setting("TWILIO_AUTH_TOKEN")),
            ("SMS_PROVIDERS", Named::Setting("SMS_PROVIDERS")),
            ("twilio_auth_token", Named::Misspelled("twilio_auth_token")),
            ("TWILIO-AUTH-TOKEN", Named::Misspelled("TWILIO-AUTH-TOKEN")),
            ("twillio-auth-token", Named::Misspelled("twillio-auth-token")),
            ("auth-token", Named::Misspelled("auth-token")),
            ("account-sid", Named::Foreign),
            ("ca.crt", Named::Foreign),
        ] {
            assert_eq!(Named::by(name), named, "{name}");
        }
    }

    #[test]
    fn one_newline_at_the_end_is_cut_and_no_other() {
        for (text, cut) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("\na", "\na"), (" a ", " a "), ("\n", ""), ("", "")]
        {
            assert_eq!(without_newline(text), cut, "{text:?}");
        }
    }
}
