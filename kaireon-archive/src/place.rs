//! Where an archive lies, and the five things that are done there.

use std::fmt;
use std::fs::File;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use kaireon_core::{Error, ErrorKind, Result};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use crate::error::{named, of_store};

/// The file that processes lock which change an object of a folder under a condition.
const LOCK: &str = ".kaireon-archive.lock";

/// Where an archive lies: a folder, an object store, or this process's memory. Cheap to clone.
///
/// The archive asks for conditional puts: `Create` (only where there is nothing) and `Update` (only over the version
/// that was read). Object stores have both (on S3 `If-None-Match` and `If-Match`). A folder has the first; for the
/// second its processes take turns by a lock on the file `.kaireon-archive.lock`, so that a folder which several
/// machines mount must pass such locks on (NFS does).
#[derive(Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    folder: Option<Arc<FilePath>>,
    shown: Arc<str>,
}

/// What an object's content was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version(UpdateVersion);

/// An object as it was read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) bytes: Bytes,
    pub(crate) version: Version,
}

/// What became of a put under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there now.
    Done(Version),
    /// The condition did not hold.
    Lost,
}

/// What was read where a version is known already.
#[derive(Debug)]
pub(crate) enum Refreshed {
    Same,
    Gone,
    Changed(Found),
}

impl Place {
    /// A folder, made where it is not there. Each object is flushed to the disk before it counts as written.
    ///
    /// # Errors
    /// `Config` when the folder cannot be made or entered.
    pub fn folder(folder: impl AsRef<FilePath>) -> Result<Self> {
        let wrong = |error: std::io::Error| {
            let context = format!("cannot use the folder {}", folder.as_ref().display());
            named(Error::new(ErrorKind::Config, context).with_source(error), "open")
        };
        std::fs::create_dir_all(folder.as_ref()).map_err(wrong)?;
        let root = folder.as_ref().canonicalize().map_err(wrong)?;
        let store = LocalFileSystem::new_with_prefix(&root)
            .map_err(|error| of_store("open", error))?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            shown: format!("folder {}", root.display()).into(),
            folder: Some(root.into()),
        })
    }

    /// This process's memory, for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self::object_store(Arc::new(InMemory::new()))
    }

    /// Any object store that has `PutMode::Create` and `PutMode::Update`; [`Archive::open`](crate::Archive::open) asks.
    #[must_use]
    pub fn object_store(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            shown: "an object store".into(),
            store,
            folder: None,
        }
    }

    #[cfg(feature = "s3")]
    pub(crate) fn shown_as(self, shown: String) -> Self {
        Self {
            shown: shown.into(),
            ..self
        }
    }

    /// Reads an object whole; `None` where there is none.
    pub(crate) async fn get(&self, path: &Path) -> Result<Option<Found>> {
        match self.read(path, GetOptions::default()).await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(of_store("get", error)),
        }
    }

    /// Reads an object unless it is still that version.
    pub(crate) async fn refresh(&self, path: &Path, known: Option<&Version>) -> Result<Refreshed> {
        let options = GetOptions {
            if_none_match: known.and_then(|known| known.0.e_tag.clone()),
            ..GetOptions::default()
        };
        match self.read(path, options).await {
            Ok(found) => Ok(Refreshed::Changed(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(Refreshed::Gone),
            Err(object_store::Error::NotModified { .. }) => Ok(Refreshed::Same),
            Err(error) => Err(of_store("get", error)),
        }
    }

    async fn read(&self, path: &Path, options: GetOptions) -> object_store::Result<Found> {
        let got = self.store.get_opts(path, options).await?;
        let version = Version(UpdateVersion {
            e_tag: got.meta.e_tag.clone(),
            version: got.meta.version.clone(),
        });
        Ok(Found {
            bytes: got.bytes().await?,
            version,
        })
    }

    /// Writes an object where there is none; durable when it is done.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<Put> {
        self.put(path, bytes, PutMode::Create).await
    }

    /// Writes an object over that version of it, or, without one, where there is none; durable when it is done.
    pub(crate) async fn replace(&self, path: &Path, bytes: Bytes, over: Option<&Version>) -> Result<Put> {
        let Some(over) = over else {
            return self.create(path, bytes).await;
        };
        if self.folder.is_none() {
            return self.put(path, bytes, PutMode::Update(over.0.clone())).await;
        }
        let _turn = self.turn().await?;
        match self.store.head(path).await {
            Ok(meta) if meta.e_tag == over.0.e_tag => self.put(path, bytes, PutMode::Overwrite).await,
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(Put::Lost),
            Err(error) => Err(of_store("put", error)),
        }
    }

    async fn put(&self, path: &Path, bytes: Bytes, mode: PutMode) -> Result<Put> {
        let options = PutOptions {
            mode,
            ..PutOptions::default()
        };
        match self.store.put_opts(path, bytes.into(), options).await {
            Ok(put) => Ok(Put::Done(Version(put.into()))),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Put::Lost)
            }
            Err(error) => Err(of_store("put", error)),
        }
    }

    /// Waits for this process's turn to change an object of the folder; the turn ends when the file is closed, also
    /// by a kill.
    async fn turn(&self) -> Result<Option<File>> {
        let Some(folder) = self.folder.as_ref() else {
            return Ok(None);
        };
        let path: PathBuf = folder.join(LOCK);
        let wrong = |error: std::io::Error| {
            let error = Error::new(ErrorKind::Unavailable, "cannot lock the folder").with_source(error);
            named(error, "put")
        };
        let locked = tokio::task::spawn_blocking(move || {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            file.lock()?;
            Ok(file)
        });
        match locked.await {
            Ok(file) => file.map(Some).map_err(wrong),
            Err(error) => Err(wrong(std::io::Error::other(error))),
        }
    }

    /// Every object below a folder of the archive, by path.
    pub(crate) async fn list(&self, folder: &Path) -> Result<Vec<Path>> {
        let mut found: Vec<Path> = (self.store.list(Some(folder)))
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .map_err(|error| of_store("list", error))?;
        found.sort();
        Ok(found)
    }

    /// The folders directly below one, by path.
    pub(crate) async fn folders(&self, folder: &Path) -> Result<Vec<Path>> {
        let listed = self.store.list_with_delimiter(Some(folder)).await;
        let mut folders = listed.map_err(|error| of_store("list", error))?.common_prefixes;
        folders.sort();
        Ok(folders)
    }

    /// Removes an object; it is none of our business whether it was there.
    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(of_store("delete", error)),
        }
    }

    /// Removes what writers that were killed left half-written in a folder: an object store shows no such thing. A
    /// writer that is still at it fails and tries again.
    pub(crate) async fn sweep(&self, below: &Path) -> Result<()> {
        let Some(root) = self.folder.as_ref() else {
            return Ok(());
        };
        let folder = root.join(below.as_ref());
        let swept = tokio::task::spawn_blocking(move || remove_staged(&folder));
        match swept.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(named(
                Error::new(ErrorKind::Unavailable, "cannot look through the folder").with_source(error),
                "sweep",
            )),
            Err(error) => Err(named(
                Error::new(ErrorKind::Internal, "looking through the folder ended by a panic")
                    .with_source(error),
                "sweep",
            )),
        }
    }
}

/// Files that object_store stages beside an object until it is whole: `name#1`.
fn remove_staged(folder: &FilePath) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_staged(&entry.path())?;
        } else if entry.file_name().to_string_lossy().contains('#') {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.shown)
    }
}
