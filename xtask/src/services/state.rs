//! What is remembered of a started service between two commands: `target/services/<name>/state.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::process::Process;
use super::provider::Provider;
use crate::failure::{Context, Result};

/// Variables for suites, by name.
pub(crate) type Environment = BTreeMap<String, String>;

/// A service that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) provider: Provider,
    pub(crate) processes: Vec<Process>,
    pub(crate) environment: Environment,
    /// Where the services that it needs were when it started.
    pub(crate) given: Environment,
}

impl State {
    pub(crate) fn packages(given: Environment) -> Self {
        Self {
            provider: Provider::Packages,
            processes: Vec::new(),
            environment: Environment::new(),
            given,
        }
    }

    pub(crate) fn compose(environment: Environment, given: Environment) -> Self {
        Self {
            provider: Provider::Compose,
            processes: Vec::new(),
            environment,
            given,
        }
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let processes = self.processes.iter();
        let value = json!({
            "provider": self.provider.name(),
            "processes": processes.map(|p| json!({"pid": p.pid, "started": p.started})).collect::<Vec<_>>(),
            "environment": self.environment,
            "given": self.given,
        });
        std::fs::create_dir_all(folder).context(folder.display())?;
        let path = folder.join("state.json");
        std::fs::write(&path, value.to_string()).context(path.display())
    }

    /// What was saved, or nothing where nothing was.
    pub(crate) fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("state.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display()).into()),
        };
        let state = serde_json::from_str(&text).ok().as_ref().and_then(Self::parse);
        state
            .map(Some)
            .context(format_args!("{} is not a state of this command", path.display()))
    }

    pub(crate) fn forget(folder: &Path) -> Result<()> {
        let path = folder.join("state.json");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {error}", path.display()).into())
            }
            _ => Ok(()),
        }
    }

    fn parse(value: &Value) -> Option<Self> {
        let process = |value: &Value| {
            let pid = u32::try_from(value["pid"].as_u64()?).ok()?;
            Some(Process {
                pid,
                started: value["started"].as_str()?.to_owned(),
            })
        };
        let variable = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        let variables = |value: &Value| value.as_object()?.iter().map(variable).collect::<Option<_>>();
        Some(Self {
            provider: Provider::from_name(value["provider"].as_str()?)?,
            processes: value["processes"]
                .as_array()?
                .iter()
                .map(process)
                .collect::<Option<_>>()?,
            environment: variables(&value["environment"])?,
            given: variables(&value["given"])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::State;
    use crate::scratch::Scratch;
    use crate::services::process::Process;

    #[test]
    fn a_state_is_read_as_it_was_saved() {
        let scratch = Scratch::new(&std::env::temp_dir(), "state").unwrap();
        assert_eq!(State::load(scratch.path()).unwrap(), None);
        let given = [("OTHER_URL".to_owned(), "x".to_owned())];
        let mut state = State::packages(given.into());
        state.processes.push(Process {
            pid: 7,
            started: "42".to_owned(),
        });
        state.environment.insert("URL".to_owned(), "redis://x".to_owned());
        state.save(scratch.path()).unwrap();
        assert_eq!(State::load(scratch.path()).unwrap(), Some(state));
        std::fs::write(scratch.path().join("state.json"), "{}").unwrap();
        assert!(State::load(scratch.path()).is_err());
        State::forget(scratch.path()).unwrap();
        State::forget(scratch.path()).unwrap();
        assert_eq!(State::load(scratch.path()).unwrap(), None);
    }
}
