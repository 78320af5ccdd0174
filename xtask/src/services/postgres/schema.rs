//! A schema of its own for a program that is run against the first server.

use super::{URL, psql};
use crate::failure::{Context, Result};
use crate::services::Session;

/// The name of a schema that nobody has used before; the program makes it.
#[derive(Debug)]
pub(crate) struct PostgresSchema {
    url: String,
    name: String,
}

impl PostgresSchema {
    /// On the session's server.
    pub(crate) fn new(session: &Session, what: &str) -> Result<Self> {
        let variables = session.environment();
        let url = variables.into_iter().find(|(name, _)| name == URL);
        let (_, url) = url.context(format_args!("the session has no {URL}"))?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = since.map(|since| since.as_nanos()).unwrap_or_default();
        let name = format!("{what}_{}_{nanos}", std::process::id());
        Ok(Self { url, name })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Drops it, with all that is in it; it must be there.
    pub(crate) fn drop(self) -> Result<()> {
        psql::query(&self.url, &format!("DROP SCHEMA {} CASCADE", self.name)).map(drop)
    }
}
