//! Folders that are empty when they are handed out and gone afterwards.

use std::path::{Path, PathBuf};

use crate::failure::{Context, Result};

/// A folder under `target`, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes `target/xtask/<name>-<pid>`, emptied first.
    pub(crate) fn new(target: &Path, name: &str) -> Result<Self> {
        let path = target
            .join("xtask")
            .join(format!("{name}-{}", std::process::id()));
        empty(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left-overs are under target and are emptied before they are used again.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes `path` an empty folder.
pub(crate) fn empty(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot empty {}: {error}", path.display()).into());
        }
        _ => {}
    }
    std::fs::create_dir_all(path).context(format_args!("cannot make {}", path.display()))
}
