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
use crate::error::{io_error, named};
use crate::{medium, place};

/// The backend's name in errors and capabilities.
const BACKEND: &str = "file";

/// Settings on disk, for one process. Every swap is one line of `settings.log` in the directory, flushed with
/// `fdatasync` before its `Ok`; the lines are readable, and each carries a checksum.
///
/// A line that a crash tore is cut off at the next opening; damage before other lines is an error, and changes nothing.
/// After a write that failed, swaps are refused until the directory is opened anew, because what is behind such a
/// write may never reach the disk; reads go on. In a directory on a file system in memory (tmpfs, ramfs; looked up on
/// Linux) nothing outlives the machine, which the capabilities say.
///
/// A clone is the same handle; [`open_again`](Self::open_again) is another one on the same settings. The directory is
/// let go of when the last one is disconnected or dropped.
#[derive(Clone)]
pub struct FileSettings {
    /// `None` once it is disconnected.
    shared: Arc<Mutex<Option<Arc<Shared>>>>,
    durability: Durability,
}

struct Shared {
    /// Held while a swap is flushed, so it is waited for where blocking is allowed.
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
            let durability = medium::durability(&directory).map_err(io_error)?;
            let log = Log::open(&directory)?;
            let shared = Shared {
                log: Mutex::new(log),
                _lock: lock,
            };
            Ok((shared, durability))
        });
        let (shared, durability) = opened.await.map_err(of("open"))?;
        Ok(Self {
            shared: Arc::new(Mutex::new(Some(Arc::new(shared)))),
            durability,
        })
    }

    /// Another handle on the same settings; it stays connected when this one is disconnected.
    #[must_use]
    pub fn open_again(&self) -> Self {
        Self {
            shared: Arc::new(Mutex::new(self.shared.lock().clone())),
            durability: self.durability.clone(),
        }
    }

    fn shared(&self, operation: &'static str) -> Result<Arc<Shared>> {
        let shared = self.shared.lock().clone();
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
        SettingsCapabilities::new(BACKEND, self.durability.clone(), Reach::Process)
    }

    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>> {
        let shared = self.shared("setting")?;
        let tenant = tenant.clone();
        blocking(move || Ok(shared.log.lock().present(&tenant))).await
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
        blocking(move || Ok(shared.log.lock().settings(query))).await
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
        blocking(move || Ok(shared.log.lock().changes())).await
    }

    async fn disconnect(&self) -> Result<()> {
        *self.shared.lock() = None;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.shared("ping").map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// A swap holds the log while the disk takes its time: whoever reads meanwhile waits, and its thread does not.
    #[tokio::test]
    async fn reads_beside_a_slow_swap_hold_up_no_other_task() {
        let parent = tempfile::tempdir().unwrap();
        let settings = FileSettings::open(parent.path().join("settings")).await.unwrap();
        let shared = settings.shared("test").unwrap();
        let tenant = TenantId::new("t").unwrap();
        let (holds, held) = tokio::sync::oneshot::channel();
        let (let_go, told) = mpsc::channel();
        let swap = std::thread::spawn(move || {
            let _log = shared.log.lock();
            holds.send(()).unwrap();
            // Only another task tells; a thread that is held up never comes to it.
            told.recv_timeout(Duration::from_secs(20)).is_ok()
        });
        held.await.unwrap();
        let reads = async {
            tokio::join!(
                settings.setting(&tenant),
                settings.settings(SettingsQuery::default()),
                settings.changes(),
            )
        };
        // Polled behind the reads.
        let other = async { let_go.send(()) };
        let ((setting, page, changes), told) = tokio::join!(reads, other);
        assert_eq!((setting.unwrap(), changes.unwrap()), (None, 0));
        assert!(page.unwrap().items.is_empty());
        told.expect("the swap waited for the other task");
        assert!(swap.join().unwrap(), "the other task came to its turn");
    }
}
