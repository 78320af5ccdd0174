//! Ranges of periods.

use crate::time::Timestamp;
use crate::{Error, Period, PeriodType, Result};

/// A range of periods of one type, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodRange {
    period_type: PeriodType,
    from: Option<Period>,
    to: Option<Period>,
}

impl PeriodRange {
    /// Every period of a type.
    #[must_use]
    pub const fn every(period_type: PeriodType) -> Self {
        Self {
            period_type,
            from: None,
            to: None,
        }
    }

    /// One period.
    #[must_use]
    pub const fn exactly(period: Period) -> Self {
        Self {
            period_type: period.period_type(),
            from: Some(period),
            to: Some(period),
        }
    }

    /// The period of a type that contains a time.
    #[must_use]
    pub fn containing(period_type: PeriodType, time: Timestamp) -> Self {
        Self::exactly(Period::containing(period_type, time))
    }

    /// From one period to another, both included.
    ///
    /// # Errors
    /// `InvalidInput` naming `periods` when the two are of unlike types or in the wrong order.
    pub fn between(from: Period, to: Period) -> Result<Self> {
        if from.period_type() != to.period_type() || from > to {
            return Err(Error::invalid(
                "periods",
                "are of unlike types or in the wrong order",
            ));
        }
        Ok(Self {
            period_type: from.period_type(),
            from: Some(from),
            to: Some(to),
        })
    }

    /// The type.
    #[must_use]
    pub const fn period_type(&self) -> PeriodType {
        self.period_type
    }

    /// The first period; `None` for no bound.
    #[must_use]
    pub const fn from(&self) -> Option<Period> {
        self.from
    }

    /// The last period; `None` for no bound.
    #[must_use]
    pub const fn to(&self) -> Option<Period> {
        self.to
    }

    /// Whether a period lies in the range.
    #[must_use]
    pub fn contains(&self, period: Period) -> bool {
        period.period_type() == self.period_type
            && self.from.is_none_or(|from| from <= period)
            && self.to.is_none_or(|to| period <= to)
    }
}
