//! Assertions: a second factor that others can check (S27).

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{Jwk, JwkSet, ThumbprintHash},
};
use reqwest::Method;
use serde_json::{Value, json};
use two_factor::{app::App, config::Vars, ports::Clock as _};
use two_factor_tests::{
    service::{HOME, TestService, WORK},
    tokens::SigningKey,
};

const ISSUER: &str = "https://api.example.com/api/v1/auth/2fa";

/// Settings that sign with this key.
fn signing(pem: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("PUBLIC_URL", "https://api.example.com/"),
        ("ASSERTION_KEY", pem),
        ("ASSERTION_AUDIENCE", "shop"),
        ("SMS_COOLDOWN_SECONDS", "0"),
        ("SMS_MAX_PER_WINDOW", "20"),
    ]
}

/// A document that everybody may read, and its headers.
async fn public(service: &TestService, name: &str) -> two_factor_tests::service::Reply {
    let url = format!("{}.well-known/{name}", service.url("").trim_end_matches('/').to_owned() + "/");
    service.send(service.request(Method::GET, &url)).await
}

/// What an assertion says, as a service that knows nothing but the issuer's address finds out.
async fn checked(service: &TestService, assertion: &str, now: u64) -> Value {
    let published: JwkSet = serde_json::from_value(public(service, "jwks.json").await.expect(200).body).unwrap();
    let header = decode_header(assertion).unwrap();
    let key = published.find(header.kid.as_deref().unwrap()).expect("the key is published");
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&["shop"]);
    validation.validate_exp = false;
    let claims = decode::<Value>(assertion, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims;
    assert_eq!(header.typ.as_deref(), Some("2fa+jwt"));
    assert_eq!((&claims["iat"], &claims["auth_time"], &claims["exp"]), (&json!(now), &json!(now), &json!(now + 300)));
    claims
}

fn now(service: &TestService) -> u64 {
    service.clock.now().as_millis() / 1000
}

