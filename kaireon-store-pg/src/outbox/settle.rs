//! Settling entries, under leases that are still held.

use std::collections::{BTreeMap, BTreeSet};

use kaireon_core::outbox::{Lane, Lease, Settlement, Verdict, lease_lost};
use kaireon_core::{Error, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::cursor::token_of;
use super::lanes::Lanes;
use crate::error::of_sql;
use crate::shared::lane_number;

/// Columns of what is settled.
#[derive(Debug, Default)]
struct Columns {
    lanes: Vec<i16>,
    ranges: Vec<i16>,
    positions: Vec<i64>,
}

impl Columns {
    fn push(&mut self, lane: Lane, range: u16, position: i64) {
        self.lanes.push(lane_number(lane));
        self.ranges.push(range.cast_signed());
        self.positions.push(position);
    }
}

impl Lanes {
    pub(super) async fn settle_all(&self, leases: &[Lease], settlements: Vec<Settlement>) -> Result<()> {
        let by_range: BTreeMap<u16, &Lease> = leases.iter().rev().map(|lease| (lease.range, lease)).collect();
        let mut held: BTreeMap<(Lane, u16), i64> = BTreeMap::new();
        let mut named = BTreeSet::new();
        let (mut delivered, mut poisoned, mut reasons) = (Columns::default(), Columns::default(), Vec::new());
        let mut done: BTreeMap<Lane, Vec<(u16, i64)>> = BTreeMap::new();
        for Settlement {
            range,
            position,
            verdict,
        } in settlements
        {
            let lease = by_range.get(&range).ok_or_else(lost)?;
            held.insert((lease.lane, range), token_of(lease.token)?);
            // No entry was ever given a position that is out of the server's range.
            let Ok(position) = i64::try_from(position.0) else {
                continue;
            };
            // Named twice, the second time it is gone.
            if !named.insert((lease.lane, range, position)) {
                continue;
            }
            done.entry(lease.lane).or_default().push((range, position));
            match verdict {
                Verdict::Delivered => delivered.push(lease.lane, range, position),
                Verdict::Poisoned(reason) => {
                    poisoned.push(lease.lane, range, position);
                    // The server's texts hold no NUL.
                    reasons.push(reason.replace('\0', "\u{fffd}"));
                }
            }
        }
        if held.is_empty() {
            return Ok(());
        }
        let query = self
            .shared
            .sql
            .outbox_settle
            .query()
            .bind(
                held.keys()
                    .map(|(lane, _)| lane_number(*lane))
                    .collect::<Vec<_>>(),
            )
            .bind(
                held.keys()
                    .map(|(_, range)| range.cast_signed())
                    .collect::<Vec<_>>(),
            )
            .bind(held.values().copied().collect::<Vec<_>>())
            .bind(delivered.lanes)
            .bind(delivered.ranges)
            .bind(delivered.positions)
            .bind(poisoned.lanes)
            .bind(poisoned.ranges)
            .bind(poisoned.positions)
            .bind(self.own_time())
            .bind(reasons)
            .bind(self.shared.now())
            .bind(
                held.iter()
                    .map(|((lane, range), token)| self.given_by(*lane, *range, *token))
                    .collect::<Vec<_>>(),
            );
        let is_held = |row: PgRow| match row.try_get(0).map_err(of_sql)? {
            true => Ok(()),
            false => Err(lost()),
        };
        self.shared.client.execute_if(query, is_held).await?;
        for (lane, done) in done {
            self.state(lane).settled.lock().extend(done);
        }
        Ok(())
    }
}

fn lost() -> Error {
    lease_lost(crate::BACKEND, "settle")
}
