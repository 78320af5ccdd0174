//! How the suite gets at a settings store.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::settings::{SettingVersion, SettingWrite, Swapped};
use kaireon_core::time::{Timestamp, from_millis};
use kaireon_core::{SettingsStore, TenantId};

use crate::Wrapped;

/// Opens a settings store for the cases of the suite. Each case gets a fixture of its own: one empty place that no
/// other shares.
#[async_trait]
pub trait SettingsFixture: Send + Sync {
    /// A live handle on the place. May be called again while another is live: then it gives a second handle, or the
    /// same one where a place has one opener. After the live handles were disconnected it opens the place anew.
    async fn open(&self) -> Arc<dyn SettingsStore>;

    /// Cleans up. Called once, also after a case that failed.
    async fn close(&self) {}
}

#[async_trait]
impl<F, W> SettingsFixture for Wrapped<F, W>
where
    F: SettingsFixture,
    W: Fn(Arc<dyn SettingsStore>) -> Arc<dyn SettingsStore> + Send + Sync,
{
    async fn open(&self) -> Arc<dyn SettingsStore> {
        (self.1)(self.0.open().await)
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// When the writes of the cases are made.
pub(super) fn at(second: u32) -> Timestamp {
    from_millis(1_700_000_000_123 + i64::from(second) * 1_000).unwrap()
}

/// A write of a number over a version of the tenant `acme`.
pub(super) fn write(number: u32, expected: u64) -> SettingWrite {
    of_tenant("acme", number, expected)
}

pub(super) fn of_tenant(name: &str, number: u32, expected: u64) -> SettingWrite {
    let document = format!("{{\"number\":{number}}}");
    let (author, reason) = (format!("author-{number}"), format!("reason {number}"));
    SettingWrite::new(
        tenant(name),
        SettingVersion(expected),
        document,
        author,
        reason,
        at(number),
    )
}

/// Makes a swap that must be done.
pub(super) async fn done(store: &Arc<dyn SettingsStore>, write: SettingWrite) -> SettingVersion {
    match store.swap(write).await.unwrap() {
        Swapped::Done(version) => version,
        Swapped::Lost(present) => panic!("the swap was lost to {present:?}"),
    }
}

/// What a tenant's setting says, and its version.
pub(super) async fn present(store: &Arc<dyn SettingsStore>, name: &str) -> Option<(String, u64)> {
    let setting = store.setting(&tenant(name)).await.unwrap()?;
    Some((setting.document.to_string(), setting.version.0))
}

/// What a write of a number says.
pub(super) fn says(number: u32) -> String {
    format!("{{\"number\":{number}}}")
}
