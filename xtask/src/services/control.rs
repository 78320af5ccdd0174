//! Up, down and status of one service.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::launch::Launch;
use super::process::{Process, wait_until};
use super::provider::{Facts, Provider, order};
use super::service::{Compose, Service};
use super::state::{Environment, State};
use crate::failure::{Context, Failure, Result};
use crate::process;
use crate::workspace::Workspace;

/// How to reach what services need: folders, the environment, a container engine.
#[derive(Debug)]
pub(crate) struct Control {
    /// The folder of `compose.yaml`.
    pub(crate) root: PathBuf,
    /// One folder per service below this.
    pub(crate) folder: PathBuf,
    /// Reads a variable of the environment.
    pub(crate) variable: fn(&str) -> Option<String>,
    /// The program that answers to `compose` and `info`.
    pub(crate) docker: PathBuf,
    /// How long a started service may take until it answers.
    pub(crate) patience: Duration,
}

/// A service that answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Up {
    /// It answered before, where it was found.
    Was(Provider, Environment),
    /// It was started now.
    Started(State),
}

/// One line of `services status`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) provider: String,
    pub(crate) state: String,
    pub(crate) version: String,
    pub(crate) pids: String,
    pub(crate) address: String,
}

impl Status {
    fn unknown(state: String) -> Self {
        let none = || "-".to_owned();
        Self {
            provider: none(),
            state,
            version: none(),
            pids: none(),
            address: none(),
        }
    }
}

impl Up {
    pub(crate) fn environment(&self) -> &Environment {
        match self {
            Self::Was(_, environment) | Self::Started(State { environment, .. }) => environment,
        }
    }

    pub(crate) fn provider(&self) -> &'static str {
        match self {
            Self::Was(provider, _) | Self::Started(State { provider, .. }) => provider.name(),
        }
    }

    /// What a shell has to be told; a URL that came from its own environment it knows.
    pub(crate) fn exports(&self) -> impl Iterator<Item = (&String, &String)> {
        let known = matches!(self, Self::Was(Provider::Environment, _));
        self.environment().iter().filter(move |_| !known)
    }
}

impl Control {
    pub(crate) fn new(workspace: &Workspace) -> Self {
        Self {
            root: workspace.root.clone(),
            folder: workspace.target.join("services"),
            variable: |name| std::env::var(name).ok().filter(|value| !value.is_empty()),
            docker: PathBuf::from("docker"),
            // Two cores under a build are slow; a broken start shows in its log long before.
            patience: Duration::from_secs(120),
        }
    }

    /// Makes the service answer, by the first provider that can; `others` says where those are that it needs.
    pub(crate) fn up(&self, service: &dyn Service, others: &Environment) -> Result<Up> {
        let folder = self.folder_of(service);
        let facts = self.facts(service);
        let given = given(service, others);
        if !facts.url_is_set
            && let Some(state) = State::load(&folder)?
        {
            // One that stands before a server which has moved since still answers, for nothing.
            if given.as_ref().is_ok_and(|given| *given == state.given)
                && service.ready(&state.environment).is_ok()
            {
                return Ok(Up::Was(state.provider, state.environment));
            }
            // A start that was interrupted, or a server that died: what is left of it goes first.
            self.end(service, &state)?;
        }
        let mut reasons = Vec::new();
        for &provider in order(facts) {
            let tried = match provider {
                Provider::Environment => self.given(service),
                Provider::Compose => given.clone().and_then(|given| self.compose_up(service, given)),
                Provider::Packages => given.clone().and_then(|given| self.packages_up(service, given)),
            };
            match tried {
                Ok(up) => return Ok(up),
                Err(failure) => reasons.push(format!("{}: {failure}", provider.name())),
            }
        }
        if !facts.url_is_set {
            reasons.insert(0, format!("environment: {} is not set", service.variable()));
        }
        Err(Failure::from(reasons.join("; ")))
    }

