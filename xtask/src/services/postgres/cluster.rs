//! Makes a cluster with `initdb` and starts its server.

use std::path::{Path, PathBuf};

use super::url::Url;
use crate::failure::{Context, Result};
use crate::process;
use crate::services::launch::Launch;
use crate::services::owner::Owner;
use crate::services::process::Process;
use crate::services::tls::Certificates;

/// Users whom root hands a server or a pooler to.
const USERS: &[&str] = &["postgres", "nobody"];

/// The password of the two roles of a server that lives for a test run on a loopback address.
pub(super) const PASSWORD: &str = "apppw";

/// Settings of every server. Figures are of durable work, so what makes it durable is written out; room for
/// suites in parallel is the only other thing that differs from a fresh server.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("max_connections", "300"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("log_lock_waits", "on"),
];

/// Who runs the servers.
pub(super) fn owner() -> Result<Owner> {
    Owner::not_root(USERS)
}

/// Where what is unpacked for the service in `folder` lies, so that who runs it can enter.
pub(super) fn place(folder: &Path) -> Result<PathBuf> {
    owner()?.place(folder)
}

/// How a server is started.
pub(super) struct Cluster<'a> {
    /// The folder of `initdb` and `postgres`.
    pub(super) programs: &'a Path,
    /// Where it listens, on 127.0.0.1 and ::1.
    pub(super) port: u16,
    /// Made by [`tls::make`](crate::services::tls::make); without them it speaks no TLS.
    pub(super) tls: Option<Certificates>,
}

/// Who can log in, and where.
pub(super) struct Addresses {
    /// The role that suites use: owner of the database `app`, and nothing more.
    pub(super) app: String,
    /// The superuser.
    pub(super) admin: String,
    /// The file that a client trusts.
    pub(super) authority: Option<PathBuf>,
}

impl Cluster<'_> {
    /// Makes a new cluster, whatever was there before, and starts it.
    pub(super) fn start(self, launch: &mut Launch) -> Result<Addresses> {
        let owner = owner()?;
        let place = owner.place(launch.folder())?;
        let data = owner.empty(&place, "data")?;
        self.initialize(&owner, &place, &data)?;
        let authority = self.configure(&owner, &place, &data)?;
        self.create_database(&owner, &data)?;

        let mut server = owner.command(&self.programs.join("postgres"));
        launch.spawn(server.arg("-D").arg(&data), "server")?;
        let Self { port, .. } = self;
        // Without `sslmode` a client would prefer TLS, which costs, and which no proxy can read.
        let url = |login: &str, name: &str| {
            format!("postgres://{login}:{PASSWORD}@127.0.0.1:{port}/{name}?sslmode=disable")
        };
        Ok(Addresses {
            app: url("app", "app"),
            admin: url("postgres", "app"),
            authority,
        })
    }

    fn initialize(&self, owner: &Owner, place: &Path, data: &Path) -> Result<()> {
        let password = place.join("password");
        std::fs::write(&password, PASSWORD).context(password.display())?;
        owner.give(&password)?;
        let mut initdb = owner.command(&self.programs.join("initdb"));
        initdb
            .current_dir(data)
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"])
            // Sorts by code point everywhere, and still knows letters where the system has that locale.
            .arg(if cfg!(target_os = "linux") {
                "--locale=C.UTF-8"
            } else {
                "--locale=C"
            })
            .arg("--pgdata")
            .arg(data)
            .arg("--pwfile")
            .arg(&password);
        process::stdout_of(&mut initdb).map(|_| ())
    }

    fn configure(&self, owner: &Owner, place: &Path, data: &Path) -> Result<Option<PathBuf>> {
        let mut lines = vec![
            "listen_addresses = 'localhost'".to_owned(),
            format!("port = {}", self.port),
            // A socket's path may be no longer than 107 bytes, and a checkout's is what it is.
            "unix_socket_directories = ''".to_owned(),
        ];
        lines.extend(SETTINGS.iter().map(|(name, value)| format!("{name} = {value}")));
        let mut authority = None;
        if let Some(made) = &self.tls {
            let folder = owner.empty(place, "server-tls")?;
            let files = Certificates::in_folder(&folder);
            for (from, to) in [
                (&made.authority, &files.authority),
                (&made.certificate, &files.certificate),
                (&made.key, &files.key),
            ] {
                std::fs::copy(from, to).context(to.display())?;
            }
            owner.give(&folder)?;
            lines.push("ssl = on".to_owned());
            lines.push(format!("ssl_cert_file = '{}'", files.certificate.display()));
            lines.push(format!("ssl_key_file = '{}'", files.key.display()));
            authority = Some(files.authority);
        }
        let path = data.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&path).context(path.display())?;
        text.push_str(&lines.join("\n"));
        text.push('\n');
        std::fs::write(&path, text).context(path.display())?;
        Ok(authority)
    }

    /// Before the server listens, so that whoever reaches it finds the database there.
    fn create_database(&self, owner: &Owner, data: &Path) -> Result<()> {
        let mut single = owner.command(&self.programs.join("postgres"));
        single
            .current_dir(data)
            .args(["--single", "-j", "-D"])
            .arg(data)
            .arg("postgres");
        process::answer_to(&mut single, &database_statements()).map(|_| ())
    }
}

/// In the form of a server without clients: an empty line ends a statement.
fn database_statements() -> String {
    format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';\n\nCREATE DATABASE app OWNER app;\n\n")
}

/// Ends the server at once but in order: by SIGTERM it would wait for its clients to leave.
pub(super) fn stop(folder: &Path, processes: &[Process]) -> Result<()> {
    crate::services::process::end_by("INT", processes)?;
    let data = place(folder)?.join("data");
    match std::fs::remove_dir_all(&data) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", data.display()).into())
        }
        _ => Ok(()),
    }
}

/// The same server by the name that its certificate holds, checked against it.
pub(super) fn verified(url: &str) -> Result<String> {
    let Url {
        user,
        password,
        port,
        database,
        ..
    } = Url::parse(url)?;
    Ok(format!(
        "postgres://{user}:{password}@localhost:{port}/{database}?sslmode=verify-full"
    ))
}

#[cfg(test)]
mod tests {
    use super::SETTINGS;

    #[test]
    fn containers_have_the_same_settings() {
        let yaml = include_str!("../../../../compose.yaml");
        for (name, value) in SETTINGS {
            let servers = yaml.matches(&format!("- -c{name}={value}\n")).count();
            assert_eq!(servers, 2, "{name} = {value}");
        }
    }
}
