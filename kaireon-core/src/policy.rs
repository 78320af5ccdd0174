//! Contact policy: how often, and how soon again, a customer may be contacted.
//!
//! A [`ContactPolicy`] is answered from summaries alone, so that asking costs by the periods it names and never
//! by the length of a history. [`ContactPolicy::query`] says which summaries it needs,
//! [`ContactPolicy::evaluate`] is a pure function of them, and [`ContactPolicy::check`] does both on a store.

use std::time::Duration;

use chrono::TimeDelta;

use crate::store::{DimensionFilter, PeriodRange, SummaryQuery};
use crate::time::Timestamp;
use crate::{
    ChannelId, CreativeId, CustomerId, Dimension, Interaction, InteractionStore, OfferId, Period, PeriodType,
    Result, Summary, TenantId,
};

#[cfg(test)]
mod tests;

/// Of what contacts are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All contacts with the customer.
    Global,
    /// Those with the candidate's offer.
    Offer,
    /// Those with its creative.
    Creative,
    /// Those on its channel.
    Channel,
}

/// At most so many impressions in a calendar period (UTC; weeks are ISO weeks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrequencyCap {
    /// Of what.
    pub scope: Scope,
    /// In which period; [`PeriodType::AllTime`] for a cap that never resets.
    pub period: PeriodType,
    /// How many; with zero nothing is ever admitted.
    pub max: u64,
}

/// No contact sooner than so long after the last one.
///
/// The last contact is the latest interaction of any type, because that is what summaries know: a click or a
/// complaint begins a cooldown as an impression does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cooldown {
    /// After which contacts.
    pub scope: Scope,
    /// How long, in whole milliseconds; the moment at which it ends is admitted.
    pub duration: Duration,
}

/// A rule of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A frequency cap.
    Cap(FrequencyCap),
    /// A cooldown.
    Cooldown(Cooldown),
}

/// Rules that must all admit a contact. Without rules everything is admitted.
///
/// ```
/// use kaireon_core::policy::{Candidate, ContactPolicy, Scope};
/// use kaireon_core::{Interaction, PeriodType};
///
/// let policy = ContactPolicy::default().with_cap(Scope::Offer, PeriodType::Daily, 3);
/// let shown = Interaction::builder("acme", "customer-7")
///     .offer("shoes")
///     .creative("banner")
///     .channel("web")
///     .build()?;
/// let candidate = Candidate::of(&shown);
/// assert!(policy.evaluate(&candidate, &[], shown.timestamp).is_admitted());
/// # Ok::<(), kaireon_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactPolicy {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A contact that is thought of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Whose customer.
    pub tenant: TenantId,
    /// Who would be contacted.
    pub customer: CustomerId,
    /// With which offer.
    pub offer: OfferId,
    /// In which creative.
    pub creative: CreativeId,
    /// On which channel.
    pub channel: ChannelId,
}

impl Candidate {
    /// The same contact as that interaction was.
    #[must_use]
    pub fn of(interaction: &Interaction) -> Self {
        Self {
            tenant: interaction.tenant.clone(),
            customer: interaction.customer.clone(),
            offer: interaction.offer.clone(),
            creative: interaction.creative.clone(),
            channel: interaction.channel.clone(),
        }
    }

    /// The value of a scope's dimension; none for the global scope.
    fn value(&self, scope: Scope) -> Option<&str> {
        match scope {
            Scope::Global => None,
            Scope::Offer => Some(self.offer.as_str()),
            Scope::Creative => Some(self.creative.as_str()),
            Scope::Channel => Some(self.channel.as_str()),
        }
    }
}

/// What a policy says of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// It may be made.
    Admitted,
    /// It may not.
    Refused {
        /// The rule that refuses it longest; of several, the first in the policy.
        rule: Rule,
        /// When the whole policy admits it again, if nothing more happens until then; none for never.
        admits_again: Option<Timestamp>,
    },
}

impl Verdict {
    /// Whether the contact may be made.
    #[must_use]
    pub const fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted)
    }
}

impl Scope {
    /// The dimension whose summaries answer for the scope. Each interaction has exactly one channel, so summing
    /// over the channels alone counts each contact once.
    const fn dimension(self) -> Dimension {
        match self {
            Self::Global | Self::Channel => Dimension::Channel,
            Self::Offer => Dimension::Offer,
            Self::Creative => Dimension::Creative,
        }
    }
}

impl Rule {
    const fn scope(&self) -> Scope {
        match self {
            Self::Cap(cap) => cap.scope,
            Self::Cooldown(cooldown) => cooldown.scope,
        }
    }

