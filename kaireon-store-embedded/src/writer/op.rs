//! What is asked of the writer, and what it answers.

use fjall::Slice;
use kaireon_core::digest::Digest;
use kaireon_core::outbox::{DeadLetterId, HostEvent, Lane, LaneSet, Lease, Settlement};
use kaireon_core::store::{
    Epoch, Erasure, FenceRequest, FenceState, Generation, HistoryCursor, Origin, Purge, Record, Recorded,
    Tombstone,
};
use kaireon_core::summary::Contribution;
use kaireon_core::time::Timestamp;
use kaireon_core::{Decision, Interaction, RecommendationId, TenantId};

use crate::client::Space;
use crate::codec::{self, StoredReceipt};
use crate::keys;
use crate::shared::Shared;

/// One item of the writer's queue. Units may be tried again, so an operation is not used up by being applied.
pub(crate) enum Op {
    // Boxed, because operations are moved from the caller to the queue to the writer.
    Record(Box<RecordOp>),
    Decide(Box<DecisionOp>),
    RaiseFence(FenceRequest),
    ChangeLanes {
        on: LaneSet,
        off: LaneSet,
    },
    Append(Vec<HostEvent>),
    Settle {
        leases: Vec<Lease>,
        settlements: Vec<Settlement>,
    },
    Replay {
        lane: Lane,
        ids: Vec<DeadLetterId>,
    },
    SetWatermark(Purge),
    BeginErasure(Erasure),
    /// Marks the receipt of that key as finished.
    EndErasure(Vec<u8>),
    /// Forgets that there was something to delete: the customer's key, and below which generation.
    Swept(Vec<u8>, Generation),
    Install(TenantId, Tombstone),
    Remove(Removal),
    /// Only asks for a sign of life.
    Nothing,
}

impl Op {
    /// The key of the dedupe record that it will ask for.
    pub(crate) fn dedupe_key(&self) -> Option<&Slice> {
        match self {
            Self::Record(op) => Some(&op.dedupe_key),
            Self::Decide(op) => Some(&op.dedupe_key),
            _ => None,
        }
    }
}

/// What the writer answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Lanes(LaneSet),
    Recorded(Recorded),
    Decided(Recorded<RecommendationId>),
    Fence(FenceState),
    /// How many.
    Count(u64),
    /// The watermark in force.
    Watermark(i64),
    Receipt(StoredReceipt),
    Done,
}

/// Under what a record is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) origin: Origin,
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
}

impl Terms {
    /// Live, of now, under no epoch.
    pub(crate) fn live(shared: &Shared) -> Self {
        Self {
            origin: Origin::Live,
            epoch: Epoch::ZERO,
            now: shared.config.clock.now(),
        }
    }
}

/// An interaction, with all that can be prepared outside the writer.
pub(crate) struct RecordOp {
    pub(crate) value: Interaction,
    pub(crate) generation: Option<Generation>,
    pub(crate) terms: Terms,
    pub(crate) identity: Digest,
    pub(crate) dedupe_key: Slice,
    pub(crate) dedupe: Slice,
    pub(crate) customer_key: Slice,
    /// What it adds to the customer's summaries.
    pub(crate) contribution: Slice,
    /// What decides the place between rows of equal time and id.
    pub(crate) tie: u64,
    pub(crate) row: Slice,
}

impl RecordOp {
    pub(crate) fn new(shared: &Shared, record: Record<Interaction>, terms: Terms) -> Self {
        let Record { value, generation } = record;
        let key = shared.tenant(&value.tenant).key;
        let identity = key.identity(&value);
        let dedupe = codec::Dedupe {
            content: identity,
            arrived_ms: terms.now.timestamp_millis(),
            id: value.id.as_str(),
        };
        let digest = key.idempotency_key(&value.idempotency_key);
        // One buffer for all that is copied into slices of their own.
        let mut buffer = Vec::with_capacity(256);
        codec::put_interaction(&mut buffer, &value);
        let row = Slice::from(buffer.as_slice());
        buffer.clear();
        dedupe.encode(&mut buffer);
        let dedupe = Slice::from(buffer.as_slice());
        buffer.clear();
        Contribution::of(&value).put(&mut buffer);
        Self {
            identity,
            dedupe_key: keys::dedupe(keys::Kind::Interaction, &digest).into(),
            dedupe,
            customer_key: keys::customer(&value.tenant, &value.customer).into(),
            contribution: Slice::from(buffer.as_slice()),
            tie: HistoryCursor::tie_of(&value.idempotency_key),
            row,
            value,
            generation,
            terms,
        }
    }

    /// About how many bytes wait in the queue for it.
    pub(crate) fn bytes(&self) -> usize {
        self.row.len() * 2 + 256
    }
}

/// A decision, with all that can be prepared outside the writer.
pub(crate) struct DecisionOp {
    pub(crate) value: Decision,
    pub(crate) generation: Option<Generation>,
    pub(crate) terms: Terms,
    pub(crate) content: Digest,
    pub(crate) dedupe_key: Slice,
    pub(crate) customer_key: Slice,
    pub(crate) row: Slice,
}

impl DecisionOp {
    pub(crate) fn new(shared: &Shared, record: Record<Decision>, terms: Terms) -> Self {
        let Record { value, generation } = record;
        let key = shared.tenant(&value.tenant).key;
        let mut row = Vec::with_capacity(256);
        codec::put_decision(&mut row, &value);
        let digest = key.recommendation(&value.id);
        Self {
            content: key.content(&value),
            dedupe_key: keys::dedupe(keys::Kind::Decision, &digest).into(),
            customer_key: keys::customer(&value.tenant, &value.customer).into(),
            row: row.into(),
            value,
            generation,
            terms,
        }
    }

    /// About how many bytes wait in the queue for it.
    pub(crate) fn bytes(&self) -> usize {
        self.row.len() * 2 + 256
    }
}

/// A piece of a purge or an erasure: keys that were found to be deleted.
#[derive(Default)]
pub(crate) struct Removal {
    pub(crate) keys: Vec<(Space, Slice)>,
    /// What is written with it: dedupe records that now wait for their end.
    pub(crate) expiries: Vec<Slice>,
    /// Counts for the receipt of that key.
    pub(crate) receipt: Option<Vec<u8>>,
    pub(crate) counts: Vec<(&'static str, u64)>,
}
