//! An issuer of tokens: signs whatever a test asks for, good or bad, and publishes its key.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a test that cannot sign has failed")]

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// A key that signs tokens.
pub enum SigningKey {
    /// HS256.
    Hmac(Vec<u8>),
    /// RS256.
    Rsa(RsaKeyPair),
    /// ES256.
    P256(EcdsaKeyPair),
    /// `EdDSA`.
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A shared secret.
    pub fn hmac(secret: &str) -> Self {
        Self::Hmac(secret.as_bytes().to_vec())
    }

    /// A fresh RSA key of 2048 bits.
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// A fresh RSA key of this size.
    pub fn rsa_of(size: KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).unwrap())
    }

    /// A fresh key on P-256.
    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// A fresh Ed25519 key.
    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// The private key as PKCS#8 in PEM.
    pub fn pem(&self) -> String {
        let der = match self {
            Self::Hmac(_) => panic!("a shared secret has no such form"),
            Self::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).unwrap().as_ref().to_vec(),
            Self::P256(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
        };
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    }

    /// The algorithm's name.
    pub fn alg(&self) -> &'static str {
        match self {
            Self::Hmac(_) => "HS256",
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key as a JWK named `kid`; for a shared secret, the secret, which nobody should ever publish.
    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Hmac(secret) => json!({"kty": "oct", "kid": kid, "k": base64url(secret)}),
            Self::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
                    "n": base64url(n.big_endian_without_leading_zero()), "e": base64url(e.big_endian_without_leading_zero())})
            }
            Self::P256(pair) => {
                // An uncompressed point: 4, x, y.
                let (_, point) = pair.public_key().as_ref().split_at(1);
                let (x, y) = point.split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": base64url(x), "y": base64url(y)})
            }
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64url(pair.public_key().as_ref())})
            }
        }
    }

    /// The public key as a certificate's `SubjectPublicKeyInfo`, DER: what an RS/HS confusion abuses as a secret.
    pub fn public_der(&self) -> Vec<u8> {
        match self {
            Self::Hmac(_) => Vec::new(),
            Self::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
                der.as_ref().to_vec()
            }
            Self::P256(pair) => pair.public_key().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims, whatever they say.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Hmac(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes()).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::P256(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", base64url(signature))
    }

    /// A token with these claims and the header that goes with the key.
    pub fn token(&self, kid: &str, claims: &Value) -> String {
        self.sign(&json!({"alg": self.alg(), "typ": "JWT", "kid": kid}), claims)
    }
}

/// Base64 as tokens have it.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
