//! Settings: defaults, ranges, and what production insists on (S22).

use secrecy::ExposeSecret;
use two_factor::{
    config::{AuthMode, Config, ConfigErrors, Environment, Vars, auth::RequiredClaim, settings},
    domain::{AllowedCountries, Country, Policy},
};

const PEPPER: &str = "0123456789abcdef0123456789abcdef";
const TOKEN_SECRET: &str = "fedcba9876543210fedcba9876543210";
const BUILT_IN: [&str; 2] = ["development-only-pepper-0123456789abcdef", "development-only-jwt-secret-0123456789abcdef"];

fn vars(settings: &[(&str, &str)]) -> Vars {
    Vars::new(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn config(settings: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::from_vars(&vars(settings))
}

/// These settings, in development.
fn development(settings: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    config(&[&[("APP_ENV", "development")], settings].concat())
}

/// What production needs at least, and these settings.
fn production(settings: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    config(&[&[("APP_ENV", "production"), ("CODE_PEPPER", PEPPER), ("AUTH_JWT_SECRET", TOKEN_SECRET)], settings].concat())
}

/// The variables that are complained about, in order.
fn wrong(result: Result<Config, ConfigErrors>) -> Vec<String> {
    result.err().into_iter().flatten().map(|error| error.variable).collect()
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
fn the_environment_is_production_unless_it_says_otherwise_s22() {
    for settings in [
        &[] as &[_],
        &[("APP_ENV", "")],
        &[("APP_ENV", " ")],
        &[("APP_ENV", "production")],
        &[("AWS_LAMBDA_FUNCTION_NAME", "setup")],
    ] {
        assert_eq!(wrong(config(settings)), ["CODE_PEPPER", "AUTH_JWT_SECRET"], "{settings:?}");
    }
    for name in ["Production", "staging", "dev"] {
        assert_eq!(wrong(production(&[("APP_ENV", name)])), ["APP_ENV"], "{name}");
    }
    assert_eq!(wrong(config(&[("APP_ENV", "staging")])), ["APP_ENV"], "nobody knows what else would be wanted");
}

#[test]
fn development_on_lambda_has_built_in_secrets_only_in_an_emulator_s22() {
    let function = ("AWS_LAMBDA_FUNCTION_NAME", "setup");
    for (emulator, reason) in [
        (&[("AWS_LAMBDA_RUNTIME_API", "http://127.0.0.1:9000/.rt/setup")][..], "cargo lambda watch"),
        (&[("AWS_LAMBDA_RUNTIME_API", "http://[::]:9000/.rt")], "cargo lambda watch, in its early days"),
        (&[("AWS_SAM_LOCAL", "true"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")], "sam local"),
    ] {
        assert!(development(&[&[function], emulator].concat()).is_ok(), "{reason}");
    }
    for deployed in [
        &[function][..],
        &[function, ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")],
        &[function, ("AWS_LAMBDA_RUNTIME_API", "169.254.100.1:9001"), ("AWS_SAM_LOCAL", "false")],
    ] {
        assert_eq!(wrong(development(deployed)), ["CODE_PEPPER", "AUTH_JWT_SECRET"], "{deployed:?}");
        let told = development(deployed).unwrap_err().to_string();
        assert!(told.contains("cargo lambda watch and sam local"), "{told}");
        let own = [deployed, &[("CODE_PEPPER", PEPPER), ("AUTH_JWT_SECRET", TOKEN_SECRET)]].concat();
        assert_eq!(development(&own).unwrap().app.environment, Environment::Development, "with secrets of its own");
        let known = [deployed, &[("CODE_PEPPER", BUILT_IN[0]), ("AUTH_JWT_SECRET", TOKEN_SECRET)]].concat();
        assert_eq!(wrong(development(&known)), ["CODE_PEPPER"], "spelled out they are no better");
    }
}

#[test]
fn production_refuses_secrets_that_anybody_can_guess_s22() {
    let AuthMode::Hs256 { secret } = development(&[]).unwrap().auth.mode else { panic!("hs256") };
    assert_eq!(secret.expose_secret(), BUILT_IN[1]);
    for name in ["CODE_PEPPER", "CODE_PEPPER_PREVIOUS", "AUTH_JWT_SECRET"] {
        for built_in in BUILT_IN {
            for spelled in [built_in.to_owned(), format!(" {built_in}\n"), format!("\t{built_in}")] {
                assert_eq!(wrong(production(&[(name, &spelled)])), [name], "{spelled:?} is known, wherever it is");
                assert!(development(&[(name, &spelled)]).is_ok(), "development takes it, given or not");
            }
        }
        for (value, reason) in [
            ("0123456789abcdef0123456789abcde".to_owned(), "31 bytes"),
            (format!("{}    ", "0123456789abcdef0123456789ab"), "28 bytes and spaces"),
            ("x".repeat(64), "one character"),
            ("0".repeat(32), "zeros"),
        ] {
            assert_eq!(wrong(production(&[(name, &value)])), [name], "{reason}");
        }
    }
    for (settings, named) in [
        (&[("AUTH_JWT_SECRET", PEPPER)][..], "CODE_PEPPER: must not be the same as AUTH_JWT_SECRET"),
        (&[("AUTH_JWT_SECRET", "\n 0123456789abcdef0123456789abcdef ")], "CODE_PEPPER: must not be the same as AUTH_JWT_SECRET"),
        (&[("AUTH_JWT_SECRET", PEPPER), ("AUTH_MODE", "gateway")], "CODE_PEPPER: must not be the same as AUTH_JWT_SECRET"),
    ] {
        assert_eq!(production(settings).unwrap_err().to_string(), named);
    }
    let rotated = [("AUTH_JWT_SECRET", TOKEN_SECRET), ("CODE_PEPPER_PREVIOUS", TOKEN_SECRET)];
    assert!(production(&rotated).is_ok(), "the way out for those who had one secret for both");
}

#[test]
fn production_without_pepper_or_key_source_does_not_start_s22() {
    for (settings, variables, reason) in [
        (&[] as &[(&str, &str)], &["CODE_PEPPER", "AUTH_JWT_SECRET"][..], "neither"),
        (&[("AUTH_JWT_SECRET", TOKEN_SECRET)], &["CODE_PEPPER"], "no pepper"),
        (&[("CODE_PEPPER", PEPPER)], &["AUTH_JWT_SECRET"], "no token secret"),
        (&[("CODE_PEPPER", PEPPER), ("AUTH_JWT_SECRET", "too short")], &["AUTH_JWT_SECRET"], "a short token secret"),
        (&[("CODE_PEPPER", PEPPER), ("AUTH_MODE", "jwks"), ("AUTH_ISSUER", "us")], &["AUTH_JWKS_URL"], "no URL of keys"),
    ] {
        let settings = [&[("APP_ENV", "production")], settings].concat();
        assert_eq!(wrong(config(&settings)), variables, "{reason}");
    }
    assert!(production(&[]).is_ok());
    assert!(config(&[("APP_ENV", "production"), ("CODE_PEPPER", PEPPER), ("AUTH_MODE", "gateway")]).is_ok());
}

#[test]
fn in_production_an_issuers_keys_are_not_enough_s19() {
    let keys = [("AUTH_MODE", "jwks"), ("AUTH_JWKS_URL", "https://issuer.example/keys")];
    assert_eq!(wrong(production(&keys)), ["AUTH_AUDIENCE"], "the tokens of every application of that issuer would pass");
    for setting in [("AUTH_AUDIENCE", "us"), ("AUTH_ISSUER", "https://issuer.example")] {
        assert!(production(&[&keys[..], &[setting]].concat()).is_ok(), "{setting:?}");
    }
    assert!(development(&keys).is_ok());
}

#[test]
fn one_start_tells_everything_that_is_wrong_a_line_each() {
    let errors = production(&[
        ("APP_NAME", "Acme 🔐"),
        ("TABLE_NAME", "a table"),
        ("CODE_PEPPER", "short"),
        ("ALLOWED_COUNTRIES", "US,UK"),
        ("AUTH_JWT_SECRET", ""),
        ("AUTH_REQUIRED_CLAIMS", "token_type"),
        ("CODE_TTL_SECONDS", "soon"),
        ("SMS_MAX_PER_WINDOW", "2"),
    ])
    .unwrap_err();
    assert_eq!(
        errors.to_string().lines().collect::<Vec<_>>(),
        [
            "APP_NAME: must be one line of characters of the GSM-7 alphabet (3GPP TS 23.038)",
            "TABLE_NAME: must be 3 to 255 letters, digits, hyphens, underscores and dots",
            "CODE_PEPPER: must have at least 32 bytes, not counting white space around it",
            "ALLOWED_COUNTRIES: has UK in it, which is no ISO 3166 code: the United Kingdom is GB",
            "AUTH_JWT_SECRET: is required in production, in the environment or in the secret that SECRET_ID names",
            "AUTH_REQUIRED_CLAIMS: must be name=value, with commas between several, such as token_type=access",
            "CODE_TTL_SECONDS: must be a number from 30 to 600 (the life of a code (NIST SP 800-63B-4, 3.1.3.2: 10 minutes))",
            "SMS_MAX_PER_WINDOW: must be a number from 3 to 100 (sends in a rolling window)",
        ]
    );
}

#[test]
fn claims_that_a_token_must_have_are_a_list_of_names_and_values() {
    let claims = |list: &str| development(&[("AUTH_REQUIRED_CLAIMS", list)]).map(|config| config.auth.required_claims);
    let claim = |name: &str, value: &str| RequiredClaim { name: name.to_owned(), value: value.to_owned() };
    assert_eq!(development(&[]).unwrap().auth.required_claims, []);
    assert_eq!(claims("token_type=access").unwrap(), [claim("token_type", "access")]);
    let several = " token_type = access , https://x.example/claim=a=b, email_verified=true";
    let expected = [claim("token_type", "access"), claim("https://x.example/claim", "a=b"), claim("email_verified", "true")];
    assert_eq!(claims(several).unwrap(), expected);
    for list in ["token_type", "=access", "token_type=", "a=b,", ",a=b", "a=b,,c=d", "a=b,a=c"] {
        assert!(claims(list).is_err(), "{list}");
    }
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
    assert_eq!(read(&[("APP_ENV", "production"), ("AUTH_JWT_SECRET", " ")]), "from-the-secret-0123456789-0123456789");
    assert_eq!(read(&[("APP_ENV", "production"), ("AUTH_JWT_SECRET", TOKEN_SECRET)]), TOKEN_SECRET);
    let pasted = format!(" {TOKEN_SECRET}\r\n");
    assert_eq!(
        read(&[("APP_ENV", "production"), ("AUTH_JWT_SECRET", &pasted)]),
        TOKEN_SECRET,
        "without what was pasted around it"
    );
    let sneaky = vars(&[]).with_secret([("APP_NAME".to_owned(), "Evil".to_owned())]);
    assert_eq!(sneaky.get("APP_NAME"), None, "what is not secret does not come from the secret");
}

#[test]
fn every_limit_has_its_range_and_the_message_names_the_variable() {
    let limits: Vec<_> = settings::ALL.iter().filter(|setting| setting.range.is_some() && setting.is_for_every_host()).collect();
    assert_eq!(limits.len(), 12);
    for setting in limits {
        let (least, most) = setting.range.clone().unwrap().into_inner();
        let default: u64 = setting.default.unwrap().parse().unwrap();
        assert!((least..=most).contains(&default), "{}", setting.name);
        for good in [least.to_string(), most.to_string(), format!(" {default} ")] {
            assert!(development(&[(setting.name, &good)]).is_ok(), "{}={good}", setting.name);
        }
        let beyond = (most + 1).to_string();
        let below = if least > 0 { (least - 1).to_string() } else { "-1".to_owned() };
        for bad in [&*beyond, &below, "-5", "1.5", "1e3", "5m", "five", "none", "４２", "99999999999999999999"] {
            let errors = development(&[(setting.name, bad)]).unwrap_err();
            let expected = format!("{}: must be a number from {least} to {most} ", setting.name);
            assert!(errors.to_string().starts_with(&expected), "{bad}: {errors}");
            assert_eq!(errors.iter().count(), 1, "{bad}");
        }
    }
    for (name, least, most) in [("CODE_TTL_SECONDS", 30, 600), ("SMS_MAX_PER_WINDOW", 3, 100), ("DISABLE_AFTER_FAILURES", 1, 100)]
    {
        let setting = settings::ALL.iter().find(|setting| setting.name == name).unwrap();
        assert_eq!(setting.range, Some(least..=most), "{name}");
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
        ("ALLOWED_COUNTRIES", "US,UK", "no code of a country"),
        ("AUTH_MODE", "HS256", "capitals"),
        ("AUTH_MODE", "none", "no mode"),
        ("AUTH_JWT_SECRET", "0123456789abcdef0123456789abcde", "31 bytes"),
    ] {
        assert_eq!(wrong(development(&[(name, value)])), [name], "{reason}");
    }
    for list in ["*", " * ", "us, ca", "DE"] {
        assert!(development(&[("ALLOWED_COUNTRIES", list)]).is_ok(), "{list}");
    }
    let hint = development(&[("ALLOWED_COUNTRIES", "us, uk")]).unwrap_err().to_string();
    assert!(hint.ends_with("the United Kingdom is GB"), "{hint}");
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
        ("https://user:password@issuer.example/keys", false),
        ("ftp://localhost/keys", false),
        ("file:///etc/passwd", false),
        ("issuer.example/keys", false),
        ("", false),
    ] {
        let complaints = wrong(development(&[("AUTH_MODE", "jwks"), ("AUTH_JWKS_URL", url)]));
        assert_eq!(complaints.is_empty(), accepted, "{url}");
        assert!(complaints.iter().all(|variable| variable == "AUTH_JWKS_URL"), "{url}");
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
