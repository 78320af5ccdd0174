//! What a comparison says.

use kaireon_core::time::Timestamp;
use kaireon_core::{Dimension, ErrorKind, InteractionId, Period, RecommendationId};
use serde::Serialize;

use crate::{Side, Verification};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Interactions, each with the generation it was accepted under.
    Interactions,
    /// Decisions, each with the generation it was accepted under.
    Decisions,
    /// Summaries of every customer who has an interaction or a decision on either side.
    Summaries,
    /// Erased customers' generations.
    Tombstones,
}

/// How two sides differ in one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Difference {
    /// The target lacks it.
    Missing,
    /// Only the target has it.
    Extra,
    /// It is unlike.
    Different,
}

/// Why something was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// A store failed, or did not answer in time.
    Failed {
        /// Which one.
        side: Side,
        /// How.
        error: ErrorKind,
    },
    /// Only one of the two stores keeps such things at all.
    Unsupported {
        /// The one that does not.
        side: Side,
    },
    /// The `replicate` lane did not come so far within [`lane_wait`](crate::VerifyConfig::lane_wait), or could not be
    /// asked.
    Behind,
    /// More was unlike than [`passes`](crate::VerifyConfig::passes) of
    /// [`suspects`](crate::VerifyConfig::suspects) hold.
    TooMany,
    /// The archive could not be read, which names customers whose rows were purged.
    Unlisted {
        /// How it failed.
        error: ErrorKind,
    },
    /// The summary was written to during every look at it, and was never seen equal.
    Busy,
}

/// A part that was not compared: never a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotCompared {
    /// How many: ranges of customers and days, or single things, whichever the reason is about; 1 for all of a kind.
    pub parts: u64,
    /// Why.
    pub why: Why,
}

/// Whether the summaries of customers without any row were compared, whom no read of a store lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WithoutRows {
    /// They were, of those whom the tenant's archive names as purged
    /// ([`Verifier::with_archive`](crate::Verifier::with_archive)).
    Compared,
    /// They were not.
    NotCompared,
}

/// What differs, named so that an operator finds it: by ids of records, never by customer or attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Name {
    /// An interaction's own id.
    Interaction(InteractionId),
    /// A decision's.
    Decision(RecommendationId),
    /// A summary: of the customer of this interaction, which was the last contact in it.
    Summary {
        /// By what it is grouped.
        dimension: Dimension,
        /// Which period.
        period: Period,
        /// The last contact, on the side that has the summary.
        last: Option<InteractionId>,
    },
    /// An erased customer, of whom nothing may be named.
    Tombstone,
}

/// One of the differences.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// How.
    pub difference: Difference,
    /// What.
    pub name: Name,
}

/// What a comparison says of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindReport {
    /// The kind.
    pub kind: Kind,
    /// Those that are the same; of rows, as many as the authority had when it was first read.
    pub equal: u64,
    /// Those that the target lacks.
    pub missing: u64,
    /// Those that only the target has.
    pub extra: u64,
    /// Those that are unlike.
    pub different: u64,
    /// Rows of either side from before [`kept_from`](crate::VerifyConfig::kept_from), which were left out as asked.
    pub left_out: u64,
    /// What was not compared.
    pub not_compared: Vec<NotCompared>,
    /// Some of the differences, at most [`samples`](crate::VerifyConfig::samples).
    pub samples: Vec<Sample>,
}

impl KindReport {
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            equal: 0,
            missing: 0,
            extra: 0,
            different: 0,
            left_out: 0,
            not_compared: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Whether everything was compared and is the same.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.different == 0 && self.not_compared.is_empty()
    }

    pub(super) fn differs(&mut self, difference: Difference, name: Name, samples: usize) {
        match difference {
            Difference::Missing => self.missing += 1,
            Difference::Extra => self.extra += 1,
            Difference::Different => self.different += 1,
        }
        if self.samples.len() < samples {
            self.samples.push(Sample { difference, name });
        }
    }

    pub(super) fn not_compared(&mut self, parts: u64, why: Why) {
        match self.not_compared.iter_mut().find(|known| known.why == why) {
            Some(known) => known.parts += parts,
            None => self.not_compared.push(NotCompared { parts, why }),
        }
    }
}

/// What a comparison of two stores says.
///
/// It names records in [`samples`](KindReport::samples), for the operator who is shown it; neither it nor anything else
/// of a comparison is logged or becomes a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// When it began: what was acknowledged by then was compared.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Rows and tombstones that were read, of both sides and in all passes.
    pub read: u64,
    /// The most rows that were held in memory at once because they might have been unlike.
    pub suspects_held: usize,
    /// The most customers that were remembered at once.
    pub customers_held: usize,
    /// Before when rows were left out, as asked ([`kept_from`](crate::VerifyConfig::kept_from)).
    pub kept_from: Option<Timestamp>,
    /// Whether customers who have no row left, because retention has purged them all, were among those whose summaries were
    /// compared.
    pub without_rows: WithoutRows,
    /// What it says of each kind.
    pub kinds: Vec<KindReport>,
}

impl VerifyReport {
    /// Whether everything was compared and is the same.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.kinds.iter().all(KindReport::is_clean)
    }

    /// What it says of a kind; `None` where neither store keeps such things.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&KindReport> {
        self.kinds.iter().find(|report| report.kind == kind)
    }

    /// The sums, as evidence for the gate.
    #[must_use]
    pub fn evidence(&self) -> Verification {
        let sum = |of: fn(&KindReport) -> u64| {
            let counts = self.kinds.iter().map(of);
            counts.fold(0, u64::saturating_add)
        };
        Verification {
            at: self.ended_at,
            equal: sum(|kind| kind.equal),
            missing: sum(|kind| kind.missing),
            extra: sum(|kind| kind.extra),
            different: sum(|kind| kind.different),
            not_compared: sum(|kind| kind.not_compared.iter().map(|part| part.parts.max(1)).sum()),
            left_out: sum(|kind| kind.left_out),
            kept_from: self.kept_from,
        }
    }
}
