//! What the items of the table look like: each kind has a file, its own types, and is read strictly.

mod account;
mod account_schema_1;
mod attributes;
mod audit;
mod window;

pub(super) use account::{AccountRecord, VERSION_ATTRIBUTE};
pub(super) use attributes::{Item, RecordError, SCHEMA_ATTRIBUTE, moment, number};
pub(super) use audit::{personal_attributes, read_audit_entry};
pub(super) use window::{WINDOW_SCHEMA, WindowRecord, slot_attribute, window_ttl};
