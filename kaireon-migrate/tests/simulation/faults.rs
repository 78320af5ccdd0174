//! What comes between a process and what it talks to.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::settings::{
    Setting, SettingEntry, SettingVersion, SettingWrite, SettingsCapabilities, SettingsQuery, Swapped,
    TrailQuery,
};
use kaireon_core::store::Page;
use kaireon_core::{Effect, Error, ErrorKind, Result, SettingsStore, TenantId};
use kaireon_testkit::fault::{Odds, Plan, Reach};

/// The settings, among what a process may be cut off from: 0 and 1 are the stores.
const SETTINGS: usize = 2;

/// The faults that processes meet, from one seed.
#[derive(Debug)]
pub(crate) struct Weather {
    dice: Mutex<fastrand::Rng>,
    /// Processes, each with what it is cut off from.
    parted: Mutex<Vec<(usize, usize)>>,
    clear: AtomicBool,
    /// The plans of the stores' handles, with whose and which store's they are.
    plans: Mutex<Vec<(usize, usize, Plan)>>,
    /// How often each process could not read or set its settings.
    failures: [AtomicU64; super::PROCESSES],
}

/// The odds of a store's calls.
const ODDS: Odds = Odds {
    before: 0.01,
    after: 0.02,
    delay: 0.2,
    cut: 0.02,
    longest_delay: Duration::from_millis(80),
    reach: Reach::EveryOperation,
};

impl Weather {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            parted: Mutex::default(),
            clear: AtomicBool::new(false),
            plans: Mutex::default(),
            failures: Default::default(),
        }
    }

    /// Cuts a process off from something.
    pub(crate) fn part(&self, dice: &mut fastrand::Rng) {
        let cut = (dice.usize(..super::PROCESSES), dice.usize(..=SETTINGS));
        self.parted.lock().unwrap().push(cut);
        for (process, store, plan) in self.plans.lock().unwrap().iter() {
            if (*process, *store) == cut {
                plan.cut_off(true);
            }
        }
    }

    /// Mends everything that is cut.
    pub(crate) fn mend(&self) {
        self.parted.lock().unwrap().clear();
        for (.., plan) in self.plans.lock().unwrap().iter() {
            plan.cut_off(false);
        }
    }

    /// Makes no more faults.
    pub(crate) fn clear(&self) {
        self.mend();
        self.clear.store(true, Ordering::SeqCst);
        for (.., plan) in self.plans.lock().unwrap().iter() {
            plan.stop();
        }
    }

    /// The faults of a process's handle on a store.
    pub(crate) fn plan(&self, process: usize, store: usize) -> Plan {
        let plan = Plan::seeded(self.dice.lock().unwrap().u64(..), ODDS);
        plan.cut_off(self.parted.lock().unwrap().contains(&(process, store)));
        if self.clear.load(Ordering::SeqCst) {
            plan.stop();
        }
        self.plans.lock().unwrap().push((process, store, plan.clone()));
        plan
    }

    /// How often a process has failed to reach its settings.
    pub(crate) fn failures(&self, process: usize) -> u64 {
        self.failures[process].load(Ordering::SeqCst)
    }

    fn is_cut_off(&self, process: usize) -> bool {
        self.parted.lock().unwrap().contains(&(process, SETTINGS))
    }

    fn chance(&self, of: f64) -> bool {
        !self.clear.load(Ordering::SeqCst) && self.dice.lock().unwrap().f64() < of
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.dice.lock().unwrap().u64(0..60))
    }
}

/// The settings as one process reaches them.
#[derive(Debug)]
pub(crate) struct FarSettings<S> {
    pub(crate) inner: S,
    pub(crate) weather: Arc<Weather>,
    pub(crate) process: usize,
}

impl<S> FarSettings<S> {
    async fn meet<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let error = |effect| {
            self.weather.failures[self.process].fetch_add(1, Ordering::SeqCst);
            Error::new(ErrorKind::Unavailable, "a fault of the simulation").with_effect(effect)
        };
        if self.weather.chance(0.2) {
            let delay = self.weather.delay();
            tokio::time::sleep(delay).await;
        }
        if self.weather.is_cut_off(self.process) || self.weather.chance(0.01) {
            return Err(error(Effect::NotApplied));
        }
        let answer = call.await;
        if self.weather.chance(0.02) {
            return Err(error(Effect::Unknown));
        }
        answer
    }
}

#[async_trait]
impl<S: SettingsStore> SettingsStore for FarSettings<S> {
    fn capabilities(&self) -> SettingsCapabilities {
        self.inner.capabilities()
    }

    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>> {
        self.meet(self.inner.setting(tenant)).await
    }

    async fn swap(&self, write: SettingWrite) -> Result<Swapped> {
        self.meet(self.inner.swap(write)).await
    }

    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>> {
        self.meet(self.inner.settings(query)).await
    }

    async fn trail(&self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        self.meet(self.inner.trail(query)).await
    }

    async fn changes(&self) -> Result<u64> {
        self.meet(self.inner.changes()).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.inner.disconnect().await
    }
}
