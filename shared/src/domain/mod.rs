//! The functional core: what a second factor is and what may happen to it. Pure: no async, no AWS, no HTTP, no clock.
//!
//! [`decide()`] is the one way to change an [`Account`]; everything else here is the vocabulary it is written in.

pub mod account;
pub mod assertion;
pub mod audit;
pub mod backup_code;
pub mod decide;
pub mod digest;
pub mod message;
pub mod phone_number;
pub mod policy;
pub mod price;
pub mod sms;
pub mod test_numbers;
pub mod timestamp;
pub mod user_id;

pub use account::Account;
pub use assertion::{Assertion, Nonce};
pub use audit::{AuditEvent, AuditKind, AuditOutcome};
pub use backup_code::{BackupCode, BackupCodes};
pub use decide::{Answer, Command, Decision, Refusal, decide};
pub use digest::{Digest, Pepper};
pub use message::{
    delivery::{FailureClass, Provider},
    text::{MessageTemplate, TextMessage},
};
pub use phone_number::{AllowedCountries, Country, PhoneNumber, PhoneNumberError};
pub use policy::Policy;
pub use sms::{
    challenge::{Challenge, ChallengeId, Purpose},
    code::{Code, Proof},
    factor::SmsFactor,
    lockout::FailedAttempts,
    send_window::{SendLog, SendWindow, Slot},
};
pub use test_numbers::{NumberRole, TestNumbers};
pub use timestamp::Timestamp;
pub use user_id::UserId;
