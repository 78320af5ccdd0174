//! Who ends a move late, when another has ended it and the next is under way.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::memory::MemoryStore;
use kaireon_core::outbox::LaneSet;
use kaireon_core::settings::{
    Setting, SettingEntry, SettingVersion, SettingWrite, SettingsCapabilities, SettingsQuery, Swapped,
    TrailQuery,
};
use kaireon_core::store::Page;
use kaireon_core::{InteractionStore, Result, SettingsStore, TenantId};
use kaireon_migrate::{
    DualWrite, Migrator, Phase, Settings, Step, Stores, SwitchConfig, SwitchStore, TenantSetting,
};
use kaireon_testkit::fault::{Fault, Faulty, Plan};
use parking_lot::Mutex;

use super::{KEY, NAMES, World, name, tenant};

type Doing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A settings store in which somebody else does something just before the first swap.
struct Overtaken(Arc<dyn SettingsStore>, Mutex<Option<Doing>>);

impl fmt::Debug for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overtaken")
    }
}

#[async_trait]
impl SettingsStore for Overtaken {
    fn capabilities(&self) -> SettingsCapabilities {
        self.0.capabilities()
    }

    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>> {
        self.0.setting(tenant).await
    }

    async fn swap(&self, write: SettingWrite) -> Result<Swapped> {
        let doing = self.1.lock().take();
        if let Some(doing) = doing {
            doing.await;
        }
        self.0.swap(write).await
    }

    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>> {
        self.0.settings(query).await
    }

    async fn trail(&self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        self.0.trail(query).await
    }

    async fn changes(&self) -> Result<u64> {
        self.0.changes().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }
}

/// A process that is overtaken, and to which the target does not answer once.
fn late(world: &World, doing: Doing) -> Migrator {
    let plan = Plan::script([("raise_fence", Fault::Hang)]);
    let [old, new]: [MemoryStore; 2] = [0, 1].map(|at| world.places[at].open());
    let stores: [Arc<dyn InteractionStore>; 2] = [Arc::new(old), Arc::new(Faulty::new(new, plan))];
    let named = NAMES.into_iter().map(name).zip(stores);
    let overtaken = Overtaken(Arc::clone(&world.settings), Mutex::new(Some(doing)));
    let first = TenantSetting::single(name("old"), LaneSet::NONE);
    let settings = Settings::new(Arc::new(overtaken), first);
    let switch = SwitchStore::new(Stores::new(named).unwrap(), settings, SwitchConfig::new(KEY)).unwrap();
    Migrator::new(switch).with_clock(world.clock.clone())
}

#[tokio::test(start_paused = true)]
async fn what_one_saw_of_a_move_does_not_end_the_next() {
    let world = World::new();
    let process = world.process();
    let relays = process.replicate();
    process.start(&world, DualWrite::Async).await;
    process.make_ready(&world).await;
    let settings = process.switch.settings().clone();
    let (cut_over, roll_back) = (
        process.ask(Step::CutOver, &world),
        process.ask(Step::RollBack, &world),
    );
    settings.change(&tenant(), &cut_over).await.unwrap();
    // The target did not answer the late one, who is about to open the source again. By then it is open.
    let other = process.migrator.clone();
    let late = late(
        &world,
        Box::pin(async move {
            let moved = other.finish(&tenant()).await.unwrap().setting;
            assert_eq!(moved.phase, Phase::CutOver);
            let back = settings.change(&tenant(), &roll_back).await.unwrap().setting;
            assert_eq!(back.phase, Phase::Draining);
        }),
    );
    let ended = late.finish(&tenant()).await.unwrap().setting;
    assert_eq!((ended.phase, ended.authority.as_str()), (Phase::Single, "old"));
    drop(relays);
}
