//! Under which user a server's programs run, because they refuse to run as root.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// The user whom root hands servers to: the first of these that exists.
const USERS: &[&str] = &["postgres", "nobody"];

/// Who owns a server's files and runs its programs.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    /// Whoever runs the test.
    Oneself,
    /// Another user, by name and group.
    User(String, String),
}

impl Owner {
    pub(super) async fn not_root() -> io::Result<Self> {
        if said(Command::new("id").arg("-u")).await?.trim() != "0" {
            return Ok(Self::Oneself);
        }
        for name in USERS {
            if let Ok(group) = said(Command::new("id").args(["-gn", name])).await {
                return Ok(Self::User((*name).to_owned(), group.trim().to_owned()));
            }
        }
        Err(io::Error::other(format!("none of these users exists: {USERS:?}")))
    }

    /// `program`, to be run by the owner; its process id is the program's own.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Oneself => Command::new(program),
            Self::User(name, group) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={name}"))
                    .arg(format!("--regid={group}"))
                    .args(["--init-groups", "--"])
                    .arg(program);
                command
            }
        }
    }

    /// Makes `folder` the owner's.
    pub(super) async fn give(&self, folder: &Path) -> io::Result<()> {
        match self {
            Self::Oneself => Ok(()),
            Self::User(name, group) => {
                let owner = format!("{name}:{group}");
                said(Command::new("chown").arg(owner).arg(folder))
                    .await
                    .map(|_| ())
            }
        }
    }
}

/// What it writes to standard output, if it succeeds.
pub(super) async fn said(command: &mut Command) -> io::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| io::Error::other(format!("{command:?}: {error}")))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!(
            "{command:?}: {}: {errors}",
            output.status
        )))
    }
}
