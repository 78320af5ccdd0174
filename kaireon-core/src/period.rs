//! Periods of the summaries: days, ISO weeks, months, and all time, in UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Weekday};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::{Error, Result};

/// The length of a period. Summaries are read in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeriodType {
    /// A day, `2026-04-30`.
    Daily,
    /// An ISO week, `2026-W18`, which belongs to the year that holds its Thursday.
    Weekly,
    /// A month, `2026-04`.
    Monthly,
    /// Everything, `all`.
    #[serde(rename = "all")]
    AllTime,
}

impl PeriodType {
    /// Every type, in the order of reads.
    pub const ALL: [Self; 4] = [Self::Daily, Self::Weekly, Self::Monthly, Self::AllTime];
}

/// One period. Its order is by type, then oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    period_type: PeriodType,
    /// Days from 1970-01-01 to the period's first day; 0 for all time.
    first_day: i32,
}

const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("1970-01-01 is a date");

fn days_since_epoch(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(EPOCH).num_days())
        .expect("chrono's dates span fewer than 2^31 days")
}

fn date_at(days: i32) -> NaiveDate {
    let distance = Days::new(days.unsigned_abs().into());
    let date = if days < 0 {
        EPOCH.checked_sub_days(distance)
    } else {
        EPOCH.checked_add_days(distance)
    };
    // Only dates that chrono gave are kept.
    date.expect("a period's first day came from chrono")
}

impl Period {
    /// All time.
    pub const ALL_TIME: Self = Self {
        period_type: PeriodType::AllTime,
        first_day: 0,
    };

    /// The period of that type that contains a time.
    #[must_use]
    pub fn containing(period_type: PeriodType, time: Timestamp) -> Self {
        Self::of_date(period_type, time.date_naive())
    }

    fn of_date(period_type: PeriodType, date: NaiveDate) -> Self {
        let day = days_since_epoch(date);
        let first_day = match period_type {
            PeriodType::Daily => day,
            PeriodType::Weekly => {
                day - i32::try_from(date.weekday().num_days_from_monday()).unwrap_or_default()
            }
            PeriodType::Monthly => day - i32::try_from(date.day0()).unwrap_or_default(),
            PeriodType::AllTime => 0,
        };
        Self {
            period_type,
            first_day,
        }
    }

    /// Its type.
    #[must_use]
    pub const fn period_type(self) -> PeriodType {
        self.period_type
    }

    /// Days from 1970-01-01 to its first day (0 for all time): what an adapter may keep in place of the key.
    #[must_use]
    pub const fn first_day(self) -> i32 {
        self.first_day
    }

    /// Its first moment; of all time, the earliest that can be expressed.
    #[must_use]
    pub fn start(self) -> Timestamp {
        match self.period_type {
            PeriodType::AllTime => Timestamp::MIN_UTC,
            _ => date_at(self.first_day).and_time(NaiveTime::MIN).and_utc(),
        }
    }

    /// The period of its type that follows; none follows all time.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let distance = match self.period_type {
            PeriodType::Daily => 1,
            PeriodType::Weekly => 7,
            // From the first of a month, 31 days on lie in the month that follows, whatever their lengths.
            PeriodType::Monthly => 31,
            PeriodType::AllTime => return None,
        };
        Self::from_day(self.period_type, self.first_day.checked_add(distance)?).ok()
    }

    /// The period of that type that contains the day which lies `days` after 1970-01-01.
    ///
    /// # Errors
    /// `InvalidInput` naming `period` where there is no such date.
    pub fn from_day(period_type: PeriodType, days: i32) -> Result<Self> {
        let distance = Days::new(days.unsigned_abs().into());
        let date = if days < 0 {
            EPOCH.checked_sub_days(distance)
        } else {
            EPOCH.checked_add_days(distance)
        };
        date.map(|date| Self::of_date(period_type, date))
            .ok_or_else(|| Error::invalid("period", "is no date"))
    }

    /// Its key: `2026-04-30`, `2026-W18`, `2026-04` or `all`.
    #[must_use]
    pub fn key(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = date_at(self.first_day);
        match self.period_type {
            PeriodType::Daily => write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
            PeriodType::Weekly => {
                let week = date.iso_week();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            PeriodType::Monthly => write!(f, "{:04}-{:02}", date.year(), date.month()),
            PeriodType::AllTime => f.write_str("all"),
        }
    }
}

impl FromStr for Period {
    type Err = Error;

    /// Reads a key; the type follows from its shape.
    ///
    /// # Errors
    /// `InvalidInput` naming `period`.
    fn from_str(key: &str) -> Result<Self> {
        let wrong = || Error::invalid("period", "is not one of 2026-04-30, 2026-W18, 2026-04, all");
        let number = |text: &str, digits: usize| {
            let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            plain
                .then(|| text.parse::<u32>().ok())
                .flatten()
                .ok_or_else(wrong)
        };
        if key == "all" {
            return Ok(Self::ALL_TIME);
        }
        let mut parts = key.split('-');
        let (year, second, third) = (parts.next().unwrap_or(""), parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(wrong());
        }
        let year = i32::try_from(number(year, 4)?).map_err(|_| wrong())?;
        let (period_type, date) = match (second.ok_or_else(wrong)?, third) {
            (month, Some(day)) => (
                PeriodType::Daily,
                NaiveDate::from_ymd_opt(year, number(month, 2)?, number(day, 2)?),
            ),
            (second, None) => match second.strip_prefix('W') {
                Some(week) => (
                    PeriodType::Weekly,
                    NaiveDate::from_isoywd_opt(year, number(week, 2)?, Weekday::Mon),
                ),
                None => (
                    PeriodType::Monthly,
                    NaiveDate::from_ymd_opt(year, number(second, 2)?, 1),
                ),
            },
        };
        date.map(|date| Self::of_date(period_type, date))
            .ok_or_else(wrong)
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        key.parse().map_err(serde::de::Error::custom)
    }
}
