//! A configuration that asks for a switch, where none is compiled in.

use std::convert::Infallible;

use kaireon_core::InteractionStore;

use super::reader::Reader;
use super::{Chosen, Registries};
use crate::config::KAIREON_SWITCH_STORES;
use crate::startup::Choice;

/// There is none.
pub(crate) struct SwitchPlan(Infallible);

impl SwitchPlan {
    pub(super) fn choice(&self) -> Choice {
        match self.0 {}
    }
}

impl Reader<'_> {
    /// Notes that a switch was asked for.
    pub(super) fn switch(
        &mut self,
        _: Option<&Chosen<dyn InteractionStore>>,
        _: &Registries,
    ) -> Option<(Vec<Chosen<dyn InteractionStore>>, SwitchPlan)> {
        if self.value(KAIREON_SWITCH_STORES).is_some() {
            let what = "a switch is not compiled in: turn on the feature `switch` of the crate `kaireon`";
            self.problem(KAIREON_SWITCH_STORES, what);
        }
        None
    }
}
