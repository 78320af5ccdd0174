//! One server, with TLS beside plain TCP.

use std::collections::BTreeSet;
use std::path::Path;

use super::node::{self, Kind, Node};
use super::wire::{self, Wire};
use super::{BINDIR, URL, programs, residue};
use crate::failure::Result;
use crate::services::launch::Launch;
use crate::services::port;
use crate::services::process::Process;
use crate::services::service::{Compose, Service};
use crate::services::state::Environment;
use crate::services::tls::{self, Certificates};

const RESTRICTED_URL: &str = "KAIREON_TEST_REDIS_RESTRICTED_URL";
const ADMIN_URL: &str = "KAIREON_TEST_REDIS_ADMIN_URL";
const TLS_URL: &str = "KAIREON_TEST_REDIS_TLS_URL";
const AUTHORITY: &str = "KAIREON_TEST_REDIS_CA";

/// Where compose.yaml has it, and where it is here while nobody else is.
const PORT: u16 = 19600;
const TLS_PORT: u16 = 19601;

/// Redis 7 or newer.
pub(in crate::services) struct Server;

impl Service for Server {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn variable(&self) -> &'static str {
        URL
    }

    fn compose(&self, folder: &Path) -> Option<Compose> {
        Some(Compose {
            service: "redis".to_owned(),
            environment: addresses(folder, PORT, TLS_PORT).into(),
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
        let (port, tls_port) = (port::free(PORT)?, port::free(TLS_PORT)?);
        let Certificates {
            authority,
            certificate,
            key,
        } = Certificates::in_folder(&launch.folder().join("tls"));
        let settings = vec![
            format!("tls-port {tls_port}"),
            format!("tls-cert-file {}", certificate.display()),
            format!("tls-key-file {}", key.display()),
            format!("tls-ca-cert-file {}", authority.display()),
            "tls-auth-clients no".to_owned(),
        ];
        let node = Node {
            programs: &programs,
            name: "server".to_owned(),
            port,
            settings,
            kind: Kind::Data,
        };
        node.start(launch)?;
        for (name, value) in addresses(launch.folder(), port, tls_port) {
            launch.export(&name, &value)?;
        }
        launch.export(BINDIR, &programs.display().to_string())
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        wire::greet(self.url(environment)?)
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        Wire::to_first(self.url(environment)?)?.info("server", "redis_version")
    }

    fn residue(&self, environment: &Environment) -> Result<BTreeSet<String>> {
        residue::keys(self.url(environment)?)
    }

    fn stop(&self, folder: &Path, processes: &[Process]) -> Result<()> {
        node::stop(folder, processes)
    }
}

/// What suites find in their environment.
fn addresses(folder: &Path, port: u16, tls_port: u16) -> [(String, String); 5] {
    let authority = Certificates::in_folder(&folder.join("tls")).authority;
    let of = |user: &str| node::url(user, &[port]);
    [
        (URL, of("app")),
        (RESTRICTED_URL, of("upstash")),
        (ADMIN_URL, of("admin")),
        (
            TLS_URL,
            format!("rediss://app:{}@localhost:{tls_port}", node::PASSWORD),
        ),
        (AUTHORITY, authority.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}
