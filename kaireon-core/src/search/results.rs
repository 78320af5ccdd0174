//! What a search finds.

use std::fmt;
use std::ops::Range;

use super::{Document, FacetCounts, SearchCursor};

/// The answer to a search.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchResults {
    /// The documents of this page, in the order asked for.
    pub hits: Vec<Hit>,
    /// The cursor to go on with; `None` when there is no more.
    pub next: Option<SearchCursor>,
    /// How many documents match, on all pages together.
    pub total: TotalCount,
    /// The counts, in the order in which the facets were asked for.
    pub facets: Vec<FacetCounts>,
}

impl SearchResults {
    /// An answer.
    #[must_use]
    pub fn new(
        hits: Vec<Hit>,
        next: Option<SearchCursor>,
        total: TotalCount,
        facets: Vec<FacetCounts>,
    ) -> Self {
        Self {
            hits,
            next,
            total,
            facets,
        }
    }
}

/// How many documents match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotalCount {
    /// So many.
    Exact(u64),
    /// So many or more; never more than there are.
    AtLeast(u64),
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The document, as it was indexed.
    pub document: Document,
    /// How well its text matches: a finite number, higher is better, to be compared within one search only. 0
    /// without text.
    pub score: f64,
    /// Where its text matches, when highlights were asked for: of the title first, then of the body.
    pub highlights: Vec<Fragment>,
}

impl Hit {
    /// A hit without highlights.
    #[must_use]
    pub fn new(document: Document, score: f64) -> Self {
        Self {
            document,
            score,
            highlights: Vec::new(),
        }
    }

    /// The same hit with highlights.
    #[must_use]
    pub fn with_highlights(mut self, highlights: Vec<Fragment>) -> Self {
        self.highlights = highlights;
        self
    }
}

/// A part of a document that is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextField {
    /// Its title.
    Title,
    /// Its body.
    Body,
}

/// A piece of a document's text, and where the words that match are in it.
///
/// Ranges instead of tags: what a document contains cannot pass for a mark, and whoever shows it escapes it first.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fragment {
    /// Where it is from.
    pub field: TextField,
    /// The text, as it stands in the document.
    pub text: String,
    /// The words that match, as ranges of bytes in `text`: at least one, in order, on the edges of characters,
    /// without overlap.
    pub marks: Vec<Range<usize>>,
}

impl Fragment {
    /// A fragment.
    #[must_use]
    pub fn new(field: TextField, text: impl Into<String>, marks: Vec<Range<usize>>) -> Self {
        Self {
            field,
            text: text.into(),
            marks,
        }
    }

    /// The texts that are marked.
    pub fn marked(&self) -> impl Iterator<Item = &str> {
        self.marks.iter().filter_map(|mark| self.text.get(mark.clone()))
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fragment")
            .field("field", &self.field)
            .field("marks", &self.marks)
            .finish_non_exhaustive()
    }
}
