//! Who may touch which range, by the server's clock.
//!
//! Requests of one lane take turns under an advisory lock, so that two never share a range. A range changes hands by
//! an update of its row, which waits for a settlement that holds the row; a renewal touches no range at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kaireon_connect::postgres::PgUnit;
use kaireon_core::Result;
use kaireon_core::outbox::{Lane, Lease, LeaseRequest, Leased};
use kaireon_core::time::{Timestamp, truncate};
use kaireon_core::wire::corrupt;
use sqlx::Row;

use super::cursor::token_of;
use super::lanes::{Known, Lanes};
use crate::again::unit_again;
use crate::error::of_sql;
use crate::shared::{lane_number, lock};

/// How often cursors are saved, at renewals.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// The advisory lock under which the first lane's leases are given; the other lanes' follow. Behind those of the store.
const LEASE_LOCK: i64 = 65;

/// A range as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    range: u16,
    token: i64,
    owner: Option<String>,
    /// Its holder is to give it back.
    recalled: bool,
}

/// What a request changes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// What the owner holds after it, with the fencing numbers.
    holds: Vec<(u16, i64)>,
    /// Which of these it is to give back.
    recalled: Vec<u16>,
    /// What it gives back.
    gives: Vec<Held>,
    /// What it takes.
    takes: Vec<Held>,
}

/// Keeps what the owner holds up to the bound, gives back what is beyond it, takes what is free up to it.
fn plan(ranges: Vec<Held>, live: &BTreeSet<String>, owner: &str, most: u16) -> Plan {
    let most = usize::from(most);
    let mut plan = Plan::default();
    let mut free = Vec::new();
    for held in ranges {
        match held.owner.as_deref() {
            // Also where it had expired: requests of a lane take turns, so nobody else is about to take it.
            Some(holder) if holder == owner => {
                if plan.holds.len() < most {
                    plan.holds.push((held.range, held.token));
                    plan.recalled.extend(held.recalled.then_some(held.range));
                } else {
                    plan.gives.push(Held { owner: None, ..held });
                }
            }
            Some(holder) if live.contains(holder) => {}
            // Free, or of one who is gone.
            _ => free.push(held),
        }
    }
    // Each begins elsewhere: where relays come and go all the time, no range is always the last to be taken.
    let first = owner.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let first = first.checked_rem(free.len()).unwrap_or_default();
    free.rotate_left(first);
    for held in free {
        if plan.holds.len() == most {
            break;
        }
        let token = held.token + 1;
        plan.holds.push((held.range, token));
        plan.takes.push(Held {
            token,
            owner: Some(owner.to_owned()),
            recalled: false,
            ..held
        });
    }
    plan.holds.sort_unstable();
    plan
}

impl Lanes {
    pub(super) async fn lease_ranges(&self, request: LeaseRequest) -> Result<Leased> {
        unit_again(|| self.lease_once(request.clone())).await
    }

