//! The issuer's keys: rotation, outages and floods of unknown names (S19, S21).

use std::sync::Arc;

use lambda_http::http::header::AUTHORIZATION;
use serde_json::{Value, json};
use two_factor::{
    adapters::jwks::JwksKeys,
    api::{AuthError, Authenticator, Request},
    config::{Config, Vars},
    ports::Clock,
};
use two_factor_tests::{clock::ManualClock, tokens::SigningKey};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

struct Fixture {
    server: MockServer,
    clock: Arc<ManualClock>,
    authenticator: Arc<Authenticator<JwksKeys>>,
}

impl Fixture {
    async fn new(document: ResponseTemplate) -> Self {
        let server = MockServer::start().await;
        let settings = [
            ("APP_ENV", "development".to_owned()),
            ("AUTH_MODE", "jwks".to_owned()),
            ("AUTH_JWKS_URL", format!("{}/keys.json", server.uri())),
        ];
        let vars = Vars::new(settings.map(|(name, value)| (name.to_owned(), value)));
        let clock = ManualClock::new();
        let http = two_factor::adapters::http::public_client(&vars).unwrap();
        let keys = |url: &reqwest::Url| JwksKeys::new(http, url.clone(), clock.clone());
        let authenticator = Arc::new(Authenticator::new(&Config::from_vars(&vars).unwrap().auth, keys, clock.clone()));
        let fixture = Self { server, clock, authenticator };
        fixture.publish(document).await;
        fixture
    }

    /// The issuer answers like this from now on.
    async fn publish(&self, answer: ResponseTemplate) {
        self.server.reset().await;
        Mock::given(method("GET")).respond_with(answer).mount(&self.server).await;
    }

    /// How often the issuer was asked since it last published something.
    async fn fetches(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }

    fn claims(&self) -> Value {
        json!({"sub": "alice", "exp": self.clock.now().as_millis() / 1000 + 300})
    }

    async fn try_key(&self, key: &SigningKey, kid: &str) -> Result<String, AuthError> {
        self.try_token(&key.token(kid, &self.claims())).await
    }

    async fn try_token(&self, token: &str) -> Result<String, AuthError> {
        let mut request = Request::default();
        request.headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        self.authenticator.authenticate(&request).await.map(|caller| caller.user.to_string())
    }
}

fn set(keys: &[Value]) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"keys": keys}))
}

fn down() -> ResponseTemplate {
    ResponseTemplate::new(500)
}

#[track_caller]
fn assert_invalid(result: &Result<String, AuthError>, reason: &str) {
    assert!(matches!(result, Err(AuthError::Invalid(_))), "{reason}: {result:?}");
}

#[tokio::test]
async fn each_kind_of_key_verifies_its_own_algorithm_with_one_fetch_for_all() {
    let keys = [SigningKey::rsa(), SigningKey::p256(), SigningKey::ed25519()];
    let jwks: Vec<_> = keys.iter().map(|key| key.jwk(key.alg())).collect();
    let fixture = Fixture::new(set(&jwks)).await;
    for key in &keys {
        assert_eq!(fixture.try_key(key, key.alg()).await, Ok("alice".into()), "{}", key.alg());
    }
    let without_kid = keys[1].sign(&json!({"alg": "ES256"}), &fixture.claims());
    assert_eq!(fixture.try_token(&without_kid).await, Ok("alice".into()), "the only key of its kind needs no name");
    assert_eq!(fixture.fetches().await, 1);
}

