//! Events of API Gateway, as anybody may send them to a function: a request, or none; and then its body (S23).

#![no_main]

use libfuzzer_sys::fuzz_target;
use two_factor::api::{
    body::{DisableBody, SendBody, SetupBody, VerifyBody},
    gateway_event::Event,
};

fuzz_target!(|data: &[u8]| {
    let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
    let Some(request) = event.to_request("invocation") else { return };
    assert!(!request.id().is_empty());
    let _ = (SetupBody::parse(&request).is_ok(), SendBody::parse(&request).is_ok());
    let _ = (VerifyBody::parse(&request).is_ok(), DisableBody::parse(&request).is_ok());
});
