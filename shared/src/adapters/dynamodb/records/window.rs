//! The window of a phone number or a source address, as it is stored.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::attributes::{Item, Node, RecordError, number};
use crate::domain::{SendWindow, Slot, Timestamp};

/// The shape of windows. It is as old as the first release: programs before and after an update take slots of the same windows.
pub(in super::super) const WINDOW_SCHEMA: u32 = 1;

/// How much longer than its last slot a window is kept: more than the clocks of two functions differ and than a commit takes,
/// so that the later of two takings may set the earlier end without losing the other.
const WINDOW_SLACK: Duration = Duration::from_mins(1);

/// What the attributes of slots are called, from the first release on; the slot's index follows.
const SLOT_PREFIX: &str = "lease_";

/// A window as it is read; taking and giving back change single attributes of it, without reading it first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct WindowRecord(pub(in super::super) SendWindow);

impl TryFrom<Item> for WindowRecord {
    type Error = RecordError;

    fn try_from(item: Item) -> Result<Self, RecordError> {
        let item = AttributeValue::M(item);
        Node::of_schema(&item, WINDOW_SCHEMA)?;
        let taken = item.as_m().ok().into_iter().flatten().filter_map(|(name, value)| {
            let index = name.strip_prefix(SLOT_PREFIX)?;
            let slot = || {
                let index = index.parse().map_err(|_| RecordError::Malformed(SLOT_PREFIX))?;
                Ok(Slot { index, taken_at: Node { name: SLOT_PREFIX, value }.moment()? })
            };
            Some(slot())
        });
        Ok(Self(SendWindow::new(taken.collect::<Result<Vec<_>, _>>()?)))
    }
}

/// The attribute that holds a slot of a window.
pub(in super::super) fn slot_attribute(index: u16) -> String {
    format!("{SLOT_PREFIX}{index}")
}

/// The TTL of a window whose latest slot this is.
pub(in super::super) fn window_ttl(taken_at: Timestamp, window: Duration) -> AttributeValue {
    number(taken_at.plus(window).plus(WINDOW_SLACK).as_secs_ceil())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::keys::TTL,
            attributes::{SCHEMA_ATTRIBUTE, item, text},
        },
        *,
    };

    #[test]
    fn a_window_is_read_slot_by_slot() {
        let window = |name: &str, value| {
            WindowRecord::try_from(item([(SCHEMA_ATTRIBUTE, number(WINDOW_SCHEMA)), (TTL, number(9)), (name, value)]))
        };
        let slot = Slot { index: 3, taken_at: Timestamp::from_millis(5) };
        assert_eq!(window("lease_3", number(5)), Ok(WindowRecord(SendWindow::new([slot]))));
        assert_eq!(window("lease_x", number(5)), Err(RecordError::Malformed(SLOT_PREFIX)), "an index in words");
        assert_eq!(window("lease_3", text("5")), Err(RecordError::Malformed(SLOT_PREFIX)), "an instant in words");
    }

    #[test]
    fn another_schema_is_refused() {
        let window = |schema| WindowRecord::try_from(item([(SCHEMA_ATTRIBUTE, schema)]));
        for schema in [number(0), number(2), text("1"), AttributeValue::Null(true)] {
            assert_eq!(window(schema.clone()), Err(RecordError::UnknownSchema), "{schema:?}");
        }
    }
}
