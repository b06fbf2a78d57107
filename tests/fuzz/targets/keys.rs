//! The documents of issuers: whatever they are, they give keys or none (S23).

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = two_factor::adapters::jwks::usable_keys(data);
});
