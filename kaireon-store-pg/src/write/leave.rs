//! What a batch leaves: arrays, bound to a constant number of statements.

use std::sync::Arc;

use kaireon_core::outbox::{Lane, LaneSet, range_of};
use kaireon_core::store::{Generation, HistoryCursor};
use kaireon_core::time::Timestamp;
use kaireon_core::{Classification, Decision, Direction, Interaction, Result};
use sqlx::PgConnection;
use sqlx::postgres::PgBindIterExt;
use uuid::Uuid;

use super::op::Op;
use super::unit::Failure;
use crate::client::Bound;
use crate::shared::{Shared, lane_number, uuid_of};

/// One entry of the outbox that is about to be written.
#[derive(Clone, Debug)]
pub(crate) struct OutboxRow {
    pub(crate) lane: Lane,
    pub(crate) range: u16,
    pub(crate) generation: Generation,
    pub(crate) enqueued_at: Timestamp,
    /// The tenant's number.
    pub(crate) tenant: i32,
    /// The digest of the customer it is about, if any.
    pub(crate) customer: Option<Uuid>,
    /// What [`payload`](crate::payload) wrote.
    pub(crate) payload: Arc<[u8]>,
}

/// All that a batch leaves behind beside dedupe records and closed periods.
#[derive(Debug, Default)]
pub(crate) struct Leaving<'a> {
    /// Rows of the history, under their customers' numbers.
    pub(crate) rows: Vec<(i64, &'a Interaction)>,
    pub(crate) decisions: Vec<(i64, i32, &'a Decision)>,
    pub(crate) told: Vec<OutboxRow>,
    /// Customers' numbers with their new values.
    pub(crate) customers: Vec<(i64, Generation, Vec<u8>)>,
}

impl<'a> Leaving<'a> {
    /// Tells of a record that was accepted.
    pub(crate) fn tell(&mut self, op: &Op, generation: Generation, lanes: LaneSet) {
        if lanes.is_empty() {
            return;
        }
        let range = range_of(op.value.tenant(), op.value.customer().as_str());
        let payload = crate::payload::of_record(&op.value);
        for lane in lanes.iter() {
            self.told.push(OutboxRow {
                lane,
                range,
                generation,
                enqueued_at: op.terms.now,
                tenant: op.who.0,
                customer: Some(uuid_of(&op.who.1)),
                payload: Arc::clone(&payload),
            });
        }
    }

    /// Writes everything.
    pub(crate) async fn write(self, connection: &mut PgConnection, shared: &Shared) -> Result<(), Failure> {
        if !self.decisions.is_empty() {
            self.write_decisions(connection, shared).await?;
        }
        if self.rows.is_empty() && self.customers.is_empty() {
            return enter_outbox(connection, shared, &self.told)
                .await
                .map_err(Failure::Sql);
        }
        let rows = &self.rows;
        let text = |of: fn(&'a Interaction) -> &'a str| rows.iter().map(move |(_, row)| of(row)).bind_iter();
        let optional =
            |of: fn(&'a Interaction) -> Option<&'a str>| rows.iter().map(move |(_, row)| of(row)).bind_iter();
        let query = shared
            .sql
            .write
            .query()
            .bind(rows.iter().map(|(number, _)| *number).bind_iter())
            .bind(rows.iter().map(|(_, row)| row.timestamp).bind_iter())
            .bind(
                rows.iter()
                    .map(|(_, row)| tie(HistoryCursor::tie_of(&row.idempotency_key)))
                    .bind_iter(),
            )
            .bind(
                rows.iter()
                    .map(|(_, row)| row.value.map(kaireon_core::Value::micros))
                    .bind_iter(),
            )
            .bind(rows.iter().map(|(_, row)| row.rank.map(i64::from)).bind_iter())
            .bind(
                rows.iter()
                    .map(|(_, row)| classification(row.classification))
                    .bind_iter(),
            )
            .bind(rows.iter().map(|(_, row)| direction(row.direction)).bind_iter())
            .bind(text(|row| row.id.as_str()))
            // What is the rule needs no bytes: a key that is the id, an outcome that is the type.
            .bind(optional(|row| {
                unlike(row.idempotency_key.as_str(), row.id.as_str())
            }))
            .bind(text(|row| row.offer.as_str()))
            .bind(text(|row| row.creative.as_str()))
            .bind(text(|row| row.channel.as_str()))
            .bind(text(|row| row.interaction_type.as_str()))
            .bind(optional(|row| {
                unlike(row.outcome.as_str(), row.interaction_type.as_str())
            }))
            .bind(optional(|row| row.placement.as_ref().map(AsRef::as_ref)))
            .bind(optional(|row| row.category.as_ref().map(AsRef::as_ref)))
            .bind(optional(|row| row.campaign.as_ref().map(AsRef::as_ref)))
            .bind(optional(|row| row.recommendation.as_ref().map(AsRef::as_ref)))
            .bind(rows.iter().map(|(_, row)| json(&row.attributes)).bind_iter());
        let query = bind_outbox(query, &self.told)
            .bind(self.customers.iter().map(|(number, ..)| *number).bind_iter())
            .bind(
                self.customers
                    .iter()
                    .map(|(_, generation, _)| i64::from(generation.0))
                    .bind_iter(),
            )
            .bind(
                self.customers
                    .iter()
                    .map(|(.., packed)| packed.as_slice())
                    .bind_iter(),
            );
        query.execute(connection).await?;
        Ok(())
    }

    async fn write_decisions(&self, connection: &mut PgConnection, shared: &Shared) -> Result<(), Failure> {
        let rows = &self.decisions;
        let offers = |decision: &Decision| serde_json::to_string(&decision.offers);
        let offers = rows.iter().map(|(.., decision)| offers(decision));
        let offers: Vec<String> = offers.collect::<Result<_, _>>().map_err(|_| {
            Failure::Own(kaireon_core::Error::new(
                kaireon_core::ErrorKind::Internal,
                "offers cannot be written as json",
            ))
        })?;
        let query = shared
            .sql
            .enter_decisions
            .query()
            .bind(rows.iter().map(|(number, ..)| *number).bind_iter())
            .bind(rows.iter().map(|(.., row)| row.timestamp).bind_iter())
            .bind(rows.iter().map(|(_, tenant, _)| *tenant).bind_iter())
            .bind(rows.iter().map(|(.., row)| row.id.as_str()).bind_iter())
            .bind(rows.iter().map(|(.., row)| row.flow.as_str()).bind_iter())
            .bind(offers)
            .bind(rows.iter().map(|(.., row)| json(&row.attributes)).bind_iter());
        query.execute(connection).await?;
        Ok(())
    }
}

/// Writes entries of the outbox, in their order, in the caller's transaction.
///
/// Who writes for a customer holds the customer's row: positions then grow with commit order within a customer.
pub(crate) async fn enter_outbox(
    connection: &mut PgConnection,
    shared: &Shared,
    rows: &[OutboxRow],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let query = bind_outbox(shared.sql.enter_outbox.query(), rows);
    query.execute(connection).await.map(drop)
}

fn bind_outbox(query: Bound, rows: &[OutboxRow]) -> Bound {
    query
        .bind(rows.iter().map(|row| i64::from(row.generation.0)).bind_iter())
        .bind(rows.iter().map(|row| row.enqueued_at).bind_iter())
        .bind(rows.iter().map(|row| row.tenant).bind_iter())
        .bind(rows.iter().map(|row| lane_number(row.lane)).bind_iter())
        .bind(rows.iter().map(|row| row.range.cast_signed()).bind_iter())
        .bind(rows.iter().map(|row| row.customer).bind_iter())
        .bind(rows.iter().map(|row| &*row.payload).bind_iter())
}

fn unlike<'a>(text: &'a str, usual: &str) -> Option<&'a str> {
    (text != usual).then_some(text)
}

/// Attributes as JSON; none where there are no members.
fn json(attributes: &kaireon_core::Attributes) -> Option<String> {
    (!attributes.is_empty()).then(|| attributes.to_json())
}

/// The place between rows of one customer, time and id, in the signed order of the server.
pub(crate) const fn tie(unsigned: u64) -> i64 {
    (unsigned ^ (1 << 63)).cast_signed()
}

/// A classification's number in the tables: its sign.
const fn classification(classification: Classification) -> i16 {
    match classification {
        Classification::Positive => 1,
        Classification::Neutral => 0,
        Classification::Negative => -1,
    }
}

/// A direction's number in the tables.
const fn direction(direction: Direction) -> i16 {
    match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
    }
}
