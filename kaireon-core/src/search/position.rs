//! The order of the hits of a query, and the place of one in it.

use std::cmp::Ordering;

use super::{Document, DocumentId, EntityKind, Keyword, Sort, SortField, SortOrder};
use crate::Value;
use crate::time::Timestamp;

/// What a document is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub enum SortValue {
    /// It lacks the field.
    Missing,
    /// Its score.
    Score(f64),
    /// Its keyword.
    Keyword(Keyword),
    /// Its number.
    Number(Value),
    /// Its time.
    Date(Timestamp),
}

impl SortValue {
    /// What a document is sorted by.
    #[must_use]
    pub fn of(sort: &Sort, document: &Document, score: f64) -> Self {
        let Sort::Field { field, order } = sort else {
            return Self::Score(score);
        };
        let found = match field {
            SortField::Keyword(field) => {
                let values = document.keywords.get(field).map(|values| match order {
                    SortOrder::Ascending => values.first(),
                    SortOrder::Descending => values.last(),
                });
                values.flatten().cloned().map(Self::Keyword)
            }
            SortField::Number(field) => document.numbers.get(field).copied().map(Self::Number),
            SortField::Date(field) => document.dates.get(field).copied().map(Self::Date),
        };
        found.unwrap_or(Self::Missing)
    }

    /// Whether a query that sorts so can have it.
    pub(super) fn fits(&self, sort: &Sort) -> bool {
        match (self, sort) {
            (Self::Score(score), Sort::Relevance) => score.is_finite(),
            (Self::Missing, Sort::Field { .. }) => true,
            (_, Sort::Field { field, .. }) => matches!(
                (self, field),
                (Self::Keyword(_), SortField::Keyword(_))
                    | (Self::Number(_), SortField::Number(_))
                    | (Self::Date(_), SortField::Date(_))
            ),
            (_, Sort::Relevance) => false,
        }
    }

    /// The order of two values under a sort, of which each has what [`of`](Self::of) gives.
    fn compare(&self, other: &Self, sort: &Sort) -> Ordering {
        let ascending = match (self, other) {
            (Self::Missing, Self::Missing) => return Ordering::Equal,
            (Self::Missing, _) => return Ordering::Greater,
            (_, Self::Missing) => return Ordering::Less,
            (Self::Score(one), Self::Score(other)) => return other.total_cmp(one),
            (Self::Keyword(one), Self::Keyword(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Date(one), Self::Date(other)) => one.cmp(other),
            // Two types in one order cannot be: `fits` refuses a cursor of another sort.
            _ => Ordering::Equal,
        };
        match sort {
            Sort::Field {
                order: SortOrder::Descending,
                ..
            } => ascending.reverse(),
            Sort::Field { .. } | Sort::Relevance => ascending,
        }
    }
}

/// The place of a document in the order of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchPosition {
    /// What it is sorted by.
    pub value: SortValue,
    /// Decides between equal values.
    pub id: DocumentId,
    /// Decides between equal ids.
    pub kind: EntityKind,
}

impl SearchPosition {
    /// The place of a document.
    #[must_use]
    pub fn of(sort: &Sort, document: &Document, score: f64) -> Self {
        Self {
            value: SortValue::of(sort, document, score),
            id: document.id.clone(),
            kind: document.kind.clone(),
        }
    }

    /// The order of the hits of a query.
    #[must_use]
    pub fn compare(&self, other: &Self, sort: &Sort) -> Ordering {
        self.value
            .compare(&other.value, sort)
            .then_with(|| (&self.id, &self.kind).cmp(&(&other.id, &other.kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::FieldName;

    fn position(value: SortValue) -> SearchPosition {
        SearchPosition {
            value,
            id: DocumentId::new("a.b").unwrap(),
            kind: EntityKind::new("offer").unwrap(),
        }
    }

    #[test]
    fn what_lacks_the_field_comes_last_in_either_direction() {
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let field = SortField::Number(FieldName::new("price").unwrap());
            let sort = Sort::Field { field, order };
            let missing = position(SortValue::Missing);
            let given = position(SortValue::Number(Value::default()));
            assert_eq!(given.compare(&missing, &sort), Ordering::Less);
        }
    }
}
