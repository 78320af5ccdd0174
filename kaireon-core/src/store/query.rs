//! What to read.

use super::{HistoryCursor, PeriodRange, ScanCursor};
use crate::time::Timestamp;
use crate::{
    ChannelId, CreativeId, CustomerId, Dimension, Error, Interaction, InteractionType, OfferId, Period,
    Result, Summary, TenantId,
};

/// The most items of a page.
pub const MAX_PAGE: u32 = 1_000;

/// Checks that a limit is from 1 to [`MAX_PAGE`].
pub(crate) fn check_limit(limit: u32) -> Result<()> {
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid("limit", "is not from 1 to 1,000"))
}

/// Which offers, creatives or channels to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimensionFilter {
    /// The dimension.
    pub dimension: Dimension,
    /// One value of it; `None` for all.
    pub value: Option<String>,
}

/// Which summaries of a customer to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryQuery {
    /// Whose customer.
    pub tenant: TenantId,
    /// Who.
    pub customer: CustomerId,
    /// A summary matches when any of these does; empty means every dimension.
    pub dimensions: Vec<DimensionFilter>,
    /// A summary matches when any of these contains it; empty means every period.
    pub periods: Vec<PeriodRange>,
}

impl SummaryQuery {
    /// Everything of a customer.
    #[must_use]
    pub fn new(tenant: TenantId, customer: CustomerId) -> Self {
        Self {
            tenant,
            customer,
            dimensions: Vec::new(),
            periods: Vec::new(),
        }
    }

    /// Whether a value of a dimension is asked for.
    #[must_use]
    pub fn wants(&self, dimension: Dimension, value: &str) -> bool {
        self.dimensions.is_empty()
            || self.dimensions.iter().any(|filter| {
                filter.dimension == dimension && filter.value.as_deref().is_none_or(|wanted| wanted == value)
            })
    }

    /// Whether a period is asked for.
    #[must_use]
    pub fn wants_period(&self, period: Period) -> bool {
        self.periods.is_empty() || self.periods.iter().any(|range| range.contains(period))
    }

    /// Whether a summary is asked for.
    #[must_use]
    pub fn matches(&self, summary: &Summary) -> bool {
        self.wants(summary.dimension, &summary.value) && self.wants_period(summary.period)
    }
}

/// Which interactions of a customer match; every part that is given must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Of this offer.
    pub offer: Option<OfferId>,
    /// Of this creative.
    pub creative: Option<CreativeId>,
    /// On this channel.
    pub channel: Option<ChannelId>,
    /// Of one of these types; empty means every type.
    pub interaction_types: Vec<InteractionType>,
}

impl HistoryFilter {
    /// Whether an interaction matches.
    #[must_use]
    pub fn matches(&self, interaction: &Interaction) -> bool {
        let Self {
            offer,
            creative,
            channel,
            interaction_types,
        } = self;
        offer.as_ref().is_none_or(|offer| *offer == interaction.offer)
            && creative
                .as_ref()
                .is_none_or(|creative| *creative == interaction.creative)
            && channel
                .as_ref()
                .is_none_or(|channel| *channel == interaction.channel)
            && (interaction_types.is_empty() || interaction_types.contains(&interaction.interaction_type))
    }
}

/// Which interactions of a customer to read, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose customer.
    pub tenant: TenantId,
    /// Who.
    pub customer: CustomerId,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Which of them.
    pub filter: HistoryFilter,
    /// How many at most, 1 to [`MAX_PAGE`]; 50 by default.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<HistoryCursor>,
}

impl HistoryQuery {
    /// The newest 50 of a customer.
    #[must_use]
    pub fn new(tenant: TenantId, customer: CustomerId) -> Self {
        Self {
            tenant,
            customer,
            from: None,
            until: None,
            filter: HistoryFilter::default(),
            limit: 50,
            cursor: None,
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`.
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit)
    }
}

/// Which part of a tenant to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanQuery {
    /// Whose.
    pub tenant: TenantId,
    /// How many at most, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<ScanCursor>,
}

impl ScanQuery {
    /// The first page of a tenant.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            limit: MAX_PAGE,
            cursor: None,
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`.
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_from_1_to_1000() {
        let mut query = HistoryQuery::new(TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
        for (limit, good) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
            query.limit = limit;
            assert_eq!(query.check().is_ok(), good, "{limit}");
        }
    }
}
