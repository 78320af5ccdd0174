//! Settings that all instances share: one document per tenant, changed by compare-and-set, with everything that it ever
//! was.
//!
//! The tenant switch keeps in it which store decides. A settings store is neither of a switch's stores, and knows
//! nothing of what the documents say.
//!
//! ```
//! use kaireon_core::memory::MemorySettings;
//! use kaireon_core::settings::{SettingVersion, SettingWrite, Swapped};
//! use kaireon_core::time::{Clock, SystemClock};
//! use kaireon_core::{SettingsStore, TenantId};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon_core::Result<()> {
//! let settings = MemorySettings::new();
//! let tenant = TenantId::new("acme")?;
//! let write = |document: &str, expected| {
//!     SettingWrite::new(tenant.clone(), expected, document, "ops@example.com", "CHG-1207", SystemClock.now())
//! };
//! let first = settings.swap(write(r#"{"store":"embedded"}"#, SettingVersion::NONE)).await?;
//! assert_eq!(first, Swapped::Done(SettingVersion(1)));
//! // Who did not see that one changes nothing, and is told what is there.
//! let late = settings.swap(write(r#"{"store":"postgresql"}"#, SettingVersion::NONE)).await?;
//! let Swapped::Lost(Some(present)) = late else { panic!("the first one stays") };
//! assert_eq!((&*present.document, present.version), (r#"{"store":"embedded"}"#, SettingVersion(1)));
//! # Ok(()) }
//! ```

mod capabilities;
mod query;
mod write;

use async_trait::async_trait;

pub use capabilities::{Reach, SettingsCapabilities};
pub use query::{SettingsQuery, TrailQuery};
pub use write::{
    MAX_DOCUMENT_BYTES, MAX_TEXT_BYTES, Setting, SettingEntry, SettingVersion, SettingWrite, Swapped,
};

use crate::store::Page;
use crate::{Error, Result, TenantId};

/// Keeps one document per tenant and everything that it ever was.
///
/// # Errors
/// Every operation may fail with `Timeout`, `Unavailable` (transient), `Unauthorized`, `Corrupt`, `StorageFull`,
/// `Internal`; what else is said at each.
///
/// # Dropped futures
/// A write whose future is dropped has happened wholly or not at all; the same write again gives the exact answer. A
/// read leaves nothing.
#[async_trait]
pub trait SettingsStore: Send + Sync + std::fmt::Debug {
    /// What this backend can do.
    fn capabilities(&self) -> SettingsCapabilities;

    /// A tenant's setting as it is; `None` where it was never set. Sees every swap that was done before the call,
    /// through whichever handle.
    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>>;

    /// Puts a document in place of the one of the expected version, and adds it to the trail, in one atomic unit;
    /// durable on `Ok` as the capabilities say. The new version is the one after the expected one.
    ///
    /// The same write again ([`SettingWrite::id`]) is the same swap: `Done` with its version, also when others came
    /// behind it, so that an answer that was lost can be asked for.
    ///
    /// # Errors
    /// `InvalidInput` naming the field that is out of bounds; `Conflict` when the id was used for another document
    /// over the same version.
    async fn swap(&self, write: SettingWrite) -> Result<Swapped>;

    /// Every tenant's setting, in the order of their names.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`.
    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>>;

    /// Everything that a tenant's setting ever was, newest first.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`.
    async fn trail(&self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>>;

    /// How many swaps were ever done, of all tenants: one cheap read that tells whether anything changed.
    async fn changes(&self) -> Result<u64>;

    /// Ends the work of this handle; later calls answer `Unavailable` with effect `NotApplied`. Idempotent.
    async fn disconnect(&self) -> Result<()>;

    /// Asks the backend for a sign of life. `Unsupported` means unknown, not down.
    async fn ping(&self) -> Result<()> {
        Err(Error::unsupported(self.capabilities().backend, "ping"))
    }
}

const _: fn(&dyn SettingsStore) = |_| {};
