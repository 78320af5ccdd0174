//! The distribution's PostgreSQL, with TLS.

use std::collections::BTreeSet;
use std::path::Path;

use super::cluster::{self, Addresses, Cluster, PASSWORD};
use super::{BINDIR, URL, answer, programs, psql};
use crate::failure::{Context, Result};
use crate::services::launch::Launch;
use crate::services::port;
use crate::services::process::Process;
use crate::services::service::{Compose, Service};
use crate::services::state::Environment;
use crate::services::tls::{self, Certificates};

const ADMIN_URL: &str = "KAIREON_TEST_PG_ADMIN_URL";
const TLS_URL: &str = "KAIREON_TEST_PG_TLS_URL";
const AUTHORITY: &str = "KAIREON_TEST_PG_CA";

/// Where compose.yaml has it, and where it is here while nobody else is.
const PORT: u16 = 19500;

/// PostgreSQL 15 or newer.
pub(in crate::services) struct Server;

impl Service for Server {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn variable(&self) -> &'static str {
        URL
    }

    fn compose(&self, folder: &Path) -> Option<Compose> {
        let app = compose_url();
        let authority = Certificates::in_folder(&folder.join("tls")).authority;
        let environment = [
            (TLS_URL, cluster::verified(&app).ok()?),
            (ADMIN_URL, app.replacen("app:", "postgres:", 1)),
            (AUTHORITY, authority.display().to_string()),
            (URL, app),
        ];
        Some(Compose {
            service: "postgres".to_owned(),
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            given: Environment::new(),
        })
    }

    fn prepare(&self, folder: &Path) -> Result<()> {
        tls::make(&folder.join("tls")).map(|_| ())
    }

    fn install(&self, _folder: &Path) -> Result<()> {
        programs::folder().map(|_| ())
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let programs = programs::folder()?;
        let tls = Certificates::in_folder(&launch.folder().join("tls"));
        let cluster = Cluster {
            programs: &programs,
            port: port::free(PORT)?,
            tls: Some(tls),
        };
        let Addresses {
            app,
            admin,
            authority,
        } = cluster.start(launch)?;
        launch.export(URL, &app)?;
        launch.export(ADMIN_URL, &admin)?;
        launch.export(TLS_URL, &cluster::verified(&app)?)?;
        let authority = authority.context("the server was started without TLS")?;
        launch.export(AUTHORITY, &authority.display().to_string())?;
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

/// Where it is when compose.yaml runs it.
pub(super) fn compose_url() -> String {
    format!("postgres://app:{PASSWORD}@127.0.0.1:{PORT}/app?sslmode=disable")
}

/// What the server calls itself.
pub(super) fn version(url: &str) -> Result<String> {
    let said = psql::query(url, "SHOW server_version")?;
    said.into_iter().next().context("the server gave no version")
}

/// What a suite could have left: a schema, or a backend that still works or holds a transaction open. An idle
/// backend is a pooler's; a client's goes with its process, and those are looked for by themselves.
const RESIDUE: &str = "
    SELECT 'schema ' || nspname FROM pg_namespace
     WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'public')
     UNION ALL
    SELECT 'table public.' || relname FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
     UNION ALL
    SELECT 'database ' || datname FROM pg_database WHERE NOT datistemplate
     UNION ALL
    SELECT 'role ' || rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%'
     UNION ALL
    SELECT 'connection ' || pid || ', ' || state || ', of ' || coalesce(nullif(application_name, ''), usename)
      FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend'
       AND pid <> pg_backend_pid() AND state <> 'idle'";

pub(super) fn residue(url: &str) -> Result<BTreeSet<String>> {
    Ok(psql::query(url, RESIDUE)?.into_iter().collect())
}
