//! Where a server of a test's own is: in a folder and on a port that nobody else has.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a server may take to start, to recover or to end; two cores under a build are slow.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// How many ports are tried: between choosing one and listening on it another test may take it.
pub(super) const ATTEMPTS: u32 = 5;

/// A folder in the system's temporary one, named after what is to be in it.
pub(super) fn new_folder(kind: &str) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("kaireon-{kind}-{}-{count}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    match std::fs::remove_dir_all(&folder) {
        // Of an earlier process with the same number.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

/// A port that nobody listens on now.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
