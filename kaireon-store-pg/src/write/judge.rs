//! What becomes of each record of a batch: the rules of the contract in their order, without I/O.

use std::collections::HashMap;

use kaireon_core::digest::Digest;
use kaireon_core::outbox::LaneSet;
use kaireon_core::store::{Epoch, Generation, Origin};
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, InteractionId};

use super::op::{Op, Value};

/// What is set for a tenant, as read under its fence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) epoch: Epoch,
    pub(crate) lanes: LaneSet,
    pub(crate) watermark: Option<Timestamp>,
}

/// A dedupe record.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) content: Digest,
    /// `None` of a decision, whose id is its key.
    pub(crate) first: Option<InteractionId>,
}

/// What becomes of a record.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It is new, under this generation; `has_row` is false before the watermark.
    New { generation: Generation, has_row: bool },
    /// It was recorded before, an interaction under this id.
    Duplicate(Option<InteractionId>),
    /// Refused whatever is known of its key.
    Refused(Error),
    /// Refused because nothing is known of its key.
    RefusedAsNew(Error),
}

/// Judges records in their order. `settings` and `present` answer for each record's tenant and customer; `known` are
/// the keys that were there before the batch. Returns the generations that the batch raises customers to.
pub(crate) fn judge<'a>(
    ops: impl Iterator<Item = (&'a Op, usize)>,
    settings: impl Fn(&Op) -> Settings,
    present: &mut [Generation],
    known: &HashMap<(i32, Digest), Known>,
) -> Vec<Verdict> {
    let mut here: HashMap<(i32, Digest), Known> = HashMap::new();
    ops.map(|(op, seat)| {
        let settings = settings(op);
        if let Some(refusal) = check_terms(op, settings.epoch) {
            return Verdict::Refused(refusal);
        }
        let key = op.dedupe();
        if let Some(known) = known.get(&key).or_else(|| here.get(&key)) {
            if known.content != op.content {
                return Verdict::Refused(Error::conflict("the key was used before for other content"));
            }
            return Verdict::Duplicate(known.first.clone());
        }
        let drawn = op.generation.unwrap_or(present[seat]);
        if drawn < present[seat] {
            return Verdict::RefusedAsNew(Error::new(
                ErrorKind::Erased,
                "the customer was erased after the record was accepted",
            ));
        }
        let has_row = settings.watermark.is_none_or(|mark| op.value.timestamp() >= mark);
        if !has_row && op.terms.origin == Origin::Live {
            return Verdict::RefusedAsNew(Error::invalid(
                "timestamp",
                "lies before the tenant's retention watermark",
            ));
        }
        present[seat] = drawn;
        let first = match &op.value {
            Value::Interaction(interaction) => Some(interaction.id.clone()),
            Value::Decision(_) => None,
        };
        let content = op.content;
        here.insert(key, Known { content, first });
        Verdict::New {
            generation: drawn,
            has_row,
        }
    })
    .collect()
}

/// The epoch and the generation given.
fn check_terms(op: &Op, fence: Epoch) -> Option<Error> {
    let passes = op.terms.epoch.check(fence);
    passes
        .and_then(|()| op.terms.origin.check_generation(op.generation))
        .err()
}
