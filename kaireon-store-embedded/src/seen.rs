//! Which dedupe records there may be: a filter in memory in front of the look-up.
//!
//! Nearly every key that is recorded is a fresh one. To learn that from the engine takes a search in each of its sorted
//! memories and a question to each of its tables; here it takes a look at one line of the processor's cache. A record
//! that is there is always found ([`Seen::may_hold`] never says no to it), one that is not costs a look-up now and then.
//!
//! A store that was just made has no records, so the filter knows all there are. One that is opened has, and until
//! [`learn`] has read their keys in the background every key is looked up.

use std::time::Duration;

use kaireon_core::Result;

use crate::client::{Space, guarded};
use crate::shared::Shared;

/// How many keys are read in one view.
const PIECE: usize = 8_192;

/// How long to wait for the engine while it is opened anew.
const PAUSE: Duration = Duration::from_millis(50);

/// The bits of a block: a line of the processor's cache.
const BLOCK_BITS: usize = 512;

/// How many of them a key sets: as many positions as 64 bits of its digest name.
const BITS: u32 = 7;

/// A Bloom filter in blocks over keys that begin with a digest, which is random already.
struct Filter(Vec<[u64; BLOCK_BITS / 64]>);

impl Filter {
    fn new(bytes: usize) -> Self {
        let blocks = (bytes / (BLOCK_BITS / 8)).max(1);
        Self(vec![[0; BLOCK_BITS / 64]; blocks])
    }

    /// The block of a key, and the bits of it that the key sets.
    fn place(&self, key: &[u8]) -> (usize, [u64; BLOCK_BITS / 64]) {
        let word = |from: usize| {
            let bytes = key.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let blocks = self.0.len() as u64;
        let block = usize::try_from(word(0) % blocks).unwrap_or_default();
        let (mut positions, mut bits) = (word(8), [0; BLOCK_BITS / 64]);
        for _ in 0..BITS {
            let position = usize::try_from(positions % BLOCK_BITS as u64).unwrap_or_default();
            bits[position / 64] |= 1 << (position % 64);
            positions /= BLOCK_BITS as u64;
        }
        (block, bits)
    }

    fn insert(&mut self, key: &[u8]) {
        let (block, bits) = self.place(key);
        for (word, bits) in self.0[block].iter_mut().zip(bits) {
            *word |= bits;
        }
    }

    fn holds(&self, key: &[u8]) -> bool {
        let (block, bits) = self.place(key);
        self.0[block]
            .iter()
            .zip(bits)
            .all(|(word, bits)| word & bits == bits)
    }

    /// Takes in what another of the same size holds.
    fn merge(&mut self, other: &Self) {
        for (block, others) in self.0.iter_mut().zip(&other.0) {
            for (word, bits) in block.iter_mut().zip(others) {
                *word |= bits;
            }
        }
    }
}

/// The keys that were written since the opening, and, once these are known, those from before.
pub(crate) struct Seen {
    filter: Filter,
    bytes: usize,
    /// Whether what was there at the opening is in it.
    complete: bool,
}

impl Seen {
    /// Of a store that has no records, or of one whose records are to be [learned](learn).
    pub(crate) fn new(bytes: usize, is_empty: bool) -> Self {
        Self {
            filter: Filter::new(bytes),
            bytes,
            complete: is_empty,
        }
    }

    /// Whether there may be a record with that key.
    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        !self.complete || self.filter.holds(key)
    }

    /// To be called before a record with that key is committed.
    pub(crate) fn insert(&mut self, key: &[u8]) {
        self.filter.insert(key);
    }

    #[cfg(test)]
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }
}

/// Reads the keys of all records that are there, for a thread of its own; ends when the store does.
///
/// The records are read as they are while it goes on, in several views: what is written meanwhile is inserted by
/// who writes it.
pub(crate) fn learn(shared: &Shared) {
    let bytes = {
        let seen = shared.seen.lock();
        if seen.complete {
            return;
        }
        seen.bytes
    };
    let mut filter = Filter::new(bytes);
    let mut after = None;
    while !shared.folds.is_stopping() {
        match guarded(|| learn_piece(shared, &mut filter, after.take())) {
            Ok(Learned::UpTo(key)) => after = Some(key),
            Ok(Learned::All) => {
                let mut seen = shared.seen.lock();
                seen.filter.merge(&filter);
                seen.complete = true;
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "every key is looked up in the embedded store, because its keys cannot be read");
                return;
            }
        }
    }
}

enum Learned {
    UpTo(Vec<u8>),
    All,
}

fn learn_piece(shared: &Shared, filter: &mut Filter, after: Option<Vec<u8>>) -> Result<Learned> {
    use std::ops::Bound;

    let from = after.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let Ok(engine) = shared.engine() else {
        shared.folds.rest(PAUSE);
        return Ok(Learned::UpTo(after.unwrap_or_default()));
    };
    let (mut last, mut count) = (None, 0);
    for found in engine
        .view()
        .range(Space::Dedupe, from, Bound::Unbounded)
        .take(PIECE)
    {
        let (key, _) = found?;
        filter.insert(&key);
        count += 1;
        last = Some(key);
    }
    match last {
        Some(key) if count == PIECE => Ok(Learned::UpTo(key.to_vec())),
        _ => Ok(Learned::All),
    }
}

#[cfg(test)]
mod tests;
