//! How each part is, for readiness probes.

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
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
        let startup = set.startup();
        let (stores, events, search, cache, settings) = tokio::join!(
            each_store(set),
            asked(set.ping_events()),
            asked(set.ping_search()),
            asked(set.ping_cache()),
            settings(set),
        );
        let serves = |(store, _): &(PartHealth, Vec<PartHealth>)| store.status != Status::Down;
        // Of several stores one that is away must not take the tenants of the others with it.
        let a_store_serves = stores.iter().any(serves);
        let several = stores.len() > 1;
        let mut parts = Vec::new();
        let mut of_lanes = Vec::new();
        for (store, lanes) in stores {
            parts.push(store);
            of_lanes.extend(lanes);
        }
        parts.extend(of_lanes);
        parts.push(part(Part::Events, &startup.events.backend, events));
        parts.push(part(Part::Search, &startup.search.backend, search));
        parts.push(part(Part::Cache, &startup.cache.backend, cache));
        parts.extend(settings);
        let counts = |part: &&PartHealth| match part.part {
            Part::Store | Part::Relay | Part::Replication => !several,
            Part::Events | Part::Search | Part::Cache => true,
            // Calls go on by what is known.
            Part::Settings => false,
        };
        Self {
            ready: a_store_serves
                && parts
                    .iter()
                    .filter(counts)
                    .all(|part| part.status != Status::Down),
            parts,
        }
    }

    /// How one part is; of several stores the first, by the order in which they were named.
    #[must_use]
    pub fn part(&self, part: Part) -> Option<&PartHealth> {
        self.parts.iter().find(|health| health.part == part)
    }
}

/// A part by what it answered.
fn part(part: Part, backend: &str, answer: Result<()>) -> PartHealth {
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
}

/// Each store, with its lanes, all asked at once.
async fn each_store(set: &Set) -> Vec<(PartHealth, Vec<PartHealth>)> {
    let lanes = set.lanes();
    let store = |(place, name): (usize, &'_ str)| {
        let name = name.to_owned();
        async move {
            let relays = lanes.iter().map(|(of, lane)| {
                let name = match lanes.len() {
                    1 => lane.as_str().to_owned(),
                    _ => format!("{lane} of {name}"),
                };
                async move { relay(*of, &name, asked(set.backlog(place, *lane)).await) }
            });
            let (store, relays) = tokio::join!(asked(set.ping_store(place)), join_all(relays));
            (part(Part::Store, &name, store), relays)
        }
    };
    join_all(set.stores().enumerate().map(store)).await
}

/// A relay, by the count of what waits for it.
fn relay(of: Part, name: &str, backlog: Result<u64>) -> PartHealth {
    let waits = backlog.as_ref().ok().copied();
    let answer = match backlog {
        // It is a count of what waits that was not ready in time, and no sign that the relay is not: whether the
        // store answers is asked beside it.
        Err(error) if error.kind() == ErrorKind::Timeout => Err(unknown(error)),
        answer => answer.map(drop),
    };
    PartHealth {
        backlog: waits,
        ..part(of, name, answer)
    }
}

/// The settings of a switch.
async fn settings(set: &Set) -> Option<PartHealth> {
    #[cfg(feature = "switch")]
    {
        let name = set.settings_name()?;
        Some(part(Part::Settings, name, asked(set.ping_settings()).await))
    }
    #[cfg(not(feature = "switch"))]
    {
        let _ = set;
        None
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
