//! What a store can tell of how much it has to do and how large it is: what an advisor judges by.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;
use crate::time::Timestamp;

/// What a store tells of its load and its size. What it cannot tell cheaply is `None`: nothing is counted by reading rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSignals {
    /// When it was read.
    pub at: Timestamp,
    /// The customers that it keeps summaries of, of all tenants; an estimate of the store's own.
    pub customers: Option<u64>,
    /// Interactions and decisions that were ever written, of all tenants; two readings tell a rate. It may begin anew when
    /// the store does.
    pub writes: Option<u64>,
    /// What it takes on disk, in bytes, with its indexes.
    pub bytes: Option<u64>,
    /// How long the statements of the store's and those of others ran, where it shares a database.
    pub statements: Option<StatementTimes>,
}

impl StoreSignals {
    /// Nothing but the time.
    #[must_use]
    pub const fn at(at: Timestamp) -> Self {
        Self {
            at,
            customers: None,
            writes: None,
            bytes: None,
            statements: None,
        }
    }
}

/// How long statements ran since the database counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementTimes {
    /// Those of the store.
    pub own: Duration,
    /// All others of the database.
    pub others: Duration,
}

/// A store that tells of its load and its size.
#[async_trait]
pub trait Signals: Send + Sync + std::fmt::Debug {
    /// Reads them: cheap, and of a moment ago.
    ///
    /// # Errors
    /// `Timeout`, `Unavailable`, `Unauthorized` of the store.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    async fn signals(&self) -> Result<StoreSignals>;
}
