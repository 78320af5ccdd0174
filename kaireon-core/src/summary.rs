//! Summaries: the fold of every interaction that was accepted as new, per customer, dimension and period.
//!
//! The fold is a commutative monoid: [`Stats::merge`] may be applied in any order and grouping, which is what
//! lets adapters fold in a client, in a batch, or later.

mod contribution;
pub mod packed;

pub use contribution::Contribution;

use std::cmp::Ordering;
use std::sync::Arc;

use serde::Serialize;

use crate::time::Timestamp;
use crate::{
    Classification, Interaction, InteractionId, InteractionType, OutcomeTypeKey, Period, PeriodType, ValueSum,
};

/// By what interactions are grouped. Summaries are read in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// By offer.
    Offer,
    /// By creative.
    Creative,
    /// By channel.
    Channel,
}

impl Dimension {
    /// Every dimension, in the order of reads.
    pub const ALL: [Self; 3] = [Self::Offer, Self::Creative, Self::Channel];

    /// What an interaction has in this dimension.
    #[must_use]
    pub fn of(self, interaction: &Interaction) -> &str {
        match self {
            Self::Offer => interaction.offer.as_str(),
            Self::Creative => interaction.creative.as_str(),
            Self::Channel => interaction.channel.as_str(),
        }
    }
}

/// The last contact of a summary: the greatest by (timestamp, id), then by outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastContact {
    /// When it was.
    pub timestamp: Timestamp,
    /// Which interaction it was; decides between equal timestamps.
    pub id: InteractionId,
    /// What came of it.
    pub outcome: OutcomeTypeKey,
}

impl LastContact {
    /// The outcome decides where a host used an id and a timestamp twice, so that merging stays commutative.
    fn position(&self) -> (Timestamp, &str, &str) {
        (self.timestamp, self.id.as_str(), self.outcome.as_str())
    }
}

/// Counts and sums of a group of interactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Interactions of type impression.
    pub impressions: u64,
    /// Interactions classified as positive.
    pub positive: u64,
    /// Interactions classified as negative.
    pub negative: u64,
    /// Interactions classified as neutral.
    pub neutral: u64,
    /// Interactions of type convert.
    pub conversions: u64,
    /// The sum of the conversion values, whatever the type.
    pub total_value: ValueSum,
    /// The last contact; none only in an empty group.
    pub last: Option<LastContact>,
}

impl Stats {
    /// What one interaction contributes.
    #[must_use]
    pub fn of(interaction: &Interaction) -> Self {
        let is = |classification| u64::from(interaction.classification == classification);
        Self {
            impressions: u64::from(interaction.interaction_type == InteractionType::Impression),
            positive: is(Classification::Positive),
            negative: is(Classification::Negative),
            neutral: is(Classification::Neutral),
            conversions: u64::from(interaction.interaction_type == InteractionType::Convert),
            total_value: interaction.value.map(ValueSum::from).unwrap_or_default(),
            last: Some(LastContact {
                timestamp: interaction.timestamp,
                id: interaction.id.clone(),
                outcome: interaction.outcome.clone(),
            }),
        }
    }

    /// How many interactions the group holds.
    #[must_use]
    pub fn interactions(&self) -> u64 {
        self.positive + self.negative + self.neutral
    }

    /// Adds another group. Commutative and associative; the default is neutral.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            impressions,
            positive,
            negative,
            neutral,
            conversions,
            total_value,
            last,
        } = other;
        self.impressions += impressions;
        self.positive += positive;
        self.negative += negative;
        self.neutral += neutral;
        self.conversions += conversions;
        self.total_value += *total_value;
        let newer = match (&self.last, last) {
            (Some(mine), Some(theirs)) => theirs.position() > mine.position(),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if newer {
            self.last.clone_from(last);
        }
    }
}

/// One group of a customer's interactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// By what it is grouped.
    pub dimension: Dimension,
    /// Which offer, creative or channel.
    pub value: Arc<str>,
    /// Which period.
    pub period: Period,
    /// Counts and sums.
    pub stats: Stats,
}

impl Summary {
    /// A summary.
    #[must_use]
    pub fn new(dimension: Dimension, value: Arc<str>, period: Period, stats: Stats) -> Self {
        Self {
            dimension,
            value,
            period,
            stats,
        }
    }

    /// The order in which summaries are read: by period type, then newest period first, then by dimension and
    /// value.
    #[must_use]
    pub fn read_order(&self, other: &Self) -> Ordering {
        (self.period.period_type().cmp(&other.period.period_type()))
            .then_with(|| other.period.cmp(&self.period))
            .then_with(|| self.dimension.cmp(&other.dimension))
            .then_with(|| self.value.cmp(&other.value))
    }
}

/// The twelve groups that an interaction belongs to: three dimensions by four periods.
pub fn groups(interaction: &Interaction) -> impl Iterator<Item = (Dimension, &str, Period)> {
    Dimension::ALL.into_iter().flat_map(move |dimension| {
        PeriodType::ALL.into_iter().map(move |period_type| {
            (
                dimension,
                dimension.of(interaction),
                Period::containing(period_type, interaction.timestamp),
            )
        })
    })
}
