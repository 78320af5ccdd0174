//! What the engine counts of the store.

use async_trait::async_trait;
use kaireon_core::Result;
use kaireon_core::signals::{Signals, StoreSignals};

use crate::client::Space;
use crate::store::EmbeddedStore;

/// Customers by the engine's own estimate of its registry, in which each is once; bytes of the tables and journals. It
/// keeps no count of what was written: a [switch](https://docs.rs/kaireon-migrate) over it does.
#[async_trait]
impl Signals for EmbeddedStore {
    async fn signals(&self) -> Result<StoreSignals> {
        self.0
            .blocking("signals", |shared| {
                let mut signals = StoreSignals::at(shared.config.clock.now());
                let engine = shared.engine()?;
                signals.customers = u64::try_from(engine.about(Space::Registry)).ok();
                signals.bytes = Some(engine.bytes()?);
                Ok(signals)
            })
            .await
    }
}
