//! Interactions and decisions of their columns.

use kaireon_core::wire::corrupt;
use kaireon_core::{
    Attributes, Classification, CustomerId, Decision, DecisionFields, Direction, Error, IdempotencyKey,
    Interaction, InteractionFields, InteractionType, OutcomeTypeKey, Result, TenantId, Value,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::error::of_sql;

/// A text column that some identifier is made of.
fn id<'r, T>(row: &'r PgRow, column: &str) -> Result<T>
where
    T: TryFrom<&'r str, Error = Error>,
{
    let text: &str = row.try_get(column).map_err(of_sql)?;
    T::try_from(text).map_err(refused)
}

/// A text column that may be null.
fn optional<'r, T>(row: &'r PgRow, column: &str) -> Result<Option<T>>
where
    T: TryFrom<&'r str, Error = Error>,
{
    let text: Option<&str> = row.try_get(column).map_err(of_sql)?;
    text.map(T::try_from).transpose().map_err(refused)
}

fn refused(_: Error) -> Error {
    corrupt("a stored value is out of bounds")
}

fn attributes(row: &PgRow) -> Result<Attributes> {
    let Some(json) = row.try_get::<Option<&str>, _>("attributes").map_err(of_sql)? else {
        return Ok(Attributes::default());
    };
    let members = serde_json::from_str(json).map_err(|_| corrupt("stored attributes are not json"))?;
    Attributes::new(members).map_err(refused)
}

/// The interaction of a row of the history.
pub(super) fn interaction(row: &PgRow, tenant: TenantId, customer: CustomerId) -> Result<Interaction> {
    let id_of: kaireon_core::InteractionId = id(row, "id")?;
    let kind: &str = row.try_get("interaction_type").map_err(of_sql)?;
    let interaction_type = InteractionType::parse(kind).map_err(refused)?;
    let idempotency_key = match optional(row, "idempotency_key")? {
        Some(key) => key,
        None => IdempotencyKey::new(id_of.as_str()).map_err(refused)?,
    };
    let outcome = match optional(row, "outcome")? {
        Some(outcome) => outcome,
        None => OutcomeTypeKey::new(kind).map_err(refused)?,
    };
    let rank: Option<i64> = row.try_get("rank").map_err(of_sql)?;
    let rank = rank.map(u32::try_from).transpose();
    let micros: Option<i64> = row.try_get("value_micros").map_err(of_sql)?;
    let fields = InteractionFields {
        id: id_of,
        tenant,
        customer,
        offer: id(row, "offer")?,
        creative: id(row, "creative")?,
        channel: id(row, "channel")?,
        placement: optional(row, "placement")?,
        category: optional(row, "category")?,
        campaign: optional(row, "campaign")?,
        recommendation: optional(row, "recommendation")?,
        rank: rank.map_err(|_| corrupt("a stored rank is out of range"))?,
        interaction_type,
        outcome,
        classification: match row.try_get::<i16, _>("classification").map_err(of_sql)? {
            1 => Classification::Positive,
            0 => Classification::Neutral,
            -1 => Classification::Negative,
            _ => return Err(corrupt("a stored classification is none")),
        },
        direction: match row.try_get::<i16, _>("direction").map_err(of_sql)? {
            0 => Direction::Inbound,
            1 => Direction::Outbound,
            _ => return Err(corrupt("a stored direction is none")),
        },
        value: micros.map(Value::from_micros),
        idempotency_key,
        timestamp: row.try_get("at").map_err(of_sql)?,
        attributes: attributes(row)?,
    };
    Interaction::restore(fields).map_err(refused)
}

/// The decision of a row.
pub(super) fn decision(row: &PgRow, tenant: TenantId, customer: CustomerId) -> Result<Decision> {
    let offers: &str = row.try_get("offers").map_err(of_sql)?;
    let fields = DecisionFields {
        id: id(row, "id")?,
        tenant,
        customer,
        flow: id(row, "flow")?,
        offers: serde_json::from_str(offers).map_err(|_| corrupt("stored offers are not as written"))?,
        timestamp: row.try_get("at").map_err(of_sql)?,
        attributes: attributes(row)?,
    };
    Decision::restore(fields).map_err(refused)
}