    async fn lease_once(&self, request: LeaseRequest) -> Result<Leased> {
        let LeaseRequest {
            lane,
            owner,
            ttl,
            max_ranges,
            destination,
        } = request;
        destination.check()?;
        let now = self.own_time();
        let sql = &self.shared.sql;
        let mut unit = self.shared.client.begin().await?;
        self.take_turn(&mut unit, lane).await?;
        let query = sql.outbox_relays.query().bind(lane_number(lane)).bind(now);
        let live = unit.fetch_all(query).await.map_err(of_sql)?;
        let live = live.iter().map(|row| row.try_get::<String, _>(0));
        let mut live = live.collect::<Result<BTreeSet<_>, _>>().map_err(of_sql)?;
        let admitted = self.admit(&mut unit, lane, (destination, ttl), &mut live);
        if let Some(refused) = admitted.await? {
            return Ok(refused);
        }
        let query = sql.outbox_ranges.query().bind(lane_number(lane));
        let (mut ranges, server) = read_ranges(&mut unit, query).await?;
        for held in &mut ranges {
            // A server that took another's place may give positions out a second time: what was delivered of the first
            // must not be settled there. So the range gets another number, as if somebody else had had it meanwhile.
            let given_by = self.given_by(lane, held.range, held.token);
            if held.owner.as_deref() == Some(&owner)
                && given_by.is_some_and(|given_by| Some(given_by) != server)
            {
                held.owner = None;
            }
        }
        let plan = plan(ranges, &live, &owner, max_ranges);
        live.insert(owner.clone());
        // While the ranges that are given back are still this owner's.
        let given: BTreeSet<u16> = plan.gives.iter().map(|held| held.range).collect();
        let saved = self.save(&mut unit, lane, &plan.holds, &given).await?;
        let changed: Vec<&Held> = plan.gives.iter().chain(&plan.takes).collect();
        if !changed.is_empty() {
            let query = sql
                .outbox_hand_over
                .query()
                .bind(lane_number(lane))
                .bind(
                    changed
                        .iter()
                        .map(|held| held.range.cast_signed())
                        .collect::<Vec<_>>(),
                )
                .bind(changed.iter().map(|held| held.token).collect::<Vec<_>>())
                .bind(changed.iter().map(|held| held.owner.clone()).collect::<Vec<_>>());
            unit.execute(query).await.map_err(of_sql)?;
            let query = sql.outbox_bury.query().bind(lane_number(lane)).bind(now);
            unit.execute(query).await.map_err(of_sql)?;
        }
        let query = sql
            .outbox_die
            .query()
            .bind(lane_number(lane))
            .bind(owner.clone())
            .bind(now);
        unit.execute(query).await.map_err(of_sql)?;
        let ttl = i64::try_from(ttl.as_micros())
            .unwrap_or(i64::MAX / 4)
            .min(i64::MAX / 4);
        let query = sql
            .outbox_live
            .query()
            .bind(lane_number(lane))
            .bind(owner)
            .bind(now)
            .bind(ttl);
        let row = unit.fetch_one(query).await.map_err(of_sql)?;
        let expires: Timestamp = truncate(row.try_get(0).map_err(of_sql)?);
        self.shared.client.commit(unit).await?;
        self.note_saved(lane, saved).await;
        if let Some(server) = server {
            let held = plan.holds.iter().map(|&(range, token)| (range, (token, server)));
            self.state(lane).leased.lock().extend(held);
        }
        let lease = |&(range, token): &(u16, i64)| Lease {
            lane,
            range,
            token: token.unsigned_abs(),
            expires,
        };
        let owners = u16::try_from(live.len()).unwrap_or(u16::MAX);
        let leased = Leased::new(plan.holds.iter().map(lease).collect(), owners);
        Ok(leased.recalling(plan.recalled))
    }

    pub(super) async fn release_ranges(&self, leases: Vec<Lease>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        unit_again(|| self.release_once(&leases)).await
    }

    async fn release_once(&self, leases: &[Lease]) -> Result<()> {
        let mut lanes: BTreeMap<Lane, Vec<&Lease>> = BTreeMap::new();
        for lease in leases {
            lanes.entry(lease.lane).or_default().push(lease);
        }
        let mut unit = self.shared.client.begin().await?;
        for (lane, leases) in lanes {
            self.take_turn(&mut unit, lane).await?;
            let held = leases
                .iter()
                .map(|lease| Ok((lease.range, token_of(lease.token)?)));
            let held = held.collect::<Result<Vec<_>>>()?;
            let given = held.iter().map(|(range, _)| *range).collect();
            self.save(&mut unit, lane, &held, &given).await?;
            let query = self
                .shared
                .sql
                .outbox_release
                .query()
                .bind(lane_number(lane))
                .bind(
                    held.iter()
                        .map(|(range, _)| range.cast_signed())
                        .collect::<Vec<_>>(),
                )
                .bind(held.iter().map(|(_, token)| *token).collect::<Vec<_>>());
            let rows = unit.fetch_all(query).await.map_err(of_sql)?;
            let owners = rows.iter().map(|row| row.try_get::<Option<String>, _>(0));
            let owners: BTreeSet<_> = owners.collect::<Result<_, _>>().map_err(of_sql)?;
            let query = self.shared.sql.outbox_leave.query().bind(lane_number(lane));
            let owners: Vec<String> = owners.into_iter().flatten().collect();
            let query = query.bind(owners).bind(self.own_time());
            unit.execute(query).await.map_err(of_sql)?;
        }
        self.shared.client.commit(unit).await
    }

    /// Waits until no other request of the lane is under way; to the end of the transaction.
    async fn take_turn(&self, unit: &mut PgUnit, lane: Lane) -> Result<()> {
        let lock = lock(self.shared.incarnation, LEASE_LOCK + i64::from(lane_number(lane)));
        let query = self.shared.sql.outbox_lock.query().bind(lock);
        unit.execute(query).await.map(drop).map_err(of_sql)
    }

