//! The functional core: what a second factor is and what may happen to it. Pure: no async, no AWS, no HTTP, no clock.
//!
//! [`decide()`] is the one way to change an [`Account`]; everything else here is the vocabulary it is written in.

pub mod account;
pub mod audit_event;
pub mod backup_code;
pub mod challenge;
pub mod code;
pub mod decide;
pub mod delivery;
pub mod digest;
pub mod lockout;
pub mod phone_number;
pub mod policy;
pub mod send_window;
pub mod text_message;
pub mod timestamp;
pub mod user_id;

pub use account::{Account, Pending, SmsFactor};
pub use audit_event::{AuditEvent, AuditOutcome};
pub use backup_code::{BackupCode, BackupCodes};
pub use challenge::{Challenge, ChallengeId, Purpose};
pub use code::{Code, Proof};
pub use decide::{Answer, Command, Decision, Refusal, decide};
pub use delivery::{FailureClass, Provider};
pub use digest::{Digest, Pepper};
pub use lockout::GuessCount;
pub use phone_number::{AllowedCountries, Country, PhoneNumber, PhoneNumberError};
pub use policy::Policy;
pub use send_window::{Lease, Leases, SendLog};
pub use text_message::{MessageTemplate, TextMessage};
pub use timestamp::Timestamp;
pub use user_id::UserId;
