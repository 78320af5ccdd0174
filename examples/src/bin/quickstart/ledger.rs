//! What the store holds, read back page by page: every figure that is printed comes from here, and none from the
//! replay.

use std::collections::{BTreeMap, HashSet};

use kaireon::core::store::ScanQuery;
use kaireon::core::{Decision, Interaction, InteractionStore, InteractionType, Result, TenantId};

use crate::estimate::Shown;

/// Everything that is recorded for a tenant.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) decisions: Vec<Decision>,
    pub(crate) interactions: Vec<Interaction>,
}

/// How much it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) decisions: u64,
    pub(crate) impressions: u64,
    pub(crate) clicks: u64,
}

/// How often something was shown and clicked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) shown: u64,
    pub(crate) clicks: u64,
}

impl Tally {
    fn count(&mut self, interaction: &Interaction) {
        match interaction.interaction_type {
            InteractionType::Impression => self.shown += 1,
            InteractionType::Click => self.clicks += 1,
            _ => {}
        }
    }
}

impl Ledger {
    /// Scans a tenant's decisions, then its interactions.
    pub(crate) async fn read(store: &dyn InteractionStore, tenant: &TenantId) -> Result<Self> {
        let (mut decisions, mut interactions) = (Vec::new(), Vec::new());
        let mut query = ScanQuery::new(tenant.clone());
        loop {
            let page = store.scan_decisions(query.clone()).await?;
            decisions.extend(page.items.into_iter().map(|accepted| accepted.value));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        // A cursor belongs to what it was made by: this scan begins anew, without one.
        loop {
            let page = store.scan(query.clone()).await?;
            interactions.extend(page.items.into_iter().map(|accepted| accepted.value));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        Ok(Self {
            decisions,
            interactions,
        })
    }

    /// How much there is.
    pub(crate) fn counts(&self) -> Counts {
        let Tally { shown, clicks } = self.tallies(|_| ()).remove(&()).unwrap_or_default();
        Counts {
            decisions: self.decisions.len() as u64,
            impressions: shown,
            clicks,
        }
    }

    /// Impressions and clicks by whatever an interaction has.
    pub(crate) fn tallies<'a, K: Ord>(&'a self, key: impl Fn(&'a Interaction) -> K) -> BTreeMap<K, Tally> {
        let mut tallies: BTreeMap<K, Tally> = BTreeMap::new();
        for interaction in &self.interactions {
            tallies.entry(key(interaction)).or_default().count(interaction);
        }
        tallies
    }

    /// What each policy showed in each campaign: the decision knows the propensity, an interaction that names the
    /// decision tells what came of it.
    pub(crate) fn samples(&self) -> BTreeMap<(&str, &str), Vec<Shown>> {
        let (mut shown, mut clicked) = (HashSet::new(), HashSet::new());
        for interaction in &self.interactions {
            let Some(answered) = interaction.recommendation.as_ref().zip(interaction.rank) else {
                continue;
            };
            match interaction.interaction_type {
                InteractionType::Impression => shown.insert(answered),
                InteractionType::Click => clicked.insert(answered),
                _ => continue,
            };
        }
        let mut samples: BTreeMap<_, Vec<Shown>> = BTreeMap::new();
        for decision in &self.decisions {
            for offer in &decision.offers {
                let (Some(campaign), Some(propensity)) = (&offer.campaign, offer.propensity) else {
                    continue;
                };
                let answered = (&decision.id, offer.rank);
                if shown.contains(&answered) {
                    let sample = samples.entry((campaign.as_str(), decision.flow.as_str()));
                    sample.or_default().push(Shown {
                        propensity: propensity.get(),
                        clicked: clicked.contains(&answered),
                    });
                }
            }
        }
        samples
    }
}
