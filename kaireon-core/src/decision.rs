//! What was recommended to a customer, so that a later answer can be resolved and credited.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{Clock, Timestamp};
use crate::{
    Attributes, CampaignId, CategoryId, ChannelId, CreativeId, CustomerId, DecisionFlowKey, Error, OfferId,
    PlacementId, RecommendationId, Result, TenantId, time,
};

/// The most offers that one decision may return.
pub const MAX_OFFERS: usize = 1_000;

/// The probability with which an offer was chosen, or was thought to be answered: a finite number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Propensity(f64);

// Never a NaN and never a negative zero, so equality is an equivalence.
impl Eq for Propensity {}

impl Propensity {
    /// Takes a number from 0 to 1.
    ///
    /// # Errors
    /// `InvalidInput` naming `propensity`.
    pub fn new(probability: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(Error::invalid("propensity", "is not a number from 0 to 1"));
        }
        // Adding zero turns -0.0 into 0.0.
        Ok(Self(probability + 0.0))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Propensity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// One offer of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankedOffer {
    /// Its rank, from 1; no two offers of a decision share one.
    pub rank: u32,
    /// The offer.
    pub offer: OfferId,
    /// The creative it was shown in.
    pub creative: CreativeId,
    /// The channel it was shown on.
    pub channel: ChannelId,
    /// The placement in the channel.
    pub placement: Option<PlacementId>,
    /// The offer's category.
    pub category: Option<CategoryId>,
    /// The campaign.
    pub campaign: Option<CampaignId>,
    /// How probable it was.
    pub propensity: Option<Propensity>,
}

impl RankedOffer {
    /// An offer with what every offer has.
    #[must_use]
    pub fn new(rank: u32, offer: OfferId, creative: CreativeId, channel: ChannelId) -> Self {
        Self {
            rank,
            offer,
            creative,
            channel,
            placement: None,
            category: None,
            campaign: None,
            propensity: None,
        }
    }
}

/// What a [`Decision`] consists of. Adapters destructure it, so that a new field breaks the build of each until
/// it has answered for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionFields {
    /// Its key.
    pub id: RecommendationId,
    /// Whose data it is.
    pub tenant: TenantId,
    /// The customer.
    pub customer: CustomerId,
    /// The flow that made it.
    pub flow: DecisionFlowKey,
    /// The offers, by ascending rank; empty when nothing was to be recommended.
    pub offers: Vec<RankedOffer>,
    /// When it was made.
    pub timestamp: Timestamp,
    /// Whatever else the host wants to keep.
    pub attributes: Attributes,
}

/// What was recommended to a customer: immutable, and cheap to clone (a reference count).
///
/// The recommendation id is its key. The same content under the same id is a duplicate, other content a
/// conflict; the content is all but the timestamp, so that a retry that is built anew is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision(Arc<DecisionFields>);

impl Decision {
    /// Takes fields whose parts are valid, sorts the offers by rank, and checks what they do not check
    /// themselves.
    ///
    /// # Errors
    /// `InvalidInput` naming `timestamp`, `rank` (zero, or twice) or `offers` (more than 1,000).
    pub fn new(fields: DecisionFields, clock: &dyn Clock) -> Result<Self> {
        let timestamp = time::check(fields.timestamp, clock.now())?;
        Self::restore(DecisionFields { timestamp, ..fields })
    }

    /// Takes fields that a store or an archive held: not compared with the clock, which may have been another.
    ///
    /// # Errors
    /// As for [`Decision::new`]; the upper bound of the timestamp is the end of the year 9999.
    pub fn restore(mut fields: DecisionFields) -> Result<Self> {
        fields.timestamp = time::check(fields.timestamp, fields.timestamp)?;
        if fields.offers.len() > MAX_OFFERS {
            return Err(Error::invalid("offers", "are more than 1,000"));
        }
        fields.offers.sort_by_key(|offer| offer.rank);
        if fields.offers.first().is_some_and(|offer| offer.rank == 0) {
            return Err(Error::invalid("rank", "is zero; ranks count from 1"));
        }
        if fields.offers.windows(2).any(|pair| pair[0].rank == pair[1].rank) {
            return Err(Error::invalid("rank", "is given to two offers"));
        }
        Ok(Self(Arc::new(fields)))
    }

    /// Checks the time against a clock: what was restored or read by serde has not been.
    ///
    /// # Errors
    /// `InvalidInput` naming `timestamp`, more than 24 h after the clock.
    pub fn check_at(&self, clock: &dyn Clock) -> Result<()> {
        time::check(self.timestamp, clock.now()).map(drop)
    }

