//! Tokens: what makes one good, and everything that does not (S19, S20).

use std::sync::Arc;

use lambda_http::http::{HeaderValue, header::AUTHORIZATION};
use serde_json::{Map, Value, json};
use two_factor::{
    api::{AuthError, Authenticator, Problem, Request},
    config::{Config, Vars},
    ports::{Clock, KeysUnavailable, SignatureAlgorithm, VerificationKey, VerificationKeys},
};
use two_factor_tests::{
    clock::ManualClock,
    tokens::{SigningKey, base64url},
};

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";

/// No keys at all: for the modes that need none.
struct NoKeys;

impl VerificationKeys for NoKeys {
    async fn find(&self, _: Option<&str>, _: SignatureAlgorithm) -> Result<Option<VerificationKey>, KeysUnavailable> {
        Err(KeysUnavailable)
    }

    async fn warm_up(&self) {}
}

struct Fixture {
    clock: Arc<ManualClock>,
    authenticator: Authenticator<NoKeys>,
    key: SigningKey,
}

impl Fixture {
    fn new(settings: &[(&str, &str)]) -> Self {
        let always = [("APP_ENV", "development"), ("AUTH_JWT_SECRET", SECRET)];
        let vars = Vars::new(always.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let clock = ManualClock::new();
        let authenticator = Authenticator::new(&Config::from_vars(&vars).unwrap().auth, |_| NoKeys, clock.clone());
        Self { clock, authenticator, key: SigningKey::hmac(SECRET) }
    }

    /// Seconds since the epoch.
    fn now(&self) -> u64 {
        self.clock.now().as_millis() / 1000
    }

    /// Good claims, with these changes; null takes a claim away.
    fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({"sub": "alice", "exp": self.now() + 300});
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        claims
    }

    async fn with_claims(&self, changes: &Value) -> Result<String, AuthError> {
        self.with_token(&self.key.token("any", &self.claims(changes))).await
    }

    async fn with_token(&self, token: &str) -> Result<String, AuthError> {
        self.with_headers(&[&format!("Bearer {token}")]).await
    }

