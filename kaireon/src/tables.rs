//! Bringing tables to this release's version: never by itself, because who may alter tables is not who serves.

use kaireon_core::Result;

use crate::Config;
use crate::plan::{Plan, Registries};

/// What became of the tables of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migrated {
    /// The backend.
    pub backend: &'static str,
    /// The versions that this call applied, oldest first; none where another process did, or where nothing was left
    /// to do.
    pub applied: Vec<u32>,
    /// The version of the tables now.
    pub version: u32,
}

/// A version of a backend's tables that is not applied yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedStep {
    /// The backend.
    pub backend: &'static str,
    /// The version; 0 is what must be there before the first one.
    pub version: u32,
    /// What it brings, in a few words.
    pub name: &'static str,
    /// The statements that would run.
    pub statements: Vec<String>,
}

/// Brings the tables of every backend that a configuration means to this release's version.
pub(crate) async fn migrate(config: &Config, registries: &Registries) -> Result<Vec<Migrated>> {
    let mut done = Vec::new();
    for tables in Plan::new(config, registries)?.tables() {
        done.push((tables.migrate)(config).await?);
    }
    Ok(done)
}

/// What [`migrate`] would do.
pub(crate) async fn plan(config: &Config, registries: &Registries) -> Result<Vec<PlannedStep>> {
    let mut steps = Vec::new();
    for tables in Plan::new(config, registries)?.tables() {
        steps.extend((tables.plan)(config).await?);
    }
    Ok(steps)
}
