//! What the server says about itself.

use kaireon_core::store::Durability;
use kaireon_core::{Error, ErrorKind, Result};

/// The oldest server that the tables and statements of the family are written for.
const OLDEST: i32 = 15;

/// What a server said about itself when it was connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its version in digits: 150018 is 15.18.
    pub version: i32,
    /// Whether it is a replica, on which every write fails until it is promoted.
    pub in_recovery: bool,
    /// Whether what it acknowledges survives a crash and a loss of power.
    pub durability: Durability,
    /// The level at which units of work commit.
    pub synchronous_commit: &'static str,
}

impl ServerInfo {
    /// The version as it is written: `15.18`.
    #[must_use]
    pub fn version_text(&self) -> String {
        format!("{}.{}", self.version / 10_000, self.version % 10_000)
    }
}

/// What the server's settings make of an acknowledgement. `synchronous_commit` is not among them: it is set for every
/// unit of work.
pub(crate) fn durability(fsync: &str, full_page_writes: &str) -> Durability {
    let volatile = |why: &'static str| Durability::Volatile(why.into());
    match (fsync, full_page_writes) {
        ("on", "on") => Durability::Durable,
        ("on", _) => volatile("full_page_writes is off: a loss of power may tear a page for good"),
        _ => volatile("fsync is off: a loss of power loses what was acknowledged"),
    }
}

/// Refuses a server that is too old, by name.
pub(crate) fn check_version(version: i32) -> Result<()> {
    if version / 10_000 >= OLDEST {
        return Ok(());
    }
    let found = format!("{}.{}", version / 10_000, version % 10_000);
    Err(Error::new(
        ErrorKind::Config,
        format!("postgresql {found} is not supported, {OLDEST} or newer is needed"),
    )
    .with_backend(super::BACKEND)
    .with_operation("connect"))
}

/// The level to commit at: what the server has by default, unless that acknowledges before the flush.
pub(crate) fn commit_level(found: &str) -> &'static str {
    match found {
        "remote_apply" => "remote_apply",
        "remote_write" => "remote_write",
        "local" => "local",
        // `off`, and whatever a later server may name.
        _ => "on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_by_its_version() {
        for version in [150_000, 150_018, 180_004] {
            assert!(check_version(version).is_ok());
        }
        let error = check_version(140_023).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.context().contains("14.23") && error.context().contains("15 or newer"));
        assert!(check_version(90_624).is_err());
    }

    #[test]
    fn a_server_that_does_not_flush_says_so() {
        assert_eq!(durability("on", "on"), Durability::Durable);
        for (fsync, pages, why) in [
            ("off", "on", "fsync"),
            ("off", "off", "fsync"),
            ("on", "off", "full_page_writes"),
        ] {
            let Durability::Volatile(said) = durability(fsync, pages) else {
                panic!("{why} is off");
            };
            assert!(said.starts_with(why), "{said}");
        }
    }

    #[test]
    fn a_level_that_acknowledges_before_the_flush_is_raised() {
        for (found, level) in [
            ("off", "on"),
            ("on", "on"),
            ("local", "local"),
            ("remote_write", "remote_write"),
            ("remote_apply", "remote_apply"),
            ("later", "on"),
        ] {
            assert_eq!(commit_level(found), level);
        }
    }
}
