//! Which switch a configuration means: the stores that tenants may be on, the settings, the archive.

use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::{Lane, LaneSet};
use kaireon_core::{EventPublisher, InteractionStore, SettingsStore};

use super::reader::Reader;
use super::{Chosen, Plan, Registries};
use crate::Config;
use crate::adapters::{
    Adapter, DisabledPublisher, Found, Registry, SETTINGS, SETTINGS_BESIDE_STORE, SETTINGS_OF_THEIR_OWN,
    Variable,
};
use crate::config::{
    INTERACTION_STORE, KAIREON_ARCHIVE_URL, KAIREON_MASTER_KEY, KAIREON_SETTINGS_STORE, KAIREON_SETTINGS_URL,
    KAIREON_SWITCH_READ_SAMPLE, KAIREON_SWITCH_STORES,
};
use crate::problem::Problems;
use crate::startup::Choice;
use crate::switch::ArchivePlace;

/// A switch, without the stores that it is over.
pub(crate) struct SwitchPlan {
    /// The stores' names.
    names: Vec<String>,
    pub(crate) settings: Chosen<dyn SettingsStore>,
    pub(crate) spec: SwitchSpec,
}

/// What makes a switch over the same stores and settings another one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SwitchSpec {
    /// The store of a tenant without a setting.
    pub(crate) default: String,
    /// The lanes that a tenant begins a migration with.
    pub(crate) lanes: LaneSet,
    pub(crate) key: MasterKey,
    /// The share of reads that are compared.
    pub(crate) sample: f64,
    pub(crate) archive: Option<ArchivePlace>,
}

impl SwitchPlan {
    /// What the start-up line says of the store.
    pub(super) fn choice(&self) -> Choice {
        let Self {
            names,
            settings,
            spec,
        } = self;
        let why = format!(
            "{KAIREON_SWITCH_STORES}: {}, {} where a tenant has no setting; settings {}",
            names.join(", "),
            spec.default,
            settings.choice,
        );
        Choice::new("switch", why)
    }
}

impl Plan {
    /// What of a configuration an operator's process needs: the switch, and nothing that is published, searched or cached.
    pub(crate) fn of_switch(
        config: &Config,
        registries: &Registries,
    ) -> kaireon_core::Result<(Vec<Chosen<dyn InteractionStore>>, SwitchPlan)> {
        let mut problems = config.unreadable.clone();
        problems.extend_from_slice(registries.stores.problems());
        let mut reader = Reader::new(config, problems);
        reader.check_policy();
        let value = config.interaction_store.as_deref();
        let store = reader.choose(INTERACTION_STORE, value, &registries.stores);
        let switch = reader.switch(store.as_ref(), registries);
        if reader.value(KAIREON_SWITCH_STORES).is_none() {
            let what = "is missing: it names the stores that tenants may be on";
            reader.problem(KAIREON_SWITCH_STORES, what);
        }
        reader.check_rest();
        Problems::check(reader.problems)?;
        Ok(switch.expect("a switch is missing only where a problem was reported"))
    }
}

