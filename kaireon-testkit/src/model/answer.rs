//! Answers without what may differ from store to store: positions, numbers of leases, clocks, texts.

use std::collections::BTreeMap;

use kaireon_core::digest::Digest;
use kaireon_core::outbox::{LaneSet, LaneStatus, OutboxEntry, OutboxPayload};
use kaireon_core::store::{Accepted, Epoch, Generation, Recorded};
use kaireon_core::time::Timestamp;
use kaireon_core::{Decision, Effect, Error, ErrorKind, Interaction, RecommendationId, Summary};

/// What is the same of an error on every store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    kind: ErrorKind,
    field: Option<String>,
    transient: bool,
    effect: Effect,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            kind: error.kind(),
            field: error.field().map(str::to_owned),
            transient: error.is_transient(),
            effect: error.effect(),
        }
    }
}

pub(super) type Judged<T> = Result<T, Refusal>;

/// Of an entry: what it tells, and under which generation.
pub(super) type Told = (u16, Generation, OutboxPayload);

pub(super) fn told(entry: OutboxEntry) -> Told {
    (entry.range, entry.generation, entry.payload)
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Recorded(Judged<Vec<Judged<Recorded>>>),
    Decided(Judged<Vec<Judged<Recorded<RecommendationId>>>>),
    Summaries(Judged<Vec<Summary>>),
    History(Judged<Vec<Interaction>>),
    Scanned(Judged<Vec<Accepted<Interaction>>>),
    Decisions(Judged<Vec<Accepted<Decision>>>),
    Decision(Judged<Option<Decision>>),
    Erased(Judged<(Generation, BTreeMap<String, u64>)>),
    Purged(Judged<(Timestamp, u64, u64)>),
    Fence(Judged<(Epoch, LaneSet)>),
    Lanes(Judged<LaneSet>),
    Status(Judged<(u64, u64, bool)>),
    Told(Judged<Vec<Told>>),
    Letters(Judged<Vec<(Told, String)>>),
    Replayed(Judged<u64>),
    Stones(Judged<Vec<(Option<Digest>, Generation)>>),
    Done(Judged<()>),
}

pub(super) fn status(status: LaneStatus) -> (u64, u64, bool) {
    (status.backlog, status.dead_letters, status.oldest.is_some())
}
