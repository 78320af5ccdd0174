//! How the plain store folds and keeps an interaction, and what its flaws do instead.

use std::sync::Arc;

use chrono::{Datelike, TimeDelta};
use kaireon_core::store::{Accepted, Generation, HistoryCursor};
use kaireon_core::time::Timestamp;
use kaireon_core::{Interaction, InteractionType, LastContact, Period, PeriodType, Stats, ValueSum, groups};

use super::disk::{Customer, Disk};
use super::flaw::Flaw;
use super::place::Place;

impl Place {
    pub(super) fn apply(&self, disk: &mut Disk, event: &Interaction, generation: Generation, kept: bool) {
        let found = disk
            .customers
            .entry(self.name(&event.tenant, &event.customer))
            .or_insert_with(|| Customer {
                tenant: event.tenant.clone(),
                id: event.customer.clone(),
                rows: Default::default(),
                summaries: Default::default(),
            });
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
            let group = (dimension, Arc::from(value), self.period(period, event.timestamp));
            let stats = found.summaries.entry(group).or_default();
            self.merge(stats, event);
        }
        if kept {
            let value = match self.has(Flaw::ForgetsTheRank) {
                true => event
                    .edited(|fields| fields.rank = None)
                    .unwrap_or_else(|_| event.clone()),
                false => event.clone(),
            };
            found
                .rows
                .insert(HistoryCursor::after(event), Accepted { value, generation });
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
