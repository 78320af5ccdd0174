//! The start-up line: what was chosen for each concern, and why.

use std::fmt;

use serde::Serialize;

/// What was chosen for one concern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// The backend's name.
    pub backend: String,
    /// Why it is this one: the variable that named it, or what stood in for one.
    pub why: String,
    /// Whether somebody should look at it: the concern is disabled because something was not given.
    pub warn: bool,
}

impl Choice {
    pub(crate) fn new(backend: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            backend: backend.into(),
            why: why.into(),
            warn: false,
        }
    }

    pub(crate) fn with_warning(self) -> Self {
        Self { warn: true, ..self }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.backend, self.why)
    }
}

/// What was chosen for each concern. Its `Display` is the line that is logged at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Startup {
    /// The interaction store.
    pub store: Choice,
    /// The event stream.
    pub events: Choice,
    /// The search index.
    pub search: Choice,
    /// The cache.
    pub cache: Choice,
    /// Rate limits.
    pub limits: Choice,
    /// Circuit breakers.
    pub breakers: Choice,
}

impl Startup {
    /// What every process has for itself, for want of Redis or of an adapter.
    fn per_process(&self) -> &'static str {
        let is_here = |choice: &Choice| choice.backend == "in-process";
        match (is_here(&self.limits), is_here(&self.breakers)) {
            (true, true) => "rate limits, jobs, circuit breakers",
            (true, false) => "rate limits, jobs",
            (false, true) => "jobs, circuit breakers",
            (false, false) => "jobs",
        }
    }

    /// Logs the one line, and one warning per concern that needs a look.
    pub(crate) fn log(&self, what: &str) {
        let Self {
            store,
            events,
            search,
            cache,
            limits,
            breakers,
        } = self;
        let per_process = self.per_process();
        tracing::info!(%store, %events, %search, %cache, %limits, %breakers, per_process, "kaireon {what}");
        for (concern, choice) in [
            ("store", store),
            ("events", events),
            ("search", search),
            ("cache", cache),
        ] {
            if choice.warn {
                tracing::warn!(concern, why = choice.why, "{concern} is {}", choice.backend);
            }
        }
    }
}

impl fmt::Display for Startup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            events,
            search,
            cache,
            limits,
            breakers,
        } = self;
        let per_process = self.per_process();
        write!(
            f,
            "store {store}, events {events}, search {search}, cache {cache}, limits {limits}, breakers \
             {breakers}; per process only: {per_process}"
        )
    }
}
