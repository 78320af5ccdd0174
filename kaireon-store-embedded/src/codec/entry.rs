//! Outbox entries and dead letters.

use kaireon_core::Result;
use kaireon_core::outbox::{DeadLetter, HostEvent, Lane, OutboxEntry, OutboxPayload, Position};
use kaireon_core::store::Generation;
use kaireon_core::time::Timestamp;
use kaireon_core::wire::{Reader, corrupt, put_signed, put_text, put_varint};

use super::{VERSION, decision_of, interaction_of, open, put_decision, put_interaction, timestamp};

const INTERACTION: u8 = b'i';
const DECISION: u8 = b'd';
const HOST: u8 = b'h';

/// An entry without its place, which is its key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) generation: Generation,
    pub(crate) enqueued_at: Timestamp,
    pub(crate) payload: OutboxPayload,
}

impl Entry {
    /// The entry at its place.
    pub(crate) fn at(self, lane: Lane, place: (u16, Position)) -> OutboxEntry {
        OutboxEntry::new(lane, place, self.generation, self.enqueued_at, self.payload)
    }
}

/// Of what an entry tells whose record is encoded already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Interaction,
    Decision,
}

/// The entry of a record whose bytes are known: those of its row.
pub(crate) fn put_recorded(
    generation: Generation,
    enqueued_at: Timestamp,
    told: Told,
    row: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.len() + 16);
    put_head(&mut out, generation, enqueued_at);
    out.push(match told {
        Told::Interaction => INTERACTION,
        Told::Decision => DECISION,
    });
    out.extend_from_slice(row);
    out
}

fn put_head(out: &mut Vec<u8>, generation: Generation, enqueued_at: Timestamp) {
    out.push(VERSION);
    put_varint(out, generation.0.into());
    put_signed(out, enqueued_at.timestamp_millis());
}

/// Appends an entry.
pub(crate) fn put_entry(
    out: &mut Vec<u8>,
    generation: Generation,
    enqueued_at: Timestamp,
    payload: &OutboxPayload,
) {
    put_head(out, generation, enqueued_at);
    match payload {
        OutboxPayload::Interaction(interaction) => {
            out.push(INTERACTION);
            put_interaction(out, interaction);
        }
        OutboxPayload::Decision(decision) => {
            out.push(DECISION);
            put_decision(out, decision);
        }
        OutboxPayload::Host(event) => {
            out.push(HOST);
            serde_json::to_writer(out, event).expect("a vector takes every byte, and keys are strings");
        }
        _ => unreachable!("every payload of this version of the contract is written"),
    }
}

/// Reads what [`put_entry`] wrote.
pub(crate) fn entry_of(bytes: &[u8]) -> Result<Entry> {
    entry(&mut open(bytes)?)
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry> {
    let generation = Generation(reader.varint32()?);
    let enqueued_at = timestamp(reader)?;
    let payload = match reader.byte()? {
        INTERACTION => OutboxPayload::Interaction(interaction_of(reader.rest())?),
        DECISION => OutboxPayload::Decision(decision_of(reader.rest())?),
        HOST => OutboxPayload::Host(
            serde_json::from_slice::<HostEvent>(reader.rest())
                .map_err(|_| corrupt("a stored event is damaged"))?,
        ),
        _ => return Err(corrupt("an outbox entry has an unknown payload")),
    };
    Ok(Entry {
        generation,
        enqueued_at,
        payload,
    })
}

/// Appends a dead letter: reason and time before the entry's own bytes.
pub(crate) fn put_dead(out: &mut Vec<u8>, entry: &[u8], reason: &str, since: Timestamp) {
    out.push(VERSION);
    put_signed(out, since.timestamp_millis());
    put_text(out, reason);
    out.extend_from_slice(entry);
}

/// Reads what [`put_dead`] wrote.
pub(crate) fn dead_of(bytes: &[u8], lane: Lane, place: (u16, Position)) -> Result<DeadLetter> {
    let mut reader = open(bytes)?;
    let since = timestamp(&mut reader)?;
    let reason = reader.text()?.to_owned();
    let entry = entry_of(reader.rest())?.at(lane, place);
    Ok(DeadLetter::new(entry, reason, since))
}
