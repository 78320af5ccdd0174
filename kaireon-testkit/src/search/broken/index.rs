//! The layer over the reference that carries the flaw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::memory::MemorySearch;
use kaireon_core::search::{
    DeleteScope, Deletion, Document, DocumentFields, DocumentId, Filter, Fuzziness, IndexBatch, IndexTarget,
    Indexed, MAX_VERSION, RebuildStatus, RebuildStep, SearchCapabilities, SearchQuery, SearchResults,
    SortValue, Span, TextMode, TextQuery,
};
use kaireon_core::store::BatchOutcome;
use kaireon_core::{CustomerId, Error, ErrorKind, Result, SearchIndex, TenantId, Value};
use parking_lot::Mutex;

use super::{Flaw, answer};

#[derive(Debug)]
pub(super) struct Index {
    inner: MemorySearch,
    flaw: Option<Flaw>,
    tenants: Arc<Mutex<BTreeSet<TenantId>>>,
    /// What the last hit before a cursor was sorted by.
    behind: Mutex<BTreeMap<String, SortValue>>,
}

impl Index {
    pub(super) fn new(
        inner: MemorySearch,
        flaw: Option<Flaw>,
        tenants: Arc<Mutex<BTreeSet<TenantId>>>,
    ) -> Self {
        Self {
            inner,
            flaw,
            tenants,
            behind: Mutex::default(),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// The document as the flaw keeps it.
    fn kept(&self, document: &Document) -> Result<Document> {
        document.edited(|fields| match self.flaw {
            Some(Flaw::VersionsAreFloats) => fields.version = in_floats(fields),
            Some(Flaw::IdsForgetTheirCase) => {
                let lower = fields.id.as_str().to_lowercase();
                fields.id = DocumentId::new(lower).unwrap_or_else(|_| fields.id.clone());
            }
            Some(Flaw::NumbersAreFloats) => fields
                .numbers
                .values_mut()
                .for_each(|value| *value = float(*value)),
            _ => {}
        })
    }

    /// The query as the flaw reads it.
    fn read(&self, mut query: SearchQuery) -> Result<SearchQuery> {
        let Some(text) = query.text.clone() else {
            return Ok(query);
        };
        let typed = text.text();
        let odd = typed.matches('"').count() % 2 == 1;
        match self.flaw {
            Some(Flaw::TextIsSyntax) if odd || typed.matches('(').count() != typed.matches(')').count() => {
                return Err(Error::invalid("text", "is not closed"));
            }
            Some(Flaw::TextChangesFilters) if typed.contains(':') || typed.contains(" OR ") => {
                query.filters.clear();
                query.kinds.clear();
            }
            Some(Flaw::WildcardsWork) if typed.ends_with('*') => {
                query.text = Some(TextQuery::new(typed, TextMode::Prefix)?);
            }
            Some(Flaw::ForgivesTyposUnasked) => query.text = Some(text.with_fuzziness(Fuzziness::OneTypo)),
            Some(Flaw::LogsText) => tracing::info!(typed, "searching"),
            Some(Flaw::QuotesTextInErrors) if query.check().is_err() => {
                return Err(Error::invalid(
                    "limit",
                    format!("is wrong in the search for {typed}"),
                ));
            }
            _ => {}
        }
        Ok(query)
    }

    /// The filters as the flaw reads them.
    fn filters(&self, filters: Vec<Filter>) -> Vec<Filter> {
        let mut filters = filters;
        match self.flaw {
            Some(Flaw::EmptyListMatchesEverything) => {
                filters
                    .retain(|filter| !matches!(filter, Filter::Keyword { any_of, .. } if any_of.is_empty()));
            }
            Some(Flaw::RangesIncludeTheirEnd) => {
                for filter in &mut filters {
                    if let Filter::Number { range, .. } = filter {
                        let more = |value: Value| Value::from_micros(value.micros().saturating_add(1));
                        *range = Span {
                            until: range.until.map(more),
                            ..*range
                        };
                    }
                }
            }
            _ => {}
        }
        filters
    }

    /// What a text that names another tenant leaks.
    async fn leak(&self, query: &SearchQuery, results: &mut SearchResults) -> Result<()> {
        let tenants = self.tenants.lock().clone();
        let named = |tenant: &&TenantId| {
            **tenant != query.tenant
                && query
                    .text
                    .as_ref()
                    .is_some_and(|text| text.text().contains(tenant.as_str()))
        };
        for tenant in tenants.iter().filter(named) {
            let theirs = SearchQuery {
                limit: 1_000,
                ..SearchQuery::new(tenant.clone())
            };
            results.hits.extend(self.inner.search(theirs).await?.hits);
        }
        Ok(())
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "this is the flaw"
)]
fn in_floats(fields: &DocumentFields) -> u64 {
    (fields.version as f64 as u64).min(MAX_VERSION)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "this is the flaw"
)]
fn float(value: Value) -> Value {
    Value::from_micros(value.micros() as f64 as i64)
}

#[async_trait]
impl SearchIndex for Index {
    fn capabilities(&self) -> SearchCapabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.backend = "plain".into();
        // The fixture holds the place.
        capabilities.persistent = true;
        capabilities
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        let IndexBatch { documents, target } = batch;
        self.tenants
            .lock()
            .extend(documents.iter().map(|document| document.tenant.clone()));
        let documents: Vec<_> = documents
            .iter()
            .map(|document| self.kept(document))
            .collect::<Result<_>>()?;
        if self.has(Flaw::OlderVersionWins) && target == IndexTarget::Live {
            let mut outcome = BatchOutcome::with_capacity(documents.len());
            for document in documents {
                let DocumentFields { tenant, kind, id, .. } = &*document;
                self.inner
                    .delete(Deletion::of(tenant.clone(), kind.clone(), id.clone()))
                    .await?;
                let written = self.inner.index(IndexBatch::live([document])).await?;
                outcome.push(written.into_values().map(|_| Indexed::Written));
            }
            return Ok(outcome);
        }
        if self.has(Flaw::RebuildServesEarly) && target != IndexTarget::Live {
            self.inner
                .index(IndexBatch::live(documents.clone()))
                .await?
                .into_values()?;
        }
        let count = documents.len();
        let mut outcome = self.inner.index(IndexBatch { documents, target }).await?;
        if self.has(Flaw::BatchFailsWhole) && count > 1 {
            let values = outcome.clone().into_values()?;
            if values.contains(&Indexed::Outdated) {
                outcome = BatchOutcome::with_capacity(count);
                (0..count)
                    .for_each(|_| outcome.push(Err(Error::new(ErrorKind::Internal, "the batch is spoiled"))));
            }
        }
        Ok(outcome)
    }

