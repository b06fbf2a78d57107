//! Stored items of both schemas, and whatever else may lie in the table: read, or refused (S23).

#![no_main]

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use two_factor::adapters::dynamodb::fuzzing;

/// An attribute, of DynamoDB's JSON with binaries in hex.
fn attribute(json: &Value) -> Option<AttributeValue> {
    let (kind, value) = json.as_object()?.iter().next()?;
    Some(match (&**kind, value) {
        ("S", Value::String(text)) => AttributeValue::S(text.clone()),
        ("N", Value::String(digits)) => AttributeValue::N(digits.clone()),
        ("B", Value::String(hex)) => {
            let bytes = hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
            AttributeValue::B(Blob::new(bytes.collect::<Option<Vec<_>>>()?))
        }
        ("NULL", _) => AttributeValue::Null(true),
        ("BOOL", Value::Bool(flag)) => AttributeValue::Bool(*flag),
        ("L", Value::Array(elements)) => AttributeValue::L(elements.iter().map(attribute).collect::<Option<_>>()?),
        ("M", Value::Object(fields)) => AttributeValue::M(item(fields)?),
        _ => return None,
    })
}

fn item(fields: &Map<String, Value>) -> Option<HashMap<String, AttributeValue>> {
    fields.iter().map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}

fuzz_target!(|data: &[u8]| {
    let Ok(Value::Object(fields)) = serde_json::from_slice(data) else { return };
    if let Some(item) = item(&fields) {
        fuzzing::read(&item);
    }
});
