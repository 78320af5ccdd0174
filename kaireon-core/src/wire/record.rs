//! Interactions and decisions, whole: what a row or an outbox entry keeps of them.

use super::{Reader, corrupt, put_signed, put_text, put_varint};
use crate::time::{self, Timestamp};
use crate::{
    Attributes, Classification, Decision, DecisionFields, Direction, Error, IdempotencyKey, Interaction,
    InteractionFields, InteractionType, Propensity, RankedOffer, Result, Value,
};

/// The version of every record.
const VERSION: u8 = 1;

/// Which optional parts follow.
mod has {
    pub(super) const PLACEMENT: u16 = 1;
    pub(super) const CATEGORY: u16 = 1 << 1;
    pub(super) const CAMPAIGN: u16 = 1 << 2;
    pub(super) const RECOMMENDATION: u16 = 1 << 3;
    pub(super) const RANK: u16 = 1 << 4;
    pub(super) const VALUE: u16 = 1 << 5;
    pub(super) const ATTRIBUTES: u16 = 1 << 6;
    /// The idempotency key is not the id.
    pub(super) const OWN_KEY: u16 = 1 << 7;
    /// The outcome is not the type's name.
    pub(super) const OWN_OUTCOME: u16 = 1 << 8;
    pub(super) const OUTBOUND: u16 = 1 << 9;
    pub(super) const POSITIVE: u16 = 1 << 10;
    pub(super) const NEGATIVE: u16 = 1 << 11;
    pub(super) const PROPENSITY: u16 = 1 << 12;
    pub(super) const KNOWN: u16 = (1 << 13) - 1;
}

const TYPES: [InteractionType; 7] = [
    InteractionType::Impression,
    InteractionType::Click,
    InteractionType::Dismiss,
    InteractionType::Accept,
    InteractionType::Convert,
    InteractionType::Complaint,
    InteractionType::Unsubscribe,
];

/// Appends everything of an interaction.
pub fn put_interaction(out: &mut Vec<u8>, interaction: &Interaction) {
    let InteractionFields {
        id,
        tenant,
        customer,
        offer,
        creative,
        channel,
        placement,
        category,
        campaign,
        recommendation,
        rank,
        interaction_type,
        outcome,
        classification,
        direction,
        value,
        idempotency_key,
        timestamp,
        attributes,
    } = &**interaction;
    let when = |present: bool, bit: u16| if present { bit } else { 0 };
    let flags = when(placement.is_some(), has::PLACEMENT)
        | when(category.is_some(), has::CATEGORY)
        | when(campaign.is_some(), has::CAMPAIGN)
        | when(recommendation.is_some(), has::RECOMMENDATION)
        | when(rank.is_some(), has::RANK)
        | when(value.is_some(), has::VALUE)
        | when(!attributes.is_empty(), has::ATTRIBUTES)
        | when(idempotency_key.as_str() != id.as_str(), has::OWN_KEY)
        | when(outcome.as_str() != interaction_type.as_str(), has::OWN_OUTCOME)
        | when(*direction == Direction::Outbound, has::OUTBOUND)
        | when(*classification == Classification::Positive, has::POSITIVE)
        | when(*classification == Classification::Negative, has::NEGATIVE);
    out.push(VERSION);
    out.extend_from_slice(&flags.to_le_bytes());
    put_text(out, tenant.as_str());
    put_text(out, customer.as_str());
    put_text(out, id.as_str());
    put_signed(out, timestamp.timestamp_millis());
    put_text(out, offer.as_str());
    put_text(out, creative.as_str());
    put_text(out, channel.as_str());
    put_type(out, interaction_type);
    if flags & has::OWN_OUTCOME != 0 {
        put_text(out, outcome.as_str());
    }
    if flags & has::OWN_KEY != 0 {
        put_text(out, idempotency_key.as_str());
    }
    put_optional(out, placement);
    put_optional(out, category);
    put_optional(out, campaign);
    put_optional(out, recommendation);
    if let Some(rank) = rank {
        put_varint(out, (*rank).into());
    }
    if let Some(value) = value {
        put_signed(out, value.micros());
    }
    put_attributes(out, attributes);
}