    /// The period whose summaries the rule is answered from.
    fn period(&self, now: Timestamp) -> Period {
        match self {
            Self::Cap(cap) => Period::containing(cap.period, now),
            Self::Cooldown(_) => Period::ALL_TIME,
        }
    }

    /// The summaries that the rule is about.
    fn relevant<'a>(
        &self,
        candidate: &'a Candidate,
        summaries: &'a [Summary],
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Summary> {
        let (dimension, period) = (self.scope().dimension(), self.period(now));
        let value = candidate.value(self.scope());
        summaries.iter().filter(move |summary| {
            summary.dimension == dimension
                && summary.period == period
                && value.is_none_or(|value| *summary.value == *value)
        })
    }

    /// When the rule admits the candidate, by what is known: `now` if it does already, none if never.
    fn admits(&self, candidate: &Candidate, summaries: &[Summary], now: Timestamp) -> Option<Timestamp> {
        let relevant = self.relevant(candidate, summaries, now);
        match self {
            Self::Cap(FrequencyCap { max, .. }) => {
                let shown: u64 = relevant.map(|summary| summary.stats.impressions).sum();
                if shown < *max {
                    return Some(now);
                }
                let next = self.period(now).next().filter(|_| *max > 0)?;
                Some(next.start())
            }
            Self::Cooldown(Cooldown { duration, .. }) => {
                let last = relevant.filter_map(|summary| summary.stats.last.as_ref());
                let Some(last) = last.map(|last| last.timestamp).max() else {
                    return Some(now);
                };
                let over = last.checked_add_signed(TimeDelta::from_std(*duration).ok()?)?;
                Some(over.max(now))
            }
        }
    }
}

impl ContactPolicy {
    /// The policy with a frequency cap more.
    #[must_use]
    pub fn with_cap(mut self, scope: Scope, period: PeriodType, max: u64) -> Self {
        self.rules.push(Rule::Cap(FrequencyCap { scope, period, max }));
        self
    }

    /// The policy with a cooldown more.
    #[must_use]
    pub fn with_cooldown(mut self, scope: Scope, duration: Duration) -> Self {
        self.rules.push(Rule::Cooldown(Cooldown { scope, duration }));
        self
    }

    /// The summaries that [`evaluate`](Self::evaluate) needs at that time; none for a policy without rules.
    #[must_use]
    pub fn query(&self, candidate: &Candidate, now: Timestamp) -> Option<SummaryQuery> {
        if self.rules.is_empty() {
            // A query that names nothing asks for everything.
            return None;
        }
        let mut query = SummaryQuery::new(candidate.tenant.clone(), candidate.customer.clone());
        for rule in &self.rules {
            let filter = DimensionFilter {
                dimension: rule.scope().dimension(),
                value: candidate.value(rule.scope()).map(str::to_owned),
            };
            if !query.dimensions.contains(&filter) {
                query.dimensions.push(filter);
            }
            let periods = PeriodRange::exactly(rule.period(now));
            if !query.periods.contains(&periods) {
                query.periods.push(periods);
            }
        }
        Some(query)
    }

    /// Judges a candidate by the customer's summaries, which may be more than those asked for.
    pub fn evaluate(&self, candidate: &Candidate, summaries: &[Summary], now: Timestamp) -> Verdict {
        let mut verdict = Verdict::Admitted;
        for rule in &self.rules {
            let admits = rule.admits(candidate, summaries, now);
            let longest = match (verdict, admits) {
                (_, Some(admits)) if admits <= now => false,
                (Verdict::Admitted, _) => true,
                (Verdict::Refused { admits_again, .. }, admits) => match (admits_again, admits) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(until), Some(admits)) => admits > until,
                },
            };
            if longest {
                verdict = Verdict::Refused {
                    rule: *rule,
                    admits_again: admits,
                };
            }
        }
        verdict
    }

    /// Reads what it needs from a store and judges a candidate.
    ///
    /// Two callers who ask at the same time may both be told that the last contact of a cap is admitted: the
    /// answer is about what was recorded, and reserves nothing.
    ///
    /// # Errors
    /// As [`InteractionStore::get_summaries`].
    pub async fn check(
        &self,
        store: &dyn InteractionStore,
        candidate: &Candidate,
        now: Timestamp,
    ) -> Result<Verdict> {
        let summaries = match self.query(candidate, now) {
            Some(query) => store.get_summaries(query).await?,
            None => Vec::new(),
        };
        Ok(self.evaluate(candidate, &summaries, now))
    }
}
