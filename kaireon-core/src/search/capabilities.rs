//! What a search index can do; the suite tests that it does just that.

use std::borrow::Cow;

use crate::store::Durability;

/// When a search sees what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// At once.
    Immediate,
    /// After the next refresh: one that was asked for, or one of the backend's own.
    AfterRefresh,
}

/// What a [`SearchIndex`](super::SearchIndex) can do. A `false` means that the operation, or the query that asks
/// for it, answers `Unsupported`. Text, filters, sorting, cursors, versions and tenants cannot be declared away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchCapabilities {
    /// The backend's name, as its configuration value (`tantivy`).
    pub backend: Cow<'static, str>,
    /// What an `Ok` survives.
    pub durability: Durability,
    /// When a search sees what was acknowledged.
    pub visibility: Visibility,
    /// Whether documents are there again when the same place is opened anew.
    pub persistent: bool,
    /// [`Fuzziness::OneTypo`](super::Fuzziness::OneTypo).
    pub fuzzy: bool,
    /// [`Highlighting::Fragments`](super::Highlighting::Fragments).
    pub highlights: bool,
    /// [`SearchQuery::facets`](super::SearchQuery::facets).
    pub facets: bool,
    /// `erase_customer`, and documents that name a customer.
    pub erasure: bool,
    /// `rebuild`, and [`IndexTarget::Rebuild`](super::IndexTarget::Rebuild).
    pub rebuild: bool,
    /// `ping`.
    pub ping: bool,
}

impl SearchCapabilities {
    /// Only what every index must do, in memory, visible after a refresh.
    #[must_use]
    pub fn minimal(backend: impl Into<Cow<'static, str>>) -> Self {
        Self {
            backend: backend.into(),
            durability: Durability::Volatile(Cow::Borrowed("not declared")),
            visibility: Visibility::AfterRefresh,
            persistent: false,
            fuzzy: false,
            highlights: false,
            facets: false,
            erasure: false,
            rebuild: false,
            ping: false,
        }
    }

    /// Everything, durable, visible after a refresh.
    #[must_use]
    pub fn full(backend: impl Into<Cow<'static, str>>) -> Self {
        Self {
            durability: Durability::Durable,
            persistent: true,
            fuzzy: true,
            highlights: true,
            facets: true,
            erasure: true,
            rebuild: true,
            ping: true,
            ..Self::minimal(backend)
        }
    }
}
