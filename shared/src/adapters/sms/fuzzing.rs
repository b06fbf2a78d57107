//! What fuzzing reaches of the providers' answers; in no other build.

use reqwest::StatusCode;

use super::{messagebird, plivo, rest::Answer, twilio, vonage};
use crate::domain::{FailureClass, message::delivery::is_identifier};

/// Judges an answer as each provider's. A name for a message, and a provider's code, are fit for a log; and where the status leaves open
/// what became of the message, nobody is told that it did not leave.
///
/// # Panics
/// Where that is not so.
pub fn judge(status: u16, body: &[u8]) {
    let Ok(status) = StatusCode::from_u16(status) else { return };
    let answer = Answer::new(status, body.to_vec());
    for judge in [twilio::judge, plivo::judge, vonage::judge, messagebird::judge_classic, messagebird::judge_bird] {
        match judge(&answer) {
            Ok(id) => assert!(is_identifier(&id) && !status.is_server_error(), "{status}"),
            Err(failure) => {
                assert!(failure.code().is_none_or(is_identifier));
                assert!(!status.is_server_error() || failure.class == FailureClass::UnknownOutcome, "{status}: {failure:?}");
            }
        }
    }
}
