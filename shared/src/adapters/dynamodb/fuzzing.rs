//! What fuzzing reaches of the records; in no other build.

use super::records::{AccountRecord, Item, WindowRecord, personal_attributes, read_audit_entry};

/// Reads an item as each kind of record. What can be read is written as something that reads the same.
///
/// # Panics
/// Where it does not.
pub fn read(item: &Item) {
    if let Ok(record) = AccountRecord::try_from(item.clone()) {
        let again = AccountRecord::try_from(Item::from(&record)).map(|read| (read.account, read.version)).ok();
        assert_eq!(again, Some((record.account, record.version)), "an account is written as another one");
    }
    let _ = WindowRecord::try_from(item.clone());
    let _ = read_audit_entry(item.clone());
    let _ = personal_attributes(item.clone());
}
