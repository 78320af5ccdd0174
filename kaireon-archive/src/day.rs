//! Days of partitions, and kinds of what is archived.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveTime};
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A day in UTC: the partition of every record whose timestamp lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

impl Day {
    /// The day that contains a time.
    #[must_use]
    pub fn containing(time: Timestamp) -> Self {
        Self(time.date_naive())
    }

    /// Its first moment.
    #[must_use]
    pub fn start(self) -> Timestamp {
        self.0.and_time(NaiveTime::MIN).and_utc()
    }

    /// The folders of its partition: `year=2026`, `month=04`, `day=30`.
    pub(crate) fn partitions(self) -> [String; 3] {
        let Self(date) = self;
        [
            format!("year={:04}", date.year()),
            format!("month={:02}", date.month()),
            format!("day={:02}", date.day()),
        ]
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(date) = self;
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
    }
}

impl FromStr for Day {
    type Err = Error;

    /// Reads `2026-04-30`.
    ///
    /// # Errors
    /// `InvalidInput` naming `day`.
    fn from_str(text: &str) -> Result<Self> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Self);
        // chrono also takes what `Display` does not write (`2026-4-30`).
        date.filter(|day| day.to_string() == text)
            .ok_or_else(|| Error::invalid("day", "is not a date like 2026-04-30"))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Interactions, below `interaction_history`.
    Interactions,
    /// Decisions, below `decisions`.
    Decisions,
    /// What a purged day adds to the summaries, below `summaries`.
    Summaries,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Interactions, Self::Decisions, Self::Summaries];

    /// The name of its folder.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Interactions => "interaction_history",
            Self::Decisions => "decisions",
            Self::Summaries => "summaries",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder())
    }
}

#[cfg(test)]
mod tests {
    use kaireon_core::time;

    use super::*;

    #[test]
    fn the_day_is_that_of_the_record_in_utc() {
        let last = time::from_millis(1_777_593_599_999).unwrap();
        assert_eq!(Day::containing(last).to_string(), "2026-04-30");
        let next = time::from_millis(1_777_593_600_000).unwrap();
        assert_eq!(Day::containing(next).to_string(), "2026-05-01");
        assert_eq!(Day::containing(next).start(), next);
    }

    #[test]
    fn days_go_round_and_nothing_else_does() {
        for day in ["2000-01-01", "2026-02-28", "9999-12-31"] {
            assert_eq!(day.parse::<Day>().unwrap().to_string(), day);
        }
        for wrong in ["", "2026-4-30", "2026-02-30", "2026-04-30 ", "+2026-04-30"] {
            assert_eq!(wrong.parse::<Day>().unwrap_err().field(), Some("day"), "{wrong}");
        }
    }
}
