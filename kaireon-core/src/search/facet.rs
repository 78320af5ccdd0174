//! What to count among the documents that match, and the counts.

use super::{FieldName, Keyword, Span};
use crate::{Period, PeriodType, Value};

/// What to count, over every document that matches, whatever page is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facet {
    /// Documents by value of a keyword field. A document with several values counts under each.
    Terms {
        /// The field.
        field: FieldName,
        /// How many values at most, 1 to 1,000: the most frequent ones, of equal ones the lower in byte order.
        limit: u32,
    },
    /// Documents by ranges of a number field, which may overlap.
    NumberRanges {
        /// The field.
        field: FieldName,
        /// The ranges, 1 to 100.
        ranges: Vec<Span<Value>>,
    },
    /// Documents by period of a date field, in UTC.
    DateHistogram {
        /// The field.
        field: FieldName,
        /// The length of a period.
        interval: HistogramInterval,
        /// How many periods at most, 1 to 1,000: the newest of those that are not empty.
        limit: u32,
    },
}

/// The length of a histogram's periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HistogramInterval {
    /// Days.
    Day,
    /// ISO weeks, which begin on Monday.
    Week,
    /// Months.
    Month,
}

impl HistogramInterval {
    /// The type of the periods.
    #[must_use]
    pub const fn period_type(self) -> PeriodType {
        match self {
            Self::Day => PeriodType::Daily,
            Self::Week => PeriodType::Weekly,
            Self::Month => PeriodType::Monthly,
        }
    }
}

/// The counts of one facet: exact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FacetCounts {
    /// Of [`Facet::Terms`]: the most frequent value first, of equally frequent ones the lower in byte order.
    Terms(Vec<(Keyword, u64)>),
    /// Of [`Facet::NumberRanges`]: one count for each range, in their order.
    NumberRanges(Vec<u64>),
    /// Of [`Facet::DateHistogram`]: the periods that are not empty, oldest first.
    DateHistogram(Vec<(Period, u64)>),
}
