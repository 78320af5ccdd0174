//! The distribution's PgBouncer in transaction mode, before the first server.

use std::path::{Path, PathBuf};

use super::cluster::{self, PASSWORD};
use super::server::compose_url;
use super::url::Url;
use super::{URL, answer, psql};
use crate::failure::{Context, Result};
use crate::services::install;
use crate::services::launch::Launch;
use crate::services::port;
use crate::services::service::{Compose, Need, Service};
use crate::services::state::Environment;

/// What is needed to stand before it.
pub(super) const NEEDS: &[Need] = &[Need {
    service: "postgres",
    variable: URL,
}];

/// Who may ask the pooler about itself; no role of the server.
const ADMIN: &str = "pooladmin";

/// One of the two poolers.
pub(super) struct Pooler {
    /// In compose.yaml.
    pub(super) entry: &'static str,
    /// Where suites find it.
    pub(super) variable: &'static str,
    /// Where whoever asks it about itself finds it.
    pub(super) admin_variable: &'static str,
    /// Where compose.yaml has it, and where it is here while nobody else is.
    pub(super) port: u16,
    /// Lines of its configuration that the other one does not have.
    pub(super) settings: &'static str,
}

/// The version of the distribution: before 1.21, prepared statements are not followed from server to server.
pub(in crate::services) struct Bouncer;

const POOLER: Pooler = Pooler {
    entry: "pgbouncer",
    variable: "KAIREON_TEST_PGBOUNCER_URL",
    admin_variable: "KAIREON_TEST_PGBOUNCER_ADMIN_URL",
    port: 19520,
    settings: "",
};

impl Service for Bouncer {
    fn name(&self) -> &'static str {
        "pgbouncer"
    }

    fn variable(&self) -> &'static str {
        POOLER.variable
    }

    fn requires(&self) -> &'static [Need] {
        NEEDS
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        Some(POOLER.compose())
    }

    fn install(&self, _folder: &Path) -> Result<()> {
        install::program_of("pgbouncer", "pgbouncer").map(|_| ())
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let program = install::program_of("pgbouncer", "pgbouncer")?;
        POOLER.start(launch, &[program])
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        POOLER.ready(environment)
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        POOLER.version(environment)
    }
}

impl Pooler {
    pub(super) fn compose(&self) -> Compose {
        let Self {
            entry,
            variable,
            admin_variable,
            port,
            ..
        } = self;
        let environment = [
            (*variable, address("app", *port, "app")),
            (*admin_variable, address(ADMIN, *port, "pgbouncer")),
        ];
        Compose {
            service: (*entry).to_owned(),
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            given: [(URL.to_owned(), compose_url())].into(),
        }
    }

    /// Starts `program`, its own words first, before the server that the launch was given.
    pub(super) fn start(&self, launch: &mut Launch, program: &[PathBuf]) -> Result<()> {
        let server = Url::parse(launch.given(URL)?)?;
        let owner = cluster::owner()?;
        let place = owner.place(launch.folder())?;
        let folder = owner.empty(&place, "pooler")?;
        let port = port::free(self.port)?;
        let configuration = folder.join("pgbouncer.ini");
        let users = folder.join("users.txt");
        for (path, text) in [
            (&configuration, self.configuration(&server, port, &users)),
            (&users, self::users(&server)),
        ] {
            std::fs::write(path, text).context(path.display())?;
        }
        owner.give(&folder)?;

        let (first, words) = program.split_first().context("no program")?;
        let mut command = owner.command(first);
        launch.spawn(command.args(words).arg(&configuration), "pooler")?;
        let login = Url { port, ..server };
        launch.export(
            self.variable,
            &format!(
                "postgres://{}:{}@127.0.0.1:{port}/{}?sslmode=disable",
                login.user, login.password, login.database
            ),
        )?;
        launch.export(self.admin_variable, &address(ADMIN, port, "pgbouncer"))
    }

    /// As the package comes, except for transaction mode: in particular no parameter of a client's start is
    /// ignored, because what works only with a lenient pooler does not work.
    fn configuration(&self, server: &Url, port: u16, users: &Path) -> String {
        let Url {
            host,
            port: server_port,
            ..
        } = server;
        let users = users.display();
        let settings = self.settings;
        format!(
            "[databases]\n\
             * = host={host} port={server_port}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = scram-sha-256\n\
             auth_file = {users}\n\
             admin_users = {ADMIN}\n\
             pool_mode = transaction\n\
             default_pool_size = 20\n\
             max_client_conn = 1500\n\
             {settings}"
        )
    }

    pub(super) fn ready(&self, environment: &Environment) -> Result<()> {
        answer::ask(environment.get(self.variable).context("it has no URL")?)
    }

    pub(super) fn version(&self, environment: &Environment) -> Result<String> {
        let admin = environment
            .get(self.admin_variable)
            .context(format_args!("{} is not set", self.admin_variable))?;
        let said = psql::query(admin, "SHOW VERSION")?;
        said.into_iter().next().context("the pooler gave no version")
    }
}

fn users(server: &Url) -> String {
    let Url { user, password, .. } = server;
    format!("\"{user}\" \"{password}\"\n\"{ADMIN}\" \"{PASSWORD}\"\n")
}

fn address(user: &str, port: u16, database: &str) -> String {
    format!("postgres://{user}:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
}
