//! Bodies of requests (S23): whatever is no body of ours is a problem document, which is JSON and repeats no code.

#![no_main]

use http::{HeaderValue, Method, header::CONTENT_TYPE};
use libfuzzer_sys::fuzz_target;
use two_factor::api::{
    body::{DisableBody, SendBody, SetupBody, VerifyBody},
    problem::Problem,
    request::{HostContext, Request, RequestBody},
};

fn judge<T>(read: Result<T, Problem>) {
    let Err(problem) = read else { return };
    let response = problem.into_response("fuzzing");
    assert!(response.status().is_client_error());
    assert!(serde_json::from_str::<serde_json::Value>(response.body()).is_ok());
}

fuzz_target!(|data: &[u8]| {
    let mut request = Request {
        method: Method::POST,
        path: "/api/v1/auth/2fa/setup/".to_owned(),
        headers: Default::default(),
        body: RequestBody::Bytes(data.to_vec()),
        context: HostContext::default(),
    };
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    judge(SetupBody::parse(&request));
    judge(SendBody::parse(&request));
    judge(VerifyBody::parse(&request));
    judge(DisableBody::parse(&request));
});