#[tokio::test]
async fn whoever_signs_in_or_confirms_can_show_it_to_others_s27() {
    for key in [SigningKey::p256(), SigningKey::rsa()] {
        let service = TestService::development(&signing(&key.pem())).await;
        let alice = service.user("alice");
        let code = alice.setup(HOME).await.expect(200).development_code();
        let enrolled = alice.verify(&code).await.expect(200);
        assert_eq!(enrolled.body.get("assertion"), None, "an enrollment proves no factor that was bound before");

        let code = alice.send_sms_for("sign_in").await.expect(200).development_code();
        let body = json!({"code": code, "purpose": "sign_in", "nonce": "n-0S6_WzA2Mj"});
        let signed_in = alice.call(Method::POST, "verify", body).await.expect(200);
        let claims = checked(&service, signed_in.body["assertion"].as_str().unwrap(), now(&service)).await;
        assert_eq!(
            [&claims["sub"], &claims["aud"], &claims["amr"], &claims["purpose"], &claims["nonce"]],
            [&json!("alice"), &json!("shop"), &json!(["otp", "sms", "mfa"]), &json!("sign_in"), &json!("n-0S6_WzA2Mj")]
        );
        service.clock.pass(1);
        let with_paper = alice.verify_for("confirm", &enrolled.backup_codes()[0]).await.expect(200);
        let other = checked(&service, with_paper.body["assertion"].as_str().unwrap(), now(&service)).await;
        assert_eq!([&other["amr"], &other["purpose"]], [&json!(["otp", "mfa"]), &json!("confirm")]);
        assert_eq!(other.get("nonce"), None);
        assert!(claims["jti"].as_str().unwrap().len() >= 22 && claims["jti"] != other["jti"], "{claims} {other}");

        let configuration = public(&service, "openid-configuration").await.expect(200);
        assert_eq!(configuration.body, json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks.json")}));
        assert_eq!(configuration.header("cache-control"), "public, max-age=3600");
        let published: Jwk = serde_json::from_value(public(&service, "jwks.json").await.body["keys"][0].clone()).unwrap();
        assert_eq!(published.common.key_id, Some(published.thumbprint(ThumbprintHash::SHA256).unwrap()), "RFC 7638");
    }
}

#[tokio::test]
async fn nothing_else_is_asserted_s27() {
    let key = SigningKey::p256();
    let service = TestService::development(&signing(&key.pem())).await;
    let alice = service.user("alice");
    let codes = alice.enroll(HOME).await;
    let code = alice.send_sms_for("change").await.expect(200).development_code();
    for reply in [
        alice.verify_for("change", &code).await.expect(200),
        alice.call(Method::POST, "verify", json!({"code": codes[0], "regenerate_backup_codes": true})).await.expect(200),
        alice.status().await.expect(200),
        alice.verify("000000").await,
    ] {
        assert_eq!(reply.body.get("assertion"), None, "{}", reply.body);
    }
    let code = alice.send_sms_for("change").await.expect(200).development_code();
    let sent = alice.replace(WORK, &code).await.expect(200);
    let replaced = alice.verify_for("replace", &sent.development_code()).await.expect(200);
    assert_eq!(replaced.body.get("assertion"), None, "a replacement binds another factor");
}

#[tokio::test]
async fn without_a_key_there_is_nothing_to_check_and_no_place_to_look() {
    let service = TestService::development(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    let code = alice.send_sms().await.expect(200).development_code();
    let signed_in = alice.call(Method::POST, "verify", json!({"code": code, "nonce": "n"})).await.expect(200);
    assert_eq!(signed_in.body.get("assertion"), None);
    for name in ["openid-configuration", "jwks.json", "nothing"] {
        public(&service, name).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn the_public_documents_take_no_token_and_no_other_method_and_no_account() {
    let key = SigningKey::p256();
    let service = TestService::development(&signing(&key.pem())).await;
    service.storage.take_calls();
    for name in ["openid-configuration", "openid-configuration/", "jwks.json", "jwks.json/"] {
        public(&service, name).await.expect(200);
        let url = format!("{}.well-known/{name}", service.url("").trim_end_matches('/').to_owned() + "/");
        service.send(service.request(Method::GET, &url).bearer_auth("nonsense")).await.expect(200);
        let refused = service.send(service.request(Method::POST, &url)).await;
        refused.expect_problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), "GET");
    }
    let text = public(&service, "jwks.json").await.body.to_string();
    assert!(!text.contains("\"d\"") && !text.contains("PRIVATE"), "{text}");
    assert_eq!(service.storage.take_calls().len(), 0, "no account is looked at");
}

#[tokio::test]
async fn a_key_is_rotated_without_an_assertion_that_cannot_be_checked() {
    let (old, new) = (SigningKey::p256().pem(), SigningKey::rsa().pem());
    let mut service = TestService::development(&signing(&old)).await;
    let alice = service.user("alice");
    let codes = alice.enroll(HOME).await;
    let first = alice.verify_for("sign_in", &codes[0]).await.expect(200).body["assertion"].as_str().unwrap().to_owned();
    let at = now(&service);
    service.restart(&[("ASSERTION_KEY_NEXT", &new)]).await;
    assert_eq!(public(&service, "jwks.json").await.body["keys"].as_array().unwrap().len(), 2, "published before it signs");
    service.restart(&[("ASSERTION_KEY", &new), ("ASSERTION_KEY_NEXT", ""), ("ASSERTION_KEY_PREVIOUS", &old)]).await;
    checked(&service, &first, at).await;
    let second = service.user("alice").verify_for("sign_in", &codes[1]).await.expect(200);
    let second = second.body["assertion"].as_str().unwrap().to_owned();
    assert_eq!(decode_header(&second).unwrap().alg, Algorithm::RS256);
    checked(&service, &second, now(&service)).await;
    service.restart(&[("ASSERTION_KEY_PREVIOUS", &new)]).await;
    assert_eq!(public(&service, "jwks.json").await.body["keys"].as_array().unwrap().len(), 1, "one key is published once");
}

#[tokio::test]
async fn an_assertion_is_no_token_to_call_with_s27() {
    // The worst case: an issuer whose key signs assertions, too.
    let key = SigningKey::p256();
    let service = TestService::development(&signing(&key.pem())).await;
    let alice = service.user("alice");
    let codes = alice.enroll(HOME).await;
    let assertion = alice.verify_for("sign_in", &codes[0]).await.expect(200).body["assertion"].as_str().unwrap().to_owned();
    let request = service.request(Method::GET, &service.url("setup")).bearer_auth(&assertion);
    service.send(request).await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_nonce_that_is_none_is_named_and_spends_nothing() {
    let key = SigningKey::p256();
    let service = TestService::development(&signing(&key.pem())).await;
    let alice = service.user("alice");
    let codes = alice.enroll(HOME).await;
    for nonce in [json!(""), json!("ü"), json!("a\nb"), json!("x".repeat(129)), json!(1), json!(["n"])] {
        let refused = alice.call(Method::POST, "verify", json!({"code": codes[0], "nonce": nonce})).await;
        refused.expect_problem(400, "invalid_request");
        assert_eq!(refused.body["errors"][0]["field"], "nonce", "{nonce}");
    }
    alice.call(Method::POST, "verify", json!({"code": codes[0], "nonce": null})).await.expect(200);
}

#[tokio::test]
async fn several_audiences_are_a_list_and_an_integer_user_is_a_string() {
    let key = SigningKey::p256().pem();
    let mut settings = signing(&key);
    settings.extend([("ASSERTION_AUDIENCE", "shop, bank"), ("ASSERTION_TTL_SECONDS", "60")]);
    let service = TestService::development(&settings).await;
    let user = service.user("4711");
    let codes = user.enroll(HOME).await;
    let assertion = user.verify_for("sign_in", &codes[0]).await.expect(200).body["assertion"].as_str().unwrap().to_owned();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&assertion).unwrap().claims;
    assert_eq!([&claims["aud"], &claims["sub"]], [&json!(["shop", "bank"]), &json!("4711")]);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
}

/// Why the service does not start with these settings, in production.
async fn refusal(settings: &[(&str, &str)]) -> String {
    let base = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("CODE_PEPPER", "a pepper for tests, which has 32 bytes or more"),
        ("AUTH_JWT_SECRET", "a token secret for tests, which has 32 bytes"),
    ];
    let all = base.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    App::start(Vars::new(all)).await.map(drop).map_or_else(|error| error.to_string(), |()| String::new())
}

#[tokio::test]
async fn wrong_keys_and_settings_stop_the_start_and_no_key_is_repeated_s27() {
    let good = SigningKey::p256().pem();
    let short = SigningKey::rsa_of(aws_lc_rs::rsa::KeySize::Rsa2048).pem();
    assert_eq!(refusal(&signing(&good)).await, "");
    assert_eq!(refusal(&signing(&short)).await, "");
    assert_eq!(refusal(&signing(&good.replace('\n', "\\n"))).await, "", "as a JSON string pasted into a variable has it");
    let ed25519 = SigningKey::ed25519().pem();
    let sec1 = good.replace("PRIVATE KEY", "EC PRIVATE KEY");
    for (pem, expected) in [
        ("nonsense", "ASSERTION_KEY: must be a private key in PEM, as PKCS#8"),
        (&*sec1, "ASSERTION_KEY: must be a private key in PEM, as PKCS#8"),
        (&ed25519, "ASSERTION_KEY: must be a key on the curve P-256, or an RSA key of 2048 bits or more"),
    ] {
        let error = refusal(&signing(pem)).await;
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains(pem) && error.lines().count() == 1, "{error}");
    }
    let with = |changes: &[(&'static str, &'static str)]| {
        let mut settings: Vec<(&str, String)> =
            signing(&good).into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        settings.extend(changes.iter().map(|(name, value)| (*name, (*value).to_owned())));
        settings
    };
    for (changes, expected) in [
        (&[("PUBLIC_URL", "")][..], "PUBLIC_URL: is required with ASSERTION_KEY"),
        (&[("PUBLIC_URL", "http://api.example.com")], "PUBLIC_URL: must begin with https://"),
        (&[("ASSERTION_AUDIENCE", "")], "ASSERTION_AUDIENCE: is required with ASSERTION_KEY"),
        (&[("ASSERTION_AUDIENCE", "shop,,bank")], "ASSERTION_AUDIENCE: must be names with commas between them"),
        (&[("ASSERTION_TTL_SECONDS", "5")], "ASSERTION_TTL_SECONDS: must be a number from 30 to 3600"),
        (&[("AUTH_AUDIENCE", "shop")], "ASSERTION_AUDIENCE: must not have AUTH_AUDIENCE in it"),
        (&[("AUTH_ISSUER", ISSUER)], "AUTH_ISSUER: must not be this service itself"),
        (
            &[
                ("AUTH_MODE", "jwks"),
                ("AUTH_AUDIENCE", "api"),
                ("AUTH_JWKS_URL", "https://api.example.com/api/v1/auth/2fa/.well-known/jwks.json"),
            ],
            "AUTH_JWKS_URL: must not be this service itself",
        ),
        (&[("ASSERTION_KEY", ""), ("ASSERTION_KEY_NEXT", "x")], "ASSERTION_KEY_NEXT: is of no use without ASSERTION_KEY"),
        (&[("ASSERTION_KEY_PREVIOUS", "x")], "ASSERTION_KEY_PREVIOUS: must be a private key in PEM"),
    ] {
        let settings = with(changes);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
        let error = refusal(&settings).await;
        assert!(error.starts_with(expected), "{changes:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
