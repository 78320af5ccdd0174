//! How the plain store folds and keeps an interaction, and what its flaws do instead.

use std::sync::Arc;

use chrono::{Datelike, TimeDelta};
use kaireon_core::store::{Accepted, Generation, HistoryCursor};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    Decision, Dimension, Interaction, InteractionType, LastContact, Period, PeriodType, Stats, ValueSum,
    groups,
};

use super::disk::Disk;
use super::flaw::Flaw;
use super::place::Place;

impl Place {
    pub(super) fn apply(&self, disk: &mut Disk, event: &Interaction, generation: Generation, kept: bool) {
        let name = self.name(&event.tenant, &event.customer);
        let found = disk.customer(name, (&event.tenant, &event.customer));
        let late = found
            .rows
            .keys()
            .next_back()
            .is_some_and(|newest| event.timestamp < newest.timestamp);
        for (dimension, value, period) in groups(event) {
            let weekly = period.period_type() == PeriodType::Weekly;
            if late && weekly && self.has(Flaw::DropsLateEventsFromTheWeek) {
                continue;
            }
            let last = period.start() + TimeDelta::days(6);
            let of_two = weekly && period.start().month() != last.month();
            if of_two && self.has(Flaw::ForgetsWeeksOfTwoMonths) {
                continue;
            }
            let group = (dimension, Arc::from(value), self.period(period, event.timestamp));
            let full = found.summaries.len() >= 1_000 && !found.summaries.contains_key(&group);
            if full && self.has(Flaw::BoundsTheGroupsOfACustomer) {
                continue;
            }
            let stats = found.summaries.entry(group).or_default();
            self.merge(stats, event);
        }
        if kept {
            if self.has(Flaw::OneRowPerIdAndTime) {
                let other = |row: &Interaction| (row.timestamp, &row.id) != (event.timestamp, &event.id);
                found.rows.retain(|_, row| other(&row.value));
            }
            let value = match self.flaw {
                Some(Flaw::ForgetsTheRank) => event.edited(|fields| fields.rank = None),
                Some(Flaw::KeepsTypesInSmallLetters) => {
                    let small = event.interaction_type.as_str().to_lowercase();
                    InteractionType::parse(&small)
                        .and_then(|small| event.edited(|fields| fields.interaction_type = small))
                }
                _ => Ok(event.clone()),
            };
            let value = value.unwrap_or_else(|_| event.clone());
            found
                .rows
                .insert(HistoryCursor::after(event), Accepted { value, generation });
        }
    }

    /// Counts the offers of a decision as if they had been shown; only a flaw does.
    pub(super) fn count(&self, disk: &mut Disk, decision: &Decision) {
        let found = disk.customer(
            self.name(&decision.tenant, &decision.customer),
            (&decision.tenant, &decision.customer),
        );
        for offer in &decision.offers {
            let group = (
                Dimension::Offer,
                Arc::from(offer.offer.as_str()),
                Period::ALL_TIME,
            );
            found.summaries.entry(group).or_default().impressions += 1;
        }
    }

    /// The period that the store files an event under.
    fn period(&self, right: Period, time: Timestamp) -> Period {
        match self.flaw {
            Some(Flaw::DaysInLocalTime) => {
                Period::containing(right.period_type(), time + TimeDelta::hours(2))
            }
            Some(Flaw::WeeksOfTheCalendarYear) if right.period_type() == PeriodType::Weekly => {
                let date = time.date_naive();
                let key = format!("{:04}-W{:02}", date.year(), date.iso_week().week());
                key.parse().unwrap_or(right)
            }
            _ => right,
        }
    }

    fn merge(&self, stats: &mut Stats, event: &Interaction) {
        let sum = stats.total_value;
        stats.merge(&Stats::of(event));
        match (self.flaw, event.value) {
            (Some(Flaw::SumsInFloats), Some(value)) => {
                stats.total_value = in_floats(sum, value.micros());
            }
            (Some(Flaw::LastByArrival), _) => {
                stats.last = Some(LastContact {
                    timestamp: event.timestamp,
                    id: event.id.clone(),
                    outcome: event.outcome.clone(),
                });
            }
            (Some(Flaw::CountsCustomTypesAsImpressions), _) => {
                stats.impressions += u64::from(matches!(event.interaction_type, InteractionType::Custom(_)));
            }
            (Some(Flaw::CountsNegativeAsNeutral), _) => {
                stats.neutral += std::mem::take(&mut stats.negative);
            }
            (Some(Flaw::SumsNoClicks), _) if event.interaction_type == InteractionType::Click => {
                stats.total_value = sum;
            }
            _ => {}
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "this is the flaw"
)]
fn in_floats(sum: ValueSum, micros: i64) -> ValueSum {
    let units = sum.micros() as f64 / 1e6 + micros as f64 / 1e6;
    ValueSum::from_micros((units * 1e6) as i128)
}
