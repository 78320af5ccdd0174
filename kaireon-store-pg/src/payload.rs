//! What an outbox entry keeps of what it tells: a version, a kind, and the whole record.

use std::sync::Arc;

use kaireon_core::outbox::{HostEvent, OutboxPayload};
use kaireon_core::wire::{Reader, corrupt, decision_of, interaction_of, put_decision, put_interaction};
use kaireon_core::{Error, ErrorKind, Result};

use crate::write::Value;

const VERSION: u8 = 1;
const INTERACTION: u8 = b'i';
const DECISION: u8 = b'd';
const HOST: u8 = b'h';

/// Of a record.
pub(crate) fn of_record(value: &Value) -> Arc<[u8]> {
    let mut out = Vec::with_capacity(256);
    out.push(VERSION);
    match value {
        Value::Interaction(interaction) => {
            out.push(INTERACTION);
            put_interaction(&mut out, interaction);
        }
        Value::Decision(decision) => {
            out.push(DECISION);
            put_decision(&mut out, decision);
        }
    }
    out.into()
}

/// Of an event of the host's own.
pub(crate) fn of_host(event: &HostEvent) -> Result<Arc<[u8]>> {
    let mut out = vec![VERSION, HOST];
    serde_json::to_writer(&mut out, event)
        .map_err(|_| Error::new(ErrorKind::Internal, "an event cannot be written as json"))?;
    Ok(out.into())
}

/// Reads what the others wrote.
pub(crate) fn read(bytes: &[u8]) -> Result<OutboxPayload> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(corrupt("an outbox entry is of an unknown version"));
    }
    let kind = reader.byte()?;
    let rest = reader.rest();
    Ok(match kind {
        INTERACTION => OutboxPayload::Interaction(interaction_of(rest)?),
        DECISION => OutboxPayload::Decision(decision_of(rest)?),
        HOST => OutboxPayload::Host(
            serde_json::from_slice(rest).map_err(|_| corrupt("a stored event is damaged"))?,
        ),
        _ => return Err(corrupt("an outbox entry has an unknown payload")),
    })
}
