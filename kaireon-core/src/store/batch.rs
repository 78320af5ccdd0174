//! Batches and their outcomes.

use super::{Epoch, Generation};
use crate::{Effect, Error, InteractionId, Result};

/// The verdict on one record: it is new, or it was there already under the id that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded<I = InteractionId> {
    /// It was recorded now.
    New {
        /// Its own id.
        id: I,
        /// The generation of its customer that it was accepted under: what a copy of it carries to another store.
        generation: Generation,
    },
    /// It was recorded before, under this id.
    Duplicate(I),
}

impl<I> Recorded<I> {
    /// It was recorded now, of a customer who was never erased: what a store without erasure answers.
    pub const fn new(id: I) -> Self {
        Self::New {
            id,
            generation: Generation::ZERO,
        }
    }

    /// The id under which it is recorded.
    pub fn id(&self) -> &I {
        match self {
            Self::New { id, .. } | Self::Duplicate(id) => id,
        }
    }

    /// The generation that it was accepted under, where that was now.
    pub const fn generation(&self) -> Option<Generation> {
        match self {
            Self::New { generation, .. } => Some(*generation),
            Self::Duplicate(_) => None,
        }
    }

    /// Whether it was recorded by this call.
    pub const fn is_new(&self) -> bool {
        matches!(self, Self::New { .. })
    }
}

/// Where a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// From a caller: draws the customer's present generation, writes the lanes in force.
    Live,
    /// From another store's `replicate` lane: keeps id, timestamp and generation, writes no lane.
    Replicated,
    /// From an archive: keeps id, timestamp and generation, writes no lane.
    Backfill,
}

impl Origin {
    /// Checks that a record of this origin has a generation exactly where it should, and one that a store takes:
    /// every backend asks this of every record before it looks anything up.
    ///
    /// # Errors
    /// `InvalidInput` naming `generation`.
    pub fn check_generation(self, generation: Option<Generation>) -> Result<()> {
        match (self, generation) {
            (Self::Live, None) => Ok(()),
            (Self::Live, Some(_)) => Err(Error::invalid(
                "generation",
                "is given for a live record, which draws its own",
            )),
            (Self::Replicated | Self::Backfill, None) => Err(Error::invalid(
                "generation",
                "is missing for a record of another store",
            )),
            (Self::Replicated | Self::Backfill, Some(generation)) => generation.check_given(),
        }
    }
}

/// A record together with the generation it was accepted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<T> {
    /// The interaction or decision.
    pub value: T,
    /// The customer's generation when it was accepted.
    pub generation: Generation,
}

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<T> {
    /// The interaction or decision.
    pub value: T,
    /// The generation it was accepted under elsewhere. A live record has none: it draws the present one.
    pub generation: Option<Generation>,
}

impl<T> From<T> for Record<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            generation: None,
        }
    }
}

impl<T> From<Accepted<T>> for Record<T> {
    fn from(accepted: Accepted<T>) -> Self {
        Self {
            value: accepted.value,
            generation: Some(accepted.generation),
        }
    }
}

/// What is recorded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatch<T> {
    /// The items.
    pub records: Vec<Record<T>>,
    /// Where they come from.
    pub origin: Origin,
    /// The epoch under which the caller writes; refused when it is lower than the tenant's fence.
    pub epoch: Epoch,
}

impl<T> RecordBatch<T> {
    /// Live records under epoch zero.
    pub fn live(values: impl IntoIterator<Item = T>) -> Self {
        Self {
            records: values.into_iter().map(Record::from).collect(),
            origin: Origin::Live,
            epoch: Epoch::ZERO,
        }
    }

    /// Records that another store accepted, or an archive holds.
    pub fn accepted(origin: Origin, values: impl IntoIterator<Item = Accepted<T>>) -> Self {
        Self {
            records: values.into_iter().map(Record::from).collect(),
            origin,
            epoch: Epoch::ZERO,
        }
    }

    /// The same batch under an epoch.
    #[must_use]
    pub fn with_epoch(mut self, epoch: Epoch) -> Self {
        self.epoch = epoch;
        self
    }
}

/// What became of one item of a batch.
#[derive(Clone, Debug)]
pub enum ItemOutcome<T> {
    /// It succeeded.
    Done(T),
    /// It failed, alone.
    Failed(Error),
    /// It was not tried, because the batch stopped before it. Send it again.
    NotAttempted,
}

/// What became of the items of a batch, in their order.
#[derive(Clone, Debug)]
#[must_use = "items of a batch fail one by one"]
pub struct BatchOutcome<T> {
    items: Vec<ItemOutcome<T>>,
}

impl<T> BatchOutcome<T> {
    /// No outcomes yet, with room for so many.
    pub fn with_capacity(items: usize) -> Self {
        Self {
            items: Vec::with_capacity(items),
        }
    }

    /// Outcomes in the order of the items.
    pub fn from_items(items: Vec<ItemOutcome<T>>) -> Self {
        Self { items }
    }

    /// Adds the next item's outcome.
    pub fn push(&mut self, result: Result<T>) {
        self.items.push(match result {
            Ok(value) => ItemOutcome::Done(value),
            Err(error) => ItemOutcome::Failed(error),
        });
    }

    /// The outcomes in the order of the items.
    #[must_use]
    pub fn items(&self) -> &[ItemOutcome<T>] {
        &self.items
    }

    /// The outcomes, to take apart.
    #[must_use]
    pub fn into_items(self) -> Vec<ItemOutcome<T>> {
        self.items
    }

    /// Whether every item succeeded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.items.iter().all(|item| matches!(item, ItemOutcome::Done(_)))
    }

    /// Each item as a result; one that was not attempted is `Unavailable`, transient and not applied.
    #[must_use]
    pub fn into_results(self) -> Vec<Result<T>> {
        let result = |item| match item {
            ItemOutcome::Done(value) => Ok(value),
            ItemOutcome::Failed(error) => Err(error),
            ItemOutcome::NotAttempted => Err(Error::new(
                crate::ErrorKind::Unavailable,
                "the batch stopped before this item",
            )
            .with_effect(Effect::NotApplied)),
        };
        self.items.into_iter().map(result).collect()
    }

    /// Every item's value, or the first item's error.
    ///
    /// # Errors
    /// The error of the first item that failed or was not attempted.
    pub fn into_values(self) -> Result<Vec<T>> {
        self.into_results().into_iter().collect()
    }
}
