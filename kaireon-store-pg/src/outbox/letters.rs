//! Dead letters: entries that were moved aside.

use std::collections::HashSet;

use kaireon_core::outbox::{DeadLetter, DeadLetterId, DeadLetterQuery, Lane, LaneSet, OutboxEntry, Position};
use kaireon_core::store::{Generation, Page};
use kaireon_core::time::truncate;
use kaireon_core::wire::corrupt;
use kaireon_core::{ErrorKind, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::lanes::Lanes;
use crate::error::of_sql;
use crate::shared::lane_number;

impl Lanes {
    pub(super) async fn list_letters(
        &self,
        query: DeadLetterQuery,
    ) -> Result<Page<DeadLetter, DeadLetterId>> {
        query.check()?;
        let DeadLetterQuery { lane, limit, cursor } = query;
        let (range, position) = match cursor {
            Some(DeadLetterId { range, position }) => (range.cast_signed(), signed(position)),
            None => (-1, 0),
        };
        let query = self
            .shared
            .sql
            .outbox_dead_letters
            .query()
            .bind(lane_number(lane))
            .bind(range)
            .bind(position)
            .bind(i64::from(limit) + 1);
        let mut rows = self.shared.client.fetch_all(query).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(id_of).transpose()?;
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            match letter(lane, &row) {
                Ok(letter) => items.push(letter),
                // It is counted, and can be replayed by its name; there is nothing of it to be shown.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let DeadLetterId { range, position } = id_of(&row)?;
                    let reason: &str = row.try_get("reason").map_err(of_sql)?;
                    tracing::warn!(%lane, range, position = position.0, reason, "dead letter cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Page { items, next })
    }

    pub(super) async fn replay_letters(&self, lane: Lane, ids: Vec<DeadLetterId>) -> Result<u64> {
        let mut named = HashSet::new();
        let ids: Vec<_> = ids.into_iter().filter(|id| named.insert(*id)).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let query = self
            .shared
            .sql
            .outbox_replay
            .query()
            .bind(lane_number(lane))
            .bind(ids.iter().map(|id| id.range.cast_signed()).collect::<Vec<_>>())
            .bind(ids.iter().map(|id| signed(id.position)).collect::<Vec<_>>())
            .bind(self.shared.now());
        let replayed = self.shared.client.execute(query).await?;
        if replayed > 0 {
            self.shared.tell(LaneSet::of(&[lane]));
        }
        Ok(replayed)
    }
}

/// A position that no entry has stays one that no entry has.
fn signed(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

fn id_of(row: &PgRow) -> Result<DeadLetterId> {
    let range: i16 = row.try_get("range").map_err(of_sql)?;
    let position: i64 = row.try_get("position").map_err(of_sql)?;
    Ok(DeadLetterId {
        range: range.cast_unsigned(),
        position: Position(position.cast_unsigned()),
    })
}

fn letter(lane: Lane, row: &PgRow) -> Result<DeadLetter> {
    let DeadLetterId { range, position } = id_of(row)?;
    let generation: i64 = row.try_get("generation").map_err(of_sql)?;
    let generation = u32::try_from(generation).map_err(|_| corrupt("a generation is out of range"))?;
    let payload: &[u8] = row.try_get("payload").map_err(of_sql)?;
    let entry = OutboxEntry::new(
        lane,
        (range, position),
        Generation(generation),
        truncate(row.try_get("enqueued_at").map_err(of_sql)?),
        crate::payload::read(payload)?,
    );
    let since = truncate(row.try_get("since").map_err(of_sql)?);
    Ok(DeadLetter::new(
        entry,
        row.try_get("reason").map_err(of_sql)?,
        since,
    ))
}
