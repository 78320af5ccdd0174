//! Closed periods: rows of their own, merged into.

use std::collections::HashMap;

use kaireon_core::summary::packed::{put_stats, stats_of};
use kaireon_core::summary::{Dimension, Stats};
use kaireon_core::{Period, PeriodType, Summary};
use sqlx::postgres::{PgBindIterExt, PgRow};
use sqlx::{PgConnection, Row};

use super::unit::Failure;
use crate::client::Bound;
use crate::shared::Shared;

/// Customer's number, type of period, its first day, dimension, value.
type Key = (i64, i16, i32, i16, String);

/// What a batch adds to closed periods.
#[derive(Debug, Default)]
pub(crate) struct Closing(HashMap<Key, Stats>);

impl Closing {
    /// Adds what a packed value handed out.
    pub(crate) fn add(&mut self, number: i64, closed: Vec<Summary>) {
        for summary in closed {
            let key = (
                number,
                period_number(summary.period.period_type()),
                summary.period.first_day(),
                dimension_number(summary.dimension),
                summary.value.to_string(),
            );
            self.0.entry(key).or_default().merge(&summary.stats);
        }
    }

    /// Enters what is new and merges the rest. The customers' rows are held, so nobody else does meanwhile.
    pub(crate) async fn write(self, connection: &mut PgConnection, shared: &Shared) -> Result<(), Failure> {
        let mut rows: Vec<(Key, Stats)> = self.0.into_iter().collect();
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let query = bind_stats(shared.sql.enter_closed.query(), &rows);
        let entered = query.fetch_all(&mut *connection).await?;
        if entered.len() == rows.len() {
            return Ok(());
        }
        let entered: Vec<Key> = entered.iter().map(key).collect::<Result<_, _>>()?;
        let entered: std::collections::HashSet<Key> = entered.into_iter().collect();
        rows.retain(|(key, _)| !entered.contains(key));
        let query = bind_keys(shared.sql.read_closed.query(), &rows);
        let mut before: HashMap<Key, Stats> = HashMap::new();
        for row in query.fetch_all(&mut *connection).await? {
            before.insert(key(&row)?, stats_of(row.try_get(5)?)?);
        }
        for (key, stats) in &mut rows {
            if let Some(before) = before.get(key) {
                stats.merge(before);
            }
        }
        let query = bind_stats(shared.sql.put_closed.query(), &rows);
        query.execute(connection).await?;
        Ok(())
    }
}

fn bind_keys(query: Bound, rows: &[(Key, Stats)]) -> Bound {
    query
        .bind(rows.iter().map(|(key, _)| key.0).bind_iter())
        .bind(rows.iter().map(|(key, _)| key.1).bind_iter())
        .bind(rows.iter().map(|(key, _)| key.2).bind_iter())
        .bind(rows.iter().map(|(key, _)| key.3).bind_iter())
        .bind(rows.iter().map(|(key, _)| key.4.as_str()).bind_iter())
}

fn bind_stats(query: Bound, rows: &[(Key, Stats)]) -> Bound {
    let bytes = |stats: &Stats| {
        let mut bytes = Vec::with_capacity(64);
        put_stats(&mut bytes, stats);
        bytes
    };
    bind_keys(query, rows).bind(rows.iter().map(|(_, stats)| bytes(stats)).bind_iter())
}

fn key(row: &PgRow) -> Result<Key, Failure> {
    Ok((
        row.try_get(0)?,
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
        row.try_get(4)?,
    ))
}

/// A type's number in the tables: its place in the order of reads.
pub(crate) const fn period_number(period_type: PeriodType) -> i16 {
    match period_type {
        PeriodType::Daily => 0,
        PeriodType::Weekly => 1,
        PeriodType::Monthly => 2,
        PeriodType::AllTime => 3,
    }
}

/// A dimension's number in the tables: its place in the order of reads.
pub(crate) const fn dimension_number(dimension: Dimension) -> i16 {
    match dimension {
        Dimension::Offer => 0,
        Dimension::Creative => 1,
        Dimension::Channel => 2,
    }
}

/// The period of its two columns.
pub(crate) fn period(number: i16, first_day: i32) -> Option<Period> {
    let period_type = *PeriodType::ALL.get(usize::try_from(number).ok()?)?;
    Period::from_day(period_type, first_day).ok()
}

/// The dimension of its column.
pub(crate) fn dimension(number: i16) -> Option<Dimension> {
    Dimension::ALL.get(usize::try_from(number).ok()?).copied()
}
