//! Starting a service's processes so that they outlive this command and can be found again.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::process::Process;
use super::state::{Environment, State};
use crate::failure::{Context, Result};

/// What a start has done so far, written down after each step: a start that is itself killed half-way
/// leaves a state from which `down` can clean up.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    folder: &'a Path,
    state: State,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(folder: &'a Path, given: Environment) -> Self {
        Self {
            folder,
            state: State::packages(given),
        }
    }

    /// Where a service is that this one requires.
    pub(crate) fn given(&self, variable: &str) -> Result<&str> {
        let given = self.state.given.get(variable).map(String::as_str);
        given.context(format_args!("{variable} is not known"))
    }

    /// The service's own folder, for data, configuration and logs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder
    }

    /// Starts `command` in the service's folder, detached, with its output in `<log>.log`.
    pub(crate) fn spawn(&mut self, command: &mut Command, log: &str) -> Result<()> {
        let path = self.folder.join(format!("{log}.log"));
        let log = File::create(&path).context(path.display())?;
        let errors = log.try_clone().context(path.display())?;
        let shown = crate::process::shown(command);
        let child = command
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Its own group: an interrupt at the terminal ends the command, not the servers.
            .process_group(0)
            .spawn()
            .context(shown)?;
        self.state
            .processes
            .push(Process::of(child.id()).context("a process ended as it started")?);
        self.state.save(self.folder)
    }

    /// Tells suites where the service is reached.
    pub(crate) fn export(&mut self, variable: &str, value: &str) -> Result<()> {
        self.state
            .environment
            .insert(variable.to_owned(), value.to_owned());
        self.state.save(self.folder)
    }

    pub(crate) fn processes(&self) -> &[Process] {
        &self.state.processes
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.state.environment
    }

    pub(crate) fn into_state(self) -> State {
        self.state
    }
}
