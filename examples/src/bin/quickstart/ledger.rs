//! What the store holds, read back page by page: every figure that is printed comes from here.

use std::collections::BTreeMap;

use kaireon::core::store::ScanQuery;
use kaireon::core::{Decision, Interaction, InteractionStore, InteractionType, TenantId};

use crate::Result;

/// Everything of the tenant.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) decisions: Vec<Decision>,
    pub(crate) interactions: Vec<Interaction>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) decisions: usize,
    pub(crate) impressions: usize,
    pub(crate) clicks: usize,
}

impl Ledger {
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

    pub(crate) fn counts(&self) -> Counts {
        let of = |wanted: InteractionType| {
            let is = |interaction: &&Interaction| interaction.interaction_type == wanted;
            self.interactions.iter().filter(is).count()
        };
        Counts {
            decisions: self.decisions.len(),
            impressions: of(InteractionType::Impression),
            clicks: of(InteractionType::Click),
        }
    }

    /// Impressions and clicks by whatever an interaction has.
    pub(crate) fn shown_and_clicked<K: Ord>(
        &self,
        key: impl Fn(&Interaction) -> K,
    ) -> BTreeMap<K, (u64, u64)> {
        let mut groups: BTreeMap<K, (u64, u64)> = BTreeMap::new();
        for interaction in &self.interactions {
            let (shown, clicked) = groups.entry(key(interaction)).or_default();
            match interaction.interaction_type {
                InteractionType::Impression => *shown += 1,
                InteractionType::Click => *clicked += 1,
                _ => {}
            }
        }
        groups
    }
}
