//! The monthly partitions of the history: made ahead of need, and on demand for late events.

use std::collections::HashSet;

use chrono::{Datelike, NaiveDate};
use kaireon_connect::postgres::Schema;
use kaireon_core::Result;
use kaireon_core::time::Timestamp;
use parking_lot::Mutex;

use crate::client::Client;
use crate::error::of_sql;

/// A month of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Month {
    year: i32,
    /// From 1.
    month: u32,
}

impl Month {
    /// The month of a time.
    pub(crate) fn of(time: Timestamp) -> Self {
        Self {
            year: time.year(),
            month: time.month(),
        }
    }

    /// The month after it.
    pub(crate) fn next(self) -> Self {
        match self.month {
            12 => Self {
                year: self.year + 1,
                month: 1,
            },
            month => Self {
                year: self.year,
                month: month + 1,
            },
        }
    }

    /// Its first day, `2026-11-01`.
    pub(crate) fn first_day(self) -> String {
        format!("{:04}-{:02}-01", self.year, self.month)
    }

    /// The name of its partition, `history_2026_11`.
    pub(crate) fn partition(self) -> String {
        format!("history_{:04}_{:02}", self.year, self.month)
    }

    /// The month of a partition's name.
    pub(crate) fn of_partition(name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix("history_")?.split_once('_')?;
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        NaiveDate::from_ymd_opt(year, month, 1)?;
        Some(Self { year, month })
    }

    /// Its first moment.
    pub(crate) fn start(self) -> Option<Timestamp> {
        let first = NaiveDate::from_ymd_opt(self.year, self.month, 1)?;
        Some(first.and_hms_opt(0, 0, 0)?.and_utc())
    }
}

/// Which partitions are known to be there.
#[derive(Debug)]
pub(crate) struct Partitions {
    schema: Schema,
    lock: i64,
    ahead: u32,
    known: Mutex<HashSet<Month>>,
}

impl Partitions {
    /// `lock` is the advisory lock under which partitions are made and dropped.
    pub(crate) fn new(schema: Schema, lock: i64, ahead: u32) -> Self {
        Self {
            schema,
            lock,
            ahead,
            known: Mutex::default(),
        }
    }

    /// The schema they lie in.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The advisory lock under which they are made and dropped.
    pub(crate) const fn lock(&self) -> i64 {
        self.lock
    }

    /// Whether [`ensure`](Self::ensure) would have something to make.
    pub(crate) fn lacks(&self, now: Timestamp, months: impl IntoIterator<Item = Month>) -> bool {
        !self.missing(now, months).is_empty()
    }

    /// Makes the partitions of these months, and those ahead of the present one.
    pub(crate) async fn ensure(
        &self,
        client: &Client,
        now: Timestamp,
        months: impl IntoIterator<Item = Month>,
    ) -> Result<()> {
        let missing = self.missing(now, months);
        if missing.is_empty() {
            return Ok(());
        }
        // One at a time over all processes: two who make the same table at once would fail on its name. A table is made
        // apart and attached, because `CREATE TABLE … PARTITION OF` wants the history to itself: it would wait for a
        // transaction that a host keeps open, and all who write behind it.
        let mut make_all = format!("SELECT pg_advisory_xact_lock({});", self.lock);
        for month in &missing {
            let partition = month.partition();
            let make = format!(
                "DO $$ BEGIN IF to_regclass('{{s}}.{partition}') IS NULL THEN \
                 CREATE TABLE {{s}}.{partition} (LIKE {{s}}.history INCLUDING ALL) \
                 WITH (autovacuum_vacuum_insert_scale_factor = 0.1); \
                 ALTER TABLE {{s}}.history ATTACH PARTITION {{s}}.{partition} \
                 FOR VALUES FROM ('{} 00:00:00+00') TO ('{} 00:00:00+00'); \
                 END IF; END $$;",
                month.first_day(),
                month.next().first_day(),
            );
            make_all.push_str(&self.schema.fill(&make));
        }
        let mut unit = client.begin().await?;
        unit.script(make_all).await.map_err(of_sql)?;
        client.commit(unit).await?;
        tracing::debug!(partitions = missing.len(), "made partitions of the history");
        self.known.lock().extend(missing);
        Ok(())
    }

    fn missing(&self, now: Timestamp, months: impl IntoIterator<Item = Month>) -> Vec<Month> {
        let known = self.known.lock();
        let mut missing: Vec<Month> = months
            .into_iter()
            .filter(|month| !known.contains(month))
            .collect();
        let mut ahead = Month::of(now);
        for _ in 0..=self.ahead {
            if !known.contains(&ahead) {
                missing.push(ahead);
            }
            ahead = ahead.next();
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Forgets which are there, after one was found to be gone.
    pub(crate) fn forget(&self) {
        self.known.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other_over_the_year_and_name_their_partitions() {
        let december = Month::of("2026-12-31T23:59:59.999Z".parse().unwrap());
        assert_eq!(december.partition(), "history_2026_12");
        assert_eq!(december.next().first_day(), "2027-01-01");
        assert_eq!(Month::of_partition("history_2027_01"), Some(december.next()));
        for wrong in ["history", "history_2027", "history_2027_13", "closed_2027_01"] {
            assert_eq!(Month::of_partition(wrong), None, "{wrong}");
        }
        assert_eq!(
            december.next().start(),
            Some("2027-01-01T00:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn only_what_is_not_known_is_missing_and_the_months_ahead_come_with_it() {
        let schema = Schema::new("k").unwrap();
        let partitions = Partitions::new(schema, 1, 2);
        let now = "2026-11-25T00:00:00Z".parse().unwrap();
        let late = Month::of("2020-01-01T00:00:00Z".parse().unwrap());
        let missing = partitions.missing(now, [late, late]);
        let names: Vec<_> = missing.iter().map(|month| month.partition()).collect();
        assert_eq!(
            names,
            [
                "history_2020_01",
                "history_2026_11",
                "history_2026_12",
                "history_2027_01"
            ]
        );
        partitions.known.lock().extend(missing);
        assert_eq!(partitions.missing(now, [late]), []);
        partitions.forget();
        assert_eq!(partitions.missing(now, []).len(), 3);
    }
}
