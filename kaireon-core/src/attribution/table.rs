//! Credit by group.

use std::collections::BTreeMap;

use super::{Conversion, Credit};
use crate::Interaction;

/// By what credit is grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// By the touch's offer.
    Offer,
    /// By its creative.
    Creative,
    /// By its channel.
    Channel,
    /// By its campaign, which it may lack.
    Campaign,
}

impl Group {
    /// What a touch has in this group.
    #[must_use]
    pub fn of(self, touch: &Interaction) -> Option<&str> {
        match self {
            Self::Offer => Some(touch.offer.as_str()),
            Self::Creative => Some(touch.creative.as_str()),
            Self::Channel => Some(touch.channel.as_str()),
            Self::Campaign => touch.campaign.as_ref().map(AsRef::as_ref),
        }
    }
}

/// The credit of each group. Groups and what is unattributed add up to every conversion and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// By the name of the group; `None` for touches that lack it (a campaign).
    pub groups: BTreeMap<Option<String>, Credit>,
    /// Of conversions without a touch.
    pub unattributed: Credit,
}

impl Table {
    /// Adds up the touches of conversions.
    #[must_use]
    pub fn of(conversions: &[Conversion], group: Group) -> Self {
        let mut table = Self::default();
        for conversion in conversions {
            if conversion.touches.is_empty() {
                table.unattributed += Credit::of(&conversion.interaction);
            }
            for touch in &conversion.touches {
                let name = group.of(&touch.interaction).map(str::to_owned);
                *table.groups.entry(name).or_default() += touch.credit;
            }
        }
        table
    }

    /// Everything: the groups and what is unattributed.
    #[must_use]
    pub fn total(&self) -> Credit {
        let mut total = self.unattributed;
        for credit in self.groups.values() {
            total += *credit;
        }
        total
    }
}
