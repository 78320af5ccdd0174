//! JSON attributes of interactions and decisions.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// The largest attributes, as compact JSON: 64 KiB.
pub const MAX_ATTRIBUTES_BYTES: usize = 64 * 1024;

/// How deep attributes may nest, the outer object included. Below the 127 levels at which common readers stop
/// (serde_json's recursion limit), so that what was stored can always be read back.
pub const MAX_ATTRIBUTES_DEPTH: usize = 64;

/// A JSON object of at most 64 KiB and 64 levels; empty by default. Its `Debug` shows only how many members
/// there are, because attributes never enter logs.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Attributes(Map<String, Value>);

impl Attributes {
    /// Takes an object within the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `attributes`: more than 64 KiB as compact JSON, or more than 64 levels deep.
    pub fn new(members: Map<String, Value>) -> Result<Self> {
        if members.is_empty() {
            return Ok(Self::default());
        }
        if members
            .values()
            .any(|value| deeper_than(value, MAX_ATTRIBUTES_DEPTH - 1))
        {
            return Err(Error::invalid("attributes", "nest more than 64 levels deep"));
        }
        let mut counter = Counter(0);
        let written = serde_json::to_writer(&mut counter, &members);
        if written.is_err() || counter.0 > MAX_ATTRIBUTES_BYTES {
            return Err(Error::invalid("attributes", "are larger than 64 KiB"));
        }
        Ok(Self(members))
    }

    /// Takes any JSON value that is an object.
    ///
    /// # Errors
    /// `InvalidInput` naming `attributes`: not an object, or out of bounds as for [`Attributes::new`].
    pub fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Object(members) => Self::new(members),
            _ => Err(Error::invalid("attributes", "are not a json object")),
        }
    }

    /// The members.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attributes({} redacted)", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Map::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| deeper_than(item, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|item| deeper_than(item, levels - 1)),
        _ => false,
    }
}

/// Counts what would be written, and stops the writer once the bound is passed.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > MAX_ATTRIBUTES_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_of_exactly_64_kib_pass_and_one_byte_more_does_not() {
        let of =
            |bytes: usize| Attributes::from_value(json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) }));
        assert!(of(MAX_ATTRIBUTES_BYTES).is_ok());
        assert_eq!(
            of(MAX_ATTRIBUTES_BYTES + 1).unwrap_err().field(),
            Some("attributes")
        );
    }

    #[test]
    fn attributes_nest_64_levels_and_no_more() {
        let nested = |levels: usize| (1..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(Attributes::from_value(json!({ "a": nested(MAX_ATTRIBUTES_DEPTH) })).is_ok());
        assert!(Attributes::from_value(json!({ "a": nested(MAX_ATTRIBUTES_DEPTH + 1) })).is_err());
    }

    #[test]
    fn only_objects_are_attributes() {
        assert!(Attributes::from_value(json!([1])).is_err());
    }
}
