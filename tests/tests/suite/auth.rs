//! Tokens: what makes one good, and everything that does not (S19, S20).

use std::sync::Arc;

use lambda_http::http::{HeaderValue, header::AUTHORIZATION};
use reqwest::Method;
use serde_json::{Map, Value, json};
use two_factor::{
    api::{AuthError, Authenticator, Problem, Request, gateway_event::Event},
    config::{Config, Environment, Vars},
    ports::{Clock, KeysUnavailable, SignatureAlgorithm, VerificationKey, VerificationKeys},
};
use two_factor_tests::{
    captured_log::CapturedLog,
    clock::ManualClock,
    service::{HOME, Reply, TestService},
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
        let secret = [("APP_ENV", "development"), ("AUTH_JWT_SECRET", SECRET)];
        let vars = Vars::new(secret.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
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

    /// The claims as an HTTP API passes them on.
    async fn with_gateway_claims(&self, claims: &Value) -> Result<String, AuthError> {
        self.with_event(&json!({"http": {"method": "POST"}, "authorizer": {"jwt": {"claims": claims}}})).await
    }

    /// The claims as a REST API with a Cognito authorizer passes them on.
    async fn with_cognito_claims(&self, claims: &Value) -> Result<String, AuthError> {
        self.with_event(&json!({"authorizer": {"claims": claims}})).await
    }

    async fn with_event(&self, context: &Value) -> Result<String, AuthError> {
        let event = json!({"httpMethod": "POST", "path": "/", "requestContext": context});
        let event: Event = serde_json::from_value(event).unwrap();
        self.user(&event.to_request("invocation-1").unwrap()).await
    }

    async fn user(&self, request: &Request) -> Result<String, AuthError> {
        self.authenticator.authenticate(request).await.map(|caller| caller.user.to_string())
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
        (json!({"exp": null}), false, "no expiry"),
        (json!({"exp": (now + 300).to_string()}), false, "an expiry that is a string"),
        (json!({"exp": [now + 300]}), false, "an expiry that is a list"),
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
    for (claims, reason) in [
        (json!({"exp": now - 60}), "expired, and the leeway is over"),
        (json!({"exp": -1}), "an expiry before the epoch"),
        (json!({"exp": 0}), "an expiry at the epoch"),
    ] {
        assert_eq!(fixture.with_claims(&claims).await, Err(AuthError::Expired), "{reason}");
    }
    let token = fixture.key.token("any", &fixture.claims(&json!({})));
    fixture.clock.pass(359);
    assert!(fixture.with_token(&token).await.is_ok());
    fixture.clock.pass(1);
    assert_eq!(fixture.with_token(&token).await, Err(AuthError::Expired), "time has passed");
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
    assert_eq!(fixture.with_headers(&["Basic eA==", &good]).await, Err(AuthError::Missing), "two schemes, as the first one says");
    assert_invalid(&fixture.with_headers(&[&format!("{good}, {good}")]).await, "two in one, as an HTTP API joins them");
    assert_invalid(&fixture.with_headers(&["Bearer \u{fc}"]).await, "not ASCII");
}

#[tokio::test]
async fn no_body_header_or_query_names_the_user_s20() {
    let fixture = Fixture::new(&[]);
    let mut request = Request { path: "/?user_id=mallory&sub=mallory".into(), ..Request::default() };
    request.body = two_factor::api::request::RequestBody::Bytes(br#"{"user_id": "mallory", "sub": "mallory"}"#.to_vec());
    request.context.claims = json!({"sub": "mallory"}).as_object().cloned();
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
        (
            json!({"sub": "alice", "exp": "Fri Jan 01 00:10:00 UTC 2027"}),
            None,
            "words for a date, which only Cognito's authorizer has",
        ),
        (json!({"sub": "alice", "exp": "tomorrow"}), None, "no date"),
        (json!({"sub": "alice", "exp": exp, "nbf": "today"}), None, "a beginning that is no date"),
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
    for (claims, user, reason) in [
        (json!({"sub": "alice", "exp": "Thu Dec 31 23:59:01 UTC 2026"}), Some("alice"), "Java's date, within the leeway"),
        (json!({"sub": "alice", "exp": "Thu Dec 31 23:59:00 UTC 2026"}), None, "expired, in Java's words"),
        (json!({"sub": "alice", "exp": exp, "nbf": "Fri Jan 01 00:01:01 UTC 2027"}), None, "not valid yet, in Java's words"),
        (json!({"sub": "alice", "exp": "tomorrow"}), None, "no date"),
        (json!({"sub": "alice", "exp": exp}), Some("alice"), "digits"),
    ] {
        let result = fixture.with_cognito_claims(&claims).await;
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
        (AuthError::Expired, 401, Some("Bearer error=\"invalid_token\"")),
        (AuthError::Invalid("it is of another issuer"), 401, Some("Bearer error=\"invalid_token\"")),
        (AuthError::KeysUnavailable, 503, None),
    ] {
        let response = Problem::from_auth(error, Environment::Production).into_response("r");
        assert_eq!(response.status(), status);
        let header = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!(header, challenge);
        assert!(!response.body().contains("another issuer"), "why it is invalid is for the log");
    }
}

#[tokio::test]
async fn a_token_must_have_the_claims_that_the_operator_lists() {
    let fixture = Fixture::new(&[("AUTH_REQUIRED_CLAIMS", "token_type=access,level=2,email_verified=true")]);
    let good = json!({"token_type": "access", "level": 2, "email_verified": true});
    assert_eq!(fixture.with_claims(&good).await, Ok("alice".into()));
    let as_text = json!({"token_type": "access", "level": "2", "email_verified": "true"});
    assert_eq!(fixture.with_claims(&as_text).await, Ok("alice".into()), "as a gateway writes them");
    for (change, reason) in [
        (json!({"token_type": "refresh"}), "another value"),
        (json!({"token_type": "Access"}), "capitals"),
        (json!({"token_type": "access "}), "a space"),
        (json!({"token_type": ["access"]}), "a list"),
        (json!({"token_type": null}), "missing"),
        (json!({"level": 2.0}), "another number, as JSON writes it"),
        (json!({"level": 3}), "a number that is too large"),
        (json!({"email_verified": false}), "the other truth"),
    ] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_invalid(&fixture.with_claims(&claims).await, reason);
    }
    let gateway = Fixture::new(&[("AUTH_MODE", "gateway"), ("AUTH_REQUIRED_CLAIMS", "token_use=access")]);
    let exp = (gateway.now() + 300).to_string();
    assert!(gateway.with_gateway_claims(&json!({"sub": "alice", "exp": exp, "token_use": "access"})).await.is_ok());
    assert_invalid(&gateway.with_gateway_claims(&json!({"sub": "alice", "exp": exp, "token_use": "id"})).await, "an id token");
}

#[tokio::test]
async fn the_address_that_counts_may_be_one_that_the_token_names_s13() {
    let fixture = Fixture::new(&[("AUTH_ADDRESS_CLAIM", "ip")]);
    let address = async |claims: Value| {
        let mut request = Request::default();
        let token = fixture.key.token("any", &fixture.claims(&claims));
        request.headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        fixture.authenticator.authenticate(&request).await.unwrap().address.map(|address| address.to_string())
    };
    for (claim, counts) in [
        (json!("203.0.113.9"), Some("203.0.113.9")),
        (json!(" 203.0.113.9 "), Some("203.0.113.9")),
        (json!("2001:db8::9"), Some("2001:db8::9")),
        (json!("::ffff:203.0.113.9"), Some("203.0.113.9")),
        (json!("203.0.113.9:443"), None),
        (json!("somewhere"), None),
        (json!(""), None),
        (json!(["203.0.113.9"]), None),
        (json!(3_405_803_785_u32), None),
        (json!(null), None),
    ] {
        assert_eq!(address(json!({"ip": claim})).await.as_deref(), counts, "{claim}");
    }
    let unset = Fixture::new(&[]);
    let mut request = Request::default();
    let token = unset.key.token("any", &unset.claims(&json!({"ip": "203.0.113.9"})));
    request.headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    assert_eq!(unset.authenticator.authenticate(&request).await.unwrap().address, None, "where no claim is configured");
}

const SERVICE_SECRET: &str = "a token secret of the service, with 32 bytes";

async fn with_service_token(service: &TestService, claims: &Value) -> Reply {
    let token = SigningKey::hmac(SERVICE_SECRET).token("any", claims);
    service.send(service.request(Method::POST, &service.url("setup")).bearer_auth(token).json(&setup())).await
}

fn setup() -> Value {
    json!({"method": "sms", "phone_number": HOME})
}

#[tokio::test]
async fn the_tokens_address_is_the_one_in_the_audit_trail_and_the_log_and_the_one_that_is_counted_s13() {
    let log = CapturedLog::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let settings = [("AUTH_JWT_SECRET", SERVICE_SECRET), ("AUTH_ADDRESS_CLAIM", "ip"), ("SMS_MAX_PER_IP", "1")];
    let service = TestService::development(&settings).await;
    let exp = service.clock.now().as_millis() / 1000 + 300;
    let claims = |user: &str, ip: Value| json!({"sub": user, "exp": exp, "ip": ip});
    with_service_token(&service, &claims("alice", json!("203.0.113.9"))).await.expect(200);
    with_service_token(&service, &claims("bob", json!("203.0.113.9"))).await.expect_problem(429, "rate_limited");
    with_service_token(&service, &claims("carol", json!("203.0.113.10"))).await.expect(200);
    with_service_token(&service, &claims("dave", json!("nowhere"))).await.expect(200);
    drop(guard);
    for (user, address) in [("alice", "203.0.113.9"), ("carol", "203.0.113.10"), ("dave", "127.0.0.1")] {
        let trail = service.audit_trail(user).await;
        assert!(trail.iter().all(|entry| entry.address.as_deref() == Some(address)), "{user}");
        let line = log.text().lines().find(|line| line.contains(&format!("\"user\":\"{user}\""))).map(str::to_owned);
        let source = service.source(address);
        assert!(line.unwrap().contains(&format!("\"source\":\"{}\"", &source[..16])), "{user}");
        assert!(!log.text().contains(address), "{address}");
    }
}

#[tokio::test]
async fn a_client_learns_whether_a_token_is_missing_expired_or_invalid_and_a_developer_why() {
    let service = TestService::development(&[("AUTH_JWT_SECRET", SERVICE_SECRET), ("AUTH_ISSUER", "us")]).await;
    let now = service.clock.now().as_millis() / 1000;
    let missing = service.send(service.request(Method::POST, &service.url("setup")).json(&setup())).await;
    let expired = with_service_token(&service, &json!({"sub": "alice", "iss": "us", "exp": now - 61})).await;
    let foreign = with_service_token(&service, &json!({"sub": "alice", "iss": "them", "exp": now + 300})).await;
    for (reply, reason, detail) in [
        (missing, "missing", "Send an access token in the Authorization header: Bearer, a space, and the token."),
        (expired, "expired", "The access token has expired. Sign in again."),
        (foreign, "invalid", "The access token is not valid: it is of another issuer."),
    ] {
        reply.expect_problem(401, "unauthorized");
        assert_eq!((&reply.body["reason"], &reply.body["detail"]), (&json!(reason), &json!(detail)));
    }
    let production = TestService::production(&[("AUTH_JWT_SECRET", SERVICE_SECRET)]).await;
    let foreign = production.send(production.request(Method::GET, &production.url("setup")).bearer_auth("a.b.c")).await;
    assert_eq!(foreign.body["detail"], "The access token is not valid. Sign in again.", "production does not say why");
}
