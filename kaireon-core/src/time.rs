//! Time: UTC, in whole milliseconds, from a clock that is handed in.

mod forward;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

pub use forward::{ForwardClock, SteadyClock};

use crate::{Error, Result};

/// A point in time: UTC, cut to whole milliseconds.
pub type Timestamp = DateTime<Utc>;

/// The earliest timestamp that is taken, 2000-01-01T00:00:00Z, in milliseconds since the Unix epoch.
pub const EARLIEST_MS: i64 = 946_684_800_000;

/// The latest timestamp that is taken from a store or an archive, 9999-12-31T23:59:59.999Z: up to it, a year has the
/// four digits that period keys and RFC 3339 are written with.
pub const LATEST_MS: i64 = 253_402_300_799_999;

/// How far ahead of the clock a timestamp may lie: 24 hours.
pub const MAX_AHEAD: TimeDelta = TimeDelta::hours(24);

/// Where "now" comes from. Hosts use [`SystemClock`], tests a [`ManualClock`].
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present time, in whole milliseconds.
    fn now(&self) -> Timestamp;

    /// Whose time that is. A backend whose server has a clock of its own may go by that where it is [`Real`], and
    /// must not where it is [`Own`]. A clock that says nothing is [`Own`], which is right of any.
    ///
    /// [`Real`]: TimeSource::Real
    /// [`Own`]: TimeSource::Own
    fn source(&self) -> TimeSource {
        TimeSource::Own
    }
}

/// Whose time a [`Clock`] shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeSource {
    /// The real time, which every other machine's clock shows as well, but for how far they differ.
    Real,
    /// A time of its own, such as one that a test moves: no other clock stands for it.
    Own,
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        truncate(Utc::now())
    }

    fn source(&self) -> TimeSource {
        TimeSource::Real
    }
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn source(&self) -> TimeSource {
        (**self).source()
    }
}

/// A clock that stands still until it is moved; clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.timestamp_millis())))
    }

    /// Moves the clock, also backwards.
    pub fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.timestamp_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        from_millis(self.0.load(Ordering::SeqCst)).unwrap_or(DateTime::UNIX_EPOCH)
    }

    fn source(&self) -> TimeSource {
        TimeSource::Own
    }
}

/// Cuts a time to whole milliseconds, towards the past.
#[must_use]
pub fn truncate(time: DateTime<Utc>) -> Timestamp {
    from_millis(time.timestamp_millis()).unwrap_or(time)
}

/// The time that lies `millis` after the Unix epoch, if chrono can express it.
#[must_use]
pub fn from_millis(millis: i64) -> Option<Timestamp> {
    DateTime::from_timestamp_millis(millis)
}

/// Checks that a timestamp lies between 2000-01-01 and 24 hours after `now`, or the end of the year 9999 where that
/// comes first, and cuts it to milliseconds.
///
/// # Errors
/// `InvalidInput` naming `timestamp`.
pub fn check(time: DateTime<Utc>, now: Timestamp) -> Result<Timestamp> {
    let time = truncate(time);
    if time.timestamp_millis() < EARLIEST_MS {
        return Err(Error::invalid("timestamp", "is before 2000-01-01"));
    }
    if time.timestamp_millis() > LATEST_MS {
        return Err(Error::invalid("timestamp", "is after the year 9999"));
    }
    if time - now > MAX_AHEAD {
        return Err(Error::invalid(
            "timestamp",
            "is more than 24 hours ahead of the clock",
        ));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_cut_towards_the_past() {
        let time = DateTime::from_timestamp_nanos(-1);
        assert_eq!(truncate(time).timestamp_millis(), -1);
        let time = DateTime::from_timestamp_nanos(1_999_999);
        assert_eq!(truncate(time).timestamp_millis(), 1);
    }

    #[test]
    fn bounds_hold_to_the_millisecond() {
        let now = from_millis(1_700_000_000_000).unwrap();
        assert!(check(now + MAX_AHEAD, now).is_ok());
        assert!(check(now + MAX_AHEAD + TimeDelta::milliseconds(1), now).is_err());
        assert!(check(from_millis(EARLIEST_MS).unwrap(), now).is_ok());
        assert_eq!(
            check(from_millis(EARLIEST_MS - 1).unwrap(), now)
                .unwrap_err()
                .field(),
            Some("timestamp")
        );
        let last = from_millis(LATEST_MS).unwrap();
        assert_eq!(last.to_rfc3339(), "9999-12-31T23:59:59.999+00:00");
        assert!(check(last, last).is_ok());
        let beyond = last + TimeDelta::milliseconds(1);
        assert_eq!(check(beyond, beyond).unwrap_err().field(), Some("timestamp"));
    }
}
