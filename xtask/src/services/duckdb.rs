//! DuckDB, which reads an archive as those do who know nothing of it. No server: an interpreter that has it.

use std::path::Path;

use super::launch::Launch;
use super::python;
use super::service::{Compose, Service};
use super::state::Environment;
use crate::failure::{Context, Result};

const PYTHON: &str = "KAIREON_TEST_DUCKDB_PYTHON";

/// The package and the version that was tried.
const PACKAGES: &[&str] = &["duckdb==2.0.1"];

/// A Python with DuckDB.
pub(super) struct DuckDb;

impl Service for DuckDb {
    fn name(&self) -> &'static str {
        "duckdb"
    }

    fn variable(&self) -> &'static str {
        PYTHON
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        // A program that tests start, not a server.
        None
    }

    fn install(&self, folder: &Path) -> Result<()> {
        python::environment(folder, PACKAGES)
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let python = python::interpreter(launch.folder());
        launch.export(PYTHON, &python.display().to_string())
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        self.version(environment).map(|_| ())
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        let python = environment.get(PYTHON).context("it has no interpreter")?;
        python::version(Path::new(python), "duckdb")
    }
}
