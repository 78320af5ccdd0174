//! The directory of a store: who holds it, and what it is.
//!
//! `LOCK` is locked as long as the store is open. `KAIREON` says the format, and whether the store was ever made
//! completely: it is written first as "new" and last as "ready", so that a creation that was interrupted is begun
//! anew, and a ready store whose files are gone is damage. `db` is the engine's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kaireon_core::store::Durability;
use kaireon_core::{Error, ErrorKind, Result};

use crate::error::io_error;
use crate::medium;

const FORMAT: &str = "2";
const TITLE: &str = "kaireon embedded store";

/// How long a store that was just dropped may take to let go of its directory.
const LOCK_PATIENCE: Duration = Duration::from_millis(1_500);

/// A directory that is held.
#[derive(Debug)]
pub(crate) struct Place {
    dir: PathBuf,
    /// Let go of when it is closed, also by the end of the process.
    _lock: File,
}

/// Whether a store is in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// None yet.
    Nothing,
    /// One that was made completely.
    Store,
}

impl Place {
    /// Makes the directory if it is not there, takes its lock, and looks at what is in it.
    ///
    /// # Errors
    /// `Config` naming the directory: its parent is missing, it is a file, it is in use, it holds something else,
    /// its format is unknown, it cannot be written.
    pub(crate) fn take(dir: &Path) -> Result<(Self, Found)> {
        make(dir)?;
        let lock = lock(dir)?;
        let place = Self {
            dir: dir.to_owned(),
            _lock: lock,
        };
        let found = place.look()?;
        Ok((place, found))
    }

    /// What an `Ok` survives here.
    pub(crate) fn durability(&self) -> Result<Durability> {
        medium::durability(&self.dir).map_err(io_error)
    }

    /// The engine's directory.
    pub(crate) fn engine_dir(&self) -> PathBuf {
        self.dir.join("db")
    }

    /// Notes that a store is being made, and clears away what an interrupted creation left.
    pub(crate) fn begin(&self) -> Result<()> {
        self.write_state("new")?;
        match fs::remove_dir_all(self.engine_dir()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(error)),
            _ => Ok(()),
        }
    }

    /// Notes that the store is made.
    pub(crate) fn finish(&self) -> Result<()> {
        self.write_state("ready")
    }

    /// Writes and removes a file of a mebibyte, to find out whether the disk takes writes again.
    pub(crate) fn probe(&self) -> io::Result<()> {
        let path = self.dir.join("PROBE");
        let written = (|| {
            let mut file = File::create(&path)?;
            for _ in 0..16 {
                file.write_all(&[1; 64 << 10])?;
            }
            file.sync_all()
        })();
        let removed = fs::remove_file(&path);
        written.and(removed)
    }

    fn look(&self) -> Result<Found> {
        let text = match fs::read_to_string(self.dir.join("KAIREON")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.nothing_else(),
            Err(error) => return Err(cannot(&self.dir, "cannot be read", error)),
        };
        let mut lines = text.lines();
        let format = lines
            .next()
            .filter(|title| *title == TITLE)
            .and_then(|_| lines.next()?.strip_prefix("format "));
        match (format, lines.next()) {
            (Some(FORMAT), Some("new")) => Ok(Found::Nothing),
            (Some(FORMAT), Some("ready")) => Ok(Found::Store),
            (Some(other), _) if other != FORMAT => Err(config(format!(
                "the store in {} is of format {:.20}, and this version knows format {FORMAT}",
                self.dir.display(),
                other.escape_debug()
            ))),
            _ => {
                let damaged = format!("the file KAIREON in {} is damaged", self.dir.display());
                Err(Error::new(ErrorKind::Corrupt, damaged))
            }
        }
    }

    /// A directory without a store must hold nothing else, so that a mistyped path does no harm.
    fn nothing_else(&self) -> Result<Found> {
        for entry in fs::read_dir(&self.dir).map_err(io_error)? {
            let name = entry.map_err(io_error)?.file_name();
            // `KAIREON.tmp` is of a creation that was interrupted at its first step.
            if name != "LOCK" && name != "KAIREON.tmp" && name != "PROBE" && name != "lost+found" {
                return Err(config(format!(
                    "the directory {} holds something else",
                    self.dir.display()
                )));
            }
        }
        Ok(Found::Nothing)
    }

    fn write_state(&self, state: &str) -> Result<()> {
        let write = || {
            let temporary = self.dir.join("KAIREON.tmp");
            let mut file = File::create(&temporary)?;
            write!(file, "{TITLE}\nformat {FORMAT}\n{state}\n")?;
            file.sync_all()?;
            fs::rename(temporary, self.dir.join("KAIREON"))?;
            sync_dir(&self.dir)
        };
        write().map_err(io_error)
    }
}

/// Makes a directory if it is not there.
pub(crate) fn make(dir: &Path) -> Result<()> {
    match fs::create_dir(dir) {
        Ok(()) => {
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_dir(parent.unwrap_or(Path::new("."))).map_err(io_error)
        }
        Err(_) if dir.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(config(format!(
            "the parent of the directory {} does not exist",
            dir.display()
        ))
        .with_source(error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(config(format!("{} is not a directory", dir.display())).with_source(error))
        }
        Err(error) => Err(cannot(dir, "cannot be made", error)),
    }
}

/// Takes a directory's lock, which is let go of when the file is closed.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join("LOCK"))
        .map_err(|error| cannot(dir, "cannot be written to", error))?;
    hold(dir, &lock)?;
    Ok(lock)
}

fn hold(dir: &Path, lock: &File) -> Result<()> {
    let start = std::time::Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(config(format!("the directory {} is in use", dir.display())));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(dir, "cannot be locked", error)),
        }
    }
}

/// Makes a directory's entries durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn config(context: String) -> Error {
    Error::new(ErrorKind::Config, context)
}

fn cannot(dir: &Path, what: &str, error: io::Error) -> Error {
    let context = format!("the directory {} {what}", dir.display());
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::StorageFull,
        _ => ErrorKind::Config,
    };
    let context = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => format!("{context}: the file system is read-only"),
        _ => context,
    };
    Error::new(kind, context).with_source(error)
}
