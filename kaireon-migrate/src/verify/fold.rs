//! Digests of ranges: sums that do not depend on the order of a scan, in tables of a fixed size.

use kaireon_core::InteractionId;

use super::row::{Place, Row};

/// How many ranges a table has.
pub(super) const RANGES: usize = 1 << 16;

/// What hashes rows in one comparison. Its key is drawn for it, so that a digest tells nothing elsewhere and no two
/// differences can be made to cancel each other.
pub(super) struct Hasher {
    key: [u8; 32],
    buffer: Vec<u8>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self {
            key: *blake3::hash(InteractionId::fresh().as_str().as_bytes()).as_bytes(),
            buffer: Vec::with_capacity(512),
        }
    }

    /// The same hashes, with a buffer of its own.
    pub(super) fn again(&self) -> Self {
        Self {
            key: self.key,
            buffer: Vec::with_capacity(512),
        }
    }

    pub(super) fn of(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> u128 {
        self.buffer.clear();
        put(&mut self.buffer);
        let hash = blake3::keyed_hash(&self.key, &self.buffer);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_le_bytes(bytes)
    }

    /// The range of a row's customer and day.
    pub(super) fn range<R: Row>(&mut self, row: &R) -> usize {
        narrow(self.of(|out| row.put_range(out)))
    }

    /// A row's place.
    pub(super) fn place<R: Row>(&mut self, row: &R) -> u128 {
        self.of(|out| row.place().put(out))
    }

    /// All of a row, with the generation it was accepted under.
    pub(super) fn whole<R: Row>(&mut self, row: &R) -> u128 {
        self.of(|out| {
            out.extend_from_slice(&row.generation().0.to_le_bytes());
            row.put(out);
        })
    }
}

/// The range of a digest.
pub(super) const fn narrow(digest: u128) -> usize {
    (digest % RANGES as u128) as usize
}

/// The sums and counts of one side.
pub(super) struct Table {
    sums: Vec<u128>,
    counts: Vec<u64>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            sums: vec![0; RANGES],
            counts: vec![0; RANGES],
        }
    }

    pub(super) fn add(&mut self, range: usize, digest: u128) {
        self.sums[range] = self.sums[range].wrapping_add(digest);
        self.counts[range] += 1;
    }

    pub(super) fn count(&self, range: usize) -> u64 {
        self.counts[range]
    }

    /// The ranges in which two sides are unlike.
    pub(super) fn unlike(&self, other: &Self) -> Vec<usize> {
        let alike = |&range: &usize| {
            self.sums[range] != other.sums[range] || self.counts[range] != other.counts[range]
        };
        (0..RANGES).filter(alike).collect()
    }
}

/// Ranges that a pass is about.
pub(super) struct Selected(Vec<bool>);

impl Selected {
    pub(super) fn of(ranges: &[usize]) -> Self {
        let mut selected = vec![false; RANGES];
        for &range in ranges {
            selected[range] = true;
        }
        Self(selected)
    }

    pub(super) fn has(&self, range: usize) -> bool {
        self.0[range]
    }
}
