//! The services of one run: those that answered before are left as they were, the others are stopped again.

use super::control::{Control, Up};
use super::registry;
use super::service::Service;
use super::state::Environment;
use crate::failure::Result;
use crate::workspace::Workspace;

/// Marks what a run started, so that what is left of it can be told from everything else.
pub(super) const RUN: &str = "KAIREON_TEST_RUN";

fn run_id() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map(|since| since.as_nanos()).unwrap_or_default();
    format!("{}-{nanos}", std::process::id())
}

/// Every registered service, started as far as it could be.
pub(crate) struct Session {
    control: Control,
    up: Vec<(Box<dyn Service>, Up)>,
    not_started: Vec<(String, String)>,
    run: String,
}

impl Session {
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        Ok(Self::start_all(Control::new(workspace), registry()))
    }

    /// The named services, which need no others.
    pub(crate) fn start_some(workspace: &Workspace, names: &[&str]) -> Result<Self> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let services = super::selected(registry(), &names)?;
        Ok(Self::start_all(Control::new(workspace), services))
    }

    pub(super) fn start_all(control: Control, services: Vec<Box<dyn Service>>) -> Self {
        let mut session = Self {
            control,
            up: Vec::new(),
            not_started: Vec::new(),
            run: run_id(),
        };
        let mut known = Environment::new();
        for service in services {
            match session.control.up(service.as_ref(), &known) {
                Ok(up) => {
                    println!("service {}: {}", service.name(), up.provider());
                    known.extend(up.environment().clone());
                    session.up.push((service, up));
                }
                Err(failure) => {
                    println!("service {}: NOT STARTED: {failure}", service.name());
                    session
                        .not_started
                        .push((service.name().to_owned(), failure.to_string()));
                }
            }
        }
        session
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &str> {
        self.up.iter().map(|(service, _)| service.name())
    }

    /// The names of what did not start, and why.
    pub(crate) fn not_started(&self) -> &[(String, String)] {
        &self.not_started
    }

    /// The services that answer, and where.
    pub(super) fn up(&self) -> impl Iterator<Item = (&dyn Service, &Up)> {
        self.up.iter().map(|(service, up)| (service.as_ref(), up))
    }

    /// What every process of this run has in its environment as [`RUN`], and no other process has.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// What suites find in their environment.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut all = Environment::from([(RUN.to_owned(), self.run.clone())]);
        for (_, up) in &self.up {
            all.extend(up.environment().clone());
        }
        all.into_iter().collect()
    }

    /// Stops what this session started, last first.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let mut left = Vec::new();
        while let Some((service, up)) = self.up.pop() {
            if let Up::Started(_) = up
                && let Err(failure) = self.control.down(service.as_ref())
            {
                left.push(format!("{}: {failure}", service.name()));
            }
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join("; ").into())
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(failure) = self.stop() {
            eprintln!("services were not stopped: {failure}");
        }
    }
}
