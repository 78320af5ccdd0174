//! Interactions and decisions of their columns.

use kaireon_core::wire::corrupt;
use kaireon_core::{
    Attributes, Classification, CustomerId, Decision, DecisionFields, Direction, Error, IdempotencyKey,
    Interaction, InteractionFields, InteractionType, OutcomeTypeKey, Result, TenantId, Value,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::error::of_sql;

/// The first columns of `history` and `scan`.
mod column {
    pub(super) const AT: usize = 0;
    pub(super) const VALUE_MICROS: usize = 2;
    pub(super) const RANK: usize = 3;
    pub(super) const CLASSIFICATION: usize = 4;
    pub(super) const DIRECTION: usize = 5;
    pub(super) const ID: usize = 6;
    pub(super) const IDEMPOTENCY_KEY: usize = 7;
    pub(super) const OFFER: usize = 8;
    pub(super) const CREATIVE: usize = 9;
    pub(super) const CHANNEL: usize = 10;
    pub(super) const INTERACTION_TYPE: usize = 11;
    pub(super) const OUTCOME: usize = 12;
    pub(super) const PLACEMENT: usize = 13;
    pub(super) const CATEGORY: usize = 14;
    pub(super) const CAMPAIGN: usize = 15;
    pub(super) const RECOMMENDATION: usize = 16;
    pub(super) const ATTRIBUTES: usize = 17;
}

/// A text column that some identifier is made of.
fn id<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: TryFrom<&'r str, Error = Error>,
{
    let text: &str = row.try_get(column).map_err(of_sql)?;
    T::try_from(text).map_err(refused)
}

/// A text column that may be null.
fn optional<'r, T>(row: &'r PgRow, column: usize) -> Result<Option<T>>
where
    T: TryFrom<&'r str, Error = Error>,
{
    let text: Option<&str> = row.try_get(column).map_err(of_sql)?;
    text.map(T::try_from).transpose().map_err(refused)
}

fn refused(_: Error) -> Error {
    corrupt("a stored value is out of bounds")
}

fn attributes(row: &PgRow, column: usize) -> Result<Attributes> {
    let Some(json) = row.try_get::<Option<&str>, _>(column).map_err(of_sql)? else {
        return Ok(Attributes::default());
    };
    let members = serde_json::from_str(json).map_err(|_| corrupt("stored attributes are not json"))?;
    Attributes::new(members).map_err(refused)
}

/// The interaction of a row of the history, whose columns are the first ones. By their places: to look each name up
/// costs as much as to decode it.
pub(super) fn interaction(row: &PgRow, tenant: TenantId, customer: CustomerId) -> Result<Interaction> {
    let id_of: kaireon_core::InteractionId = id(row, column::ID)?;
    let kind: &str = row.try_get(column::INTERACTION_TYPE).map_err(of_sql)?;
    let interaction_type = InteractionType::parse(kind).map_err(refused)?;
    let idempotency_key = match optional(row, column::IDEMPOTENCY_KEY)? {
        Some(key) => key,
        None => IdempotencyKey::new(id_of.as_str()).map_err(refused)?,
    };
    let outcome = match optional(row, column::OUTCOME)? {
        Some(outcome) => outcome,
        None => OutcomeTypeKey::new(kind).map_err(refused)?,
    };
    let rank: Option<i64> = row.try_get(column::RANK).map_err(of_sql)?;
    let rank = rank.map(u32::try_from).transpose();
    let micros: Option<i64> = row.try_get(column::VALUE_MICROS).map_err(of_sql)?;
    let fields = InteractionFields {
        id: id_of,
        tenant,
        customer,
        offer: id(row, column::OFFER)?,
        creative: id(row, column::CREATIVE)?,
        channel: id(row, column::CHANNEL)?,
        placement: optional(row, column::PLACEMENT)?,
        category: optional(row, column::CATEGORY)?,
        campaign: optional(row, column::CAMPAIGN)?,
        recommendation: optional(row, column::RECOMMENDATION)?,
        rank: rank.map_err(|_| corrupt("a stored rank is out of range"))?,
        interaction_type,
        outcome,
        classification: match row.try_get::<i16, _>(column::CLASSIFICATION).map_err(of_sql)? {
            1 => Classification::Positive,
            0 => Classification::Neutral,
            -1 => Classification::Negative,
            _ => return Err(corrupt("a stored classification is none")),
        },
        direction: match row.try_get::<i16, _>(column::DIRECTION).map_err(of_sql)? {
            0 => Direction::Inbound,
            1 => Direction::Outbound,
            _ => return Err(corrupt("a stored direction is none")),
        },
        value: micros.map(Value::from_micros),
        idempotency_key,
        timestamp: row.try_get(column::AT).map_err(of_sql)?,
        attributes: attributes(row, column::ATTRIBUTES)?,
    };
    Interaction::restore(fields).map_err(refused)
}

/// The decision of a row, whose first columns are its time, id, flow, offers and attributes.
pub(super) fn decision(row: &PgRow, tenant: TenantId, customer: CustomerId) -> Result<Decision> {
    let offers: &str = row.try_get(3).map_err(of_sql)?;
    let fields = DecisionFields {
        id: id(row, 1)?,
        tenant,
        customer,
        flow: id(row, 2)?,
        offers: serde_json::from_str(offers).map_err(|_| corrupt("stored offers are not as written"))?,
        timestamp: row.try_get(0).map_err(of_sql)?,
        attributes: attributes(row, 4)?,
    };
    Decision::restore(fields).map_err(refused)
}
