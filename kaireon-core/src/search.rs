//! The search index: the contract that every search backend implements.
//!
//! [`SearchIndex`] is the trait; [`types`](self) beside it are its arguments and results. What each operation
//! means is the same on every backend and is tested by the suite of `kaireon-testkit`;
//! [`MemorySearch`](crate::memory::MemorySearch) is its specification in code.
//!
//! # Words
//! A word is a run of letters and digits, with the marks on them and with apostrophes between letters. Words are
//! compared without case and accents, and by their English stem (Snowball's English algorithm, also known as
//! Porter 2): `Running` finds `runs`, `cafe` finds `Café`. No word is too common to count. [`Analyzer`] does all
//! of this in one place, for the adapters that can take words from it. What is no word (punctuation, an emoji) is
//! not required to be found, and separates words.
//!
//! ```
//! use kaireon_core::memory::MemorySearch;
//! use kaireon_core::search::{Document, IndexBatch, SearchQuery, TextMode, TextQuery};
//! use kaireon_core::{SearchIndex, TenantId};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let index = MemorySearch::new();
//! let tenant = TenantId::new("acme")?;
//! let shoes = Document::builder(&tenant, "offer", "o-1")
//!     .title("Winter running shoes")
//!     .keyword("brand", "Nord")
//!     .version(1)
//!     .build()?;
//! index.index(IndexBatch::live([shoes])).await?.into_values()?;
//! index.refresh().await?;
//!
//! let query = SearchQuery::new(tenant).with_text(TextQuery::new("shoe", TextMode::AllWords)?);
//! let found = index.search(query).await?;
//! assert_eq!(found.hits[0].document.id.as_str(), "o-1");
//! # Ok::<(), kaireon_core::Error>(())
//! # }).unwrap();
//! ```

mod analyzer;
mod batch;
mod capabilities;
mod cursor;
mod document;
mod facet;
mod filter;
mod position;
mod query;
mod results;

use std::fmt;

use async_trait::async_trait;

pub use analyzer::{Analyzer, Word};
pub use batch::{
    DeleteScope, Deletion, IndexBatch, IndexTarget, Indexed, RebuildName, RebuildState, RebuildStatus,
    RebuildStep,
};
pub use capabilities::{SearchCapabilities, Visibility};
pub use cursor::SearchCursor;
pub use document::{
    Document, DocumentBuilder, DocumentFields, FieldName, MAX_BODY_BYTES, MAX_FIELD_NAME_BYTES, MAX_FIELDS,
    MAX_KEYWORDS, MAX_TITLE_BYTES, MAX_VERSION,
};
pub use facet::{Facet, FacetCounts, HistogramInterval};
pub use filter::{Filter, Span};
pub use position::{SearchPosition, SortValue};
pub use query::{
    Fuzziness, Highlighting, MAX_TEXT_BYTES, SearchQuery, Sort, SortField, SortOrder, TextMode, TextQuery,
};
pub use results::{Fragment, Hit, SearchResults, TextField, TotalCount};

pub use crate::id::{DocumentId, EntityKind, Keyword};
use crate::store::BatchOutcome;
use crate::{CustomerId, Error, Result, TenantId};

/// Finds documents by their text, and counts them.
///
/// A custom backend implements the methods without a body; every other is provided and answers `Unsupported`,
/// which its [`SearchCapabilities`] must agree with. Run `kaireon_testkit::search_suite!` against it.
///
/// # Tenants
/// Every document, query and deletion names its tenant, and no answer holds, counts or marks anything of another
/// one. Text that a person typed is words and nothing else: it can be no syntax error, reach no other tenant and
/// change no filter.
///
/// # Errors
/// Every operation may fail with `Timeout`, `Unavailable` or `RateLimited` (transient), `Unauthorized`,
/// `Corrupt`, `StorageFull`, `Internal`; what else is said at each.
///
/// # Dropped futures
/// Each document of a batch whose future is dropped was written or was not; sending it again is safe. A dropped
/// deletion may have deleted a part. A search leaves nothing.
#[async_trait]
pub trait SearchIndex: Send + Sync + fmt::Debug {
    /// What this backend can do, and cannot.
    fn capabilities(&self) -> SearchCapabilities;

