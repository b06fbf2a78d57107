//! The key that development signs assertions with: a new one at each start, unless there is one.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use two_factor::config::settings::{ASSERTION_AUDIENCE, ASSERTION_KEY, PUBLIC_URL, SECRET_ID};

use crate::settings::Settings;

/// Whom the assertions of development are for, where nothing else is said.
const AUDIENCE: &str = "local";

/// Completes the settings with a key, and with what a key needs, for a server that is called at `url`. Leaves them alone where they
/// have a key, or where a secret may have one.
pub(crate) fn set_defaults(settings: &mut Settings, url: &str) {
    let vars = settings.vars();
    if ASSERTION_KEY.get(&vars).is_some() || SECRET_ID.get(&vars).is_some() {
        return;
    }
    let Some(pem) = generate() else { return };
    settings.set_default(ASSERTION_KEY.name, &pem);
    settings.set_default(PUBLIC_URL.name, url);
    settings.set_default(ASSERTION_AUDIENCE.name, AUDIENCE);
}

/// A private key on the curve P-256 as PKCS#8 in PEM (RFC 7468); `None` where the library refuses.
fn generate() -> Option<String> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
    let der = STANDARD.encode(key.to_pkcs8v1().ok()?.as_ref());
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in der.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Some(pem)
}
