//! Putting a switch together from connected stores and settings.

use std::sync::Arc;

use kaireon_core::{InteractionStore, Result, SettingsStore};
use kaireon_migrate::{Backend, ReadSampling, Settings, Stores, SwitchConfig, SwitchStore, TenantSetting};

use super::absent::{Absent, is_for_now};
use super::{Inner, TenantSwitch};
use crate::Config;
use crate::config::CallPolicy;
use crate::plan::{Plan, Registries, SwitchSpec};

/// For which part of an attempt a write may wait while its tenant's authority moves: one that is cut off in the midst of
/// it would tell less than the switch does.
const WAIT_SHARE: f64 = 0.9;

/// A switch over these stores and settings.
pub(crate) async fn assemble(
    spec: &SwitchSpec,
    stores: Vec<(String, Arc<dyn InteractionStore>)>,
    settings: Arc<dyn SettingsStore>,
    calls: CallPolicy,
) -> Result<TenantSwitch> {
    let SwitchSpec {
        default,
        lanes,
        key,
        sample,
        archive,
    } = spec;
    let default = Backend::new(default)?;
    let named = stores
        .into_iter()
        .map(|(name, store)| Ok((Backend::new(name)?, store)));
    let stores = Stores::new(named.collect::<Result<Vec<_>>>()?)?;
    let first = TenantSetting::single(default.clone(), *lanes);
    let defaults = SwitchConfig::new(key.clone());
    let config = SwitchConfig {
        reads: ReadSampling {
            fraction: *sample,
            ..defaults.reads
        },
        write_wait: defaults.write_wait.min(calls.attempt_timeout.mul_f64(WAIT_SHARE)),
        ..defaults
    };
    let switch = SwitchStore::new(stores, Settings::new(Arc::clone(&settings), first), config)?;
    let archive = match archive {
        Some(place) => Some(place.open(key).await?),
        None => None,
    };
    Ok(TenantSwitch(Arc::new(Inner {
        switch,
        settings,
        archive,
        default,
    })))
}

/// The switch of a configuration, and nothing else of it.
pub(crate) async fn open_alone(config: &Config, registries: &Registries) -> Result<TenantSwitch> {
    let (stores, plan) = Plan::of_switch(config, registries)?;
    let mut opened = Vec::new();
    let mut settings = None;
    let begun = async {
        for store in &stores {
            let name = store.choice.backend.clone();
            let raw = match store.connect(config).await {
                Err(why) if is_for_now(&why) => Arc::new(Absent::new(&name, &why)),
                opened => opened?,
            };
            opened.push((name, raw));
        }
        let kept = settings.insert(plan.settings.connect(config).await?);
        assemble(&plan.spec, opened.clone(), Arc::clone(kept), config.calls).await
    };
    let begun = begun.await;
    if begun.is_err() {
        for (_, store) in opened {
            note(store.disconnect().await);
        }
        if let Some(settings) = settings {
            note(settings.disconnect().await);
        }
    }
    begun
}

/// The error that matters is the one for which the switch was given up.
fn note(disconnected: Result<()>) {
    if let Err(error) = disconnected {
        tracing::warn!(%error, "a part of a switch that was not to be did not let go");
    }
}
