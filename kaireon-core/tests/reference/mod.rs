//! The suites of the contracts, on the in-memory reference.

mod wrapped;

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::InteractionStore;
use kaireon_core::digest::MasterKey;
use kaireon_core::memory::{MemoryOptions, MemoryPlace};
use kaireon_core::time::{Clock, ManualClock, SystemClock};
use kaireon_testkit::StoreFixture;

/// One place under a clock that the cases move, and a key that they know.
struct Reference {
    options: MemoryOptions,
    clock: ManualClock,
    place: MemoryPlace,
}

impl Reference {
    fn new() -> Self {
        let clock = ManualClock::at(SystemClock.now());
        let options = MemoryOptions::default()
            .with_clock(clock.clone())
            .with_master_key(MasterKey::new([7; 32]));
        Self {
            place: MemoryPlace::new(options.clone()),
            options,
            clock,
        }
    }
}

#[async_trait]
impl StoreFixture for Reference {
    async fn open(&self) -> Arc<dyn InteractionStore> {
        Arc::new(self.place.open())
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    fn master_key(&self) -> Option<MasterKey> {
        Some(self.options.master_key.clone())
    }

    async fn elsewhere(&self) -> Option<Arc<dyn InteractionStore>> {
        Some(Arc::new(MemoryPlace::new(self.options.clone()).open()))
    }
}

mod store {
    kaireon_testkit::store_suite!(super::Reference::new());
}
