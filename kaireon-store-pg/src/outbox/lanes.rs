//! What a handle knows of its lanes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::Result;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::time::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::cursor::Cursor;
use super::wake::Wake;
use crate::again::unit_again;
use crate::error::of_sql;
use crate::shared::{Shared, lane_number};

/// What this handle knows of a lane's leased ranges.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) cursors: HashMap<u16, Cursor>,
    /// When the server that the cursors were read from was started.
    pub(super) server: Option<Timestamp>,
    /// When cursors were saved last.
    pub(super) saved_at: Option<tokio::time::Instant>,
}

/// One lane of this handle.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    /// Held while a fetch reads, so that cursors move by one snapshot at a time.
    pub(super) reading: tokio::sync::Mutex<Known>,
    /// The numbers of the ranges that were leased through this handle, and when the server that gave them was started.
    pub(super) leased: parking_lot::Mutex<HashMap<u16, (i64, Timestamp)>>,
    /// What was settled since: taken out of the cursors by the next fetch.
    pub(super) settled: parking_lot::Mutex<Vec<(u16, i64)>>,
}

/// The lanes of one handle.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(super) shared: Arc<Shared>,
    pub(super) wake: Wake,
    states: [LaneState; 3],
}

impl Lanes {
    /// Within a runtime.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            wake: Wake::new(shared),
            states: Default::default(),
        }
    }

    /// Ends the tasks that wake and wakes whoever waits.
    pub(crate) fn close(&self) {
        self.wake.close();
    }

    /// A host has recorded in a transaction of its own: its entries are looked for, whether or not it tells.
    pub(crate) fn expect_host(&self) {
        self.wake.expect_host();
    }

    pub(super) fn state(&self, lane: Lane) -> &LaneState {
        &self.states[usize::from(lane_number(lane).unsigned_abs())]
    }

    /// Which server gave a number of a range through this handle, by when that was started.
    pub(super) fn given_by(&self, lane: Lane, range: u16, token: i64) -> Option<Timestamp> {
        let leased = self.state(lane).leased.lock();
        leased
            .get(&range)
            .filter(|(given, _)| *given == token)
            .map(|(_, server)| *server)
    }

    /// Takes what was settled out of what is remembered as open.
    pub(super) fn forget_settled(&self, lane: Lane, known: &mut Known) {
        for (range, position) in self.state(lane).settled.lock().drain(..) {
            if let Some(cursor) = known.cursors.get_mut(&range) {
                cursor.open.remove(&position);
            }
        }
    }

    /// The time by which leases end, where that is not the server's.
    pub(super) fn own_time(&self) -> Option<Timestamp> {
        self.shared.given_time()
    }

    pub(super) async fn in_force(&self) -> Result<LaneSet> {
        let row = self
            .shared
            .client
            .fetch_optional(self.shared.sql.outbox_lanes.query())
            .await?;
        row.as_ref().map_or(Ok(LaneSet::NONE), lane_set)
    }

    pub(super) async fn change_in_force(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        unit_again(|| self.change_once(on, off)).await
    }

    async fn change_once(&self, on: LaneSet, off: LaneSet) -> Result<LaneSet> {
        let query = self.shared.sql.outbox_change_lanes.query();
        let query = query.bind(i16::from(on.bits())).bind(i16::from(off.bits()));
        let mut unit = self.shared.client.begin().await?;
        let row = unit.fetch_one(query).await.map_err(of_sql)?;
        let lanes = lane_set(&row)?;
        self.shared.client.commit(unit).await?;
        Ok(lanes)
    }

    pub(super) async fn set_in_force(&self, lanes: LaneSet) -> Result<()> {
        let query = self
            .shared
            .sql
            .outbox_set_lanes
            .query()
            .bind(i16::from(lanes.bits()));
        self.shared.client.execute(query).await.map(drop)
    }

    pub(super) async fn wait_for(&self, lane: Lane, seen: u64, at_most: Duration) -> u64 {
        self.wake.wait(lane, seen, at_most).await
    }
}

fn lane_set(row: &PgRow) -> Result<LaneSet> {
    let bits: i16 = row.try_get(0).map_err(of_sql)?;
    Ok(LaneSet::from_bits(u8::try_from(bits).unwrap_or_default()))
}
