//! What some commits add to one customer, and a customer's own value together with it.

use std::sync::Arc;

use fjall::Slice;
use kaireon_core::store::Generation;
use kaireon_core::summary::Contribution;
use kaireon_core::summary::packed::{MAX_PACKED_BYTES, Packed};
use kaireon_core::wire::{Reader, put_bytes};
use kaireon_core::{Result, Summary};

use super::Fold;
use crate::codec;

/// From how many contributions on they are folded among themselves, so that one who reads a customer of many events
/// does no more than one who reads a customer of few.
const MANY: usize = 64;

/// What a map needs for an entry beside its bytes, and memory for a row of a closed period; roughly.
const OVERHEAD: usize = 160;

/// What some commits add to a customer, under one generation.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) generation: Generation,
    /// The first of the commits.
    pub(super) from: u64,
    /// The last of the commits.
    pub(super) upto: u64,
    /// What was folded among itself; empty if nothing was.
    packed: Slice,
    /// What that closed.
    closed: Vec<Summary>,
    /// What was not, each led by its length: one buffer, because most customers have few.
    contributions: Vec<u8>,
    /// How many these are.
    count: usize,
    /// About how many bytes all that is.
    pub(super) bytes: usize,
}

impl Part {
    pub(super) fn new(sequence: u64, generation: Generation, key: &[u8]) -> Self {
        Self {
            generation,
            from: sequence,
            upto: sequence,
            packed: Slice::empty(),
            closed: Vec::new(),
            contributions: Vec::new(),
            count: 0,
            bytes: key.len() + OVERHEAD,
        }
    }

    /// What one commit adds to one customer.
    pub(crate) fn of(sequence: u64, folds: Vec<Fold>) -> Result<Option<Self>> {
        let mut part: Option<Self> = None;
        for fold in folds {
            let new = || Self::new(sequence, fold.generation, &fold.key);
            part.get_or_insert_with(new).push(sequence, fold)?;
        }
        Ok(part)
    }

    /// Adds what a commit adds.
    pub(super) fn push(&mut self, sequence: u64, fold: Fold) -> Result<()> {
        if fold.generation > self.generation {
            *self = Self::new(sequence, fold.generation, &fold.key);
        }
        self.upto = sequence;
        if fold.generation < self.generation || fold.contribution.is_empty() {
            return Ok(());
        }
        self.bytes -= self.contributions.capacity();
        put_bytes(&mut self.contributions, &fold.contribution);
        self.bytes += self.contributions.capacity();
        self.count += 1;
        if self.count >= MANY {
            self.compact(None)?;
        }
        Ok(())
    }

    /// Adds the part of later commits.
    pub(super) fn absorb(&mut self, later: &Self) -> Result<()> {
        if later.generation != self.generation {
            if later.generation > self.generation {
                *self = later.clone();
            }
            return Ok(());
        }
        self.upto = later.upto;
        self.bytes -= self.contributions.capacity() + self.closed.len() * OVERHEAD;
        self.closed.extend(later.closed.iter().cloned());
        self.contributions.extend_from_slice(&later.contributions);
        self.bytes += self.contributions.capacity() + self.closed.len() * OVERHEAD;
        self.compact(Some(&later.packed))
    }

    /// Folds the contributions, and what another has folded, into one packed value.
    fn compact(&mut self, other: Option<&[u8]>) -> Result<()> {
        let before = self.packed.len() + self.contributions.capacity() + self.closed.len() * OVERHEAD;
        let mut packed = packed_of(&self.packed)?;
        if let Some(other) = other {
            packed.absorb(packed_of(other)?, &mut self.closed);
        }
        fold_each(&self.contributions, &mut packed, &mut self.closed)?;
        self.contributions = Vec::new();
        self.count = 0;
        let mut bytes = Vec::new();
        packed.encode_within(MAX_PACKED_BYTES, &mut bytes, &mut self.closed);
        self.packed = bytes.into();
        merge_equal(&mut self.closed);
        let after = self.packed.len() + self.closed.len() * OVERHEAD;
        self.bytes = self.bytes.saturating_sub(before) + after;
        Ok(())
    }

    /// Adds it to a customer's summaries.
    fn add_to(&self, packed: &mut Packed, closed: &mut Vec<Summary>) -> Result<()> {
        if !self.packed.is_empty() {
            packed.absorb(packed_of(&self.packed)?, closed);
        }
        for summary in &self.closed {
            packed.add(summary, closed);
        }
        fold_each(&self.contributions, packed, closed)
    }
}

/// Folds contributions, each led by its length.
fn fold_each(contributions: &[u8], packed: &mut Packed, closed: &mut Vec<Summary>) -> Result<()> {
    let mut reader = Reader::new(contributions);
    while !reader.rest().is_empty() {
        packed.fold(&Contribution::read(reader.bytes()?)?, closed);
    }
    Ok(())
}

/// Makes one summary of those of the same dimension, value and period.
fn merge_equal(summaries: &mut Vec<Summary>) {
    summaries.sort_by(Summary::read_order);
    summaries.dedup_by(|next, first| {
        let same = next.read_order(first).is_eq();
        if same {
            first.stats.merge(&next.stats);
        }
        same
    });
}

fn packed_of(bytes: &[u8]) -> Result<Packed> {
    if bytes.is_empty() {
        return Ok(Packed::new());
    }
    Packed::decode(bytes)
}

/// A customer's own value: what is stored, and what is not yet part of it.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) generation: Generation,
    /// Up to which commit it is complete.
    pub(crate) folded: u64,
    pub(crate) packed: Packed,
    /// What belongs into closed rows and is not yet there.
    pub(crate) closed: Vec<Summary>,
    /// Whether it is more than what is stored.
    pub(crate) is_new: bool,
}

impl Own {
    /// Adds parts to what is stored; `None` where there is neither. The parts were taken before the value was read.
    ///
    /// What is of a generation before the newest among them is passed over.
    pub(crate) fn of(stored: Option<&[u8]>, parts: &[Arc<Part>]) -> Result<Option<Self>> {
        let stored = stored.map(codec::own_of).transpose()?;
        let generations = parts.iter().map(|part| part.generation);
        let generations = generations.chain(stored.iter().map(|(generation, ..)| *generation));
        let Some(generation) = generations.max() else {
            return Ok(None);
        };
        let stored = stored.filter(|(of, ..)| *of == generation);
        let mut own = Self {
            generation,
            folded: stored.map_or(0, |(_, folded, _)| folded),
            packed: match stored {
                Some((.., packed)) => Packed::decode(packed)?,
                None => Packed::new(),
            },
            closed: Vec::new(),
            is_new: stored.is_none(),
        };
        let stored_upto = own.folded;
        for part in parts {
            if part.generation == generation && part.upto > stored_upto {
                part.add_to(&mut own.packed, &mut own.closed)?;
                own.folded = own.folded.max(part.upto);
                own.is_new = true;
            }
        }
        Ok(Some(own))
    }

    /// The bytes to be stored; what they have no place for is added to `closed`.
    pub(crate) fn encode(&mut self) -> Slice {
        let mut bytes = Vec::with_capacity(512);
        codec::put_own(&mut bytes, self.generation, self.folded);
        self.packed
            .encode_within(MAX_PACKED_BYTES, &mut bytes, &mut self.closed);
        bytes.into()
    }
}
