//! Reading the oldest entries of leased ranges.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kaireon_core::outbox::{FetchFrom, Lane, Lease, OutboxEntry, Position, Settlement, Verdict, lease_lost};
use kaireon_core::store::Generation;
use kaireon_core::time::{self, Timestamp};
use kaireon_core::wire::corrupt;
use kaireon_core::{ErrorKind, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::cursor::{Answer, Ask, Cursor, Place, Snapshot, Unseen, advance, quotas, token_of};
use super::lanes::{Known, Lanes};
use crate::error::of_sql;
use crate::shared::lane_number;

/// How often a fetch asks, where few ranges hold most of what waits.
const MAX_ROUNDS: usize = 12;

/// An entry as it was read.
struct Found {
    generation: Generation,
    enqueued_at: Timestamp,
    payload: Vec<u8>,
    /// Its customer is being erased.
    erased: bool,
}

impl Found {
    fn entry(self, lane: Lane, (position, range): Place) -> Result<OutboxEntry> {
        let payload = crate::payload::read(&self.payload)?;
        let place = (range, Position(position.cast_unsigned()));
        Ok(OutboxEntry::new(
            lane,
            place,
            self.generation,
            self.enqueued_at,
            payload,
        ))
    }
}

/// What one statement answered.
enum Round {
    Read(Answer<Found>),
    /// Another server answered: what is remembered of the last one's transactions is worth nothing.
    OtherServer,
}

impl Lanes {
    pub(super) async fn fetch_from(&self, from: Vec<FetchFrom>, limit: u32) -> Result<Vec<OutboxEntry>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut lanes: BTreeMap<Lane, Vec<FetchFrom>> = BTreeMap::new();
        for from in from {
            lanes.entry(from.lease.lane).or_default().push(from);
        }
        let mut entries = Vec::new();
        let several = lanes.len() > 1;
        for (lane, from) in lanes {
            entries.extend(self.fetch_lane(lane, &from, limit).await?);
        }
        if several {
            entries.sort_by_key(|entry| entry.position);
            entries.truncate(limit);
        }
        Ok(entries)
    }

    /// What cannot be read is moved to the dead letters, so that it stops nobody behind it.
    async fn fetch_lane(&self, lane: Lane, from: &[FetchFrom], limit: usize) -> Result<Vec<OutboxEntry>> {
        loop {
            let found = self.find_in_lane(lane, from, limit).await?;
            let (mut entries, mut unreadable) = (Vec::with_capacity(found.len()), Vec::new());
            for ((position, range), found) in found {
                match found.entry(lane, (position, range)) {
                    Ok(entry) => entries.push(entry),
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        tracing::error!(%lane, range, position, %error, "outbox entry cannot be read, moved to the dead letters");
                        unreadable.push(Settlement {
                            range,
                            position: Position(position.cast_unsigned()),
                            verdict: Verdict::Poisoned(error.to_string()),
                        });
                    }
                    Err(error) => return Err(error),
                }
            }
            let moved = !unreadable.is_empty();
            if moved {
                let leases: Vec<Lease> = from.iter().map(|from| from.lease.clone()).collect();
                self.settle_all(&leases, unreadable).await?;
            }
            // Where all of them were moved, what lies behind them was not read yet.
            if !moved || !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    async fn find_in_lane(
        &self,
        lane: Lane,
        from: &[FetchFrom],
        limit: usize,
    ) -> Result<Vec<(Place, Found)>> {
        // One at a time: two would move the same cursors by two snapshots.
        let mut known = self.state(lane).reading.lock().await;
        let in_hand = in_hand(from);
        let mut found: BTreeMap<Place, Found> = BTreeMap::new();
        let mut asked: Vec<&FetchFrom> = from.iter().collect();
        for _ in 0..MAX_ROUNDS {
            self.learn(lane, &asked, &mut known).await?;
            // What was settled meanwhile by this handle is not looked up again.
            self.forget_settled(lane, &mut known);
            let shown = found.values().filter(|found| !found.erased).count();
            let wanted = limit.saturating_sub(shown);
            if wanted == 0 || asked.is_empty() {
                break;
            }
            let asks = asks(&known, &asked, &found, wanted);
            let again = again(&known, &asks, &in_hand, &found, wanted);
            let answer = match self.round(lane, &asks, &again, wanted, &mut known).await? {
                Round::Read(answer) => answer,
                Round::OtherServer => {
                    known.cursors.clear();
                    found.clear();
                    asked = from.iter().collect();
                    continue;
                }
            };
            let gained = advance(&mut known.cursors, (&asks, &again), &in_hand, answer, wanted);
            asked.retain(|from| gained.more.contains(&from.lease.range));
            found.extend(gained.entries);
        }
        drop(known);
        if found.values().any(|found| !found.erased) {
            self.wake.busy(lane);
        }
        let shown = found.into_iter().filter(|(_, found)| !found.erased);
        Ok(shown.collect())
    }

    /// Makes sure that each range has a cursor of the lease that is asked under.
    async fn learn(&self, lane: Lane, asked: &[&FetchFrom], known: &mut Known) -> Result<()> {
        let unknown = |from: &&&FetchFrom| {
            let FetchFrom { lease, .. } = from;
            known
                .cursors
                .get(&lease.range)
                .is_none_or(|cursor| cursor.token != lease.token)
        };
        let unknown: Vec<&FetchFrom> = asked.iter().filter(unknown).copied().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        for FetchFrom { lease, .. } in &unknown {
            known.cursors.insert(lease.range, Cursor::start(lease.token));
        }
        let ranges: Vec<i16> = unknown
            .iter()
            .map(|from| from.lease.range.cast_signed())
            .collect();
        for (range, cursor) in self.saved(lane, ranges).await? {
            if let Some(known) = known.cursors.get_mut(&range) {
                *known = Cursor {
                    token: known.token,
                    ..cursor
                };
            }
        }
        Ok(())
    }

    /// Where earlier holders left off; nothing of what another cluster's relays saved.
    pub(super) async fn saved(&self, lane: Lane, ranges: Vec<i16>) -> Result<Vec<(u16, Cursor)>> {
        let sql = &self.shared.sql.outbox_cursors;
        let query = sql.query().bind(lane_number(lane)).bind(ranges);
        let rows = self.shared.client.fetch_all(query).await?;
        let read = |row: PgRow| -> Result<(u16, Cursor)> {
            let range: i16 = row.try_get("range").map_err(of_sql)?;
            let low = row.try_get("low").map_err(of_sql)?;
            let seen: &str = row.try_get("seen").map_err(of_sql)?;
            let until: &str = row.try_get("until").map_err(of_sql)?;
            Ok((range.cast_unsigned(), Cursor::resume(0, low, seen, until)?))
        };
        rows.into_iter().map(read).collect()
    }

    async fn round(
        &self,
        lane: Lane,
        asks: &[Ask],
        again: &[Place],
        limit: usize,
        known: &mut Known,
    ) -> Result<Round> {
        let cursors = &known.cursors;
        let tracked = asks.iter().filter(|ask| ask.tracked);
        let unseen = Unseen::of(tracked.filter_map(|ask| cursors.get(&ask.range)));
        let low = |ask: &Ask| match cursors.get(&ask.range) {
            Some(cursor) if ask.tracked => cursor.low,
            _ => -1,
        };
        let tokens = asks
            .iter()
            .map(|ask| token_of(ask.token))
            .collect::<Result<Vec<_>>>()?;
        let quota = |ask: &Ask| i32::try_from(ask.quota).unwrap_or(i32::MAX);
        let query = self
            .shared
            .sql
            .outbox_fetch
            .query()
            .bind(lane_number(lane))
            .bind(asks.iter().map(|ask| ask.range.cast_signed()).collect::<Vec<_>>())
            .bind(tokens)
            .bind(asks.iter().map(|ask| ask.reads_from).collect::<Vec<_>>())
            .bind(asks.iter().map(quota).collect::<Vec<_>>())
            .bind(asks.iter().map(low).collect::<Vec<_>>())
            .bind(unseen.running)
            .bind(unseen.from)
            .bind(unseen.until)
            .bind(
                again
                    .iter()
                    .map(|(_, range)| range.cast_signed())
                    .collect::<Vec<_>>(),
            )
            .bind(again.iter().map(|(position, _)| *position).collect::<Vec<_>>())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(self.own_time());
        let rows = self.shared.client.fetch_all(query).await?;
        read_round(rows, asks.len(), known)
    }
}

fn read_round(rows: Vec<PgRow>, asked: usize, known: &mut Known) -> Result<Round> {
    let mut head = None;
    let (mut there, mut read) = (Vec::new(), Vec::new());
    for row in rows {
        let part: i32 = row.try_get("part").map_err(of_sql)?;
        if part == 0 {
            head = Some(row);
            continue;
        }
        let range: i16 = row.try_get("range").map_err(of_sql)?;
        let place = (row.try_get("position").map_err(of_sql)?, range.cast_unsigned());
        let generation: i64 = row.try_get("generation").map_err(of_sql)?;
        let generation = u32::try_from(generation).map_err(|_| corrupt("a generation is out of range"))?;
        let found = Found {
            generation: Generation(generation),
            enqueued_at: time::truncate(row.try_get("at").map_err(of_sql)?),
            payload: row.try_get("payload").map_err(of_sql)?,
            erased: row.try_get("erased").map_err(of_sql)?,
        };
        if part == 1 { &mut there } else { &mut read }.push((place, found));
    }
    let head = head.ok_or_else(|| corrupt("a fetch has no head"))?;
    let held: i64 = head.try_get("held").map_err(of_sql)?;
    if usize::try_from(held) != Ok(asked) {
        return Err(lease_lost(crate::BACKEND, "fetch"));
    }
    let started: Timestamp = head.try_get("at").map_err(of_sql)?;
    if known
        .server
        .replace(started)
        .is_some_and(|before| before != started)
    {
        return Ok(Round::OtherServer);
    }
    let seen: &str = head.try_get("seen").map_err(of_sql)?;
    let ranges: Option<Vec<i16>> = head.try_get("late_ranges").map_err(of_sql)?;
    let positions: Option<Vec<i64>> = head.try_get("late_positions").map_err(of_sql)?;
    let late = positions.unwrap_or_default().into_iter();
    let late = late.zip(ranges.unwrap_or_default().into_iter().map(i16::cast_unsigned));
    Ok(Round::Read(Answer {
        seen: Snapshot::parse(seen)?,
        late: late.collect(),
        known: there,
        read,
    }))
}

/// What the caller has in flight.
fn in_hand(from: &[FetchFrom]) -> HashSet<Place> {
    let of_range = |from: &FetchFrom| {
        let range = from.lease.range;
        // No entry was ever given a position that is out of the server's range.
        let positions = from
            .in_flight
            .iter()
            .filter_map(|place| i64::try_from(place.0).ok());
        positions.map(|position| (position, range)).collect::<Vec<_>>()
    };
    from.iter().flat_map(of_range).collect()
}

/// What is asked of each range in the next round.
fn asks(known: &Known, asked: &[&FetchFrom], found: &BTreeMap<Place, Found>, wanted: usize) -> Vec<Ask> {
    let mut last: HashMap<u16, i64> = HashMap::new();
    for (position, range) in found.keys() {
        last.insert(*range, *position);
    }
    let full: Vec<bool> = asked
        .iter()
        .map(|from| {
            known
                .cursors
                .get(&from.lease.range)
                .is_some_and(|cursor| cursor.full)
        })
        .collect();
    let quotas = quotas(&full, wanted);
    let ask = |(from, quota): (&&FetchFrom, usize)| {
        let FetchFrom {
            lease,
            after,
            in_flight,
        } = from;
        let low = known.cursors.get(&lease.range).map_or(0, |cursor| cursor.low);
        let after = after.map_or(0, |Position(after)| i64::try_from(after).unwrap_or(i64::MAX));
        let tracked = after <= low;
        let behind = last.get(&lease.range).copied().unwrap_or(after);
        Ask {
            range: lease.range,
            token: lease.token,
            reads_from: if tracked { low } else { behind },
            // Without a cursor that moves, what is in hand is read again and again: it must not fill a round.
            quota: if tracked {
                quota
            } else {
                quota.saturating_add(in_flight.len())
            },
            after,
            tracked,
        }
    };
    asked.iter().zip(quotas).map(ask).collect()
}

/// The open entries that are looked up with them, the lowest first: those that the caller does not have and that were
/// not returned by an earlier round. One more than are wanted shows that some are left over.
fn again(
    known: &Known,
    asks: &[Ask],
    in_hand: &HashSet<Place>,
    found: &BTreeMap<Place, Found>,
    wanted: usize,
) -> Vec<Place> {
    let mut again = BTreeSet::new();
    for ask in asks.iter().filter(|ask| ask.tracked) {
        let Some(cursor) = known.cursors.get(&ask.range) else {
            continue;
        };
        let open = cursor.open.range(ask.after.saturating_add(1)..);
        let open = open.map(|position| (*position, ask.range));
        let open = open.filter(|place| !found.contains_key(place) && !in_hand.contains(place));
        again.extend(open.take(wanted + 1));
    }
    again.into_iter().take(wanted + 1).collect()
}
