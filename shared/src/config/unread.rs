//! Names that nothing reads but that look like settings of ours: a misspelled setting is silently its default, so somebody should
//! hear of it.

use std::fmt;

use super::{
    settings::{ALL, Setting},
    vars::Vars,
};

/// What a variable of ours may begin with that hardly any other program's does.
const FAMILIES: [&str; 10] =
    ["AUTH_", "AWS_SMS_", "CODE_", "MESSAGEBIRD_", "PLIVO_", "SMS_", "SNS_", "TWILIO_", "VONAGE_", "WEBOTP_"];

/// A name that nothing reads. Its value is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadName {
    /// The name.
    pub name: String,
    /// Whether it is a key of the secret; else it is an environment variable.
    pub in_secret: bool,
    /// The setting that was probably meant.
    pub meant: Option<&'static str>,
}

impl fmt::Display for UnreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, in_secret, meant } = self;
        match (in_secret, meant) {
            (true, Some(meant)) if meant == name => {
                write!(f, "{name} is read from the environment only, and not from the secret")
            }
            (true, Some(meant)) => write!(f, "nothing reads the secret's key {name:?}: {meant} is probably meant"),
            (true, None) => write!(f, "nothing reads the secret's key {name:?}"),
            (false, Some(meant)) => write!(f, "nothing reads {name}: {meant} is probably meant"),
            (false, None) => write!(f, "nothing reads {name}"),
        }
    }
}

/// The environment variables that look like ours and that nothing reads, and every such key of the secret, which is ours alone.
pub fn unread_names(vars: &Vars) -> Vec<UnreadName> {
    let is_read = |name: &str| ALL.iter().any(|setting| setting.name == name);
    let unread = |name: &str, in_secret| {
        let meant = nearest(&as_setting(name)).map(|setting| setting.name);
        UnreadName { name: name.to_owned(), in_secret, meant }
    };
    let variables = vars.names().filter(|name| !is_read(name) && looks_like_ours(&name.to_ascii_uppercase()));
    let may_be_there = |name: &str| ALL.iter().any(|setting| setting.name == name && setting.may_be_in_secret());
    let keys = vars.secret_keys().filter(|key| !may_be_there(key));
    variables.map(|name| unread(name, false)).chain(keys.map(|key| unread(key, true))).collect()
}

/// Whether a name is a setting's, or was probably meant as one: of what is kept beside other things, such as the files of a folder,
/// only that is a key of the secret. It may be in kebab case.
pub fn is_or_looks_like_a_setting(name: &str) -> bool {
    let name = as_setting(name);
    ALL.iter().any(|setting| setting.name == name) || looks_like_ours(&name)
}

/// The name as a setting would have it: `TWILIO_AUTH_TOKEN` for `twilio-auth-token`.
fn as_setting(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// Whether a variable that nothing reads looks like one of ours. This runs at every start, so it first looks at what is cheap.
fn looks_like_ours(name: &str) -> bool {
    let is_slip = |setting: &Setting| is_typo(name, setting.name) || is_misspelled_family(name, setting.name);
    let is_family = FAMILIES.iter().any(|family| name.starts_with(family));
    // Lambda and the SDK have dozens of these.
    let is_of_aws = name.starts_with("AWS_");
    is_family || !is_of_aws && ALL.iter().any(is_slip)
}

/// The setting whose name takes the fewest changes to become this one, if those are few.
fn nearest(name: &str) -> Option<&'static Setting> {
    let changes = |setting: &&Setting| match extra_words(name, setting.name) {
        Some(extra) => extra,
        None if is_misspelled_family(name, setting.name) => 2,
        None => distance(name, setting.name),
    };
    ALL.iter().min_by_key(changes).filter(|setting| changes(setting) <= name.len() / 3)
}

/// How many words one name has more than the other, if it has all of the other's in their order: `CODE_TTL`, `AUTH_SECRET`.
fn extra_words(one: &str, two: &str) -> Option<usize> {
    let (one, two): (Vec<_>, Vec<_>) = (one.split('_').collect(), two.split('_').collect());
    let (short, long) = if one.len() < two.len() { (one, two) } else { (two, one) };
    let mut rest = long.iter();
    (short.first() == long.first() && short.len() > 1 && short.iter().all(|word| rest.any(|other| other == word)))
        .then(|| long.len() - short.len())
}

/// Whether a name of no family can only be a slip of the finger: short names are near to too many others.
fn is_typo(name: &str, own: &str) -> bool {
    let max = match name.len() {
        0..=6 => 0,
        7..=9 => 1,
        _ => 2,
    };
    name.len().abs_diff(own.len()) <= max && distance(name, own) <= max
}

/// Whether the first word is a misspelled `TWILIO` and the like, and what follows is nearly the setting's.
fn is_misspelled_family(name: &str, own: &str) -> bool {
    let (Some((word, rest)), Some((own_word, own_rest))) = (name.split_once('_'), own.split_once('_')) else {
        return false;
    };
    let is_near = |one: &str, two: &str, max: usize| one.len().abs_diff(two.len()) <= max && distance(one, two) <= max;
    own_word.len() >= 5 && is_near(word, own_word, 2) && is_near(rest, own_rest, own_rest.len() / 3)
}

