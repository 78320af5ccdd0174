//! Services that are shell scripts, for the tests of what takes services up and down.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::failure::{Context, Result};
use crate::services::launch::Launch;
use crate::services::process::Process;
use crate::services::service::{Compose, Need, Service};
use crate::services::state::Environment;

/// Writes a file when it is ready, and waits to be ended.
pub(super) const SERVER: &str = "echo pong > \"$1\"; exec sleep 300";
/// Never ready.
pub(super) const DEAF: &str = "exec sleep 300";
/// Ends before it is ready.
pub(super) const BROKEN: &str = "echo no such configuration; exit 1";

/// Its URL is the file that the server answers through.
pub(super) struct Fake {
    pub(super) script: &'static str,
    pub(super) compose: bool,
    pub(super) installs: bool,
}

pub(super) const FAKE: Fake = Fake {
    script: SERVER,
    compose: false,
    installs: true,
};

impl Service for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn variable(&self) -> &'static str {
        "KAIREON_TEST_FAKE_URL"
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        let url = ("KAIREON_TEST_FAKE_URL".to_owned(), "compose-answer".to_owned());
        self.compose.then(|| Compose {
            service: "fake-entry".to_owned(),
            environment: [url].into(),
            given: Environment::new(),
        })
    }

    fn install(&self, _folder: &Path) -> Result<()> {
        if self.installs {
            Ok(())
        } else {
            Err("the package is not to be had".into())
        }
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let answer = launch.folder().join("answer").display().to_string();
        launch.export(self.variable(), &answer)?;
        launch.spawn(
            Command::new("sh").args(["-c", self.script, "sh", &answer]),
            "server",
        )
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        let path = environment.get(self.variable()).context("no URL")?;
        if path == "compose-answer" {
            return Ok(());
        }
        match std::fs::read_to_string(path).context(path)?.trim() {
            "pong" => Ok(()),
            other => Err(format!("answered {other:?}").into()),
        }
    }

    fn version(&self, _environment: &Environment) -> Result<String> {
        Ok("fake 1".to_owned())
    }

    fn residue(&self, environment: &Environment) -> Result<BTreeSet<String>> {
        let path = environment.get(self.variable()).context("no URL")?;
        let left = std::fs::read_to_string(Path::new(path).with_file_name("left")).unwrap_or_default();
        Ok(left.lines().map(str::to_owned).collect())
    }

    fn stop(&self, folder: &Path, processes: &[Process]) -> Result<()> {
        let _ = std::fs::remove_file(folder.join("answer"));
        crate::services::process::end(processes)
    }
}

/// A service that is told where another one is.
pub(super) struct Before;

impl Service for Before {
    fn name(&self) -> &'static str {
        "before"
    }

    fn variable(&self) -> &'static str {
        FAKE.variable()
    }

    fn requires(&self) -> &'static [Need] {
        &[Need {
            service: "fake-server",
            variable: "KAIREON_TEST_FAKE_SERVER_URL",
        }]
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        None
    }

    fn install(&self, _folder: &Path) -> Result<()> {
        Ok(())
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        launch.given("KAIREON_TEST_FAKE_SERVER_URL")?;
        FAKE.start(launch)
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        FAKE.ready(environment)
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        FAKE.version(environment)
    }

    fn stop(&self, folder: &Path, processes: &[Process]) -> Result<()> {
        FAKE.stop(folder, processes)
    }
}
