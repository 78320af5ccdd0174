//! What must hold for a document to be found, beside its text.

use std::collections::BTreeSet;

use super::{Document, FieldName, Keyword};
use crate::Value;
use crate::time::Timestamp;

/// A range: from a value, which it includes, until another, which it does not. Empty when the second is not
/// above the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span<T> {
    /// The lowest value; `None` for no bound.
    pub from: Option<T>,
    /// The first value above it; `None` for no bound.
    pub until: Option<T>,
}

impl<T: Ord> Span<T> {
    /// From a value on.
    pub const fn from(from: T) -> Self {
        Self {
            from: Some(from),
            until: None,
        }
    }

    /// Everything below a value.
    pub const fn until(until: T) -> Self {
        Self {
            from: None,
            until: Some(until),
        }
    }

    /// From one value until below another.
    pub const fn between(from: T, until: T) -> Self {
        Self {
            from: Some(from),
            until: Some(until),
        }
    }

    /// Whether a value lies in it.
    pub fn contains(&self, value: &T) -> bool {
        self.from.as_ref().is_none_or(|from| from <= value)
            && self.until.as_ref().is_none_or(|until| value < until)
    }
}

/// A condition. A document that lacks the field does not meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A value of the field is one of these. No document meets an empty list, so that a list of what somebody
    /// may see, come out empty, shows nothing.
    Keyword {
        /// The field.
        field: FieldName,
        /// The values, compared as a whole and exactly.
        any_of: BTreeSet<Keyword>,
    },
    /// The number lies in a range.
    Number {
        /// The field.
        field: FieldName,
        /// The range.
        range: Span<Value>,
    },
    /// The time lies in a range.
    Date {
        /// The field.
        field: FieldName,
        /// The range.
        range: Span<Timestamp>,
    },
}

impl Filter {
    /// Whether a document meets it.
    #[must_use]
    pub fn matches(&self, document: &Document) -> bool {
        match self {
            Self::Keyword { field, any_of } => {
                let values = document.keywords.get(field);
                values.is_some_and(|values| !values.is_disjoint(any_of))
            }
            Self::Number { field, range } => {
                let value = document.numbers.get(field);
                value.is_some_and(|value| range.contains(value))
            }
            Self::Date { field, range } => {
                let time = document.dates.get(field);
                time.is_some_and(|time| range.contains(time))
            }
        }
    }
}