/// The minimum number of letters to put in, take out, change or swap with a neighbor that makes one text the other
/// (optimal string alignment).
pub(crate) fn distance(one: &str, two: &str) -> usize {
    let (one, two) = (one.as_bytes(), two.as_bytes());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in two.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, j + 1) + 1).min(at(&row, j) + 1).min(at(&last, j) + usize::from(a != b));
            let swapped = i > 0 && j > 0 && one.get(i - 1) == Some(b) && two.get(j - 1) == Some(a);
            if swapped {
                cost = cost.min(at(&before_last, j - 1) + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(one.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), "hush".to_owned())).collect()
    }

    fn lines(environment: &[&str], secret: &[&str]) -> Vec<String> {
        let names = unread_names(&Vars::new(map(environment)).with_secret(map(secret)));
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelled_setting_is_told_with_the_one_that_was_probably_meant() {
        for (name, meant) in [
            ("SMS_PROVIDER", "SMS_PROVIDERS"),
            ("sms_providers", "SMS_PROVIDERS"),
            ("TWILLIO_ACCOUNT_SID", "TWILIO_ACCOUNT_SID"),
            ("TWILLIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN"),
            ("TWILIO_ACCOUNT_ID", "TWILIO_ACCOUNT_SID"),
            ("TWILIO_FROM_NUMBER", "TWILIO_PHONE_NUMBER"),
            ("AUTH_SECRET", "AUTH_JWT_SECRET"),
            ("AUTH_JWT_SECRET_FILE", "AUTH_JWT_SECRET"),
            ("AUTH_JWK_URL", "AUTH_JWKS_URL"),
            ("CODE_PEPER", "CODE_PEPPER"),
            ("CODE_TTL", "CODE_TTL_SECONDS"),
            ("CODE_TTL_SECOND", "CODE_TTL_SECONDS"),
            ("ALLOWED_CONTRIES", "ALLOWED_COUNTRIES"),
            ("MESSAGE_BIRD_ACCESS_KEY", "MESSAGEBIRD_ACCESS_KEY"),
            ("APP_EVN", "APP_ENV"),
            ("SECRETS_ID", "SECRET_ID"),
            ("LOCK_AFTER_FAILURE", "LOCK_AFTER_FAILURES"),
        ] {
            assert_eq!(lines(&[name], &[]), [format!("nothing reads {name}: {meant} is probably meant")]);
        }
        assert_eq!(lines(&["TWILIO_EDGE"], &[]), ["nothing reads TWILIO_EDGE"], "ours by its family, and near to nothing");
    }

    #[test]
    fn what_other_programs_read_is_none_of_ours() {
        let others = [
            "PATH",
            "HOME",
            "HOST",
            "LANG",
            "TERM",
            "SHELL",
            "USER",
            "LOGNAME",
            "PWD",
            "TZ",
            "EDITOR",
            "PS1",
            "CI",
            "PORTS",
            "POST",
            "HOSTNAME",
            "SSH_AUTH_SOCK",
            "XAUTHORITY",
            "GITHUB_TOKEN",
            "DATABASE_URL",
            "DEBUG",
            "NODE_ENV",
            "RAILS_ENV",
            "RUST_LOG",
            "RUST_BACKTRACE",
            "CARGO_HOME",
            "LOG_FORMAT",
            "NO_COLOR",
            "OPERATOR",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_PROFILE",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "AWS_ENDPOINT_URL_SNS",
            "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_RUNTIME_API",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            "AWS_LAMBDA_LOG_GROUP_NAME",
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            "AWS_EXECUTION_ENV",
            "AWS_XRAY_DAEMON_ADDRESS",
            "AWS_XRAY_CONTEXT_MISSING",
            "AWS_SAM_LOCAL",
            "AWS_CA_BUNDLE",
            "_HANDLER",
            "_X_AMZN_TRACE_ID",
            "LAMBDA_TASK_ROOT",
            "LAMBDA_RUNTIME_DIR",
            "LD_LIBRARY_PATH",
            "APP_HOME",
            "APP_VERSION",
            "TABLE",
            "SECRET_KEY",
            "KUBERNETES_SERVICE_HOST",
            "KUBERNETES_PORT",
        ];
        assert_eq!(lines(&others, &[]), Vec::<String>::new());
        let ours: Vec<_> = ALL.iter().map(|setting| setting.name).collect();
        assert_eq!(lines(&ours, &[]), Vec::<String>::new());
    }

    #[test]
    fn every_key_of_the_secret_that_nothing_reads_is_told_and_no_value_is() {
        assert_eq!(
            lines(&[], &["CODE_PEPPER", "TWILIO_TOKEN", "twilio-token", "twilio_auth_token", "SMS_PROVIDERS", "comment"]),
            [
                "SMS_PROVIDERS is read from the environment only, and not from the secret",
                "nothing reads the secret's key \"TWILIO_TOKEN\": TWILIO_AUTH_TOKEN is probably meant",
                "nothing reads the secret's key \"comment\"",
                "nothing reads the secret's key \"twilio-token\": TWILIO_AUTH_TOKEN is probably meant",
                "nothing reads the secret's key \"twilio_auth_token\": TWILIO_AUTH_TOKEN is probably meant",
            ]
        );
    }

    #[test]
    fn of_the_files_in_a_folder_those_are_ours_that_are_named_after_a_setting_or_nearly() {
        for ours in ["TWILIO_AUTH_TOKEN", "twilio-auth-token", "twillio-auth-token", "sms-providers", "code-peper", "sns-topic"] {
            assert!(is_or_looks_like_a_setting(ours), "{ours}");
        }
        for other in ["ca.crt", "namespace", "token", "account-sid", "aws-access-key-id", "lost+found", "config.json", ""] {
            assert!(!is_or_looks_like_a_setting(other), "{other}");
        }
    }

    #[test]
    fn a_distance_counts_letters_put_in_taken_out_changed_and_swapped() {
        for (one, two, changes) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "xbc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, two), changes, "{one} {two}");
            assert_eq!(distance(two, one), changes, "{two} {one}");
        }
    }
}