    async fn with_headers(&self, values: &[&str]) -> Result<String, AuthError> {
        let mut request = Request::default();
        for value in values {
            request.headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        self.user(&request).await
    }

    async fn with_gateway_claims(&self, claims: &Value) -> Result<String, AuthError> {
        let mut request = Request::default();
        request.gateway.claims = claims.as_object().cloned();
        self.user(&request).await
    }

    async fn user(&self, request: &Request) -> Result<String, AuthError> {
        self.authenticator.authenticate(request).await.map(|user| user.to_string())
    }
}

#[track_caller]
fn assert_invalid(result: &Result<String, AuthError>, reason: &str) {
    assert!(matches!(result, Err(AuthError::Invalid(_))), "{reason}: {result:?}");
}

#[tokio::test]
async fn the_user_is_the_claim_that_the_operator_named_s20() {
    let by_sub = Fixture::new(&[]);
    assert_eq!(by_sub.with_claims(&json!({"sub": "alice", "uid": "mallory"})).await, Ok("alice".into()));
    let by_uid = Fixture::new(&[("AUTH_USER_CLAIM", "uid")]);
    assert_eq!(by_uid.with_claims(&json!({"sub": "mallory", "uid": "alice"})).await, Ok("alice".into()));
    assert_eq!(by_uid.with_claims(&json!({"uid": 9_007_199_254_740_993_u64})).await, Ok("9007199254740993".into()));
    assert_eq!(by_uid.with_claims(&json!({"uid": -1})).await, Ok("-1".into()));
    assert_eq!(by_uid.with_claims(&json!({"uid": "ü".repeat(128)})).await, Ok("ü".repeat(128)));
    for (uid, reason) in [
        (json!(null), "missing"),
        (json!(""), "empty"),
        (json!("a".repeat(129)), "129 characters"),
        (json!(1.5), "a fraction"),
        (json!(1e300), "beyond any integer"),
        (json!(true), "a boolean"),
        (json!(["alice"]), "a list"),
        (json!({"id": "alice"}), "an object"),
    ] {
        assert_invalid(&by_uid.with_claims(&json!({"uid": uid})).await, reason);
    }
}

#[tokio::test]
async fn times_are_checked_by_our_clock_with_60_seconds_of_leeway_s19() {
    let fixture = Fixture::new(&[]);
    let now = fixture.now();
    for (claims, good, reason) in [
        (json!({"exp": now + 1}), true, "not expired"),
        (json!({"exp": now - 59}), true, "expired within the leeway"),
        (json!({"exp": now - 60}), false, "expired, and the leeway is over"),
        (json!({"exp": null}), false, "no expiry"),
        (json!({"exp": (now + 300).to_string()}), false, "an expiry that is a string"),
        (json!({"exp": [now + 300]}), false, "an expiry that is a list"),
        (json!({"exp": -1}), false, "an expiry before the epoch"),
        (json!({"exp": 0}), false, "an expiry at the epoch"),
        (serde_json::from_str(&format!(r#"{{"exp": {now}.5}}"#)).unwrap(), true, "a fraction of a second"),
        (json!({"nbf": now}), true, "valid from now on"),
        (json!({"nbf": now + 60}), true, "valid soon, within the leeway"),
        (json!({"nbf": now + 61}), false, "not valid yet"),
        (json!({"nbf": "now"}), false, "a beginning that is a string"),
        (json!({"nbf": true}), false, "a beginning that is a boolean"),
    ] {
        let result = fixture.with_claims(&claims).await;
        if good {
            assert_eq!(result, Ok("alice".into()), "{reason}");
        } else {
            assert_invalid(&result, reason);
        }
    }
    let token = fixture.key.token("any", &fixture.claims(&json!({})));
    fixture.clock.pass(359);
    assert!(fixture.with_token(&token).await.is_ok());
    fixture.clock.pass(1);
    assert_invalid(&fixture.with_token(&token).await, "time has passed");
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_they_are_configured_s19() {
    let fixture = Fixture::new(&[("AUTH_ISSUER", "https://issuer.example"), ("AUTH_AUDIENCE", "us")]);
    let good = json!({"iss": "https://issuer.example", "aud": "us"});
    for (change, accepted, reason) in [
        (json!({}), true, "both right"),
        (json!({"aud": ["others", "us"]}), true, "one of several audiences"),
        (json!({"iss": null}), false, "no issuer"),
        (json!({"iss": "https://issuer.example/"}), false, "another issuer"),
        (json!({"iss": ["https://issuer.example"]}), false, "a list of issuers"),
        (json!({"aud": null}), false, "no audience"),
        (json!({"aud": "them"}), false, "another audience"),
        (json!({"aud": "[us]"}), false, "a list in words"),
        (json!({"aud": []}), false, "no audience in the list"),
        (json!({"aud": ["them", 1]}), false, "not among several audiences"),
        (json!({"aud": null, "client_id": "us"}), false, "a client is no audience"),
    ] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let result = fixture.with_claims(&claims).await;
        assert_eq!(result.is_ok(), accepted, "{reason}");
    }
    let anyone = Fixture::new(&[]);
    assert!(anyone.with_claims(&json!({"iss": "x", "aud": ["y"]})).await.is_ok(), "neither is configured");
}

#[tokio::test]
async fn only_tokens_that_the_secret_signed_with_hs256_pass_s19() {
    let fixture = Fixture::new(&[]);
    let claims = fixture.claims(&json!({}));
    let good = fixture.key.token("any", &claims);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let foreign = SigningKey::hmac("another-secret-of-thirty-two-bytes!!");
    let rsa = SigningKey::rsa();
    let other_payload = base64url(fixture.claims(&json!({"sub": "mallory"})).to_string());
    let none = base64url(r#"{"alg":"none"}"#);
    let sign = |header: Value| fixture.key.sign(&header, &claims);
    for (token, reason) in [
        (foreign.token("any", &claims), "another secret"),
        (rsa.token("any", &claims), "another algorithm"),
        (format!("{none}.{payload}."), "alg none, no signature"),
        (format!("{none}.{payload}"), "alg none, two parts"),
        (format!("{none}.{payload}.{signature}"), "alg none, a signature"),
        (sign(json!({"alg": "None"})), "alg None"),
        (sign(json!({"alg": "HS384"})), "HS384"),
        (sign(json!({"alg": "HS512"})), "HS512"),
        (sign(json!({"alg": "RS256"})), "RS256 claimed, HS256 done"),
        (sign(json!({"alg": ["HS256"]})), "a list of algorithms"),
        (sign(json!({"alg": null})), "no algorithm"),
        (sign(json!({})), "no header fields"),
        (sign(json!({"alg": "HS256", "crit": ["exp"], "exp": 1})), "a critical extension"),
        (sign(json!("HS256")), "a header that is a string"),
        (fixture.key.sign(&json!({"alg": "HS256"}), &json!(["alice"])), "claims that are a list"),
        (fixture.key.sign(&json!({"alg": "HS256"}), &json!("alice")), "claims that are a string"),
        (format!("{header}.{other_payload}.{signature}"), "other claims"),
        (format!("{header}.{payload}."), "no signature"),
        (format!("{header}.{payload}"), "two parts"),
        (format!("{good}.{signature}"), "four parts"),
        (format!("{header}.{payload}.{}", &signature[1..]), "a cut signature"),
        (format!("{header}.{payload}.{signature}="), "padding"),
        (format!("..{signature}"), "empty parts"),
        ("..".into(), "dots"),
        ("token".into(), "one word"),
        ("a b".into(), "two words"),
        (format!("{good},{good}"), "two tokens"),
        ("ü.ü.ü".into(), "not ASCII"),
        ("a".repeat(1_000_000), "a huge word"),
        (fixture.key.token("any", &fixture.claims(&json!({"padding": "x".repeat(10_000)}))), "a huge token"),
        (base64url("[".repeat(5000)) + ".e30.e30", "a header that nests deeply"),
    ] {
        assert_invalid(&fixture.with_token(&token).await, reason);
    }
    assert_eq!(fixture.with_token(&good).await, Ok("alice".into()));
}

#[tokio::test]
async fn there_is_one_authorization_header_and_it_says_bearer() {
    let fixture = Fixture::new(&[]);
    let token = fixture.key.token("any", &fixture.claims(&json!({})));
    for scheme in ["Bearer", "bearer", "BEARER", "BeArEr"] {
        assert!(fixture.with_headers(&[&format!("{scheme} {token}")]).await.is_ok(), "{scheme}");
    }
    for (value, reason) in [
        ("", "empty"),
        ("Bearer", "no token"),
        ("Bearer ", "a blank token"),
        ("Basic YWxpY2U6cGFzc3dvcmQ=", "another scheme"),
        (&*token, "no scheme"),
        (&*format!("Bearer{token}"), "no space"),
        (&*format!("Token {token}"), "an unknown scheme"),
    ] {
        assert_eq!(fixture.with_headers(&[value]).await, Err(AuthError::Missing), "{reason}");
    }
    assert_eq!(fixture.with_headers(&[]).await, Err(AuthError::Missing));
    let good = format!("Bearer {token}");
    assert_invalid(&fixture.with_headers(&[&good, &good]).await, "twice the same");
    assert_invalid(&fixture.with_headers(&["Basic eA==", &good]).await, "two schemes");
    assert_invalid(&fixture.with_headers(&[&format!("{good}, {good}")]).await, "two in one, as an HTTP API joins them");
    assert_invalid(&fixture.with_headers(&["Bearer \u{fc}"]).await, "not ASCII");
}

#[tokio::test]
async fn no_body_header_or_query_names_the_user_s20() {
    let fixture = Fixture::new(&[]);
    let mut request = Request { path: "/?user_id=mallory&sub=mallory".into(), ..Request::default() };
    request.body = two_factor::api::request::RequestBody::Bytes(br#"{"user_id": "mallory", "sub": "mallory"}"#.to_vec());
    request.gateway.claims = json!({"sub": "mallory"}).as_object().cloned();
    request.headers.insert("x-user-id", HeaderValue::from_static("mallory"));
    assert_eq!(fixture.user(&request).await, Err(AuthError::Missing), "the gateway's claims count in its mode only");
    let token = fixture.key.token("any", &fixture.claims(&json!({})));
    request.headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    assert_eq!(fixture.user(&request).await, Ok("alice".into()));
}

#[tokio::test]
async fn in_gateway_mode_only_what_the_authorizer_verified_counts_s20() {
    let fixture = Fixture::new(&[("AUTH_MODE", "gateway")]);
    let token = fixture.key.token("any", &fixture.claims(&json!({})));
    assert_eq!(fixture.with_token(&token).await, Err(AuthError::Missing), "a header is no proof");
    let now = fixture.now();
    let exp = (now + 300).to_string();
    for (claims, user, reason) in [
        (json!({"sub": "alice", "exp": exp}), Some("alice"), "an HTTP API writes numbers as strings"),
        (json!({"sub": "42", "exp": exp}), Some("42"), "an integer"),
        (json!({"sub": "alice", "exp": "Fri Jan 01 00:00:00 UTC 2027"}), Some("alice"), "Cognito's words for a date"),
        (json!({"sub": "alice", "exp": (now - 60).to_string()}), None, "expired"),
        (json!({"sub": "alice", "exp": exp, "nbf": (now + 61).to_string()}), None, "not valid yet"),
        (json!({"sub": "alice", "exp": "NaN"}), None, "no number"),
        (json!({"sub": "alice"}), None, "no expiry"),
        (json!({"sub": "", "exp": exp}), None, "an empty user"),
        (json!({"exp": exp}), None, "no user"),
    ] {
        let result = fixture.with_gateway_claims(&claims).await;
        assert_eq!(result.as_deref().ok(), user, "{reason}");
    }
    assert_eq!(fixture.with_gateway_claims(&Value::Null).await, Err(AuthError::Missing));
    assert_invalid(&fixture.with_gateway_claims(&Value::Object(Map::new())).await, "no claims");
}

#[tokio::test]
async fn the_gateways_lists_of_audiences_are_read_too() {
    let fixture = Fixture::new(&[("AUTH_MODE", "gateway"), ("AUTH_AUDIENCE", "us")]);
    let exp = (fixture.now() + 300).to_string();
    for (aud, accepted) in [("us", true), ("[them us]", true), ("[them]", false), ("them us", false), ("[us", false)] {
        let result = fixture.with_gateway_claims(&json!({"sub": "alice", "exp": exp, "aud": aud})).await;
        assert_eq!(result.is_ok(), accepted, "{aud}");
    }
    let by_client = json!({"sub": "alice", "exp": exp, "client_id": "us"});
    assert!(fixture.with_gateway_claims(&by_client).await.is_ok(), "an access token of Cognito has no aud");
}

#[test]
fn missing_and_bad_credentials_are_told_apart_as_rfc_6750_wants() {
    for (error, status, challenge) in [
        (AuthError::Missing, 401, Some("Bearer")),
        (AuthError::Invalid("expired"), 401, Some("Bearer error=\"invalid_token\"")),
        (AuthError::KeysUnavailable, 503, None),
    ] {
        let response = Problem::from(&error).into_response("r");
        assert_eq!(response.status(), status);
        let header = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!(header, challenge);
        assert!(!format!("{:?}", response.body()).contains("expired\""), "the reason is for the log");
    }
}
