//! Values of arguments, as they are read.

use std::num::NonZeroU32;

use kaireon::core::TenantId;
use kaireon::core::time::Timestamp;
use kaireon::migrate::{Backend, Set};

use crate::span::Span;

/// A bound that is set or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound<T> {
    Off,
    To(T),
}

impl<T> Bound<T> {
    /// What becomes of a bound; one that is not given stays.
    pub(crate) fn set<U>(given: Option<Self>, of: impl FnOnce(T) -> U) -> Set<U> {
        match given {
            None => Set::Leave,
            Some(Self::Off) => Set::Off,
            Some(Self::To(bound)) => Set::To(of(bound)),
        }
    }
}

pub(super) fn tenant(value: &str) -> Result<TenantId, String> {
    TenantId::new(value).map_err(|error| error.context().to_owned())
}

pub(super) fn backend(value: &str) -> Result<Backend, String> {
    Backend::new(value).map_err(|error| error.context().to_owned())
}

/// What is recorded of who asked and why: the bounds of the settings.
pub(super) fn noted(value: &str) -> Result<String, String> {
    let bounded = (1..=1_024).contains(&value.len()) && !value.chars().any(char::is_control);
    match bounded {
        true => Ok(value.to_owned()),
        false => Err("is not 1 to 1,024 bytes without control characters".to_owned()),
    }
}

pub(super) fn moment(value: &str) -> Result<Timestamp, String> {
    let whole = match value.contains('T') {
        true => value.to_owned(),
        false => format!("{value}T00:00:00Z"),
    };
    whole
        .parse()
        .map_err(|_| "is neither a day (2026-05-01) nor a time (2026-05-01T12:00:00Z)".to_owned())
}

pub(super) fn rows_or_off(value: &str) -> Result<Bound<NonZeroU32>, String> {
    match value {
        "off" => Ok(Bound::Off),
        rows => rows
            .parse()
            .map(Bound::To)
            .map_err(|_| "is neither a number of rows from 1 nor `off`".to_owned()),
    }
}

pub(super) fn span_or_off(value: &str) -> Result<Bound<Span>, String> {
    match value {
        "off" => Ok(Bound::Off),
        span => span.parse().map(Bound::To),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_or_moments() {
        assert_eq!(moment("2026-05-01"), moment("2026-05-01T00:00:00Z"));
        assert_eq!(moment("2026-05-01T02:00:00+02:00"), moment("2026-05-01"));
        for wrong in ["", "yesterday", "2026-13-01", "2026-05-01T", "1777593600"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bound_is_set_taken_away_or_left() {
        assert_eq!(rows_or_off("off"), Ok(Bound::Off));
        assert_eq!(Bound::set(rows_or_off("7").ok(), u32::from), Set::To(7));
        assert_eq!(Bound::set(None::<Bound<u8>>, u32::from), Set::Leave);
        assert_eq!(Bound::set(Some(Bound::<u8>::Off), u32::from), Set::Off);
        for wrong in ["0", "-1", "", "4294967296", "Off"] {
            assert!(rows_or_off(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_recorded_is_bounded() {
        assert!(noted(&"x".repeat(1_024)).is_ok());
        for wrong in ["", "a\nb", &"x".repeat(1_025)] {
            assert!(noted(wrong).is_err());
        }
    }
}