    /// Saves from where the next holder goes on: now and then, and always for ranges that are given back. Returns
    /// what was saved.
    async fn save(
        &self,
        unit: &mut PgUnit,
        lane: Lane,
        holds: &[(u16, i64)],
        given: &BTreeSet<u16>,
    ) -> Result<Vec<(u16, i64)>> {
        // A fetch that is under way is not waited for: there is another renewal.
        let Ok(mut known) = self.state(lane).reading.try_lock() else {
            return Ok(Vec::new());
        };
        self.forget_settled(lane, &mut known);
        let due = known.saved_at.is_none_or(|at| at.elapsed() >= SAVE_EVERY);
        if !due && given.is_empty() {
            return Ok(Vec::new());
        }
        let (mut ranges, mut tokens, mut lows, mut seen) = (vec![], vec![], vec![], vec![]);
        for (range, cursor) in &known.cursors {
            let held = given.contains(range)
                || holds
                    .iter()
                    .any(|(held, token)| held == range && i64::try_from(cursor.token) == Ok(*token));
            let Some(snapshot) = &cursor.seen else { continue };
            if held && cursor.settled() != cursor.saved {
                ranges.push(range.cast_signed());
                tokens.push(token_of(cursor.token)?);
                lows.push(cursor.settled());
                seen.push(snapshot.as_str().to_owned());
            }
        }
        known.saved_at = Some(tokio::time::Instant::now());
        drop(known);
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let saved = ranges
            .iter()
            .map(|range| range.cast_unsigned())
            .zip(lows.iter().copied())
            .collect();
        let query = self
            .shared
            .sql
            .outbox_save
            .query()
            .bind(vec![lane_number(lane); ranges.len()])
            .bind(ranges)
            .bind(tokens)
            .bind(lows)
            .bind(seen);
        unit.execute(query).await.map_err(of_sql)?;
        Ok(saved)
    }

    /// Remembers what was saved, once it is committed.
    async fn note_saved(&self, lane: Lane, saved: Vec<(u16, i64)>) {
        if saved.is_empty() {
            return;
        }
        let mut known: tokio::sync::MutexGuard<'_, Known> = self.state(lane).reading.lock().await;
        for (range, low) in saved {
            if let Some(cursor) = known.cursors.get_mut(&range) {
                cursor.saved = low;
            }
        }
    }
}

/// The ranges of a lane, and when the server was started that has them.
async fn read_ranges(
    unit: &mut PgUnit,
    query: crate::client::Bound,
) -> Result<(Vec<Held>, Option<Timestamp>)> {
    let rows = unit.fetch_all(query).await.map_err(of_sql)?;
    let server = rows.first().map(|row| row.try_get(4)).transpose();
    let held = |row: &sqlx::postgres::PgRow| -> Result<Held> {
        let range: i16 = row.try_get(0).map_err(of_sql)?;
        let token: i64 = row.try_get(1).map_err(of_sql)?;
        if token < 0 {
            return Err(corrupt("a fencing number is negative"));
        }
        Ok(Held {
            range: range.cast_unsigned(),
            token,
            owner: row.try_get(2).map_err(of_sql)?,
            recalled: row.try_get(3).map_err(of_sql)?,
        })
    };
    let ranges = rows.iter().map(held).collect::<Result<_>>()?;
    Ok((ranges, server.map_err(of_sql)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(owners: &[Option<&str>]) -> Vec<Held> {
        let held = |(range, owner): (usize, &Option<&str>)| Held {
            range: u16::try_from(range).unwrap(),
            token: 5,
            owner: owner.map(str::to_owned),
            recalled: false,
        };
        owners.iter().enumerate().map(held).collect()
    }

    fn live(owners: &[&str]) -> BTreeSet<String> {
        owners.iter().map(|owner| (*owner).to_owned()).collect()
    }

    #[test]
    fn what_is_held_is_kept_and_what_is_free_or_of_the_dead_is_taken() {
        let all = ranges(&[Some("me"), Some("other"), None, Some("dead"), Some("me")]);
        let plan = plan(all, &live(&["me", "other"]), "me", 4);
        assert_eq!(plan.holds, [(0, 5), (2, 6), (3, 6), (4, 5)]);
        assert_eq!(plan.takes.len(), 2);
        assert!(plan.gives.is_empty());
    }

    #[test]
    fn what_is_beyond_the_bound_is_given_back_under_its_number() {
        let all = ranges(&[Some("me"), Some("me"), Some("me")]);
        let plan = plan(all, &live(&["me"]), "me", 1);
        assert_eq!(plan.holds, [(0, 5)]);
        let given: Vec<_> = plan.gives.iter().map(|held| (held.range, held.token)).collect();
        assert_eq!(given, [(1, 5), (2, 5)]);
        assert!(plan.gives.iter().all(|held| held.owner.is_none()));
    }

    #[test]
    fn an_expired_lease_of_ones_own_that_nobody_took_keeps_its_number() {
        let plan = plan(ranges(&[Some("me"), Some("dead")]), &live(&[]), "me", 8);
        assert_eq!(plan.holds, [(0, 5), (1, 6)]);
    }
}
