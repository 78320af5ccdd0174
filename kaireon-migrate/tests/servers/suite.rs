//! The store's suite, through the switch: each tenant on one real store, with every record brought to another one.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::digest::MasterKey;
use kaireon_core::memory::MemorySettings;
use kaireon_core::time::{Clock, ManualClock, SystemClock};
use kaireon_core::{InteractionStore, SettingsStore};
use kaireon_migrate::{Settings, Stores, SwitchConfig, SwitchStore, TenantSetting};
use kaireon_store_embedded::EmbeddedStore;
use kaireon_testkit::StoreFixture;
use kaireon_testkit::store::CASES;
use kaireon_testkit::suite::Case;
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::place::{FIRST, Place, SECOND, embedded};
use super::same;
use crate::switch::one::{One, Recordings};
use crate::switch::suite::Stands;
use crate::switch::{KEY, NAMES, name};

/// The two stores of a case.
#[derive(Clone, Copy)]
enum Pair {
    EmbeddedToPostgres,
    PostgresToEmbedded,
    /// From one server to another one, of another version.
    PostgresToPostgres,
}

struct Switched {
    places: [Place; 2],
    /// An embedded store has one opener, so a second handle is of the first.
    opened: Mutex<Vec<EmbeddedStore>>,
    handles: Mutex<Vec<Arc<dyn InteractionStore>>>,
    settings: Arc<dyn SettingsStore>,
    clock: ManualClock,
    first: TenantSetting,
    recordings: Arc<Recordings>,
    _folder: TempDir,
}

impl Switched {
    fn new(pair: Pair, stands: Stands) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let embedded = || Place::Folder(folder.path().join("data"));
        let places = match pair {
            Pair::EmbeddedToPostgres => [embedded(), Place::on(FIRST)],
            Pair::PostgresToEmbedded => [Place::on(FIRST), embedded()],
            Pair::PostgresToPostgres => [Place::on(FIRST), Place::on(SECOND)],
        };
        let clock = ManualClock::at(SystemClock.now());
        Self {
            places,
            opened: Mutex::default(),
            handles: Mutex::default(),
            settings: Arc::new(MemorySettings::new()),
            first: stands.setting(clock.now()),
            clock,
            recordings: Arc::default(),
            _folder: folder,
        }
    }

    async fn stores(&self) -> [Arc<dyn InteractionStore>; 2] {
        let [old, new] = &self.places;
        [self.store(old).await, self.store(new).await]
    }

    async fn store(&self, place: &Place) -> Arc<dyn InteractionStore> {
        let clock = Arc::new(self.clock.clone());
        let store: Arc<dyn InteractionStore> = match place {
            Place::Schema { .. } => place.open(clock).await,
            Place::Folder(folder) => {
                let mut opened = self.opened.lock().await;
                let mut live = None;
                for handle in &*opened {
                    if handle.ping().await.is_ok() {
                        live = Some(handle.open_again());
                    }
                }
                let store = match live {
                    Some(store) => store,
                    None => embedded(folder, clock).await,
                };
                opened.push(store.clone());
                Arc::new(store)
            }
        };
        self.handles.lock().await.push(Arc::clone(&store));
        store
    }
}

#[async_trait]
impl StoreFixture for Switched {
    async fn open(&self) -> Arc<dyn InteractionStore> {
        let stores = self.stores().await;
        let authority = usize::from(self.first.authority == name("new"));
        let outbox = stores[authority].outbox().unwrap();
        let named = NAMES.map(name).into_iter().zip(stores);
        let settings = Settings::new(Arc::clone(&self.settings), self.first.clone());
        let switch = SwitchStore::new(Stores::new(named).unwrap(), settings, SwitchConfig::new(KEY));
        Arc::new(One {
            recordings: Arc::clone(&self.recordings),
            outbox,
            switch: switch.unwrap(),
            purges: false,
        })
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    /// Whoever is answered finds it on both sides.
    async fn close(&self) {
        if self.recordings.are_whole() {
            let [old, new] = &self.stores().await;
            let tenants = self.recordings.tenants.lock().unwrap().clone();
            for tenant in tenants {
                same(old.as_ref(), new.as_ref(), &tenant).await;
            }
        }
        for handle in &*self.handles.lock().await {
            handle.disconnect().await.unwrap();
        }
        for place in &self.places {
            place.remove().await;
        }
    }

    fn master_key(&self) -> Option<MasterKey> {
        Some(KEY)
    }
}

/// Every third case, from this one on: each is asked of one pair here, and of all of them in the soak.
fn a_third(first: usize, pair: Pair, stands: Stands) {
    every(CASES.iter().skip(first).step_by(3), pair, stands);
}

fn every<'a>(cases: impl Iterator<Item = &'a Case<dyn StoreFixture>>, pair: Pair, stands: Stands) -> usize {
    let mut passed = 0;
    for case in cases {
        println!("{case:?}");
        kaireon_testkit::suite::test(
            async { Switched::new(pair, stands) },
            |fixture| (case.run)(fixture),
            |fixture| Box::pin(fixture.close()),
        );
        passed += 1;
    }
    assert!(passed > 0);
    passed
}

#[test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
fn the_suite_passes_on_embedded_with_every_record_on_postgresql_a_third() {
    a_third(0, Pair::EmbeddedToPostgres, Stands::OnBoth);
}

#[test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
fn the_suite_passes_on_postgresql_with_every_record_on_embedded_after_a_cut_over_a_third() {
    a_third(1, Pair::EmbeddedToPostgres, Stands::Moved);
}

#[test]
#[ignore = "needs postgres-18: set KAIREON_TEST_PG18_URL and KAIREON_TEST_PG_URL"]
fn the_suite_passes_on_one_server_with_every_record_on_another_after_a_cut_over_a_third() {
    a_third(2, Pair::PostgresToPostgres, Stands::Moved);
}

#[test]
#[ignore = "soak: the store's suite through every pair, before and after a cut-over"]
fn the_suite_passes_through_every_pair() {
    let mut passed = 0;
    for pair in [
        Pair::EmbeddedToPostgres,
        Pair::PostgresToEmbedded,
        Pair::PostgresToPostgres,
    ] {
        for stands in [Stands::OnBoth, Stands::Moved] {
            passed += every(CASES.iter(), pair, stands);
        }
    }
    println!(r#"kaireon-soak {{"pairs": 6, "cases": {passed}}}"#);
}
