//! What the store keeps beside records: counters, settings, dedupe records, receipts.

use kaireon_core::Result;
use kaireon_core::digest::{Digest, MasterKey};
use kaireon_core::outbox::LaneSet;
use kaireon_core::store::{Epoch, ErasureId, ErasureReceipt, Generation};
use kaireon_core::time::Timestamp;
use kaireon_core::wire::{corrupt, put_signed, put_text, put_varint};

use super::{VERSION, open, refused, timestamp};

/// What a store was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Birth {
    pub(crate) incarnation: u64,
    /// By which a changed master key is noticed.
    pub(crate) check_value: Digest,
    /// The key, where the store made it.
    pub(crate) own_key: Option<MasterKey>,
}

impl Birth {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.extend_from_slice(self.check_value.as_bytes());
        if let Some(key) = &self.own_key {
            out.extend_from_slice(key.as_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = open(bytes)?;
        let birth = Self {
            incarnation: u64::from_le_bytes(reader.array()?),
            check_value: Digest::from_bytes(reader.array()?),
            own_key: match reader.rest().is_empty() {
                true => None,
                false => Some(MasterKey::new(reader.array()?)),
            },
        };
        reader.finish()?;
        Ok(birth)
    }
}

/// The counters of the store, written with every commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Grows with every commit.
    pub(crate) sequence: u64,
    /// The last position that was drawn.
    pub(crate) position: u64,
    /// The lanes in force for tenants whose fence names none.
    pub(crate) lanes: LaneSet,
    /// By the place of the lane in `Lane::ALL`: entries that wait.
    pub(crate) waiting: [u64; 3],
    /// Entries that were moved aside.
    pub(crate) dead: [u64; 3],
}

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self {
            sequence,
            position,
            lanes,
            waiting,
            dead,
        } = self;
        let mut out = Vec::with_capacity(32);
        out.push(VERSION);
        put_varint(&mut out, *sequence);
        put_varint(&mut out, *position);
        out.push(lanes.bits());
        for count in waiting.iter().chain(dead) {
            put_varint(&mut out, *count);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = open(bytes)?;
        let mut head = Self {
            sequence: reader.varint()?,
            position: reader.varint()?,
            lanes: LaneSet::from_bits(reader.byte()?),
            ..Self::default()
        };
        for count in head.waiting.iter_mut().chain(&mut head.dead) {
            *count = reader.varint()?;
        }
        reader.finish()?;
        Ok(head)
    }
}

/// What is set for a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) epoch: Epoch,
    /// The lanes that its fence names, if it names any.
    pub(crate) lanes: Option<LaneSet>,
    /// Rows before it are gone, and stay away.
    pub(crate) watermark_ms: Option<i64>,
    /// Whether any of its customers was ever erased: without one, every generation is zero.
    pub(crate) erasures: bool,
}

impl Settings {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self {
            epoch,
            lanes,
            watermark_ms,
            erasures,
        } = self;
        let mut out = vec![VERSION];
        out.push(
            u8::from(lanes.is_some()) | u8::from(watermark_ms.is_some()) << 1 | u8::from(*erasures) << 2,
        );
        put_varint(&mut out, epoch.0);
        if let Some(lanes) = lanes {
            out.push(lanes.bits());
        }
        if let Some(watermark) = watermark_ms {
            put_signed(&mut out, *watermark);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = open(bytes)?;
        let flags = reader.byte()?;
        let settings = Self {
            epoch: Epoch(reader.varint()?),
            lanes: match flags & 1 != 0 {
                true => Some(LaneSet::from_bits(reader.byte()?)),
                false => None,
            },
            watermark_ms: match flags & 2 != 0 {
                true => Some(reader.signed()?),
                false => None,
            },
            erasures: flags & 4 != 0,
        };
        reader.finish()?;
        Ok(settings)
    }
}

/// A dedupe record: nothing personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dedupe<'a> {
    /// The digest of the identity fields, or of the whole content.
    pub(crate) content: Digest,
    pub(crate) arrived_ms: i64,
    /// The id of the first record.
    pub(crate) id: &'a str,
}

impl<'a> Dedupe<'a> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(self.content.as_bytes());
        put_signed(out, self.arrived_ms);
        out.extend_from_slice(self.id.as_bytes());
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = open(bytes)?;
        Ok(Self {
            content: Digest::from_bytes(reader.array()?),
            arrived_ms: reader.signed()?,
            id: std::str::from_utf8(reader.rest()).map_err(|_| corrupt("a stored id is not utf-8"))?,
        })
    }
}

/// Appends what a customer's own value begins with: the generation, and up to which commit the packed summaries,
/// which follow, are complete.
pub(crate) fn put_own(out: &mut Vec<u8>, generation: Generation, folded: u64) {
    out.push(VERSION);
    put_varint(out, generation.0.into());
    put_varint(out, folded);
}

/// Reads a customer's own value: generation, the last commit it is complete with, the bytes of packed summaries.
pub(crate) fn own_of(bytes: &[u8]) -> Result<(Generation, u64, &[u8])> {
    let mut reader = open(bytes)?;
    let generation = Generation(reader.varint32()?);
    let folded = reader.varint()?;
    Ok((generation, folded, reader.rest()))
}

/// Reads a generation and the bytes under it.
pub(crate) fn customer_of(bytes: &[u8]) -> Result<(Generation, &[u8])> {
    let mut reader = open(bytes)?;
    let generation = Generation(reader.varint32()?);
    Ok((generation, reader.rest()))
}

/// The value of a tombstone.
pub(crate) fn put_generation(generation: Generation) -> Vec<u8> {
    let mut out = Vec::with_capacity(4);
    out.push(VERSION);
    put_varint(&mut out, generation.0.into());
    out
}

/// Reads the value of a tombstone.
pub(crate) fn generation_of(bytes: &[u8]) -> Result<Generation> {
    let (generation, rest) = customer_of(bytes)?;
    if !rest.is_empty() {
        return Err(corrupt("a tombstone is longer than its content"));
    }
    Ok(generation)
}

/// What of a customer still has to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Everything below this generation.
    pub(crate) below: Generation,
    /// The customer's own value before the generation was raised, empty if there was none.
    pub(crate) customer: Vec<u8>,
}

impl Pending {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = put_generation(self.below);
        out.extend_from_slice(&self.customer);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let (below, customer) = customer_of(bytes)?;
        Ok(Self {
            below,
            customer: customer.to_vec(),
        })
    }
}

/// A receipt, and whether its erasure is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredReceipt {
    pub(crate) receipt: ErasureReceipt,
    pub(crate) finished: bool,
}

impl StoredReceipt {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { receipt, finished } = self;
        let mut out = vec![VERSION, u8::from(*finished)];
        put_text(&mut out, receipt.id.as_str());
        put_varint(&mut out, receipt.generation.0.into());
        put_signed(&mut out, receipt.erased_at.timestamp_millis());
        for (place, count) in &receipt.deleted {
            put_text(&mut out, place);
            put_varint(&mut out, *count);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = open(bytes)?;
        let finished = reader.byte()? != 0;
        let id = ErasureId::new(reader.text()?).map_err(refused)?;
        let generation = Generation(reader.varint32()?);
        let erased_at: Timestamp = timestamp(&mut reader)?;
        let mut receipt = ErasureReceipt::new(id, generation, erased_at);
        while !reader.rest().is_empty() {
            let place = reader.text()?.to_owned();
            receipt.add(&place, reader.varint()?);
        }
        Ok(Self { receipt, finished })
    }
}
