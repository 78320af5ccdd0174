//! How a suite gets at a backend.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::InteractionStore;
use kaireon_core::digest::MasterKey;
use kaireon_core::time::ManualClock;

/// Opens a store for the cases of the suite.
///
/// A value of this type stands for one empty place that no other value shares: a directory, a schema, a
/// keyspace. Each case gets a value of its own; lanes and leases are common to a whole store, and two cases in one
/// would disturb each other.
#[async_trait]
pub trait StoreFixture: Send + Sync {
    /// A live handle on the place.
    ///
    /// May be called again while another handle is live: then it gives a second handle (or the same one where
    /// a place has one opener). After the live handles were disconnected it opens the place anew: a restart.
    async fn open(&self) -> Arc<dyn InteractionStore>;

    /// Cleans up. Called once, also after a case that failed.
    async fn close(&self) {}

    /// The clock that the store was given, where the backend accepts one: cases then move it, where they would
    /// have to wait for real time.
    fn clock(&self) -> Option<ManualClock> {
        None
    }

    /// The master key that the store was given, where the backend accepts one: cases then compare tombstones
    /// with digests of their own.
    fn master_key(&self) -> Option<MasterKey> {
        None
    }

    /// A handle on another, empty place under the same master key and clock, for cases that move tombstones and
    /// records from store to store. `None` where the fixture has no other place.
    async fn elsewhere(&self) -> Option<Arc<dyn InteractionStore>> {
        None
    }

    /// Takes from the place, without disconnecting, all that a loss of power would take, and ends the handles:
    /// the next `open` finds what was durable. `false` where the fixture cannot; the crash driver then shows it.
    async fn crash(&self) -> bool {
        false
    }
}

/// A fixture whose stores are wrapped, so that the suite runs also through wrappers.
///
/// ```no_run
/// # use std::sync::Arc;
/// # fn with_retry(store: Arc<dyn kaireon_core::InteractionStore>) -> Arc<dyn kaireon_core::InteractionStore> { store }
/// # fn fixture() -> impl kaireon_testkit::StoreFixture { kaireon_testkit::broken::Fixture::sound() }
/// let fixture = kaireon_testkit::Wrapped(fixture(), with_retry);
/// ```
pub struct Wrapped<F, W>(pub F, pub W);

impl<F, W> fmt::Debug for Wrapped<F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrapped")
    }
}

#[async_trait]
impl<F, W> StoreFixture for Wrapped<F, W>
where
    F: StoreFixture,
    W: Fn(Arc<dyn InteractionStore>) -> Arc<dyn InteractionStore> + Send + Sync,
{
    async fn open(&self) -> Arc<dyn InteractionStore> {
        (self.1)(self.0.open().await)
    }

    async fn close(&self) {
        self.0.close().await;
    }

    fn clock(&self) -> Option<ManualClock> {
        self.0.clock()
    }

    fn master_key(&self) -> Option<MasterKey> {
        self.0.master_key()
    }

    async fn elsewhere(&self) -> Option<Arc<dyn InteractionStore>> {
        self.0.elsewhere().await.map(|store| (self.1)(store))
    }

    async fn crash(&self) -> bool {
        self.0.crash().await
    }
}
