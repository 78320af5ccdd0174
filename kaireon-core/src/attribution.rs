//! Attribution: which contacts a conversion is credited to.
//!
//! Pure functions over a history. Credit is counted in millionths and shared out in whole numbers, so that the
//! shares of a conversion always add up to exactly that conversion, and to exactly its value. There is no float
//! in it: the same history gives the same credit on every machine.
//!
//! ```
//! use std::time::Duration;
//! use kaireon_core::attribution::{Attribution, Group, Model};
//! use kaireon_core::{Interaction, InteractionType};
//!
//! let shown = |minute: u32, offer: &str| {
//!     let time = format!("2026-04-30T12:{minute:02}:00Z").parse().unwrap();
//!     Interaction::builder("acme", "customer-7").offer(offer).creative("k").channel("web").timestamp(time)
//! };
//! let history = [
//!     shown(0, "shoes").build()?,
//!     shown(5, "hat").build()?,
//!     shown(9, "hat").interaction_type(InteractionType::Click).build()?,
//! ];
//! let attribution = Attribution::new(Model::Linear).with_conversions([InteractionType::Click]);
//! let table = attribution.table(&history, Group::Offer);
//! let hat = &table.groups[&Some("hat".to_owned())];
//! assert_eq!(hat.conversions.to_string(), "0.5");
//! # Ok::<(), kaireon_core::Error>(())
//! ```

mod credit;
mod table;
mod weights;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

pub use credit::Credit;
pub use table::{Group, Table};

use crate::store::HistoryCursor;
use crate::{CustomerId, Interaction, InteractionType, TenantId};

#[cfg(test)]
mod tests;

/// By which rule the touches of a conversion share its credit. "First" and "last" are by (timestamp, id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// All to the last touch before the conversion.
    LastTouch,
    /// All to the first touch in the window.
    FirstTouch,
    /// The same to each.
    Linear,
    /// Half as much for each half-life that a touch is older than another. With a half-life of zero, all to the
    /// touches of the latest moment.
    TimeDecay {
        /// In whole milliseconds.
        half_life: Duration,
    },
    /// 40 % to the first, 40 % to the last, 20 % shared by those between; one touch takes all, two take half
    /// each.
    PositionBased,
}

/// What is credited to what, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// The rule.
    pub model: Model,
    /// What counts as a conversion: interactions of these types; [`InteractionType::Convert`] by default.
    pub conversions: Vec<InteractionType>,
    /// What counts as a touch: interactions of these types; [`InteractionType::Impression`] by default.
    pub touches: Vec<InteractionType>,
    /// How long before the conversion a touch may lie, both ends included; 30 days by default.
    pub look_back: Duration,
}

/// A conversion, and the touches that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversion {
    /// The interaction that converted.
    pub interaction: Interaction,
    /// Its touches, oldest first; none when nothing in the window may take the credit.
    pub touches: Vec<Touch>,
}

/// A touch, and its share of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Touch {
    /// The interaction that is credited.
    pub interaction: Interaction,
    /// Its share, never of another sign than the whole.
    pub credit: Credit,
}

impl Attribution {
    /// Credits conversions to impressions within 30 days before.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self {
            model,
            conversions: vec![InteractionType::Convert],
            touches: vec![InteractionType::Impression],
            look_back: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }

    /// The same for other types of conversion.
    #[must_use]
    pub fn with_conversions(mut self, types: impl IntoIterator<Item = InteractionType>) -> Self {
        self.conversions = types.into_iter().collect();
        self
    }

    /// The same for other types of touch.
    #[must_use]
    pub fn with_touches(mut self, types: impl IntoIterator<Item = InteractionType>) -> Self {
        self.touches = types.into_iter().collect();
        self
    }

    /// The same with another window.
    #[must_use]
    pub fn with_look_back(mut self, look_back: Duration) -> Self {
        self.look_back = look_back;
        self
    }

    /// Every conversion of a history with the touches that share it, oldest first per customer.
    ///
    /// The history may be in any order and of any customers; a conversion is credited only to touches of its own
    /// customer, in its own window, at its own moment or before. A touch may share in several conversions; an
    /// interaction that is both does not share in itself. An interaction that is given twice counts once.
    #[must_use]
    pub fn conversions(&self, history: &[Interaction]) -> Vec<Conversion> {
        let mut customers: BTreeMap<(&TenantId, &CustomerId), BTreeMap<HistoryCursor, &Interaction>> =
            BTreeMap::new();
        for interaction in history {
            let customer = customers
                .entry((&interaction.tenant, &interaction.customer))
                .or_default();
            customer.insert(HistoryCursor::after(interaction), interaction);
        }
        let mut conversions = Vec::new();
        for customer in customers.into_values() {
            let customer: Vec<&Interaction> = customer.into_values().collect();
            let converted = customer
                .iter()
                .filter(|interaction| self.conversions.contains(&interaction.interaction_type));
            conversions.extend(converted.map(|conversion| self.credit(conversion, &customer)));
        }
        conversions
    }

    /// The credit of every group of a history.
    #[must_use]
    pub fn table(&self, history: &[Interaction], group: Group) -> Table {
        Table::of(&self.conversions(history), group)
    }

    /// Shares one conversion among the touches of its customer's history, which is oldest first.
    fn credit(&self, conversion: &Interaction, history: &[&Interaction]) -> Conversion {
        let begin = TimeDelta::from_std(self.look_back)
            .ok()
            .and_then(|look_back| conversion.timestamp.checked_sub_signed(look_back));
        let from = history.partition_point(|touch| begin.is_some_and(|begin| touch.timestamp < begin));
        let until = history.partition_point(|touch| touch.timestamp <= conversion.timestamp);
        let touches: Vec<&Interaction> = history[from..until]
            .iter()
            .filter(|touch| self.touches.contains(&touch.interaction_type))
            .filter(|touch| **touch != conversion)
            .copied()
            .collect();
        let times: Vec<i64> = touches
            .iter()
            .map(|touch| touch.timestamp.timestamp_millis())
            .collect();
        let shares = Credit::of(conversion).shared(&self.model.weights(&times));
        let touches = touches.into_iter().zip(shares).map(|(touch, credit)| Touch {
            interaction: touch.clone(),
            credit,
        });
        Conversion {
            interaction: conversion.clone(),
            touches: touches.collect(),
        }
    }
}
