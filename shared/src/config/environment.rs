//! Whether this is the real thing, and what that says of the service's own secrets (S22).

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use super::{
    reader::Reader,
    settings::{APP_ENV, AUTH_JWT_SECRET, CODE_PEPPER, Setting},
    vars::{ConfigError, Vars},
};

/// The values that development has built in for two secrets: public, so worth nothing, and refused where it matters.
const BUILT_IN: [(Setting, &str); 2] = [
    (CODE_PEPPER, "development-only-pepper-0123456789abcdef"),
    (AUTH_JWT_SECRET, "development-only-jwt-secret-0123456789abcdef"),
];

/// The minimum length of a secret of ours, in bytes: as long as the output of the HMAC that it is a key of (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Whether this is the real thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Every secret must be given, and a code leaves by SMS only (S22).
    Production,
    /// Secrets that are missing are built in; without a provider, codes are shown in answers.
    Development,
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "production" => Ok(Self::Production),
            "development" => Ok(Self::Development),
            _ => Err("must be production or development"),
        }
    }
}

impl Environment {
    /// What `APP_ENV` says; production where it says nothing.
    ///
    /// # Errors
    /// When it says something else.
    pub fn of(vars: &Vars) -> Result<Self, ConfigError> {
        APP_ENV.get(vars).map_or(Ok(Self::Production), |name| name.parse().map_err(|problem| APP_ENV.error(problem)))
    }
}

/// Who vouches for the service's own secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnSecrets {
    /// They must be given, and must not be guessable.
    Required,
    /// As before, since others can call: development in the cloud.
    RequiredOnLambda,
    /// Those that are missing are built in.
    BuiltIn,
}

impl OwnSecrets {
    /// Development runs on built-in secrets only where nobody else can call it. A deployed function can be called.
    /// Where it is not known whether this is production, nothing is said of what production wants.
    pub(super) fn of(environment: Option<Environment>, reader: &Reader<'_>) -> Self {
        match environment {
            Some(Environment::Production) => Self::Required,
            Some(Environment::Development) if is_deployed(reader) => Self::RequiredOnLambda,
            Some(Environment::Development) | None => Self::BuiltIn,
        }
    }

    /// Reads one of the service's own secrets. An error names it and never repeats it.
    pub(super) fn read(self, reader: &mut Reader<'_>, setting: &Setting) -> Option<SecretString> {
        let built_in = || BUILT_IN.into_iter().find(|(of, _)| of == setting).map(|(_, value)| SecretString::from(value));
        let Some(secret) = reader.secret(setting) else {
            let only_in_development = match self {
                Self::BuiltIn => return built_in(),
                Self::Required => "is required in production, in the environment or in the secret that SECRET_ID names",
                Self::RequiredOnLambda => {
                    "is required: on Lambda, development has built-in secrets only under cargo lambda watch and sam local"
                }
            };
            reader.wrong(setting, only_in_development);
            return None;
        };
        match self.judge(secret.expose_secret()) {
            Ok(()) => Some(secret),
            Err(problem) => {
                reader.wrong(setting, problem);
                None
            }
        }
    }

    fn judge(self, secret: &str) -> Result<(), &'static str> {
        let first = secret.bytes().next();
        if secret.len() < MIN_SECRET_BYTES {
            Err("must have at least 32 bytes, not counting white space around it")
        } else if self == Self::BuiltIn {
            Ok(())
        } else if BUILT_IN.iter().any(|(_, built_in)| *built_in == secret) {
            Err("must not be a value that is built in for development: everybody knows it")
        } else if secret.bytes().all(|byte| Some(byte) == first) {
            Err("must not be one character again and again")
        } else {
            Ok(())
        }
    }

    /// Complains where two secrets that must differ are equal: the issuer's secret would open the digests.
    pub(super) fn must_differ(self, reader: &mut Reader<'_>, setting: &Setting, other: &Setting) {
        let (one, two) = (reader.secret(setting), reader.secret(other));
        let equal = one.zip(two).is_some_and(|(one, two)| one.expose_secret() == two.expose_secret());
        if equal && self != Self::BuiltIn {
            reader.wrong(setting, format_args!("must not be the same as {}", other.name));
        }
    }
}

/// Whether this is a function in AWS, and not one in an emulator on somebody's machine. `sam local` says so itself; cargo lambda's
/// runtime API is a URL with a path (`http://127.0.0.1:9000/.rt/setup`), where Lambda's is an address, and nobody can set it there.
fn is_deployed(reader: &Reader<'_>) -> bool {
    let is_function = reader.foreign("AWS_LAMBDA_FUNCTION_NAME").is_some();
    let under_sam_local = reader.foreign("AWS_SAM_LOCAL") == Some("true");
    let api = reader.foreign("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
    let under_cargo_lambda = api.starts_with("http://") && api.contains("/.rt");
    is_function && !under_sam_local && !under_cargo_lambda
}