/// Reads what [`put_interaction`] wrote.
///
/// # Errors
/// `Corrupt`.
pub fn interaction_of(bytes: &[u8]) -> Result<Interaction> {
    let mut reader = open(bytes)?;
    let flags = flags(&mut reader)?;
    let has = |bit: u16| flags & bit != 0;
    let tenant = id(&mut reader)?;
    let customer = id(&mut reader)?;
    let own_id: crate::InteractionId = id(&mut reader)?;
    let timestamp = timestamp(&mut reader)?;
    let offer = id(&mut reader)?;
    let creative = id(&mut reader)?;
    let channel = id(&mut reader)?;
    let interaction_type = type_of(&mut reader)?;
    let outcome = match has(has::OWN_OUTCOME) {
        true => id(&mut reader)?,
        false => interaction_type.as_str().try_into().map_err(refused)?,
    };
    let idempotency_key = match has(has::OWN_KEY) {
        true => id(&mut reader)?,
        false => IdempotencyKey::new(own_id.as_str()).map_err(refused)?,
    };
    let fields = InteractionFields {
        id: own_id,
        tenant,
        customer,
        offer,
        creative,
        channel,
        placement: optional(&mut reader, has(has::PLACEMENT))?,
        category: optional(&mut reader, has(has::CATEGORY))?,
        campaign: optional(&mut reader, has(has::CAMPAIGN))?,
        recommendation: optional(&mut reader, has(has::RECOMMENDATION))?,
        rank: has(has::RANK).then(|| reader.varint32()).transpose()?,
        interaction_type,
        outcome,
        classification: match (has(has::POSITIVE), has(has::NEGATIVE)) {
            (true, _) => Classification::Positive,
            (false, true) => Classification::Negative,
            (false, false) => Classification::Neutral,
        },
        direction: match has(has::OUTBOUND) {
            true => Direction::Outbound,
            false => Direction::Inbound,
        },
        value: has(has::VALUE)
            .then(|| reader.signed().map(Value::from_micros))
            .transpose()?,
        idempotency_key,
        timestamp,
        attributes: attributes(&mut reader, has(has::ATTRIBUTES))?,
    };
    reader.finish()?;
    Interaction::restore(fields).map_err(refused)
}

/// Appends everything of a decision.
pub fn put_decision(out: &mut Vec<u8>, decision: &Decision) {
    let DecisionFields {
        id,
        tenant,
        customer,
        flow,
        offers,
        timestamp,
        attributes,
    } = &**decision;
    out.push(VERSION);
    let flags = if attributes.is_empty() { 0 } else { has::ATTRIBUTES };
    out.extend_from_slice(&flags.to_le_bytes());
    put_text(out, tenant.as_str());
    put_text(out, customer.as_str());
    put_text(out, id.as_str());
    put_signed(out, timestamp.timestamp_millis());
    put_text(out, flow.as_str());
    put_varint(out, offers.len() as u64);
    for ranked in offers {
        put_ranked(out, ranked);
    }
    put_attributes(out, attributes);
}

/// Reads what [`put_decision`] wrote.
///
/// # Errors
/// `Corrupt`.
pub fn decision_of(bytes: &[u8]) -> Result<Decision> {
    let mut reader = open(bytes)?;
    let flags = flags(&mut reader)?;
    let tenant = id(&mut reader)?;
    let customer = id(&mut reader)?;
    let own_id = id(&mut reader)?;
    let timestamp = timestamp(&mut reader)?;
    let flow = id(&mut reader)?;
    let mut offers = Vec::new();
    for _ in 0..reader.varint()? {
        offers.push(ranked_of(&mut reader)?);
    }
    let fields = DecisionFields {
        id: own_id,
        tenant,
        customer,
        flow,
        offers,
        timestamp,
        attributes: attributes(&mut reader, flags & has::ATTRIBUTES != 0)?,
    };
    reader.finish()?;
    Decision::restore(fields).map_err(refused)
}

