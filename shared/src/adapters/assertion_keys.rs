//! Signs assertions as JSON Web Tokens, and publishes the keys that they are checked with (RFC 7515, 7517, 7518, 7638).

use std::{fmt, time::Duration};

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    config::{
        AssertionConfig, ConfigErrors,
        settings::{ASSERTION_KEY, ASSERTION_KEY_NEXT, ASSERTION_KEY_PREVIOUS, Setting},
    },
    domain::{Assertion, Nonce, assertion::ASSERTION_TYPE, audit::Method},
};

/// The shortest RSA key, in bytes (NIST SP 800-131A: 2048 bits).
const MIN_RSA_BYTES: usize = 256;

/// Signs assertions.
pub struct AssertionKeys {
    issuer: String,
    audience: Vec<String>,
    ttl: Duration,
    key: Key,
    published: Vec<Value>,
}

/// A signing key, and what others know of it.
struct Key {
    pair: Pair,
    id: String,
    public: Value,
}

enum Pair {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// The library does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assertion cannot be signed")]
pub struct Unsigned;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Value,
    iat: u64,
    auth_time: u64,
    exp: u64,
    amr: &'static [&'static str],
    purpose: &'static str,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl AssertionKeys {
    /// The keys of these settings.
    ///
    /// # Errors
    /// When one of them is no PKCS#8 key in PEM, or of a kind or size that is not on offer. An error repeats nothing of a key.
    pub fn new(config: &AssertionConfig) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut read =
            |setting: &Setting, pem: &SecretString| errors.keep(Key::parse(pem).map_err(|problem| setting.error(problem)));
        let key = read(&ASSERTION_KEY, &config.key);
        let others = [(ASSERTION_KEY_NEXT, &config.next), (ASSERTION_KEY_PREVIOUS, &config.previous)];
        let others: Vec<_> = others.into_iter().filter_map(|(setting, pem)| read(&setting, pem.as_ref()?)).collect();
        let keys = key.map(|key| {
            let mut published = vec![key.public.clone()];
            // One key in two places, as in the middle of a rotation, is published once.
            for other in others {
                if !published.contains(&other.public) {
                    published.push(other.public);
                }
            }
            Self { issuer: config.issuer.clone(), audience: config.audience.clone(), ttl: config.ttl, key, published }
        });
        errors.finish(keys)
    }

    /// The assertion as a JSON Web Token.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn sign(&self, assertion: &Assertion) -> Result<String, Unsigned> {
        let at = assertion.at.as_millis() / 1000;
        let claims = Claims {
            iss: &self.issuer,
            sub: assertion.user.as_str(),
            aud: match &self.audience[..] {
                [one] => json!(one),
                several => json!(several),
            },
            iat: at,
            auth_time: at,
            exp: at + self.ttl.as_secs(),
            amr: methods(assertion.method),
            purpose: assertion.purpose.as_str(),
            jti: &name_of(assertion),
            nonce: assertion.nonce.as_ref().map(Nonce::as_str),
        };
        let header = json!({"typ": ASSERTION_TYPE, "alg": self.key.pair.algorithm(), "kid": self.key.id});
        let encode = |part: serde_json::Result<Vec<u8>>| part.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| Unsigned);
        let signed = format!("{}.{}", encode(serde_json::to_vec(&header))?, encode(serde_json::to_vec(&claims))?);
        let signature = self.key.pair.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Who signs: the `issuer` of `openid-configuration`, below which the keys are.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public keys, as JSON Web Keys (RFC 7517): the one that signs first, then the next and the one before.
    pub fn published(&self) -> &[Value] {
        &self.published
    }
}

impl fmt::Debug for AssertionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKeys").field("issuer", &self.issuer).field("key", &self.key.id).finish_non_exhaustive()
    }
}

/// An assertion's `jti`, which logs name.
pub fn name_of(assertion: &Assertion) -> String {
    URL_SAFE_NO_PAD.encode(assertion.id.as_bytes())
}

/// How the user was authenticated, in registered words (RFC 8176): with a one-time password, by SMS or from paper, as the second of
/// several factors.
const fn methods(method: Method) -> &'static [&'static str] {
    match method {
        Method::Sms => &["otp", "sms", "mfa"],
        Method::BackupCode => &["otp", "mfa"],
    }
}

impl Key {
    fn parse(pem: &SecretString) -> Result<Self, &'static str> {
        // A variable or a JSON string may have kept line breaks as `\n`.
        let pem = pem.expose_secret().replace("\\n", "\n");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "must be a private key in PEM, as PKCS#8: -----BEGIN PRIVATE KEY-----")?;
        let der = der.secret_pkcs8_der();
        let pair = if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            Pair::P256(pair)
        } else {
            let pair = RsaKeyPair::from_pkcs8(der)
                .map_err(|_| "must be a key on the curve P-256, or an RSA key of 2048 bits or more")?;
            if pair.public_modulus_len() < MIN_RSA_BYTES {
                return Err("must have 2048 bits or more, being an RSA key");
            }
            Pair::Rsa(pair)
        };
        // The members of a thumbprint, in the order of their names and without white space (RFC 7638, 3.2).
        let mut public = pair.public();
        let thumbprint = digest::digest(&digest::SHA256, public.to_string().as_bytes());
        let id = URL_SAFE_NO_PAD.encode(thumbprint);
        if let Some(members) = public.as_object_mut() {
            members.extend(
                [("kid", id.as_str()), ("use", "sig"), ("alg", pair.algorithm())]
                    .map(|(name, value)| (name.to_owned(), json!(value))),
            );
        }
        Ok(Self { pair, id, public })
    }
}

impl Pair {
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    /// The members that make the key.
    fn public(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::P256(pair) => {
                // The uncompressed point: 4, x, y.
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                json!({"crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y)})
            }
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let (e, n) =
                    (public.exponent().big_endian_without_leading_zero(), public.modulus().big_endian_without_leading_zero());
                json!({"e": encode(e), "kty": "RSA", "n": encode(n)})
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unsigned> {
        let random = SystemRandom::new();
        match self {
            Self::P256(pair) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| Unsigned),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature).map_err(|_| Unsigned)
            }
        }
    }
}