#[tokio::test]
async fn no_token_passes_under_another_algorithm_or_key_s19() {
    let (rsa, p256, ed25519) = (SigningKey::rsa(), SigningKey::p256(), SigningKey::ed25519());
    let shared = SigningKey::hmac("a-secret-of-at-least-thirty-two-bytes");
    let set_of_keys = set(&[rsa.jwk("rsa"), p256.jwk("p256"), ed25519.jwk("ed"), shared.jwk("shared")]);
    let fixture = Fixture::new(set_of_keys).await;
    assert!(fixture.try_key(&rsa, "rsa").await.is_ok());
    let claims = fixture.claims();
    let der = rsa.public_der();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der)
    );
    let confused = |secret: &[u8]| SigningKey::Hmac(secret.to_vec()).sign(&json!({"alg": "HS256", "kid": "rsa"}), &claims);
    let embedded = SigningKey::p256();
    for (token, reason) in [
        (confused(&der), "the public key as a secret, DER"),
        (confused(pem.as_bytes()), "the public key as a secret, PEM"),
        (confused(rsa.jwk("rsa")["n"].as_str().unwrap().as_bytes()), "the modulus as a secret"),
        (shared.token("shared", &claims), "a published secret"),
        (rsa.sign(&json!({"alg": "RS384", "kid": "rsa"}), &claims), "RS384 claimed"),
        (rsa.sign(&json!({"alg": "PS256", "kid": "rsa"}), &claims), "PS256 claimed"),
        (rsa.sign(&json!({"alg": "none", "kid": "rsa"}), &claims), "none claimed"),
        (rsa.sign(&json!({"alg": "ES256", "kid": "rsa"}), &claims), "an algorithm of another kind of key"),
        (rsa.token("p256", &claims), "the name of another key"),
        (SigningKey::rsa().token("rsa", &claims), "another key under a known name"),
        (SigningKey::ed25519().token("ed", &claims), "another Ed25519 key"),
        (
            embedded.sign(&json!({"alg": "ES256", "kid": "evil", "jwk": embedded.jwk("evil")}), &claims),
            "a key in the token's own header",
        ),
        (
            embedded.sign(&json!({"alg": "ES256", "kid": "evil", "jku": "https://evil.example/keys"}), &claims),
            "a URL of keys in the token's own header",
        ),
        (rsa.sign(&json!({"alg": "RS256", "kid": 7}), &claims), "a name that is a number"),
        (rsa.sign(&json!({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": false}), &claims), "a critical extension"),
    ] {
        assert_invalid(&fixture.try_token(&token).await, reason);
    }
}

#[tokio::test]
async fn a_key_that_is_not_fit_or_not_meant_for_signing_is_not_used_s19() {
    let (rsa, p256, ed25519) = (SigningKey::rsa(), SigningKey::p256(), SigningKey::ed25519());
    let with = |jwk: Value, name: &str, value: Value| {
        let mut jwk = jwk;
        jwk[name] = value;
        jwk
    };
    let good = SigningKey::p256();
    for (jwk, key, reason) in [
        (with(rsa.jwk("k"), "use", json!("enc")), &rsa, "for encryption"),
        (with(rsa.jwk("k"), "key_ops", json!(["encrypt"])), &rsa, "not for verifying"),
        (with(rsa.jwk("k"), "alg", json!("RS512")), &rsa, "for another algorithm"),
        (with(rsa.jwk("k"), "alg", json!("ES256")), &rsa, "an algorithm of another type"),
        (with(rsa.jwk("k"), "kty", json!("EC")), &rsa, "another type"),
        (with(rsa.jwk("k"), "crv", json!("P-256")), &rsa, "a curve, for RSA"),
        (with(rsa.jwk("k"), "n", json!("AQAB")), &rsa, "24 bits"),
        (with(rsa.jwk("k"), "n", json!(two_factor_tests::tokens::base64url([0xff; 255]))), &rsa, "2040 bits"),
        (with(rsa.jwk("k"), "n", json!(two_factor_tests::tokens::base64url([0xff; 1025]))), &rsa, "more than 8192 bits"),
        (with(rsa.jwk("k"), "e", json!("")), &rsa, "no exponent"),
        (with(p256.jwk("k"), "crv", json!("P-384")), &p256, "another curve"),
        (with(p256.jwk("k"), "crv", json!("secp256k1")), &p256, "a foreign curve"),
        (with(p256.jwk("k"), "x", json!("AAAA")), &p256, "a short coordinate"),
        (with(p256.jwk("k"), "y", json!("not base64!")), &p256, "no base64"),
        (with(ed25519.jwk("k"), "crv", json!("X25519")), &ed25519, "a curve for key agreement"),
        (with(ed25519.jwk("k"), "x", json!("AAAA")), &ed25519, "a short point"),
    ] {
        let fixture = Fixture::new(set(&[jwk, good.jwk("good")])).await;
        assert_invalid(&fixture.try_key(key, "k").await, reason);
        assert!(fixture.try_key(&good, "good").await.is_ok(), "{reason}: the key beside it is used all the same");
    }
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it() {
    let (old, new) = (SigningKey::p256(), SigningKey::p256());
    let fixture = Fixture::new(set(&[old.jwk("old")])).await;
    assert!(fixture.try_key(&old, "old").await.is_ok());
    fixture.publish(set(&[new.jwk("new")])).await;
    fixture.clock.pass(59);
    assert_invalid(&fixture.try_key(&new, "new").await, "not a minute since the last fetch");
    assert_eq!(fixture.fetches().await, 0);
    fixture.clock.pass(1);
    assert!(fixture.try_key(&new, "new").await.is_ok());
    assert_invalid(&fixture.try_key(&old, "old").await, "the old key is withdrawn");
    assert_eq!(fixture.fetches().await, 1);
}

#[tokio::test]
async fn a_withdrawn_key_is_forgotten_within_an_hour() {
    let (old, new) = (SigningKey::p256(), SigningKey::p256());
    let fixture = Fixture::new(set(&[old.jwk("old")])).await;
    assert!(fixture.try_key(&old, "old").await.is_ok());
    fixture.publish(set(&[new.jwk("new")])).await;
    fixture.clock.pass(3599);
    assert!(fixture.try_key(&old, "old").await.is_ok());
    fixture.clock.pass(1);
    assert_invalid(&fixture.try_key(&old, "old").await, "an hour is over");
}

#[tokio::test]
async fn a_flood_of_unknown_names_costs_one_fetch_a_minute() {
    let key = SigningKey::p256();
    let fixture = Arc::new(Fixture::new(set(&[key.jwk("known")])).await);
    assert!(fixture.try_key(&key, "known").await.is_ok());
    for minute in 0..3 {
        fixture.clock.pass(60);
        let flood = (0..50).map(|n| {
            let fixture = Arc::clone(&fixture);
            let token = key.token(&format!("unknown-{minute}-{n}"), &fixture.claims());
            tokio::spawn(async move { fixture.try_token(&token).await })
        });
        for result in flood.collect::<Vec<_>>() {
            assert_invalid(&result.await.unwrap(), "an unknown name");
        }
    }
    assert_eq!(fixture.fetches().await, 4);
}

#[tokio::test]
async fn concurrent_first_requests_share_one_fetch() {
    let key = Arc::new(SigningKey::ed25519());
    let slow = set(&[key.jwk("k")]).set_delay(std::time::Duration::from_millis(50));
    let fixture = Arc::new(Fixture::new(slow).await);
    let requests = (0..20).map(|_| {
        let (fixture, key) = (Arc::clone(&fixture), Arc::clone(&key));
        tokio::spawn(async move { fixture.try_key(&key, "k").await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), Ok("alice".into()));
    }
    assert_eq!(fixture.fetches().await, 1);
}

/// The issuer answers so, and takes three seconds of the service's time for it.
fn slowly(clock: &Arc<ManualClock>, answer: ResponseTemplate) -> impl wiremock::Respond + 'static {
    let clock = Arc::clone(clock);
    move |_: &wiremock::Request| {
        clock.pass(3);
        answer.clone().set_delay(std::time::Duration::from_millis(50))
    }
}

#[tokio::test]
async fn a_slow_failing_fetch_is_not_repeated_by_each_that_waited_for_it_s21() {
    let key = SigningKey::p256();
    let fixture = Arc::new(Fixture::new(set(&[key.jwk("known")])).await);
    for known in [false, true] {
        if known {
            assert!(fixture.try_key(&key, "known").await.is_ok());
            fixture.clock.pass(3600);
        }
        fixture.server.reset().await;
        let answer = slowly(&fixture.clock, down());
        Mock::given(method("GET")).respond_with(answer).mount(&fixture.server).await;
        let requests = (0..10).map(|n| {
            let (fixture, token) = (Arc::clone(&fixture), key.token(&format!("unknown-{n}"), &fixture.claims()));
            tokio::spawn(async move { fixture.try_token(&token).await })
        });
        for request in requests.collect::<Vec<_>>() {
            assert_eq!(request.await.unwrap(), Err(AuthError::KeysUnavailable));
        }
        assert_eq!(fixture.fetches().await, 1, "keys are known: {known}");
        fixture.publish(set(&[key.jwk("known")])).await;
        fixture.clock.pass(60);
    }
}

#[tokio::test]
async fn a_slow_fetch_serves_all_that_waited_for_it() {
    let key = Arc::new(SigningKey::p256());
    let fixture = Arc::new(Fixture::new(set(&[key.jwk("old")])).await);
    assert!(fixture.try_key(&key, "old").await.is_ok());
    fixture.clock.pass(60);
    fixture.server.reset().await;
    let answer = slowly(&fixture.clock, set(&[key.jwk("new")]));
    Mock::given(method("GET")).respond_with(answer).mount(&fixture.server).await;
    let requests = (0..10).map(|n| {
        let (fixture, key) = (Arc::clone(&fixture), Arc::clone(&key));
        tokio::spawn(async move { fixture.try_key(&key, if n % 2 == 0 { "new" } else { "unknown" }).await })
    });
    for (n, request) in requests.collect::<Vec<_>>().into_iter().enumerate() {
        let result = request.await.unwrap();
        assert_eq!(result.is_ok(), n % 2 == 0, "{n}: {result:?}");
    }
    assert_eq!(fixture.fetches().await, 1);
}

#[tokio::test]
async fn known_keys_stay_in_use_while_the_issuer_is_down_s21() {
    let key = SigningKey::p256();
    let fixture = Fixture::new(set(&[key.jwk("known")])).await;
    assert!(fixture.try_key(&key, "known").await.is_ok());
    fixture.publish(down()).await;
    fixture.clock.pass(24 * 3600);
    assert!(fixture.try_key(&key, "known").await.is_ok(), "a day later");
    assert_eq!(
        fixture.try_key(&SigningKey::p256(), "unknown").await,
        Err(AuthError::KeysUnavailable),
        "it may be a new key: nobody can tell"
    );
    assert_eq!(fixture.fetches().await, 1, "and the issuer is left in peace");
}

#[tokio::test]
async fn without_keys_nothing_is_verified_and_a_second_later_all_may_be_well_s21() {
    let key = SigningKey::p256();
    let fixture = Fixture::new(down()).await;
    assert_eq!(fixture.try_key(&key, "k").await, Err(AuthError::KeysUnavailable));
    fixture.publish(set(&[key.jwk("k")])).await;
    assert_eq!(fixture.try_key(&key, "k").await, Err(AuthError::KeysUnavailable), "not asked again at once");
    fixture.clock.pass(1);
    assert!(fixture.try_key(&key, "k").await.is_ok());
}

#[tokio::test]
async fn an_answer_that_is_no_set_of_keys_changes_nothing() {
    let key = SigningKey::p256();
    let fixture = Fixture::new(set(&[key.jwk("known")])).await;
    assert!(fixture.try_key(&key, "known").await.is_ok());
    let huge = format!(r#"{{"keys": [], "padding": "{}"}}"#, "x".repeat(200_000));
    for (answer, reason) in [
        (ResponseTemplate::new(200), "empty"),
        (ResponseTemplate::new(200).set_body_string("<html>"), "HTML"),
        (ResponseTemplate::new(200).set_body_string("[]"), "a list"),
        (ResponseTemplate::new(200).set_body_json(json!({"keys": {}})), "keys that are no list"),
        (set(&[]), "no keys"),
        (set(&[json!({"kty": "RSA"}), json!(1), json!(null)]), "no usable keys"),
        (ResponseTemplate::new(200).set_body_string("[".repeat(100_000)), "deeply nested"),
        (ResponseTemplate::new(200).set_body_string(huge), "huge"),
        (ResponseTemplate::new(404).set_body_json(json!({"keys": [SigningKey::p256().jwk("known")]})), "an error with keys"),
        (ResponseTemplate::new(302).insert_header("location", "https://evil.example/keys"), "a redirect"),
    ] {
        fixture.publish(answer).await;
        fixture.clock.pass(60);
        let unknown = SigningKey::p256();
        assert_eq!(fixture.try_key(&unknown, "unknown").await, Err(AuthError::KeysUnavailable), "{reason}");
        assert_eq!(fixture.fetches().await, 1, "{reason}");
        assert!(fixture.try_key(&key, "known").await.is_ok(), "{reason}");
    }
}

#[tokio::test]
async fn tokens_that_can_never_be_good_cause_no_fetch() {
    let fixture = Fixture::new(down()).await;
    let claims = fixture.claims();
    assert_invalid(&fixture.try_token("a.b.c").await, "no token");
    assert_invalid(&fixture.try_key(&SigningKey::hmac("a-secret-of-at-least-thirty-two-bytes"), "k").await, "HS256");
    assert_invalid(&fixture.try_token(&SigningKey::p256().sign(&json!({"alg": "none"}), &claims)).await, "none");
    assert_eq!(fixture.fetches().await, 0);
}
