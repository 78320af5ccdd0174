//! A small disk of a test's own, to be filled up.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::process::Command;

use super::owner::said;

/// Which of a server's files lie on a small disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisk {
    /// Tables, indexes and all else, but the log of writes.
    Data,
    /// The log of writes, ahead of everything: a server that cannot extend it stops.
    Log,
}

/// A file system in memory of a fixed size, in a folder of its own. Mounting it needs root. Dropping it unmounts it.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts one of this size.
    ///
    /// # Errors
    ///
    /// When whoever runs the test may not mount.
    ///
    /// # Dropped futures
    ///
    /// It may stay mounted.
    pub async fn of_mebibytes(size: u32) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kaireon-disk-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}m"), "tmpfs"]);
        said(mount.arg(&folder)).await?;
        Ok(Self { folder })
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes all the room that is left, to the last block.
    ///
    /// # Errors
    ///
    /// When writing fails otherwise than for want of room.
    pub fn fill(&self) -> io::Result<Ballast> {
        let ballast = Ballast {
            file: self.folder.join("ballast"),
        };
        let mut file = File::create(&ballast.file)?;
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4_096]) {
                break error;
            }
        };
        match full.kind() {
            io::ErrorKind::StorageFull => Ok(ballast),
            _ => Err(full),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a failed test may still have files open.
        let mut unmount = std::process::Command::new("umount");
        let _ = unmount.arg("-l").arg(&self.folder).status();
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// What fills a [`Disk`].
#[derive(Debug)]
#[must_use = "the disk stays full until the ballast is thrown off"]
pub struct Ballast {
    file: PathBuf,
}

impl Ballast {
    /// Gives the room back.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn throw_off(self) -> io::Result<()> {
        std::fs::remove_file(self.file)
    }
}
