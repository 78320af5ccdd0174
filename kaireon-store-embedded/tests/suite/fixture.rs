//! A directory of its own per case.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::digest::MasterKey;
use kaireon_core::store::{HistoryQuery, SummaryQuery};
use kaireon_core::time::{Clock, ManualClock, SystemClock};
use kaireon_core::{CustomerId, Interaction, InteractionStore, TenantId};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};
use kaireon_testkit::StoreFixture;
use tokio::sync::Mutex;

pub(crate) struct Fixture {
    dir: tempfile::TempDir,
    clock: ManualClock,
    place: Mutex<Place>,
    elsewhere: Mutex<Vec<EmbeddedStore>>,
}

struct Place {
    dir: PathBuf,
    /// Of each handle that was given out; a clone of it, so that a disconnect reaches this one too.
    handles: Vec<EmbeddedStore>,
}

const KEY: [u8; 32] = [42; 32];

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            dir: dir.path().join("data"),
            handles: Vec::new(),
        };
        Self {
            dir,
            clock: ManualClock::at(SystemClock.now()),
            place: Mutex::new(place),
            elsewhere: Mutex::default(),
        }
    }

    fn config(&self, dir: &Path) -> EmbeddedConfig {
        EmbeddedConfig::at(dir)
            .with_clock(Arc::new(self.clock.clone()))
            .with_master_key(MasterKey::new(KEY))
    }
}

#[async_trait]
impl StoreFixture for Fixture {
    async fn open(&self) -> Arc<dyn InteractionStore> {
        let mut place = self.place.lock().await;
        let mut live = None;
        for handle in &place.handles {
            if handle.ping().await.is_ok() {
                live = Some(handle.open_again());
            }
        }
        let handle = match live {
            Some(handle) => handle,
            None => EmbeddedStore::open(self.config(&place.dir)).await.unwrap(),
        };
        place.handles.push(handle.clone());
        Arc::new(handle)
    }

    async fn close(&self) {
        for handle in &self.place.lock().await.handles {
            handle.disconnect().await.unwrap();
        }
        for handle in &*self.elsewhere.lock().await {
            handle.disconnect().await.unwrap();
        }
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    fn master_key(&self) -> Option<MasterKey> {
        Some(MasterKey::new(KEY))
    }

    async fn elsewhere(&self) -> Option<Arc<dyn InteractionStore>> {
        let mut elsewhere = self.elsewhere.lock().await;
        let dir = self.dir.path().join(format!("elsewhere-{}", elsewhere.len()));
        let handle = EmbeddedStore::open(self.config(&dir)).await.unwrap();
        elsewhere.push(handle.clone());
        Some(Arc::new(handle))
    }

    /// What the files hold at this moment is all that is left. (That they are synced by then is shown with strace.)
    async fn crash(&self) -> bool {
        let mut place = self.place.lock().await;
        let copy = place.dir.with_extension("copy");
        copy_dir(&place.dir, &copy);
        for handle in place.handles.drain(..) {
            handle.disconnect().await.unwrap();
        }
        std::fs::remove_dir_all(&place.dir).unwrap();
        std::fs::rename(copy, &place.dir).unwrap();
        true
    }
}

/// Copies a directory as it is.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// An impression of tenant `t`.
pub(crate) fn event(customer: &str, key: &str) -> Interaction {
    let builder = Interaction::builder("t", customer)
        .offer("o")
        .creative("k")
        .channel("web");
    builder.idempotency_key(key).build().unwrap()
}

/// How many of a customer's interactions the history holds, which the summaries must agree with.
pub(crate) async fn recorded(store: &EmbeddedStore, customer: &str) -> u64 {
    let (tenant, customer) = (TenantId::new("t").unwrap(), CustomerId::new(customer).unwrap());
    let mut query = HistoryQuery::new(tenant.clone(), customer.clone());
    query.limit = 1_000;
    let rows = store.history(query).await.unwrap().items.len() as u64;
    let summaries = store
        .get_summaries(SummaryQuery::new(tenant, customer))
        .await
        .unwrap();
    let total = summaries.iter().filter(|summary| summary.period.key() == "all");
    assert_eq!(
        total.map(|summary| summary.stats.interactions()).sum::<u64>(),
        rows * 3
    );
    rows
}
