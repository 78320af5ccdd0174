//! What a service says about itself.

use std::collections::BTreeSet;
use std::path::Path;

use super::launch::Launch;
use super::process::{self, Process};
use super::state::Environment;
use crate::failure::{Context, Result};

/// A server that suites run against; one file per implementation.
pub(crate) trait Service {
    /// What it is called on the command line and in `#[ignore = "needs <name>: …"]`.
    fn name(&self) -> &str;

    /// The variable in which suites look for its URL. Set beforehand, it is the service.
    fn variable(&self) -> &str;

    /// What that variable says.
    fn url<'e>(&self, environment: &'e Environment) -> Result<&'e str> {
        let url = environment.get(self.variable()).map(String::as_str);
        url.context("it has no URL")
    }

    /// Other services that run before this one, and that it is told the addresses of.
    fn requires(&self) -> &'static [Need] {
        &[]
    }

    /// Its entry in `compose.yaml`, and what suites find in their environment when that runs from `folder`.
    fn compose(&self, folder: &Path) -> Option<Compose>;

    /// Makes what a container and a process of packages both need; `folder` is the service's own and exists.
    fn prepare(&self, _folder: &Path) -> Result<()> {
        Ok(())
    }

    /// Brings its packages onto this machine; called before every start, so it looks before it fetches.
    fn install(&self, folder: &Path) -> Result<()>;

    /// Starts its processes in its own folder and exports where they are reached. What was started through
    /// `launch` before an error is stopped by the caller.
    fn start(&self, launch: &mut Launch) -> Result<()>;

    /// Asks once, in the service's own protocol; an open port is not an answer.
    fn ready(&self, environment: &Environment) -> Result<()>;

    /// What the server says it is; asked for a person to read, after it answered.
    fn version(&self, environment: &Environment) -> Result<String>;

    /// What is on the server now that a run could have left there, as lines that name it.
    fn residue(&self, _environment: &Environment) -> Result<BTreeSet<String>> {
        Ok(BTreeSet::new())
    }

    /// Ends its processes. The default sends SIGTERM, waits, and sends SIGKILL to what is left.
    fn stop(&self, _folder: &Path, processes: &[Process]) -> Result<()> {
        process::end(processes)
    }
}

/// A service of `compose.yaml`.
#[derive(Debug, Clone)]
pub(crate) struct Compose {
    /// Its name there.
    pub(crate) service: String,
    /// Where suites reach it.
    pub(crate) environment: Environment,
    /// Where those have to be that it needs, for the container to be of use.
    pub(crate) given: Environment,
}

/// A service that another one needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Its name.
    pub(crate) service: &'static str,
    /// The variable that says where it is.
    pub(crate) variable: &'static str,
}
