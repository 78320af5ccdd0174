//! What a directory lies on, as far as the operating system tells.

use std::io;
use std::path::Path;

use kaireon_core::store::Durability;

/// What an `Ok` survives that was flushed to this directory.
#[cfg(target_os = "linux")]
pub(crate) fn durability(dir: &Path) -> io::Result<Durability> {
    // The numbers of statfs(2).
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(dir)?.f_type;
    Ok(match u64::try_from(kind) {
        Ok(TMPFS) => Durability::Volatile("the directory is on a tmpfs, which is memory".into()),
        Ok(RAMFS) => Durability::Volatile("the directory is on a ramfs, which is memory".into()),
        _ => Durability::Durable,
    })
}

/// Elsewhere nothing is asked: a flush is trusted.
#[cfg(not(target_os = "linux"))]
pub(crate) fn durability(_: &Path) -> io::Result<Durability> {
    Ok(Durability::Durable)
}
