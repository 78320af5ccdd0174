//! What to read, and how to go on reading.

use std::fmt;
use std::str::FromStr;

use crate::time::{self, Timestamp};
use crate::{
    ChannelId, CreativeId, CustomerId, Dimension, Error, IdempotencyKey, Interaction, InteractionId,
    InteractionType, OfferId, Period, PeriodType, Result, Summary, TenantId,
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

/// A part of an answer, and where the next part begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor to go on with; `None` when there is no more.
    pub next: Option<C>,
}

/// Which offers, creatives or channels to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimensionFilter {
    /// The dimension.
    pub dimension: Dimension,
    /// One value of it; `None` for all.
    pub value: Option<String>,
}

/// A range of periods of one type, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodRange {
    period_type: PeriodType,
    from: Option<Period>,
    to: Option<Period>,
}

impl PeriodRange {
    /// Every period of a type.
    #[must_use]
    pub const fn every(period_type: PeriodType) -> Self {
        Self {
            period_type,
            from: None,
            to: None,
        }
    }

    /// One period.
    #[must_use]
    pub const fn exactly(period: Period) -> Self {
        Self {
            period_type: period.period_type(),
            from: Some(period),
            to: Some(period),
        }
    }

    /// The period of a type that contains a time.
    #[must_use]
    pub fn containing(period_type: PeriodType, time: Timestamp) -> Self {
        Self::exactly(Period::containing(period_type, time))
    }

    /// From one period to another, both included.
    ///
    /// # Errors
    /// `InvalidInput` naming `periods` when the two are of unlike types or in the wrong order.
    pub fn between(from: Period, to: Period) -> Result<Self> {
        if from.period_type() != to.period_type() || from > to {
            return Err(Error::invalid(
                "periods",
                "are of unlike types or in the wrong order",
            ));
        }
        Ok(Self {
            period_type: from.period_type(),
            from: Some(from),
            to: Some(to),
        })
    }

    /// The type.
    #[must_use]
    pub const fn period_type(&self) -> PeriodType {
        self.period_type
    }

    /// The first period; `None` for no bound.
    #[must_use]
    pub const fn from(&self) -> Option<Period> {
        self.from
    }

    /// The last period; `None` for no bound.
    #[must_use]
    pub const fn to(&self) -> Option<Period> {
        self.to
    }

    /// Whether a period lies in the range.
    #[must_use]
    pub fn contains(&self, period: Period) -> bool {
        period.period_type() == self.period_type
            && self.from.is_none_or(|from| from <= period)
            && self.to.is_none_or(|to| period <= to)
    }
}

/// Which summaries of a customer to read.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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

/// Where a page of a history ended: one encoding, valid on every store.
///
/// It is also the place of an interaction in its customer's history, and its order is the order of history,
/// oldest first: by timestamp, then id, then `tie`. No two rows of a customer share a place, because no two
/// share an idempotency key; an adapter that keeps the place in its row key can neither lose a row nor skip one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryCursor {
    /// The timestamp of the last item that was returned.
    pub timestamp: Timestamp,
    /// Its id.
    pub id: InteractionId,
    /// Its [`tie_of`](Self::tie_of): decides where a host used an id and a timestamp for two interactions.
    pub tie: u64,
}

impl HistoryCursor {
    /// The cursor after an item.
    #[must_use]
    pub fn after(interaction: &Interaction) -> Self {
        Self {
            timestamp: interaction.timestamp,
            id: interaction.id.clone(),
            tie: Self::tie_of(&interaction.idempotency_key),
        }
    }

    /// What decides between interactions of equal timestamp and id: the first 8 bytes, big-endian, of BLAKE3
    /// over the idempotency key. The same on every store.
    #[must_use]
    pub fn tie_of(key: &IdempotencyKey) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(key.as_str().as_bytes()).as_bytes()[..8]);
        u64::from_be_bytes(first)
    }

    /// Whether an interaction comes after this cursor, newest first.
    #[must_use]
    pub fn precedes(&self, interaction: &Interaction) -> bool {
        let by_name = (interaction.timestamp, &interaction.id).cmp(&(self.timestamp, &self.id));
        // Equal names are rare, and the hash is not.
        by_name
            .then_with(|| Self::tie_of(&interaction.idempotency_key).cmp(&self.tie))
            .is_lt()
    }
}

impl fmt::Display for HistoryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.timestamp.timestamp_millis();
        write!(f, "h1.{millis}.{:016x}.{}", self.tie, self.id)
    }
}

impl FromStr for HistoryCursor {
    type Err = Error;

    /// Reads what `Display` wrote.
    ///
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("cursor", "is not a history cursor");
        let rest = text.strip_prefix("h1.").ok_or_else(wrong)?;
        let (millis, rest) = rest.split_once('.').ok_or_else(wrong)?;
        let (tie, id) = rest.split_once('.').ok_or_else(wrong)?;
        let hex = tie.len() == 16 && tie.bytes().all(|byte| byte.is_ascii_hexdigit());
        let timestamp = millis
            .parse()
            .ok()
            .and_then(time::from_millis)
            .ok_or_else(wrong)?;
        Ok(Self {
            timestamp,
            id: InteractionId::new(id).map_err(|_| wrong())?,
            tie: hex
                .then(|| u64::from_str_radix(tie, 16).ok())
                .flatten()
                .ok_or_else(wrong)?,
        })
    }
}

/// Which part of a tenant to read.
#[derive(Clone, Debug)]
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

/// Where a page of a scan ended: an encoding of the store that made it, valid there alone. It may hold personal
/// data, and its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct ScanCursor(Box<str>);

impl ScanCursor {
    /// A cursor of a store's own.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The store's own text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanCursor(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_cursors_go_round_also_with_dots_in_ids() {
        let cursor = HistoryCursor {
            timestamp: time::from_millis(1_700_000_000_123).unwrap(),
            id: InteractionId::new("a.b.c").unwrap(),
            tie: 7,
        };
        assert_eq!(cursor.to_string().parse::<HistoryCursor>().unwrap(), cursor);
        for wrong in [
            "",
            "h1",
            "h1.",
            "h1.x.y",
            "h2.1.a",
            "h1.1.",
            "h1.1.a",
            "h1.1.000000000000000g.a",
            "h1.1.+000000000000001.a",
            "h1.1.0000000000000001.",
            "h1.99999999999999999.0000000000000001.a",
        ] {
            assert_eq!(
                wrong.parse::<HistoryCursor>().unwrap_err().field(),
                Some("cursor"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn of_two_interactions_with_one_id_and_timestamp_exactly_one_precedes_the_other() {
        let of = |key: &str| {
            let shown = Interaction::builder("t", "c")
                .offer("o")
                .creative("k")
                .channel("web");
            let shown = shown
                .id("i")
                .timestamp(time::from_millis(1_700_000_000_000).unwrap());
            shown.idempotency_key(key).build().unwrap()
        };
        let (first, second) = (of("a"), of("b"));
        let after = HistoryCursor::after(&first);
        assert!(!after.precedes(&first));
        assert_ne!(
            after.precedes(&second),
            HistoryCursor::after(&second).precedes(&first)
        );
    }

    #[test]
    fn limits_are_from_1_to_1000() {
        let mut query = HistoryQuery::new(TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
        for (limit, good) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
            query.limit = limit;
            assert_eq!(query.check().is_ok(), good, "{limit}");
        }
    }
}
