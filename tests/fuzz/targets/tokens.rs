//! Bearer tokens: nobody gets in without the key (S19), and no claim of a token that has it breaks anything (S23).
//!
//! What begins with `{` is a set of claims and is signed as the issuer does it; all else is a token as it came.

#![no_main]

use std::sync::{Arc, LazyLock};

use http::{HeaderValue, Method, header::AUTHORIZATION};
use libfuzzer_sys::fuzz_target;
use two_factor::{
    adapters::{development_token::TokenMint, jwks::JwksKeys, system::SystemClock},
    api::{
        Authenticator,
        request::{HostContext, Request, RequestBody},
    },
    config::{Config, Vars},
    domain::UserId,
    ports::Clock as _,
};

static SETTINGS: LazyLock<Config> = LazyLock::new(|| {
    let vars = [("APP_ENV", "development"), ("AUTH_ADDRESS_CLAIM", "ip"), ("AUTH_REQUIRED_CLAIMS", "use=access")];
    Config::from_vars(&Vars::new(vars.map(|(name, value)| (name.to_owned(), value.to_owned())))).expect("good settings")
});
static AUTHENTICATOR: LazyLock<Authenticator<JwksKeys>> =
    LazyLock::new(|| Authenticator::new(&SETTINGS.auth, |_| unreachable!("the secret is ours"), Arc::new(SystemClock)));

fuzz_target!(|data: &[u8]| {
    let signs = data.first() == Some(&b'{');
    let token = if signs {
        let mint = TokenMint::new(&SETTINGS.auth).expect("the secret is ours");
        let Ok(user) = std::str::from_utf8(&data[1..]) else { return };
        let Ok(token) = mint.mint(user, SystemClock.now(), std::time::Duration::from_secs(60)) else { return };
        token.into_bytes()
    } else {
        data.to_vec()
    };
    let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", &*token].concat()) else { return };
    let mut request = Request {
        method: Method::GET,
        path: String::new(),
        headers: Default::default(),
        body: RequestBody::default(),
        context: HostContext::default(),
    };
    request.headers.insert(AUTHORIZATION, value);
    let caller = futures_executor::block_on(AUTHENTICATOR.authenticate(&request));
    if let Ok(caller) = caller {
        assert!(signs, "a token of nobody's was taken");
        assert!(UserId::parse(caller.user.as_str()).is_ok());
    }
});
