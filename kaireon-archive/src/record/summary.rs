//! Lines of what a purged day adds to the summaries.

use std::fmt;

use kaireon_core::digest::{Digest, TenantKey};
use kaireon_core::store::{Accepted, Generation};
use kaireon_core::summary::{Dimension, LastContact, Stats};
use kaireon_core::time::Timestamp;
use kaireon_core::{CustomerId, IdempotencyKey, InteractionId, OutcomeTypeKey, TenantId, ValueSum};
use serde::{Deserialize, Serialize};

use super::{SCHEMA, check_schema, parse, refused, sealed, stamp, unstamp, write_json};
use crate::Day;

/// What one day of a customer, purged since, adds to one dimension value of the summaries: of the day, and of the
/// week, the month and all time that contain it. A base below the watermark is the merge of these.
#[derive(Clone, PartialEq, Eq)]
pub struct SummaryLine {
    /// Whose it is.
    pub tenant: TenantId,
    /// The customer.
    pub customer: CustomerId,
    /// The day whose rows were purged.
    pub day: Day,
    /// By what it is grouped.
    pub dimension: Dimension,
    /// Which offer, creative or channel.
    pub value: String,
    /// Counts and sums.
    pub stats: Stats,
}

impl fmt::Debug for SummaryLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SummaryLine({}, {:?}, redacted)", self.day, self.dimension)
    }
}

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    tenant: &'a TenantId,
    customer: &'a CustomerId,
    generation: Generation,
    timestamp: String,
    dimension: Dimension,
    dimension_value: &'a str,
    impressions: u64,
    positive: u64,
    negative: u64,
    neutral: u64,
    conversions: u64,
    total_value: ValueSum,
    last_timestamp: Option<String>,
    last_id: Option<&'a InteractionId>,
    last_outcome: Option<&'a OutcomeTypeKey>,
}

#[derive(Deserialize)]
struct Read {
    schema: u32,
    tenant: TenantId,
    customer: CustomerId,
    generation: Generation,
    timestamp: String,
    dimension: String,
    dimension_value: String,
    impressions: u64,
    positive: u64,
    negative: u64,
    neutral: u64,
    conversions: u64,
    total_value: String,
    last_timestamp: Option<String>,
    last_id: Option<InteractionId>,
    last_outcome: Option<OutcomeTypeKey>,
}

impl sealed::Line for SummaryLine {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn customer(&self) -> &CustomerId {
        &self.customer
    }

    fn timestamp(&self) -> Timestamp {
        self.day.start()
    }

    fn key(&self, tenant: &TenantKey) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(tenant.customer(&self.customer).as_bytes());
        hasher.update(format!("{}\0{:?}\0{}", self.day, self.dimension, self.value).as_bytes());
        let mut cut = [0; 16];
        cut.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Digest::from_bytes(cut)
    }

    fn write(&self, generation: Generation, out: &mut Vec<u8>) {
        let Stats {
            impressions,
            positive,
            negative,
            neutral,
            conversions,
            total_value,
            last,
        } = &self.stats;
        let line = Written {
            schema: SCHEMA,
            tenant: &self.tenant,
            customer: &self.customer,
            generation,
            timestamp: stamp(self.day.start()),
            dimension: self.dimension,
            dimension_value: &self.value,
            impressions: *impressions,
            positive: *positive,
            negative: *negative,
            neutral: *neutral,
            conversions: *conversions,
            total_value: *total_value,
            last_timestamp: last.as_ref().map(|last| stamp(last.timestamp)),
            last_id: last.as_ref().map(|last| &last.id),
            last_outcome: last.as_ref().map(|last| &last.outcome),
        };
        write_json(&line, out);
    }

    fn read(line: &[u8]) -> Result<Accepted<Self>, String> {
        let line: Read = parse(line)?;
        check_schema(line.schema)?;
        let last = match (line.last_timestamp, line.last_id, line.last_outcome) {
            (Some(timestamp), Some(id), Some(outcome)) => Some(LastContact {
                timestamp: unstamp(&timestamp)?,
                id,
                outcome,
            }),
            (None, None, None) => None,
            _ => return Err("has a part of a last contact".to_owned()),
        };
        let value = Self {
            tenant: line.tenant,
            customer: line.customer,
            day: Day::containing(unstamp(&line.timestamp)?),
            dimension: dimension(&line.dimension)?,
            value: line.dimension_value,
            stats: Stats {
                impressions: line.impressions,
                positive: line.positive,
                negative: line.negative,
                neutral: line.neutral,
                conversions: line.conversions,
                total_value: sum(&line.total_value)?,
                last,
            },
        };
        // Dimension values are identifiers, whose bounds are those of a key.
        IdempotencyKey::new(&value.value).map_err(refused)?;
        Ok(Accepted {
            value,
            generation: line.generation,
        })
    }
}

fn dimension(name: &str) -> Result<Dimension, String> {
    match name {
        "offer" => Ok(Dimension::Offer),
        "creative" => Ok(Dimension::Creative),
        "channel" => Ok(Dimension::Channel),
        _ => Err("has an unknown dimension".to_owned()),
    }
}

/// Reads a decimal that may be wider than a single value.
fn sum(text: &str) -> Result<ValueSum, String> {
    let wrong = || "has a total that is no decimal".to_owned();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(decimals) || decimals.len() > 6 || digits.ends_with('.') {
        return Err(wrong());
    }
    // With the sign in front of the digits, the lowest sum is in range too.
    let sign = if negative { "-" } else { "" };
    let micros: i128 = format!("{sign}{whole}{decimals:0<6}")
        .parse()
        .map_err(|_| wrong())?;
    Ok(ValueSum::from_micros(micros))
}
