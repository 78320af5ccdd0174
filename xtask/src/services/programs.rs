//! Programs of the distribution as a service: for servers that a test starts, kills and starts again.

use std::path::{Path, PathBuf};

use super::launch::Launch;
use super::service::{Compose, Service};
use super::state::Environment;
use crate::failure::{Context, Result};

/// No process: a folder with programs in it.
pub(super) struct Programs {
    /// What the service is called.
    pub(super) name: &'static str,
    /// The variable that tells the folder.
    pub(super) variable: &'static str,
    /// Finds the folder, after the programs were installed if they had to be.
    pub(super) folder: fn() -> Result<PathBuf>,
    /// What the programs in a folder say they are.
    pub(super) version: fn(&Path) -> Result<String>,
}

impl Service for Programs {
    fn name(&self) -> &str {
        self.name
    }

    fn variable(&self) -> &str {
        self.variable
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        // What is inside a container cannot be killed and started again by a test.
        None
    }

    fn install(&self, _folder: &Path) -> Result<()> {
        (self.folder)().map(|_| ())
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        launch.export(self.variable, &(self.folder)()?.display().to_string())
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        self.version(environment).map(|_| ())
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        let folder = environment.get(self.variable).context("it has no folder")?;
        (self.version)(Path::new(folder))
    }
}
