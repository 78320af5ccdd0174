//! The search index in memory.

mod documents;
mod facets;
mod highlights;
mod rebuild;
mod relevance;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};

use documents::Entry;
use rebuild::State;
use relevance::Question;

use super::place::{BACKEND, named};
use crate::search::{
    Deletion, Highlighting, Hit, IndexBatch, Indexed, RebuildStatus, RebuildStep, SearchCapabilities,
    SearchIndex, SearchPosition, SearchQuery, SearchResults, TotalCount, Visibility,
};
use crate::store::{BatchOutcome, Durability};
use crate::time::{Clock, SystemClock};
use crate::{CustomerId, Error, Result, TenantId};

/// The reference index: every operation of the contract over an ordered map of documents behind one lock.
///
/// It looks at every document of the tenant for every search. Documents are visible at once and end with the
/// process. A clone is the same handle, so disconnecting one disconnects both;
/// [`open_again`](Self::open_again) is another handle on the same documents.
///
/// Relevance is BM25 ([k1 = 1.2, b = 0.75](https://en.wikipedia.org/wiki/Okapi_BM25)) over the tenant's
/// documents, where a word of the title counts as three, and one that is a typo away as half a word.
#[derive(Clone)]
pub struct MemorySearch(Arc<Handle>);

struct Handle {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    connected: AtomicBool,
}

impl MemorySearch {
    /// An empty index of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// An empty index with another clock, which says when a rebuild began.
    #[must_use]
    pub fn with_clock(clock: impl Clock + 'static) -> Self {
        Self::on(Arc::default(), Arc::new(clock))
    }

    /// Another handle on the same documents; it stays connected when this one is disconnected.
    #[must_use]
    pub fn open_again(&self) -> Self {
        Self::on(Arc::clone(&self.0.state), Arc::clone(&self.0.clock))
    }

    fn on(state: Arc<Mutex<State>>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Handle {
            state,
            clock,
            connected: AtomicBool::new(true),
        }))
    }

    /// The one lock. Nothing is awaited under it, so each operation happens at once.
    fn enter(&self, operation: &'static str) -> Result<MutexGuard<'_, State>> {
        let state = self.0.state.lock();
        if self.0.connected.load(Ordering::SeqCst) {
            Ok(state)
        } else {
            Err(Error::disconnected(BACKEND, operation))
        }
    }
}

impl Default for MemorySearch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySearch")
            .field("connected", &self.0.connected)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SearchIndex for MemorySearch {
    fn capabilities(&self) -> SearchCapabilities {
        SearchCapabilities {
            durability: Durability::Volatile(Cow::Borrowed("kept in the memory of this process")),
            visibility: Visibility::Immediate,
            persistent: false,
            ..SearchCapabilities::full(BACKEND)
        }
    }

    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>> {
        let IndexBatch { documents, target } = batch;
        let mut state = self.enter("index")?;
        let mut outcome = BatchOutcome::with_capacity(documents.len());
        for document in documents {
            let indexed = state
                .index(document, &target)
                .map_err(|error| named("index", error))?;
            outcome.push(Ok(indexed));
        }
        Ok(outcome)
    }

    async fn delete(&self, deletion: Deletion) -> Result<u64> {
        deletion.check().map_err(|error| named("delete", error))?;
        Ok(self.enter("delete")?.delete(deletion))
    }

    async fn search(&self, query: SearchQuery) -> Result<SearchResults> {
        let answer = |state: MutexGuard<'_, State>| answer(&state, &query);
        query
            .check()
            .and_then(|()| self.enter("search"))
            .and_then(answer)
            .map_err(|error| named("search", error))
    }

    async fn refresh(&self) -> Result<()> {
        self.enter("refresh").map(drop)
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.connected.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        Ok(self.enter("erase_customer")?.erase(tenant, customer))
    }

    async fn rebuild(&self, step: RebuildStep) -> Result<RebuildStatus> {
        let now = self.0.clock.now();
        let mut state = self.enter("rebuild")?;
        state.step(step, now).map_err(|error| named("rebuild", error))
    }

    async fn ping(&self) -> Result<()> {
        self.enter("ping").map(drop)
    }
}

/// A document that matches, and its place in the order.
struct Match<'a> {
    entry: &'a Entry,
    score: f64,
    position: SearchPosition,
}

fn answer(state: &State, query: &SearchQuery) -> Result<SearchResults> {
    let SearchQuery {
        tenant,
        text,
        kinds,
        filters,
        sort,
        facets,
        highlighting,
        limit,
        cursor: _,
    } = query;
    let after = SearchPosition::read(query)?;
    let everything: Vec<&Entry> = state.serving().of(tenant).collect();
    let question = text
        .as_ref()
        .map(|text| Question::new(text, state.analyzer(), &everything));

    let mut matches: Vec<Match<'_>> = Vec::new();
    for entry in everything {
        let document = &entry.document;
        let wanted = (kinds.is_empty() || kinds.contains(&document.kind))
            && filters.iter().all(|filter| filter.matches(document));
        let score = match &question {
            Some(question) => question.score(entry),
            None => Some(0.0),
        };
        if let Some(score) = score.filter(|_| wanted) {
            let position = SearchPosition::of(sort, document, score);
            matches.push(Match {
                entry,
                score,
                position,
            });
        }
    }
    matches.sort_by(|one, other| one.position.compare(&other.position, sort));

    let total = TotalCount::Exact(matches.len() as u64);
    let found: Vec<_> = matches.iter().map(|found| &found.entry.document).collect();
    let facets = facets.iter().map(|facet| facets::count(facet, &found)).collect();

    if let Some(after) = after {
        matches.retain(|found| found.position.compare(&after, sort).is_gt());
    }
    let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
    let more = matches.len() > limit;
    matches.truncate(limit);
    let next = matches.last().filter(|_| more);
    let next = next.map(|last| last.position.cursor(query));

    let hit = |found: &Match<'_>| {
        let hit = Hit::new(found.entry.document.clone(), found.score);
        match (&question, *highlighting) {
            (Some(question), Highlighting::Fragments { per_field, max_bytes }) => {
                hit.with_highlights(highlights::of(found.entry, question, per_field, max_bytes))
            }
            (None, _) | (_, Highlighting::Off) => hit,
        }
    };
    Ok(SearchResults::new(
        matches.iter().map(hit).collect(),
        next,
        total,
        facets,
    ))
}
