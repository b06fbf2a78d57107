//! Answers of SMS providers, and of whatever stands between: judged, and nothing of them but identifiers is kept (S6, S12, S23).
//!
//! The first two bytes are the status.

#![no_main]

use libfuzzer_sys::fuzz_target;
use two_factor::adapters::sms::fuzzing;

fuzz_target!(|data: &[u8]| {
    let Some((status, body)) = data.split_at_checked(2) else { return };
    let status = u16::from_be_bytes([status[0], status[1]]);
    // Three statuses out of four are those that providers answer.
    let known = [200, 201, 202, 400, 401, 403, 422, 429, 500, 503];
    let status = if status % 4 == 0 { status % 1000 } else { known[usize::from(status) % known.len()] };
    fuzzing::judge(status, body);
});
