//! Settings on disk, for one process: a log of swaps in a directory of its own.

mod line;
mod log;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::settings::{
    Reach, Setting, SettingEntry, SettingVersion, SettingWrite, SettingsCapabilities, SettingsQuery,
    SettingsStore, Swapped, TrailQuery,
};
use kaireon_core::store::{Durability, Page};
use kaireon_core::{Error, ErrorKind, Result, TenantId};
use parking_lot::Mutex;

use self::log::Log;
use crate::error::named;
use crate::place;

/// The backend's name in errors and capabilities.
const BACKEND: &str = "file";

/// Settings on disk, for one process. Every swap is one line of `settings.log` in the directory, flushed with
/// `fdatasync` before its `Ok`; the lines are readable, and each carries a checksum.
///
/// A line that a crash tore is cut off at the next opening; damage before other lines is an error, and changes nothing.
/// After a write that failed, swaps are refused until the directory is opened anew, because what is behind such a
/// write may never reach the disk; reads go on.
///
/// A clone is the same handle; [`open_again`](Self::open_again) is another one on the same settings. The directory is
/// let go of when the last one is disconnected or dropped.
#[derive(Clone)]
pub struct FileSettings(Arc<Mutex<Option<Arc<Shared>>>>);

struct Shared {
    log: Mutex<Log>,
    /// Let go of when it is closed, also by the end of the process.
    _lock: File,
}

impl FileSettings {
    /// Opens a directory, which is made if it is not there; its parent must be.
    ///
    /// # Errors
    /// `Config` naming the directory: its parent is missing, it is a file, it is in use, its log is of another format;
    /// `Corrupt` where a line in the midst of the log is damaged; those of the disk.
    ///
    /// # Dropped futures
    /// The directory is opened and let go of.
    pub async fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let opened = blocking(move || {
            place::make(&directory)?;
            let lock = place::lock(&directory)?;
            let log = Log::open(&directory)?;
            Ok(Shared {
                log: Mutex::new(log),
                _lock: lock,
            })
        });
        let shared = opened.await.map_err(of("open"))?;
        Ok(Self(Arc::new(Mutex::new(Some(Arc::new(shared))))))
    }

    /// Another handle on the same settings; it stays connected when this one is disconnected.
    #[must_use]
    pub fn open_again(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().clone())))
    }

    fn shared(&self, operation: &'static str) -> Result<Arc<Shared>> {
        let shared = self.0.lock().clone();
        shared.ok_or_else(|| Error::disconnected(BACKEND, operation))
    }
}

/// Names the backend and the operation.
fn of(operation: &'static str) -> impl Fn(Error) -> Error {
    move |error| named(operation)(error).with_backend(BACKEND)
}

/// Runs what waits for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Internal,
            "the work on the disk ended by a panic",
        ))
    })
}

impl fmt::Debug for FileSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileSettings")
    }
}

#[async_trait]
impl SettingsStore for FileSettings {
    fn capabilities(&self) -> SettingsCapabilities {
        SettingsCapabilities::new(BACKEND, Durability::Durable, Reach::Process)
    }

    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>> {
        let shared = self.shared("setting")?;
        let setting = shared.log.lock().present(tenant);
        Ok(setting)
    }

    async fn swap(&self, write: SettingWrite) -> Result<Swapped> {
        write.check().map_err(of("swap"))?;
        let shared = self.shared("swap")?;
        let swapped = blocking(move || shared.log.lock().swap(write));
        swapped.await.map_err(of("swap"))
    }

    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>> {
        query.check().map_err(of("settings"))?;
        let shared = self.shared("settings")?;
        let page = shared.log.lock().settings(query);
        Ok(page)
    }

    async fn trail(&self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        query.check().map_err(of("trail"))?;
        let shared = self.shared("trail")?;
        blocking(move || shared.log.lock().trail(query))
            .await
            .map_err(of("trail"))
    }

    async fn changes(&self) -> Result<u64> {
        let shared = self.shared("changes")?;
        let changes = shared.log.lock().changes();
        Ok(changes)
    }

    async fn disconnect(&self) -> Result<()> {
        *self.0.lock() = None;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.shared("ping").map(drop)
    }
}
