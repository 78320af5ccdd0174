//! How each part is, for readiness probes.

use std::fmt;
use std::time::Duration;

use kaireon_core::outbox::Lane;
use kaireon_core::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::report::Part;
use crate::set::Set;

/// How long one part may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How one part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// It answered.
    Up,
    /// It did not, or with an error.
    Down,
    /// It has no sign of life to give (`ping` is `Unsupported`): not counted as down.
    Unknown,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// How one part is, and how it shows.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PartHealth {
    /// Which part.
    pub part: Part,
    /// Its backend.
    pub backend: String,
    /// How it is.
    pub status: Status,
    /// The error, where it is down.
    #[serde(serialize_with = "as_text")]
    pub error: Option<Error>,
    /// How many outbox entries wait to be published; of the relay alone.
    pub backlog: Option<u64>,
}

fn as_text<S: serde::Serializer>(error: &Option<Error>, serializer: S) -> Result<S::Ok, S::Error> {
    match error {
        Some(error) => serializer.collect_str(error),
        None => serializer.serialize_none(),
    }
}

/// How every part is. Serialises to what a readiness endpoint may answer; errors are without secrets.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether no part is down.
    pub ready: bool,
    /// Each part.
    pub parts: Vec<PartHealth>,
}

impl Health {
    pub(crate) async fn of(set: &Set) -> Self {
        let (store, relay, events, search, cache) = tokio::join!(
            asked(set.ping_store()),
            asked(set.relay_status()),
            asked(set.ping_events()),
            asked(set.ping_search()),
            asked(set.ping_cache()),
        );
        let startup = set.startup();
        let part = |part, backend: &str, answer: Result<()>| {
            let (status, error) = match answer {
                Ok(()) => (Status::Up, None),
                Err(error) if error.kind() == ErrorKind::Unsupported => (Status::Unknown, None),
                Err(error) => (Status::Down, Some(error)),
            };
            PartHealth {
                part,
                backend: backend.to_owned(),
                status,
                error,
                backlog: None,
            }
        };
        let backlog = relay.as_ref().ok().and_then(|status| *status);
        let relay = match relay {
            // It is a count of what waits that was not ready in time, and no sign that the relay is not: whether the
            // store answers is asked beside it.
            Err(error) if error.kind() == ErrorKind::Timeout => Err(unknown(error)),
            answer => answer.map(drop),
        };
        let relay = PartHealth {
            backlog,
            ..part(Part::Relay, Lane::Publish.as_str(), relay)
        };
        let parts = vec![
            part(Part::Store, &startup.store.backend, store),
            relay,
            part(Part::Events, &startup.events.backend, events),
            part(Part::Search, &startup.search.backend, search),
            part(Part::Cache, &startup.cache.backend, cache),
        ];
        Self {
            ready: parts.iter().all(|part| part.status != Status::Down),
            parts,
        }
    }

    /// How one part is.
    #[must_use]
    pub fn part(&self, part: Part) -> Option<&PartHealth> {
        self.parts.iter().find(|health| health.part == part)
    }
}

fn unknown(late: Error) -> Error {
    Error::new(ErrorKind::Unsupported, "the lane was not counted in time").with_source(late)
}

async fn asked<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::new(ErrorKind::Timeout, "no sign of life within 2 s").with_operation("ping");
    tokio::time::timeout(PATIENCE, answer)
        .await
        .map_err(late)
        .flatten()
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, health) in self.parts.iter().enumerate() {
            let between = if at == 0 { "" } else { ", " };
            write!(f, "{between}{} {}", health.part, health.status.as_str())?;
        }
        Ok(())
    }
}
