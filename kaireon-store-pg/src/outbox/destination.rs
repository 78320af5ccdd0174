//! Where a lane leads: one destination at a time, kept beside the leases and changed under their lock.

use std::collections::BTreeSet;
use std::time::Duration;

use kaireon_connect::postgres::PgUnit;
use kaireon_core::Result;
use kaireon_core::outbox::{Admission, Destination, DestinationScope, Lane, LaneDestination, Leased};
use kaireon_core::time::Timestamp;
use sqlx::Row;

use super::lanes::Lanes;
use crate::error::of_sql;
use crate::shared::lane_number;

impl Lanes {
    /// Lets a relay of this destination in, or says where the lane leads instead. Others' leases end where it comes into
    /// force. To be called when it is the owner's turn, before ranges are read.
    pub(super) async fn admit(
        &self,
        unit: &mut PgUnit,
        lane: Lane,
        (destination, ttl): (Destination, Duration),
        live: &mut BTreeSet<String>,
    ) -> Result<Option<Leased>> {
        let sql = &self.shared.sql;
        let query = sql.outbox_destination.query().bind(lane_number(lane));
        let row = unit
            .fetch_one(query.bind(self.own_time()))
            .await
            .map_err(of_sql)?;
        let now: Timestamp = row.try_get("now").map_err(of_sql)?;
        let name: Option<String> = row.try_get("name").map_err(of_sql)?;
        let in_force = match name {
            None => None,
            Some(name) => Some(LaneDestination {
                name,
                scope: scope_of(row.try_get("scope").map_err(of_sql)?),
                until: row.try_get("until").map_err(of_sql)?,
            }),
        };
        let is_held = !destination.hold.is_zero();
        match (
            destination.admission(in_force.as_ref(), !live.is_empty(), now),
            in_force,
        ) {
            (Admission::Refused, Some(in_force)) => {
                let owners = u16::try_from(live.len()).unwrap_or(u16::MAX);
                return Ok(Some(Leased::elsewhere(in_force.name, owners)));
            }
            (Admission::Joins, _) if !is_held => return Ok(None),
            (Admission::Joins, _) => {}
            (Admission::TakesOver | Admission::Refused, _) => {
                let query = sql.outbox_expel.query().bind(lane_number(lane));
                unit.execute(query).await.map_err(of_sql)?;
                live.clear();
            }
        }
        let LaneDestination { name, scope, until } = destination.granted(now, ttl);
        let query = sql.outbox_lead.query().bind(lane_number(lane)).bind(name);
        let query = query.bind(scope_number(scope)).bind(until);
        unit.execute(query).await.map_err(of_sql)?;
        Ok(None)
    }
}

const fn scope_number(scope: DestinationScope) -> i16 {
    match scope {
        DestinationScope::Process => 0,
        DestinationScope::Shared => 1,
    }
}

const fn scope_of(number: i16) -> DestinationScope {
    match number {
        0 => DestinationScope::Process,
        _ => DestinationScope::Shared,
    }
}
