//! How a lane stands, without counting all of it.

use std::collections::HashMap;

use kaireon_core::outbox::{Lane, LaneStatus, RANGES, TenantBacklog};
use kaireon_core::time::{Timestamp, truncate};
use kaireon_core::{Result, TenantId};
use sqlx::Row;

use super::cursor::{Cursor, Unseen};
use super::lanes::Lanes;
use crate::error::of_sql;
use crate::shared::lane_number;

/// Up to so many entries of a range are counted one by one.
const COUNTED: i64 = 2_000;

/// Up to so many dead letters of a lane are counted.
const COUNTED_DEAD: i64 = 10_000;

/// What was counted of one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    /// Counted from behind this position.
    low: i64,
    count: i64,
    /// The position of the last that was counted.
    last: i64,
}

/// How many entries wait in a range: as counted, or, where counting stopped at its bound, as many as there would be if
/// they lay as densely up to the `head` of all positions as they did so far.
fn waiting(counted: Counted, head: i64) -> u64 {
    let Counted { low, count, last } = counted;
    let (span, whole) = (last.saturating_sub(low), head.saturating_sub(low));
    if count < COUNTED || span <= 0 || whole <= span {
        return count.unsigned_abs();
    }
    let estimate = i128::from(count) * i128::from(whole) / i128::from(span);
    u64::try_from(estimate).unwrap_or(u64::MAX)
}

impl Lanes {
    /// Every entry of a tenant, by one snapshot: whoever was refused by the tenant's fence, or was answered before, has
    /// committed or never will.
    pub(super) async fn backlog_of(&self, lane: Lane, tenant: &TenantId) -> Result<TenantBacklog> {
        let query = self.shared.sql.outbox_backlog.query();
        let query = query.bind(lane_number(lane)).bind(tenant.as_str().to_owned());
        let row = self.shared.client.fetch_optional(query).await?;
        let Some(row) = row else {
            return Ok(TenantBacklog::default());
        };
        let count = |at: usize| row.try_get::<i64, _>(at).map_err(of_sql);
        let oldest: Option<Timestamp> = row.try_get(1).map_err(of_sql)?;
        let (waiting, dead) = (count(0)?.unsigned_abs(), count(2)?.unsigned_abs());
        Ok(TenantBacklog::new(waiting, oldest.map(truncate), dead))
    }

    /// Exact up to [`COUNTED`] entries of each range, an estimate beyond; dead letters up to [`COUNTED_DEAD`]. What lies
    /// before the cursors is not read:
    /// with a transaction held open the settled entries are still there to be walked over.
    pub(super) async fn status_of(&self, lane: Lane) -> Result<LaneStatus> {
        let saved = self
            .saved(lane, (0..RANGES).map(u16::cast_signed).collect())
            .await?;
        let mut cursors: HashMap<u16, Cursor> = (0..RANGES).map(|range| (range, Cursor::start(0))).collect();
        cursors.extend(saved);
        let unseen = Unseen::of(cursors.values());
        let query = self
            .shared
            .sql
            .outbox_status
            .query()
            .bind(lane_number(lane))
            .bind(
                cursors
                    .keys()
                    .map(|range| range.cast_signed())
                    .collect::<Vec<_>>(),
            )
            .bind(cursors.values().map(|cursor| cursor.low).collect::<Vec<_>>())
            .bind(unseen.running)
            .bind(unseen.from)
            .bind(unseen.until)
            .bind(COUNTED)
            .bind(COUNTED_DEAD);
        let rows = self.shared.client.fetch_all(query).await?;
        let (mut counted, mut late, mut head, mut dead) = (Vec::new(), 0, 0, 0);
        let mut oldest: Option<Timestamp> = None;
        for row in rows {
            let range: Option<i16> = row.try_get("range").map_err(of_sql)?;
            let count: i64 = row.try_get("count").map_err(of_sql)?;
            let since: Option<Timestamp> = row.try_get("oldest").map_err(of_sql)?;
            oldest = match (oldest, since.map(truncate)) {
                (Some(known), Some(since)) => Some(known.min(since)),
                (known, since) => known.or(since),
            };
            match range {
                None => {
                    late = count.unsigned_abs();
                    head = row.try_get("head").map_err(of_sql)?;
                    dead = row.try_get::<i64, _>("dead").map_err(of_sql)?.unsigned_abs();
                }
                Some(range) => counted.push(Counted {
                    low: cursors.get(&range.cast_unsigned()).map_or(0, |cursor| cursor.low),
                    count,
                    last: row.try_get("last").map_err(of_sql)?,
                }),
            }
        }
        let waiting = counted
            .into_iter()
            .map(|counted| waiting(counted, head))
            .sum::<u64>();
        let query = self.shared.sql.outbox_readers.query().bind(lane_number(lane));
        let readers = self
            .shared
            .client
            .fetch_optional(query.bind(self.own_time()))
            .await?;
        let (mut relays, mut destination) = (0, None);
        if let Some(row) = readers {
            let count: i64 = row.try_get("relays").map_err(of_sql)?;
            relays = u16::try_from(count).unwrap_or(u16::MAX);
            destination = row.try_get("destination").map_err(of_sql)?;
        }
        Ok(LaneStatus::new(waiting + late, oldest, dead).read_by(relays, destination))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_counted_and_many_are_estimated_by_their_density() {
        let few = Counted {
            low: 0,
            count: 7,
            last: 900,
        };
        assert_eq!(waiting(few, 1_000_000), 7);
        let many = Counted {
            low: 1_000,
            count: COUNTED,
            last: 1_000 + 64 * COUNTED,
        };
        assert_eq!(waiting(many, 1_000 + 64 * 1_000_000), 1_000_000);
        let all = Counted {
            low: 0,
            count: COUNTED,
            last: 5_000,
        };
        assert_eq!(waiting(all, 5_000), COUNTED.unsigned_abs());
    }
}
