//! What a run left behind: on its servers, and as processes that should have ended with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::process::wait_until;
use super::session::{RUN, Session};
use crate::failure::Result;

/// What was on each server before the run. What was there then is nobody's leak: a server may be older.
#[derive(Debug)]
pub(crate) struct Leaks {
    before: BTreeMap<String, Result<BTreeSet<String>>>,
}

impl Leaks {
    pub(crate) fn before(session: &Session) -> Self {
        let looked = session.up().map(|(service, up)| {
            let found = service.residue(up.environment());
            (service.name().to_owned(), found)
        });
        Self {
            before: looked.collect(),
        }
    }

    /// What is there now and was not before, looked for again until it is gone or the time is up. A server
    /// that cannot be asked is named as well: nobody knows what is on it.
    pub(crate) fn after(&self, session: &Session, patience: Duration) -> Vec<String> {
        let mut found = Vec::new();
        wait_until(patience, || {
            found = self.on_servers(session);
            found.extend(processes_of(session.run()));
            found.is_empty()
        });
        found
    }

    fn on_servers(&self, session: &Session) -> Vec<String> {
        let mut found = Vec::new();
        for (service, up) in session.up() {
            let name = service.name();
            let now = service.residue(up.environment());
            match (self.before.get(name), &now) {
                (Some(Ok(before)), Ok(now)) => {
                    found.extend(now.difference(before).map(|left| format!("{name}: {left}")));
                }
                (Some(Err(failure)), _) | (_, Err(failure)) => {
                    found.push(format!("{name} cannot be asked: {failure}"));
                }
                (None, Ok(_)) => {}
            }
        }
        found
    }
}

/// The processes that carry the run's mark. Only where the system shows a process's environment, and only
/// those that this user may look at, which are those that it can have started.
fn processes_of(run: &str) -> Vec<String> {
    let mark = format!("{RUN}={run}");
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let marked = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_string_lossy().parse().ok()?;
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let carries = environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == mark.as_bytes());
        let words = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        carries.then(|| format!("process {pid}: {}", words.trim()))
    });
    marked.collect()
}