impl Reader<'_> {
    /// The switch, where one is asked for and nothing is wrong with it, with its stores.
    pub(super) fn switch(
        &mut self,
        default: Option<&Chosen<dyn InteractionStore>>,
        registries: &Registries,
    ) -> Option<(Vec<Chosen<dyn InteractionStore>>, SwitchPlan)> {
        let named = self.value(KAIREON_SWITCH_STORES)?;
        let before = self.problems.len();
        let stores = self.stores(named, &registries.stores);
        let names: Vec<String> = stores.iter().map(|store| store.choice.backend.clone()).collect();
        if let Some(default) = default
            && self.problems.len() == before
            && !names.contains(&default.choice.backend)
        {
            let what = format!(
                "`{}` is not among {KAIREON_SWITCH_STORES} ({})",
                default.choice.backend,
                names.join(", ")
            );
            self.problem(INTERACTION_STORE, what);
        }
        let settings = self.settings(&stores);
        let key = self.key();
        let sample = self.sample();
        let archive = self.archive();
        let mut lanes = LaneSet::NONE;
        if self.publishes(&registries.publishers) {
            lanes = lanes.with(Lane::Publish);
        }
        if archive.is_some() {
            lanes = lanes.with(Lane::Archive);
        }
        let spec = SwitchSpec {
            default: default?.choice.backend.clone(),
            lanes,
            key: key?,
            sample: sample?,
            archive,
        };
        let settings = settings?;
        (self.problems.len() == before).then_some((
            stores,
            SwitchPlan {
                names,
                settings,
                spec,
            },
        ))
    }

    fn stores(
        &mut self,
        named: &str,
        registry: &Registry<dyn InteractionStore>,
    ) -> Vec<Chosen<dyn InteractionStore>> {
        let mut stores: Vec<Chosen<dyn InteractionStore>> = Vec::new();
        for name in named.split(',').map(str::trim) {
            if name.is_empty() {
                self.problem(KAIREON_SWITCH_STORES, "has an empty name");
                continue;
            }
            let Some(store) = self.choose(KAIREON_SWITCH_STORES, Some(name), registry) else {
                continue;
            };
            let backend = &store.choice.backend;
            if stores.iter().any(|other| other.choice.backend == *backend) {
                let what = format!("names `{backend}` twice");
                self.problem(KAIREON_SWITCH_STORES, what);
                continue;
            }
            stores.push(store);
        }
        stores
    }

    /// Settings of one process lie beside its other files; where every store may have several processes, so may the settings.
    fn settings(&mut self, stores: &[Chosen<dyn InteractionStore>]) -> Option<Chosen<dyn SettingsStore>> {
        let own = Variable::SettingsDatabase.of(self.config).is_some();
        let on_postgresql: &'static Adapter<dyn SettingsStore> = match own {
            true => SETTINGS_OF_THEIR_OWN,
            false => SETTINGS_BESIDE_STORE,
        };
        let registry = Registry::new(SETTINGS);
        let variable = KAIREON_SETTINGS_STORE;
        let Some(value) = self.value(variable) else {
            let shared = !stores.is_empty() && stores.iter().all(|store| store.shared);
            let because = match (own, shared) {
                (true, _) => format!("{KAIREON_SETTINGS_URL} is set"),
                (false, true) => "every store may have several processes".to_owned(),
                (false, false) => return self.default(variable, &registry),
            };
            let name = on_postgresql.names[0];
            let settings = self.builtin(variable, name, on_postgresql)?;
            let choice = Choice::new(name, format!("{variable} is unset, {because}"));
            return Some(Chosen { choice, ..settings });
        };
        match registry.find(value) {
            Some(Found::Builtin(adapter)) if adapter.names == on_postgresql.names => {
                self.builtin(variable, value, on_postgresql)
            }
            Some(Found::Builtin(adapter)) if own => {
                let what = format!("is set, but `{}` has no database", adapter.names[0]);
                self.problem(KAIREON_SETTINGS_URL, what);
                None
            }
            _ => self.choose(variable, Some(value), &registry),
        }
    }

    fn key(&mut self) -> Option<MasterKey> {
        let Some(digits) = self.value(KAIREON_MASTER_KEY) else {
            let what = "is missing: a switch needs it, the same on every store";
            self.problem(KAIREON_MASTER_KEY, what);
            return None;
        };
        let key = MasterKey::from_hex(digits);
        if key.is_none() {
            self.problem_once(KAIREON_MASTER_KEY, "is not 64 hexadecimal digits");
        }
        key
    }

    fn sample(&mut self) -> Option<f64> {
        let Some(share) = self.value(KAIREON_SWITCH_READ_SAMPLE) else {
            return Some(0.0);
        };
        let sample = share
            .parse()
            .ok()
            .filter(|share: &f64| (0.0..=1.0).contains(share));
        if sample.is_none() {
            self.problem(KAIREON_SWITCH_READ_SAMPLE, "is not a number from 0 to 1");
        }
        sample
    }

    fn archive(&mut self) -> Option<ArchivePlace> {
        let url = self.value(KAIREON_ARCHIVE_URL)?;
        match ArchivePlace::parse(url) {
            Ok(place) => Some(place),
            Err(why) => {
                self.problem(KAIREON_ARCHIVE_URL, why);
                None
            }
        }
    }

    /// Whether there is a stream. A name that is not known here may be another process's own: what it records is published.
    fn publishes(&self, registry: &Registry<dyn EventPublisher>) -> bool {
        let Some(value) = self.config.event_publisher.as_deref() else {
            return true;
        };
        let Some(Found::Builtin(adapter)) = registry.find(value) else {
            return true;
        };
        let lacks = adapter.needs.iter().any(|need| need.of(self.config).is_none());
        let adapter = adapter.stand_in.filter(|_| lacks).unwrap_or(adapter);
        adapter.names[0] != DisabledPublisher::NAME
    }
}
