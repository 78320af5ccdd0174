//! What one line of an object holds: the record schema, version 1.
//!
//! Each line is one JSON object with these members, all of them always there, `null` where a record has none:
//!
//! | member | kind | what |
//! |---|---|---|
//! | `schema` | all | 1 |
//! | `tenant`, `customer` | all | texts |
//! | `generation` | all | how often the customer had been erased when the record was accepted |
//! | `timestamp` | all | RFC 3339, UTC, milliseconds: `2026-04-30T08:15:00.000Z`; of a summary, the start of its day |
//! | `id`, `idempotency_key`, `offer`, `creative`, `channel`, `placement`, `category`, `campaign`, `recommendation` | interactions | texts |
//! | `rank` | interactions | from 1 |
//! | `interaction_type`, `outcome`, `classification`, `direction` | interactions | texts |
//! | `value` | interactions | a decimal of at most six places, as a text: `"12.5"` |
//! | `attributes` | interactions, decisions | an object |
//! | `id`, `flow` | decisions | texts |
//! | `offers` | decisions | a list of `{rank, offer, creative, channel, placement, category, campaign, propensity}` |
//! | `dimension`, `dimension_value` | summaries | `offer`, `creative` or `channel`, and which |
//! | `impressions`, `positive`, `negative`, `neutral`, `conversions` | summaries | counts |
//! | `total_value` | summaries | a decimal, as a text |
//! | `last_timestamp`, `last_id`, `last_outcome` | summaries | the last contact |
//!
//! A later version adds members or changes their meaning under a higher number, and readers keep reading this one.

mod decision;
mod interaction;
mod summary;

use kaireon_core::digest::{Digest, TenantKey};
use kaireon_core::store::{Accepted, Generation};
use kaireon_core::time::{self, Timestamp};
use kaireon_core::{CustomerId, Decision, Interaction, TenantId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use summary::SummaryLine;

use crate::Kind;

/// The version of the record schema that is written.
pub const SCHEMA: u32 = 1;

pub(crate) mod sealed {
    use super::{Accepted, CustomerId, Digest, Generation, TenantId, TenantKey, Timestamp};

    /// How a record becomes a line and is found again.
    pub trait Line: Sized {
        /// Whose it is.
        fn tenant(&self) -> &TenantId;

        /// About whom it is.
        fn customer(&self) -> &CustomerId;

        /// What decides its partition.
        fn timestamp(&self) -> Timestamp;

        /// What no two records of a tenant and kind share.
        fn key(&self, tenant: &TenantKey) -> Digest;

        /// Appends its line, the line break included.
        fn write(&self, generation: Generation, out: &mut Vec<u8>);

        /// Reads a line; the reason never holds anything of it.
        fn read(line: &[u8]) -> Result<Accepted<Self>, String>;
    }
}

/// What an archive holds lines of: interactions, decisions, and summaries of purged days.
pub trait Archived: sealed::Line + Clone + Send + Sync + 'static {
    /// Its kind.
    const KIND: Kind;
}

impl Archived for Interaction {
    const KIND: Kind = Kind::Interactions;
}

impl Archived for Decision {
    const KIND: Kind = Kind::Decisions;
}

impl Archived for SummaryLine {
    const KIND: Kind = Kind::Summaries;
}

/// What every line has, whatever its kind.
#[derive(Deserialize)]
pub(crate) struct Head {
    pub(crate) customer: CustomerId,
    pub(crate) generation: Generation,
}

/// Reads the members that an erasure decides by.
pub(crate) fn head(line: &[u8]) -> Result<Head, String> {
    parse(line)
}

/// Appends a line of JSON.
fn write_json(line: &impl serde::Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, line)
        .expect("texts and numbers are always JSON, and a vector always grows");
    out.push(b'\n');
}

/// Reads JSON; says where it is wrong and not what is there.
fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "is no record of this schema",
            _ => "is no JSON object",
        };
        format!("{what}, at column {}", error.column())
    })
}

fn check_schema(schema: u32) -> Result<(), String> {
    if schema == SCHEMA {
        return Ok(());
    }
    Err(format!("is of schema {schema}, and {SCHEMA} is known"))
}

/// A value that its own type refuses.
fn refused(error: kaireon_core::Error) -> String {
    format!("is out of bounds: {}", error.field().unwrap_or("a member"))
}

/// A timestamp as every line writes it.
fn stamp(time: Timestamp) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn unstamp(text: &str) -> Result<Timestamp, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|time| time::truncate(time.to_utc()))
        .map_err(|_| "has a timestamp that is none".to_owned())
}

#[cfg(test)]
mod tests;