fn put_ranked(out: &mut Vec<u8>, ranked: &RankedOffer) {
    let RankedOffer {
        rank,
        offer,
        creative,
        channel,
        placement,
        category,
        campaign,
        propensity,
    } = ranked;
    let when = |present: bool, bit: u16| if present { bit } else { 0 };
    let flags = when(placement.is_some(), has::PLACEMENT)
        | when(category.is_some(), has::CATEGORY)
        | when(campaign.is_some(), has::CAMPAIGN)
        | when(propensity.is_some(), has::PROPENSITY);
    out.extend_from_slice(&flags.to_le_bytes());
    put_varint(out, (*rank).into());
    put_text(out, offer.as_str());
    put_text(out, creative.as_str());
    put_text(out, channel.as_str());
    put_optional(out, placement);
    put_optional(out, category);
    put_optional(out, campaign);
    if let Some(propensity) = propensity {
        out.extend_from_slice(&propensity.get().to_le_bytes());
    }
}

fn ranked_of(reader: &mut Reader<'_>) -> Result<RankedOffer> {
    let flags = flags(reader)?;
    let has = |bit: u16| flags & bit != 0;
    Ok(RankedOffer {
        rank: reader.varint32()?,
        offer: id(reader)?,
        creative: id(reader)?,
        channel: id(reader)?,
        placement: optional(reader, has(has::PLACEMENT))?,
        category: optional(reader, has(has::CATEGORY))?,
        campaign: optional(reader, has(has::CAMPAIGN))?,
        propensity: match has(has::PROPENSITY) {
            true => Some(Propensity::new(f64::from_le_bytes(reader.array()?)).map_err(refused)?),
            false => None,
        },
    })
}

/// Begins to read a record.
fn open(bytes: &[u8]) -> Result<Reader<'_>> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(corrupt("a stored record is of an unknown version"));
    }
    Ok(reader)
}

/// A stored part that its own type refuses.
fn refused(_: Error) -> Error {
    corrupt("a stored record is out of bounds")
}

fn flags(reader: &mut Reader<'_>) -> Result<u16> {
    let flags = u16::from_le_bytes(reader.array()?);
    if flags & !has::KNOWN != 0 {
        return Err(corrupt("a stored record has unknown parts"));
    }
    Ok(flags)
}

fn put_type(out: &mut Vec<u8>, interaction_type: &InteractionType) {
    match TYPES.iter().position(|known| known == interaction_type) {
        Some(known) => put_varint(out, known as u64),
        None => {
            put_varint(out, TYPES.len() as u64);
            put_text(out, interaction_type.as_str());
        }
    }
}

fn type_of(reader: &mut Reader<'_>) -> Result<InteractionType> {
    let number = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    match TYPES.get(number) {
        Some(known) => Ok(known.clone()),
        None if number == TYPES.len() => InteractionType::parse(reader.text()?).map_err(refused),
        None => Err(corrupt("a stored interaction has an unknown type")),
    }
}

fn put_optional(out: &mut Vec<u8>, id: &Option<impl AsRef<str>>) {
    if let Some(id) = id {
        put_text(out, id.as_ref());
    }
}

fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    if !attributes.is_empty() {
        put_text(out, &attributes.to_json());
    }
}

/// Reads any identifier.
fn id<'a, T: TryFrom<&'a str, Error = Error>>(reader: &mut Reader<'a>) -> Result<T> {
    T::try_from(reader.text()?).map_err(refused)
}

fn optional<'a, T: TryFrom<&'a str, Error = Error>>(
    reader: &mut Reader<'a>,
    present: bool,
) -> Result<Option<T>> {
    present.then(|| id(reader)).transpose()
}

/// Reads a time.
fn timestamp(reader: &mut Reader<'_>) -> Result<Timestamp> {
    time::from_millis(reader.signed()?).ok_or_else(|| corrupt("a stored time is out of range"))
}

fn attributes(reader: &mut Reader<'_>, present: bool) -> Result<Attributes> {
    if !present {
        return Ok(Attributes::default());
    }
    let members =
        serde_json::from_slice(reader.bytes()?).map_err(|_| corrupt("stored attributes are not json"))?;
    Attributes::new(members).map_err(refused)
}