    /// Ends what an earlier `up` started.
    pub(crate) fn down(&self, service: &dyn Service) -> Result<&'static str> {
        match State::load(&self.folder_of(service))? {
            Some(state) => self.end(service, &state).map(|()| "stopped"),
            None => Ok("was not started here"),
        }
    }

    pub(crate) fn status(&self, service: &dyn Service) -> Status {
        let folder = self.folder_of(service);
        let mut pids = Vec::new();
        let (provider, environment) = if let Some(url) = (self.variable)(service.variable()) {
            (
                Provider::Environment.name(),
                Some(Environment::from([(service.variable().to_owned(), url)])),
            )
        } else {
            match State::load(&folder) {
                Ok(Some(state)) => {
                    pids = state.processes.iter().map(|p| p.pid.to_string()).collect();
                    (state.provider.name(), Some(state.environment))
                }
                Ok(None) => ("-", None),
                Err(failure) => return Status::unknown(failure.to_string()),
            }
        };
        let (state, version) = match &environment {
            None => ("not started".to_owned(), "-".to_owned()),
            Some(environment) => match service.ready(environment) {
                Ok(()) => {
                    let version = service.version(environment);
                    let version = version.unwrap_or_else(|failure| format!("unknown: {failure}"));
                    ("running".to_owned(), version)
                }
                Err(failure) => (format!("does not answer: {failure}"), "-".to_owned()),
            },
        };
        let url = environment
            .as_ref()
            .and_then(|environment| environment.get(service.variable()));
        let address = url.map_or("-".to_owned(), |url| process::without_password(url));
        Status {
            provider: provider.to_owned(),
            state,
            version,
            pids: if pids.is_empty() {
                "-".to_owned()
            } else {
                pids.join(" ")
            },
            address,
        }
    }

    fn folder_of(&self, service: &dyn Service) -> PathBuf {
        self.folder.join(service.name())
    }

    fn facts(&self, service: &dyn Service) -> Facts {
        let url_is_set = (self.variable)(service.variable()).is_some();
        let has_entry = service.compose(&self.folder_of(service)).is_some();
        let compose_answers = !url_is_set && has_entry && self.engine_answers();
        Facts {
            url_is_set,
            compose_answers,
        }
    }

    fn given(&self, service: &dyn Service) -> Result<Up> {
        let variable = service.variable();
        let url = (self.variable)(variable).context(format_args!("{variable} is not set"))?;
        let environment = Environment::from([(variable.to_owned(), url)]);
        service
            .ready(&environment)
            .context(format_args!("nothing answers at {variable}"))?;
        Ok(Up::Was(Provider::Environment, environment))
    }

    fn docker<const N: usize>(&self, words: [&str; N]) -> Command {
        let mut docker = Command::new(&self.docker);
        docker.current_dir(&self.root).args(words);
        // Where compose.yaml finds what `prepare` made.
        docker.env("KAIREON_SERVICES", &self.folder);
        docker
    }

    fn engine_answers(&self) -> bool {
        let answers = |mut command: Command| process::capture(&mut command).is_ok_and(|c| c.status.success());
        self.root.join("compose.yaml").is_file()
            && answers(self.docker(["info"]))
            && answers(self.docker(["compose", "version"]))
    }

    fn compose_up(&self, service: &dyn Service, given: Environment) -> Result<Up> {
        let folder = self.folder_of(service);
        let Compose {
            service: entry,
            environment,
            given: expected,
        } = service
            .compose(&folder)
            .context("it has no entry in compose.yaml")?;
        if given != expected {
            return Err("in compose.yaml it stands before another server".into());
        }
        std::fs::create_dir_all(&folder).context(folder.display())?;
        service.prepare(&folder)?;
        process::run(&mut self.docker(["compose", "up", "--detach", "--wait", &entry]))?;
        let state = State::compose(environment, given);
        state.save(&folder)?;
        match self.await_answer(service, &state.environment, &[]) {
            Ok(()) => Ok(Up::Started(state)),
            Err(failure) => {
                self.end(service, &state)?;
                Err(failure)
            }
        }
    }

    fn packages_up(&self, service: &dyn Service, given: Environment) -> Result<Up> {
        let folder = self.folder_of(service);
        std::fs::create_dir_all(&folder).context(folder.display())?;
        service.install(&folder)?;
        service.prepare(&folder)?;
        let mut launch = Launch::new(&folder, given);
        let answered = service
            .start(&mut launch)
            .and_then(|()| self.await_answer(service, launch.environment(), launch.processes()));
        let state = launch.into_state();
        match answered {
            Ok(()) => {
                state.save(&folder)?;
                Ok(Up::Started(state))
            }
            Err(failure) => {
                self.end(service, &state)?;
                Err(format!("{failure} (its logs: {})", folder.display()).into())
            }
        }
    }

    fn await_answer(
        &self,
        service: &dyn Service,
        environment: &Environment,
        processes: &[Process],
    ) -> Result<()> {
        let mut last = service.ready(environment);
        let mut died = false;
        wait_until(self.patience, || {
            if last.is_err() {
                died = processes.iter().any(|process| !process.is_alive());
                last = service.ready(environment);
            }
            last.is_ok() || died
        });
        match last {
            Err(failure) if died => Err(format!("it ended before it answered: {failure}").into()),
            Err(failure) => Err(format!("no answer within {:?}: {failure}", self.patience).into()),
            Ok(()) => Ok(()),
        }
    }

    fn end(&self, service: &dyn Service, state: &State) -> Result<()> {
        let folder = self.folder_of(service);
        match state.provider {
            Provider::Environment => {}
            Provider::Compose => {
                let entry = service
                    .compose(&folder)
                    .context("it has no entry in compose.yaml any more")?
                    .service;
                process::run(&mut self.docker(["compose", "rm", "--stop", "--force", "--volumes", &entry]))?;
            }
            Provider::Packages => service.stop(&folder, &state.processes)?,
        }
        State::forget(&folder)
    }
}

/// Where the services are that this one needs.
fn given(service: &dyn Service, others: &Environment) -> Result<Environment> {
    let known = service.requires().iter().map(|need| {
        let url = others
            .get(need.variable)
            .context(format_args!("it needs {}, which is not running", need.service))?;
        Ok((need.variable.to_owned(), url.clone()))
    });
    known.collect()
}