    /// Writes documents; each has an outcome of its own, in the order of the batch.
    ///
    /// A document takes the place of the one with the same (tenant, kind, id), as a whole, unless that one has a
    /// higher version: then nothing changes and the outcome is [`Indexed::Outdated`]. An equal version is written
    /// again, so that a repetition is safe. Equal keys in one batch are settled in their order.
    ///
    /// Deletions are not remembered (but see [`rebuild`](Self::rebuild)): who deletes a document and indexes it
    /// at the same time puts the two in order.
    ///
    /// [`IndexTarget::Live`] writes what searches see, and into the rebuild that is open as well;
    /// [`IndexTarget::Rebuild`] fills that rebuild alone.
    ///
    /// # Errors
    /// `Err` only when no document was tried: `NotFound` when the rebuild that is named is not open. A document
    /// that names a customer fails as `Unsupported` on a backend that cannot erase.
    async fn index(&self, batch: IndexBatch) -> Result<BatchOutcome<Indexed>>;

    /// Deletes documents of a tenant, and counts them. It reaches everything that was acknowledged before the
    /// call, refreshed or not; searches see it after the next refresh at the latest.
    ///
    /// # Errors
    /// `InvalidInput` naming `ids` when there are more than 1,000.
    async fn delete(&self, deletion: Deletion) -> Result<u64>;

    /// Finds documents.
    ///
    /// Sorted by a field, what existed when the first page was read, matches, and is not changed or deleted
    /// meanwhile is returned exactly once over the pages. Sorted by relevance that holds as long as nothing is
    /// written, because scores are measured against the whole index.
    ///
    /// # Errors
    /// `InvalidInput` naming what is out of bounds ([`SearchQuery::check`]), or `cursor` when it was made for
    /// another query; `Unsupported` for a part of the query that the capabilities leave out.
    async fn search(&self, query: SearchQuery) -> Result<SearchResults>;

    /// Makes visible to searches what was acknowledged before the call.
    async fn refresh(&self) -> Result<()>;

    /// Ends the work of this handle and lets go of its resources; later calls answer `Unavailable` with effect
    /// `NotApplied`. What was accepted is finished first. Idempotent.
    async fn disconnect(&self) -> Result<()>;

    /// Deletes every document of a tenant that names this customer, and counts them. When it returns, no search
    /// finds one any more, without a refresh; also an open rebuild holds none, and takes none that is filled in
    /// later.
    async fn erase_customer(&self, tenant: &TenantId, customer: &CustomerId) -> Result<u64> {
        let _ = (tenant, customer);
        Err(Error::unsupported(self.capabilities().backend, "erase_customer"))
    }

    /// Rebuilds the index, of all tenants, without downtime: a new one is filled beside the one that serves, and
    /// takes its place at once.
    ///
    /// [`RebuildStep::Begin`] opens an empty index, or finds the one of this name again after a crash, with what
    /// was filled so far. The host then sends every document under [`IndexTarget::Rebuild`]. Meanwhile searches
    /// see the old index; live documents, deletions and erasures go into both; and what is deleted is remembered:
    /// filling it in afterwards answers [`Indexed::Outdated`], because the host had read it before.
    /// [`RebuildStep::Finish`] swaps the two, and drops the old one; [`RebuildStep::Abort`] drops the new one.
    /// At the swap everything that was filled becomes visible. Each step may be repeated.
    ///
    /// # Errors
    /// `Conflict` for `Begin` while a rebuild of another name is open; `NotFound` for `Finish`, `Abort` and
    /// `Status` of a name that is neither open nor the last one that ended, and for the other step of one that
    /// has ended.
    async fn rebuild(&self, step: RebuildStep) -> Result<RebuildStatus> {
        let _ = step;
        Err(Error::unsupported(self.capabilities().backend, "rebuild"))
    }

    /// Asks the backend for a sign of life. `Unsupported` means unknown, not down.
    async fn ping(&self) -> Result<()> {
        Err(Error::unsupported(self.capabilities().backend, "ping"))
    }
}

const _: fn(&dyn SearchIndex) = |_| {};
