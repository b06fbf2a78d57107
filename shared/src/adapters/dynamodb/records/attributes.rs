//! Reading and writing attributes: strictly, so that a missing or unknown part is an error, never a guess.

use std::{collections::HashMap, str::FromStr};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use crate::domain::Timestamp;

/// An item, or a map within one.
pub(in super::super) type Item = HashMap<String, AttributeValue>;

/// The name of the attribute that says which shape an item has.
pub(in super::super) const SCHEMA_ATTRIBUTE: &str = "schema";

/// Why an item cannot be read. Names the attribute, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum RecordError {
    /// A part is not there.
    #[error("the attribute `{0}` is missing")]
    Missing(&'static str),
    /// A part has the wrong type, or a value that it cannot have.
    #[error("the attribute `{0}` is malformed")]
    Malformed(&'static str),
    /// The item was written by a program that knows more, or by no program of ours.
    #[error("the schema is not one that this version reads")]
    UnknownSchema,
}

pub(in super::super) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(in super::super) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A number, as DynamoDB wants it.
pub(in super::super) fn number(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// An instant: milliseconds since the Unix epoch.
pub(in super::super) fn moment(at: Timestamp) -> AttributeValue {
    number(at.as_millis())
}

pub(in super::super) fn bytes(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(in super::super) fn list<T>(elements: impl IntoIterator<Item = T>, write: impl Fn(T) -> AttributeValue) -> AttributeValue {
    AttributeValue::L(elements.into_iter().map(write).collect())
}

/// A part that may not be there: NULL then, so that "none" and "missing" are two things.
pub(in super::super) fn optional<T>(part: Option<T>, write: impl Fn(T) -> AttributeValue) -> AttributeValue {
    part.map_or(AttributeValue::Null(true), write)
}

/// A value that is being read, and the name it goes by.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) name: &'static str,
    pub(super) value: &'a AttributeValue,
}

impl<'a> Node<'a> {
    /// A whole item, and the schema that it says it has.
    pub(super) fn item(item: &'a AttributeValue) -> Result<(Self, u32), RecordError> {
        let node = Self { name: "item", value: item };
        let schema = node.field(SCHEMA_ATTRIBUTE)?.number().map_err(|_| RecordError::UnknownSchema)?;
        Ok((node, schema))
    }

    /// A whole item, if its schema is this one.
    pub(super) fn of_schema(item: &'a AttributeValue, known: u32) -> Result<Self, RecordError> {
        let (node, schema) = Self::item(item)?;
        if schema == known { Ok(node) } else { Err(RecordError::UnknownSchema) }
    }

    pub(super) fn malformed(self) -> RecordError {
        RecordError::Malformed(self.name)
    }

    pub(super) fn field(self, name: &'static str) -> Result<Self, RecordError> {
        let fields = self.value.as_m().map_err(|_| self.malformed())?;
        fields.get(name).map(|value| Self { name, value }).ok_or(RecordError::Missing(name))
    }

    /// A field that may be NULL, but not missing.
    pub(super) fn optional(self, name: &'static str) -> Result<Option<Self>, RecordError> {
        self.field(name).map(|node| (!node.value.is_null()).then_some(node))
    }

    pub(super) fn elements<T>(self, read: impl Fn(Self) -> Result<T, RecordError>) -> Result<Vec<T>, RecordError> {
        let elements = self.value.as_l().map_err(|_| self.malformed())?;
        elements.iter().map(|value| read(Self { value, ..self })).collect()
    }

    pub(super) fn text(self) -> Result<&'a str, RecordError> {
        self.value.as_s().map(String::as_str).map_err(|_| self.malformed())
    }

    pub(super) fn owned_text(self) -> Result<String, RecordError> {
        self.text().map(str::to_owned)
    }

    pub(super) fn number<T: FromStr>(self) -> Result<T, RecordError> {
        let digits = self.value.as_n().map_err(|_| self.malformed())?;
        digits.parse().map_err(|_| self.malformed())
    }

    pub(super) fn moment(self) -> Result<Timestamp, RecordError> {
        self.number().map(Timestamp::from_millis)
    }

    pub(super) fn array<const N: usize>(self) -> Result<[u8; N], RecordError> {
        self.bytes()?.try_into().map_err(|_| self.malformed())
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], RecordError> {
        self.value.as_b().map(AsRef::as_ref).map_err(|_| self.malformed())
    }
}