    /// The same decision with other fields, for adapters and tests.
    ///
    /// # Errors
    /// As for [`Decision::restore`].
    pub fn edited(&self, edit: impl FnOnce(&mut DecisionFields)) -> Result<Self> {
        let mut fields = (*self.0).clone();
        edit(&mut fields);
        Self::restore(fields)
    }

    /// The offer of that rank.
    #[must_use]
    pub fn offer(&self, rank: u32) -> Option<&RankedOffer> {
        self.offers
            .binary_search_by_key(&rank, |offer| offer.rank)
            .ok()
            .map(|at| &self.offers[at])
    }

    /// Whether two decisions have the same content: all but the timestamp.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        let DecisionFields {
            id,
            tenant,
            customer,
            flow,
            offers,
            timestamp: _,
            attributes,
        } = &*self.0;
        *id == other.id
            && *tenant == other.tenant
            && *customer == other.customer
            && *flow == other.flow
            && *offers == other.offers
            && *attributes == other.attributes
    }
}

impl Deref for Decision {
    type Target = DecisionFields;

    fn deref(&self) -> &DecisionFields {
        &self.0
    }
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// As [`Decision::restore`]: every bound is checked but the one by the clock, which serde does not hand in. Who reads
/// decisions from a caller asks [`check_at`](Decision::check_at) of each; the facade's store asks it of every live one.
impl<'de> Deserialize<'de> for Decision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::restore(DecisionFields::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;

    fn fields(ranks: &[u32]) -> DecisionFields {
        let offer = |&rank| {
            let offer = OfferId::new(format!("o{rank}")).unwrap();
            RankedOffer::new(
                rank,
                offer,
                CreativeId::new("k").unwrap(),
                ChannelId::new("web").unwrap(),
            )
        };
        DecisionFields {
            id: RecommendationId::new("r").unwrap(),
            tenant: TenantId::new("t").unwrap(),
            customer: CustomerId::new("c").unwrap(),
            flow: DecisionFlowKey::new("f").unwrap(),
            offers: ranks.iter().map(offer).collect(),
            timestamp: SystemClock.now(),
            attributes: Attributes::default(),
        }
    }

    #[test]
    fn offers_are_found_by_rank_whatever_order_they_came_in() {
        let decision = Decision::new(fields(&[3, 1, 7]), &SystemClock).unwrap();
        assert_eq!(decision.offer(7).unwrap().offer.as_str(), "o7");
        assert!(decision.offer(2).is_none());
    }

    #[test]
    fn ranks_count_from_1_and_are_not_shared() {
        for wrong in [&[0, 1][..], &[2, 2]] {
            assert_eq!(
                Decision::new(fields(wrong), &SystemClock).unwrap_err().field(),
                Some("rank")
            );
        }
    }

    #[test]
    fn a_decision_has_up_to_1000_offers_however_it_comes_about() {
        let ranks: Vec<u32> = (1..=1_001).collect();
        let most = Decision::new(fields(&ranks[..1_000]), &SystemClock).unwrap();
        assert_eq!(most.offers.len(), MAX_OFFERS);
        let error = Decision::new(fields(&ranks), &SystemClock).unwrap_err();
        assert_eq!(error.field(), Some("offers"));
        let json = serde_json::to_string(&most).unwrap();
        assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), most);
        let too_many = serde_json::to_string(&fields(&ranks)).unwrap();
        assert!(serde_json::from_str::<Decision>(&too_many).is_err());
        for wrong in [&[0, 1][..], &[2, 2]] {
            let json = serde_json::to_string(&fields(wrong)).unwrap();
            assert!(serde_json::from_str::<Decision>(&json).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_serde_read_is_checked_against_a_clock_by_check_at() {
        let clock = crate::time::ManualClock::at(SystemClock.now());
        let ahead = |by_ms: i64| {
            let timestamp = clock.now() + time::MAX_AHEAD + chrono::TimeDelta::milliseconds(by_ms);
            let fields = DecisionFields {
                timestamp,
                ..fields(&[1])
            };
            let json = serde_json::to_string(&fields).unwrap();
            serde_json::from_str::<Decision>(&json).unwrap()
        };
        ahead(0).check_at(&clock).unwrap();
        let error = ahead(1).check_at(&clock).unwrap_err();
        assert_eq!(error.field(), Some("timestamp"));
    }

    #[test]
    fn propensities_are_probabilities() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Propensity::new(wrong).unwrap_err().field(), Some("propensity"));
        }
        for (text, taken) in [
            ("0", true),
            ("1", true),
            ("-0.0", true),
            ("1.0000001", false),
            ("-1e-9", false),
        ] {
            let read = serde_json::from_str::<Propensity>(text);
            assert_eq!(read.is_ok(), taken, "{text}");
        }
        assert_eq!(Propensity::new(-0.0).unwrap().get().to_bits(), 0.0_f64.to_bits());
    }
}
