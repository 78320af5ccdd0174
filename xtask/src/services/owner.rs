//! Under which user a server runs, and where its data lie so that this user can reach them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Result};
use crate::{process, scratch};

/// Who owns a server's files and runs its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// Whoever runs this command.
    Oneself,
    /// Another user, because servers refuse to run as root.
    User { name: String, group: String },
}

impl Owner {
    /// Root hands over to the first of `users` that exists.
    pub(super) fn not_root(users: &[&str]) -> Result<Self> {
        if !crate::test::is_root() {
            return Ok(Self::Oneself);
        }
        let group_of = |name: &str| process::stdout_of(Command::new("id").args(["-gn", name])).ok();
        users
            .iter()
            .find_map(|&name| {
                let group = group_of(name)?.trim().to_owned();
                let name = name.to_owned();
                Some(Self::User { name, group })
            })
            .context(format_args!("none of these users exists: {}", users.join(", ")))
    }

    /// `program`, to be run by the owner; its process id is the program's own.
    pub(super) fn command(&self, program: &Path) -> Command {
        match self {
            Self::Oneself => Command::new(program),
            Self::User { name, group } => {
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

    /// Makes everything below `path` the owner's.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        match self {
            Self::Oneself => Ok(()),
            Self::User { name, group } => {
                let owner = format!("{name}:{group}");
                process::stdout_of(Command::new("chown").args(["-R", &owner]).arg(path)).map(|_| ())
            }
        }
    }

    /// Where data of the service in `folder` lie: there, unless the owner cannot enter it, as below root's
    /// home; then in a folder of the same meaning under `/var/tmp`.
    pub(super) fn place(&self, folder: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(folder).context(folder.display())?;
        if self.can_enter(folder) {
            return Ok(folder.to_owned());
        }
        let mut hasher = DefaultHasher::new();
        folder.hash(&mut hasher);
        let place = PathBuf::from(format!("/var/tmp/kaireon-services-{:016x}", hasher.finish()));
        std::fs::create_dir_all(&place).context(place.display())?;
        if self.can_enter(&place) {
            Ok(place)
        } else {
            Err(format!(
                "{self:?} can enter neither {} nor {}",
                folder.display(),
                place.display()
            )
            .into())
        }
    }

    fn can_enter(&self, folder: &Path) -> bool {
        let mut enter = self.command(Path::new("sh"));
        enter.current_dir("/").args(["-c", "cd \"$1\"", "sh"]).arg(folder);
        process::capture(&mut enter).is_ok_and(|entered| entered.status.success())
    }

    /// An empty folder `name` at the place, the owner's.
    pub(super) fn empty(&self, place: &Path, name: &str) -> Result<PathBuf> {
        let path = place.join(name);
        scratch::empty(&path)?;
        self.give(&path)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::Owner;
    use crate::process;
    use crate::scratch::Scratch;

    #[test]
    fn a_server_never_runs_as_root_and_always_finds_its_folder() {
        let owner = Owner::not_root(&["no-such-user", "nobody"]).unwrap();
        let uid = process::stdout_of(owner.command(Path::new("id")).arg("-u")).unwrap();
        assert_ne!(uid.trim(), "0");

        let scratch = Scratch::new(&std::env::temp_dir(), "owner").unwrap();
        assert_eq!(owner.place(scratch.path()).unwrap(), scratch.path());
        let data = owner.empty(scratch.path(), "data").unwrap();
        let mut touch = owner.command(Path::new("touch"));
        process::stdout_of(touch.arg(data.join("file"))).unwrap();

        if owner != Owner::Oneself {
            let closed = scratch.path().join("closed");
            std::fs::create_dir(&closed).unwrap();
            std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
            let place = owner.place(&closed.join("postgres")).unwrap();
            assert!(place.starts_with("/var/tmp"), "{}", place.display());
            std::fs::remove_dir(place).unwrap();
        }
    }

    #[test]
    fn root_without_another_user_is_an_error() {
        if crate::test::is_root() {
            assert!(Owner::not_root(&["no-such-user"]).is_err());
        } else {
            assert_eq!(Owner::not_root(&[]).unwrap(), Owner::Oneself);
        }
    }
}
