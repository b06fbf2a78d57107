//! Settings: defaults, ranges, and what production insists on (S22).

use secrecy::ExposeSecret;
use two_factor::{
    config::{AuthMode, Config, ConfigError, Environment, Vars},
    domain::{AllowedCountries, Country, Policy},
};

const PEPPER: &str = "0123456789abcdef0123456789abcdef";

fn vars(settings: &[(&str, &str)]) -> Vars {
    Vars::new(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn config(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_vars(&vars(settings))
}

fn development(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    config(&[&[("APP_ENV", "development")], settings].concat())
}

/// What production needs at least, and these settings.
fn production(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    config(&[&[("APP_ENV", "production"), ("CODE_PEPPER", PEPPER), ("AUTH_JWT_SECRET", PEPPER)], settings].concat())
}

#[test]
fn development_needs_no_other_setting() {
    let config = development(&[]).unwrap();
    assert_eq!(config.app.environment, Environment::Development);
    assert_eq!(config.policy, Policy::default());
    assert_eq!(config.app.table_name, "sms-2fa");
    assert_eq!(config.auth.user_claim, "sub");
    assert!(matches!(config.auth.mode, AuthMode::Hs256 { .. }));
    let AllowedCountries::Only(countries) = config.app.allowed_countries else { panic!("five countries, not all") };
    assert_eq!(countries.iter().map(Country::as_str).collect::<Vec<_>>(), ["AU", "CA", "DE", "GB", "US"]);
}

#[test]
fn production_is_the_default_everywhere_s22() {
    for (settings, expected) in [
        (&[] as &[_], "CODE_PEPPER"),
        (&[("APP_ENV", "")], "CODE_PEPPER"),
        (&[("AWS_LAMBDA_FUNCTION_NAME", "setup")], "CODE_PEPPER"),
        (&[("APP_ENV", "production")], "CODE_PEPPER"),
        (&[("APP_ENV", "Production")], "APP_ENV"),
        (&[("APP_ENV", "staging")], "APP_ENV"),
    ] {
        assert_eq!(config(settings).unwrap_err().variable, expected, "{settings:?}");
    }
    let local = development(&[("AWS_LAMBDA_FUNCTION_NAME", "_")]).unwrap();
    assert_eq!(local.app.environment, Environment::Development);
}

#[test]
fn production_refuses_what_is_built_in_for_development_s22() {
    let AuthMode::Hs256 { secret } = development(&[]).unwrap().auth.mode else { panic!("hs256") };
    let secret = secret.expose_secret();
    assert_eq!(production(&[("AUTH_JWT_SECRET", secret)]).unwrap_err().variable, "AUTH_JWT_SECRET");
    assert_eq!(production(&[("CODE_PEPPER", "development-only-pepper-0123456789abcdef")]).unwrap_err().variable, "CODE_PEPPER");
    assert!(development(&[("AUTH_JWT_SECRET", secret)]).is_ok(), "development takes it, given or not");
}

#[test]
fn production_without_pepper_or_key_source_does_not_start_s22() {
    for (settings, variable, reason) in [
        (&[] as &[(&str, &str)], "CODE_PEPPER", "no pepper"),
        (&[("CODE_PEPPER", "0123456789abcdef0123456789abcde")], "CODE_PEPPER", "31 bytes"),
        (&[("CODE_PEPPER", PEPPER)], "AUTH_JWT_SECRET", "no token secret"),
        (&[("CODE_PEPPER", PEPPER), ("AUTH_JWT_SECRET", "too short")], "AUTH_JWT_SECRET", "a short token secret"),
        (&[("CODE_PEPPER", PEPPER), ("AUTH_MODE", "jwks")], "AUTH_JWKS_URL", "no URL of keys"),
    ] {
        let settings = [&[("APP_ENV", "production")], settings].concat();
        assert_eq!(config(&settings).unwrap_err().variable, variable, "{reason}");
    }
    assert!(production(&[]).is_ok());
    assert!(config(&[("APP_ENV", "production"), ("CODE_PEPPER", PEPPER), ("AUTH_MODE", "gateway")]).is_ok());
}

#[test]
fn secrets_come_from_the_environment_first_and_the_secret_second() {
    let secret = [("CODE_PEPPER", PEPPER), ("AUTH_JWT_SECRET", "from-the-secret-0123456789-0123456789")];
    let secret = secret.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let read = |settings: &[(&str, &str)]| {
        let config = Config::from_vars(&vars(settings).with_secret(secret.clone())).unwrap();
        let AuthMode::Hs256 { secret } = config.auth.mode else { panic!("hs256") };
        secret.expose_secret().to_owned()
    };
    assert_eq!(read(&[("APP_ENV", "production")]), "from-the-secret-0123456789-0123456789");
    assert_eq!(read(&[("APP_ENV", "production"), ("AUTH_JWT_SECRET", PEPPER)]), PEPPER);
    let sneaky = vars(&[]).with_secret([("APP_NAME".to_owned(), "Evil".to_owned())]);
    assert_eq!(sneaky.get("APP_NAME"), None, "what is not secret does not come from the secret");
}

#[test]
fn every_limit_has_its_range_and_the_message_names_the_variable() {
    for (name, good, bad) in [
        ("CODE_TTL_SECONDS", &["1", "600", " 300 "] as &[_], &["0", "601", "-1", "5m", "1.5", "99999999999999999999"] as &[_]),
        ("CODE_MAX_ATTEMPTS", &["1", "100"], &["0", "101", "-5", "five"]),
        ("PENDING_TTL_SECONDS", &["1", "2592000"], &["0", "2592001", "1e3"]),
        ("SMS_MAX_PER_WINDOW", &["1", "1000"], &["0", "1001", "65536"]),
        ("SMS_WINDOW_SECONDS", &["1", "2592000"], &["0", "2592001"]),
        ("SMS_COOLDOWN_SECONDS", &["0", "86400"], &["-1", "86401"]),
        ("SMS_MAX_PER_IP", &["0", "10000"], &["-1", "10001", "none"]),
        ("LOCK_AFTER_FAILURES", &["1", "100"], &["0", "101"]),
        ("LOCK_SECONDS", &["1", "86400"], &["0", "86401"]),
        ("DISABLE_AFTER_FAILURES", &["1", "100"], &["0", "101", "４２"]),
    ] {
        for value in good {
            assert!(development(&[(name, value)]).is_ok(), "{name}={value}");
        }
        for value in bad {
            let error = development(&[(name, value)]).unwrap_err();
            assert_eq!(error.variable, name, "{value}");
            assert!(error.to_string().starts_with(&format!("{name}: must be a number from ")), "{error}");
        }
    }
    let policy = development(&[("CODE_TTL_SECONDS", "120"), ("SMS_MAX_PER_IP", "0")]).unwrap().policy;
    assert_eq!((policy.code_ttl.as_secs(), policy.sms_max_per_ip), (120, 0));
}

#[test]
fn wrong_settings_are_named() {
    for (name, value, reason) in [
        ("APP_NAME", "Acme 🔐", "not GSM-7"),
        ("APP_NAME", &*"A".repeat(120), "too long"),
        ("WEBOTP_DOMAIN", "https://example.com", "a URL"),
        ("TABLE_NAME", "ab", "too short"),
        ("TABLE_NAME", "a table", "a space"),
        ("ALLOWED_COUNTRIES", "US;CA", "no commas"),
        ("ALLOWED_COUNTRIES", "US,,CA", "an empty one"),
        ("ALLOWED_COUNTRIES", "USA", "three letters"),
        ("ALLOWED_COUNTRIES", "US,*", "all and some"),
        ("AUTH_MODE", "HS256", "capitals"),
        ("AUTH_MODE", "none", "no mode"),
        ("AUTH_JWT_SECRET", "0123456789abcdef0123456789abcde", "31 bytes"),
    ] {
        assert_eq!(development(&[(name, value)]).unwrap_err().variable, name, "{reason}");
    }
    for list in ["*", " * ", "us, ca", "DE"] {
        assert!(development(&[("ALLOWED_COUNTRIES", list)]).is_ok(), "{list}");
    }
}

#[test]
fn keys_come_over_https_or_from_this_machine() {
    for (url, accepted) in [
        ("https://issuer.example/keys", true),
        ("http://127.0.0.1:8080/keys", true),
        ("http://localhost/keys", true),
        ("http://[::1]:8080/keys", true),
        ("http://issuer.example/keys", false),
        ("http://localhost.example.com/keys", false),
        ("http://127.0.0.1@issuer.example/keys", false),
        ("http://10.0.0.1/keys", false),
        ("ftp://localhost/keys", false),
        ("file:///etc/passwd", false),
        ("issuer.example/keys", false),
        ("", false),
    ] {
        let result = development(&[("AUTH_MODE", "jwks"), ("AUTH_JWKS_URL", url)]);
        assert_eq!(result.is_ok(), accepted, "{url}");
        if let Err(error) = result {
            assert_eq!(error.variable, "AUTH_JWKS_URL", "{url}");
        }
    }
}

#[test]
fn no_secret_shows_in_debug_output_or_errors() {
    let config = production(&[("AUTH_JWT_SECRET", "hush-hush-hush-hush-hush-hush-hush")]).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hush") && !shown.contains(PEPPER), "{shown}");
    let error = production(&[("AUTH_JWT_SECRET", "hush")]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"));
}
