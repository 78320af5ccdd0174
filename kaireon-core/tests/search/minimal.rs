//! An index of the required methods alone, as a first custom backend has them.

use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::search::{
    Deletion, Fuzziness, Highlighting, IndexBatch, IndexTarget, Indexed, SearchCapabilities, SearchQuery,
    SearchResults,
};
use kaireon_core::store::BatchOutcome;
use kaireon_core::{Error, Result, SearchIndex};

pub(crate) fn minimal(inner: Arc<dyn SearchIndex>) -> Arc<dyn SearchIndex> {
    Arc::new(Minimal(inner))
}

/// Declares the same, and does everything all the same.
pub(crate) fn modest(inner: Arc<dyn SearchIndex>) -> Arc<dyn SearchIndex> {
    Arc::new(Modest(inner))
}

#[derive(Debug)]
struct Minimal(Arc<dyn SearchIndex>);

const BACKEND: &str = "minimal";

#[async_trait]
impl SearchIndex for Minimal {
    fn capabilities(&self) -> SearchCapabilities {
        SearchCapabilities::minimal(BACKEND)
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        let unsupported = || Error::unsupported(BACKEND, "index");
        if batch.target != IndexTarget::Live {
            return Err(unsupported());
        }
        let mut outcome = BatchOutcome::with_capacity(batch.documents.len());
        for document in batch.documents {
            if document.customer.is_some() {
                outcome.push(Err(unsupported()));
                continue;
            }
            let indexed = self.0.index(IndexBatch::live([document])).await?;
            outcome.push(indexed.into_values().map(|values| values[0]));
        }
        Ok(outcome)
    }

    async fn delete(&self, deletion: Deletion) -> Result<u64> {
        self.0.delete(deletion).await
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchResults> {
        query.check()?;
        let fuzzy = query
            .text
            .as_ref()
            .is_some_and(|text| text.fuzziness() != Fuzziness::Exact);
        if fuzzy || query.highlighting != Highlighting::Off || !query.facets.is_empty() {
            return Err(Error::unsupported(BACKEND, "search"));
        }
        self.0.search(query).await
    }

    async fn refresh(&self) -> Result<()> {
        self.0.refresh().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }
}

#[derive(Debug)]
struct Modest(Arc<dyn SearchIndex>);

#[async_trait]
impl SearchIndex for Modest {
    fn capabilities(&self) -> SearchCapabilities {
        SearchCapabilities::minimal("modest")
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        self.0.index(batch).await
    }

    async fn delete(&self, deletion: Deletion) -> Result<u64> {
        self.0.delete(deletion).await
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchResults> {
        self.0.search(query).await
    }

    async fn refresh(&self) -> Result<()> {
        self.0.refresh().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }
}