    async fn delete(&self, deletion: Deletion) -> Result<u64> {
        let mut deleted = 0;
        if let (true, DeleteScope::Kind(_)) = (self.has(Flaw::DeletesAKindOfAllTenants), &deletion.scope) {
            let tenants = self.tenants.lock().clone();
            for tenant in tenants.into_iter().filter(|tenant| *tenant != deletion.tenant) {
                let scope = deletion.scope.clone();
                self.inner.delete(Deletion { tenant, scope }).await?;
            }
        }
        deleted += self.inner.delete(deletion).await?;
        Ok(deleted)
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchResults> {
        let mut query = self.read(query)?;
        query.filters = self.filters(query.filters);
        let mut results = self.inner.search(query.clone()).await?;
        if self.has(Flaw::LeaksTenantsThroughText) {
            self.leak(&query, &mut results).await?;
        }
        if self.has(Flaw::CursorSkipsEqualValues) {
            let of = |hit: &kaireon_core::search::Hit| SortValue::of(&query.sort, &hit.document, hit.score);
            let last = results.hits.last().map(of);
            if let Some(cursor) = &query.cursor {
                let behind = self.behind.lock().get(cursor.as_str()).cloned();
                results.hits.retain(|hit| Some(of(hit)) != behind);
            }
            if let (Some(next), Some(last)) = (&results.next, last) {
                self.behind.lock().insert(next.as_str().to_owned(), last);
            }
        }
        if let Some(flaw) = self.flaw {
            answer::spoil(flaw, &query, &mut results);
        }
        Ok(results)
    }

    async fn refresh(&self) -> Result<()> {
        self.inner.refresh().await
    }

    async fn disconnect(&self) -> Result<()> {
        match self.flaw {
            Some(Flaw::WorksAfterDisconnect) => Ok(()),
            _ => self.inner.disconnect().await,
        }
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        if !self.has(Flaw::ErasureOnlyCounts) {
            return self.inner.erase_customer(tenant, customer).await;
        }
        let everything = SearchQuery {
            limit: 1_000,
            ..SearchQuery::new(tenant.clone())
        };
        let hits = self.inner.search(everything).await?.hits;
        Ok(hits
            .iter()
            .filter(|hit| hit.document.customer.as_ref() == Some(customer))
            .count() as u64)
    }

    async fn rebuild(&self, step: RebuildStep) -> Result<RebuildStatus> {
        self.inner.rebuild(step).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}
