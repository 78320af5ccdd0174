//! A PgBouncer that follows prepared statements: the distribution's where it is new enough, otherwise that of
//! Debian's next release, unpacked privately with the libraries it needs and run by its own loader.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::bouncer::{NEEDS, Pooler};
use super::cluster;
use crate::failure::{Context, Result};
use crate::services::install;
use crate::services::launch::Launch;
use crate::services::service::{Compose, Need, Service};
use crate::services::state::Environment;
use crate::{process, scratch};

/// The first version with `max_prepared_statements`.
const LOWEST: &[u32] = &[1, 21];

/// The release whose package is unpacked, and what that package links to.
const RELEASE: &str = "trixie";
const PACKAGES: &[&str] = &[
    "pgbouncer",
    "libc6",
    "libevent-2.1-7t64",
    "libcares2",
    "libssl3t64",
    "libpam0g",
    "libsystemd0",
    "libcap2",
    "libaudit1",
    "libcap-ng0",
    "libgcc-s1",
    "libzstd1",
    "zlib1g",
];

const POOLER: Pooler = Pooler {
    entry: "pgbouncer-new",
    variable: "KAIREON_TEST_PGBOUNCER_NEW_URL",
    admin_variable: "KAIREON_TEST_PGBOUNCER_NEW_ADMIN_URL",
    port: 19521,
    // 1.24's own default, and 0 before: written out, so that each version does the same.
    settings: "max_prepared_statements = 200\n",
};

/// PgBouncer 1.21 or newer.
pub(in crate::services) struct NewBouncer;

impl Service for NewBouncer {
    fn name(&self) -> &'static str {
        "pgbouncer-new"
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

    fn install(&self, folder: &Path) -> Result<()> {
        if installed_is_new() {
            return Ok(());
        }
        let place = cluster::place(folder)?;
        if unpacked(&place).is_ok() {
            return Ok(());
        }
        unpack(&place)
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let program = match install::program(&["pgbouncer"]) {
            Some(program) if installed_is_new() => vec![program],
            _ => unpacked(&cluster::place(launch.folder())?)?,
        };
        POOLER.start(launch, &program)
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        POOLER.ready(environment)
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        POOLER.version(environment)
    }
}

fn installed_is_new() -> bool {
    let said = install::program(&["pgbouncer"])
        .and_then(|program| process::stdout_of(Command::new(program).arg("--version")).ok());
    // "PgBouncer 1.18.0", then a line for each library.
    said.as_deref()
        .and_then(|said| said.lines().next()?.strip_prefix("PgBouncer "))
        .is_some_and(|version| install::at_least(version, LOWEST))
}

/// The words that run it: the release's loader, told where its libraries are.
fn unpacked(folder: &Path) -> Result<Vec<PathBuf>> {
    let root = folder.join("next/root");
    let program = root.join("usr/sbin/pgbouncer");
    let libraries = root.join("usr/lib");
    let found = std::fs::read_dir(&libraries).context(libraries.display())?;
    let loader = found.flatten().find_map(|entry| {
        let files = std::fs::read_dir(entry.path()).ok()?;
        let mut paths = files.flatten().map(|file| file.path());
        paths.find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("ld-linux")
        })
    });
    let loader = loader.context(format_args!("{} has no loader", libraries.display()))?;
    let folder = loader.parent().context("a loader lies in a folder")?.to_owned();
    if !program.is_file() {
        return Err(format!("{} is absent", program.display()).into());
    }
    Ok(vec![loader, "--library-path".into(), folder, program])
}

fn unpack(folder: &Path) -> Result<()> {
    let next = folder.join("next");
    scratch::empty(&next)?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    if install::program(&["apt-get"]).is_none() || !Path::new(keys).is_file() {
        return Err(
            "not installed in a version from 1.21, and only Debian's next release can be unpacked".into(),
        );
    }
    for made in [
        "state/lists/partial",
        "cache/archives/partial",
        "etc/parts",
        "packages",
        "root",
    ] {
        let made = next.join(made);
        std::fs::create_dir_all(&made).context(made.display())?;
    }
    let (status, sources) = (next.join("status"), next.join("etc/sources.list"));
    std::fs::write(&status, "").context(status.display())?;
    let line = format!("deb [signed-by={keys}] {} {RELEASE} main\n", mirror()?);
    std::fs::write(&sources, line).context(sources.display())?;

    // Everything that apt remembers lies in this folder: nothing of the system's own is touched.
    let apt = |words: &[&str]| {
        let mut apt = Command::new("apt-get");
        for (option, path) in [
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Etc::sourcelist", "etc/sources.list"),
            ("Dir::Etc::sourceparts", "etc/parts"),
        ] {
            apt.arg("-o")
                .arg(format!("{option}={}", next.join(path).display()));
        }
        // Its user for downloads cannot write below root's folders.
        apt.args(["-o", "APT::Sandbox::User=root"]).args(words);
        apt.current_dir(next.join("packages"));
        apt
    };
    process::run(&mut apt(&["update", "--quiet", "--quiet"]))?;
    process::run(apt(&["download", "--quiet", "--quiet"]).args(PACKAGES))?;
    let packages = std::fs::read_dir(next.join("packages")).context("what apt downloaded")?;
    for package in packages.flatten() {
        let mut dpkg = Command::new("dpkg");
        process::stdout_of(dpkg.arg("-x").arg(package.path()).arg(next.join("root")))?;
    }
    process::stdout_of(Command::new("chmod").args(["-R", "a+rX"]).arg(next.join("root")))?;
    unpacked(folder).map(|_| ())
}

/// The mirror that this machine uses for Debian itself.
fn mirror() -> Result<String> {
    let files = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    texts
        .into_iter()
        .find_map(|text| mirror_in(&text))
        .context("apt's sources name no mirror of Debian")
}

/// Both forms of apt's sources: `URIs: http://…`, and `deb [options] http://… release main`.
fn mirror_in(sources: &str) -> Option<String> {
    sources.lines().find_map(|line| {
        let line = line.trim();
        let words = line.strip_prefix("URIs:").or_else(|| line.strip_prefix("deb "))?;
        let url = words.split_whitespace().find(|word| word.contains("://"))?;
        Some(url.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::mirror_in;

    #[test]
    fn the_mirror_is_read_from_either_form() {
        let deb822 =
            "Types: deb\n# http://snapshot.example/x\nURIs: http://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(mirror_in(deb822).as_deref(), Some("http://mirror.example/debian"));
        let line = "# a comment\ndeb [arch=amd64] https://mirror.example/debian bookworm main\n";
        assert_eq!(mirror_in(line).as_deref(), Some("https://mirror.example/debian"));
        assert_eq!(mirror_in("Types: deb\n"), None);
    }
}
