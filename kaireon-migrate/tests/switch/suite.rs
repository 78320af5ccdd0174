//! The store's suite, through the switch: on one store, and with a caller who waits for the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::InteractionStore;
use kaireon_core::digest::MasterKey;
use kaireon_core::outbox::LaneSet;
use kaireon_core::time::{Clock, ManualClock, Timestamp};
use kaireon_migrate::{Change, DualWrite, Policy, Step, SwitchConfig, TenantSetting, transition};
use kaireon_testkit::StoreFixture;

use super::one::{One, Recordings};
use super::{KEY, World, name};

/// Where each tenant of a case stands from the start.
#[derive(Clone, Copy)]
pub(crate) enum Stands {
    OnOne,
    /// Every record is brought to the other store before its caller is answered.
    OnBoth,
    /// The same after a cut-over.
    Moved,
}

impl Stands {
    /// The setting of every tenant.
    pub(crate) fn setting(self, now: Timestamp) -> TenantSetting {
        let ask = |setting: &TenantSetting, step| {
            let change = Change::new(step, "test", "CHG-1", now).unwrap();
            transition(setting, &change.forced()).unwrap()
        };
        let mut setting = TenantSetting::single(name("old"), LaneSet::NONE);
        if !matches!(self, Self::OnOne) {
            let start = Step::Start {
                target: name("new"),
                dual_write: DualWrite::Strict {
                    budget: Duration::from_secs(30),
                },
                policy: Policy::default(),
            };
            setting = ask(&setting, start);
        }
        if matches!(self, Self::Moved) {
            let draining = ask(&setting, Step::CutOver);
            let open = Step::Open {
                drained: kaireon_migrate::Drained::Unreachable,
                opened: kaireon_migrate::StoreMark {
                    incarnation: 1,
                    sequence: 1,
                },
            };
            setting = ask(&draining, open);
        }
        setting
    }
}

struct Switched {
    world: World,
    first: TenantSetting,
    recordings: Arc<Recordings>,
}

impl Switched {
    fn new(stands: Stands) -> Self {
        let world = World::new();
        let first = stands.setting(world.clock.now());
        Self {
            world,
            first,
            recordings: Arc::default(),
        }
    }
}

#[async_trait]
impl StoreFixture for Switched {
    async fn open(&self) -> Arc<dyn InteractionStore> {
        let process = self.world.process_on(self.first.clone(), SwitchConfig::new(KEY));
        let authority = usize::from(self.first.authority == name("new"));
        Arc::new(One {
            recordings: Arc::clone(&self.recordings),
            outbox: process.stores[authority].outbox().unwrap(),
            switch: process.switch,
            purges: self.first.under_way().is_none(),
        })
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.world.clock.clone())
    }

    /// Whoever is answered finds it on both sides.
    async fn close(&self) {
        if self.first.under_way().is_none() || !self.recordings.are_whole() {
            return;
        }
        let process = self.world.process();
        let [old, new] = &process.stores;
        let tenants = self.recordings.tenants.lock().unwrap().clone();
        for tenant in tenants {
            let found = super::rows_of(old.as_ref(), &tenant).await;
            assert_eq!(found, super::rows_of(new.as_ref(), &tenant).await);
        }
    }

    fn master_key(&self) -> Option<MasterKey> {
        Some(KEY)
    }
}

mod on_one {
    use super::{Stands, Switched};
    kaireon_testkit::store_suite!(Switched::new(Stands::OnOne));
}

mod on_both {
    use super::{Stands, Switched};
    kaireon_testkit::store_suite!(Switched::new(Stands::OnBoth));
}

mod moved {
    use super::{Stands, Switched};
    kaireon_testkit::store_suite!(Switched::new(Stands::Moved));
}
