//! What to search for.

use std::collections::BTreeSet;
use std::fmt;

use super::document::check_text;
use super::{EntityKind, Facet, FieldName, Filter, SearchCursor};
use crate::{Error, Result, TenantId};

/// The longest text of a query, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 1_024;

/// How a text has to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextMode {
    /// Every word is in the title or in the body.
    AllWords,
    /// At least one word is; more of them rank higher.
    AnyWord,
    /// The words follow each other, in this order, in the title or in the body.
    Phrase,
    /// As one types: every word but the last is in the title or the body, and some word there begins with the
    /// last, which is taken as it was typed (without case and accents, but not stemmed).
    Prefix,
}

/// How exactly a word has to match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fuzziness {
    /// As [`search`](super) says of words.
    #[default]
    Exact,
    /// A word of four or more letters also matches those that are one typo away: a letter too many, too few,
    /// another one, or two neighbours swapped. Not the words of a phrase, nor the one that is being typed.
    OneTypo,
}

/// The text of a query: what a person typed, whatever it is. Its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct TextQuery {
    text: String,
    mode: TextMode,
    fuzziness: Fuzziness,
}

impl TextQuery {
    /// Takes a text of at most [`MAX_TEXT_BYTES`] without NUL. One without any word matches nothing.
    ///
    /// # Errors
    /// `InvalidInput` naming `text`.
    pub fn new(text: impl Into<String>, mode: TextMode) -> Result<Self> {
        let text = text.into();
        check_text("text", &text, MAX_TEXT_BYTES, "is longer than 1,024 bytes")?;
        Ok(Self {
            text,
            mode,
            fuzziness: Fuzziness::Exact,
        })
    }

    /// The same text, matched otherwise.
    #[must_use]
    pub fn with_fuzziness(mut self, fuzziness: Fuzziness) -> Self {
        self.fuzziness = fuzziness;
        self
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it has to match.
    #[must_use]
    pub const fn mode(&self) -> TextMode {
        self.mode
    }

    /// How exactly its words have to.
    #[must_use]
    pub const fn fuzziness(&self) -> Fuzziness {
        self.fuzziness
    }
}

impl fmt::Debug for TextQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextQuery")
            .field("mode", &self.mode)
            .field("fuzziness", &self.fuzziness)
            .finish_non_exhaustive()
    }
}

/// In which direction to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortOrder {
    /// The lowest first.
    Ascending,
    /// The highest first.
    Descending,
}

/// What to sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortField {
    /// A keyword field, in the order of bytes: by its lowest value when ascending, its highest when descending.
    Keyword(FieldName),
    /// A number field.
    Number(FieldName),
    /// A date field.
    Date(FieldName),
}

/// The order of the hits. What is equal comes by ascending id, then kind, in the order of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The best match first.
    #[default]
    Relevance,
    /// By a field; documents that lack it come last in either direction.
    Field {
        /// The field.
        field: SortField,
        /// The direction.
        order: SortOrder,
    },
}

/// Whether to say where the text matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Highlighting {
    /// No.
    #[default]
    Off,
    /// With pieces of the title and the body.
    Fragments {
        /// How many of each at most, 1 to 10.
        per_field: u32,
        /// How long a piece may be, 32 to 65,536 bytes; a longer word alone is shown whole.
        max_bytes: u32,
    },
}

/// What to search for. All its parts must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// Whose documents.
    pub tenant: TenantId,
    /// What they say; `None`: anything.
    pub text: Option<TextQuery>,
    /// Of one of these kinds, at most 100; empty means every kind.
    pub kinds: BTreeSet<EntityKind>,
    /// What else must hold: at most 100, of at most 1,000 values each.
    pub filters: Vec<Filter>,
    /// In which order; the best match first by default.
    pub sort: Sort,
    /// What to count among all that match, at most 20.
    pub facets: Vec<Facet>,
    /// Whether to say where the text matches; off by default.
    pub highlighting: Highlighting,
    /// How many at most, 1 to 1,000; 20 by default.
    pub limit: u32,
    /// Where the last page ended. It belongs to this tenant, text, kinds, filters and sort; the rest may change.
    pub cursor: Option<SearchCursor>,
}

impl SearchQuery {
    /// The first 20 documents of a tenant.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            text: None,
            kinds: BTreeSet::new(),
            filters: Vec::new(),
            sort: Sort::Relevance,
            facets: Vec::new(),
            highlighting: Highlighting::Off,
            limit: 20,
            cursor: None,
        }
    }

    /// The same query for a text.
    #[must_use]
    pub fn with_text(mut self, text: TextQuery) -> Self {
        self.text = Some(text);
        self
    }

    /// The same query with one more condition.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// The same query with one more count.
    #[must_use]
    pub fn with_facet(mut self, facet: Facet) -> Self {
        self.facets.push(facet);
        self
    }

    /// The same query in another order.
    #[must_use]
    pub fn sorted_by(mut self, field: SortField, order: SortOrder) -> Self {
        self.sort = Sort::Field { field, order };
        self
    }

    /// Checks the bounds. Every backend does so first.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit`, `kinds`, `filters`, `facets` or `highlighting`.
    pub fn check(&self) -> Result<()> {
        crate::store::check_limit(self.limit)?;
        let wrong = |field, why: &'static str| Err(Error::invalid(field, why));
        if self.kinds.len() > 100 {
            return wrong("kinds", "are more than 100");
        }
        if self.filters.len() > 100 {
            return wrong("filters", "are more than 100");
        }
        let too_many = |filter: &Filter| match filter {
            Filter::Keyword { any_of, .. } => any_of.len() > 1_000,
            Filter::Number { .. } | Filter::Date { .. } => false,
        };
        if self.filters.iter().any(too_many) {
            return wrong("filters", "have more than 1,000 values");
        }
        if self.facets.len() > 20 {
            return wrong("facets", "are more than 20");
        }
        for facet in &self.facets {
            match facet {
                Facet::Terms { limit, .. } | Facet::DateHistogram { limit, .. }
                    if !(1..=1_000).contains(limit) =>
                {
                    return wrong("facets", "have a limit that is not from 1 to 1,000");
                }
                Facet::NumberRanges { ranges, .. } if !(1..=100).contains(&ranges.len()) => {
                    return wrong("facets", "have ranges that are not from 1 to 100");
                }
                Facet::Terms { .. } | Facet::DateHistogram { .. } | Facet::NumberRanges { .. } => {}
            }
        }
        match self.highlighting {
            Highlighting::Off => Ok(()),
            Highlighting::Fragments { per_field, .. } if !(1..=10).contains(&per_field) => {
                wrong("highlighting", "asks for fragments that are not from 1 to 10")
            }
            Highlighting::Fragments { max_bytes, .. } if !(32..=65_536).contains(&max_bytes) => wrong(
                "highlighting",
                "asks for a length that is not from 32 to 65,536 bytes",
            ),
            Highlighting::Fragments { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_bounded_and_nothing_else() {
        let new = |text: String| TextQuery::new(text, TextMode::AllWords);
        assert!(new("x".repeat(MAX_TEXT_BYTES)).is_ok());
        for wrong in [
            "x".repeat(MAX_TEXT_BYTES + 1),
            "é".repeat(MAX_TEXT_BYTES / 2 + 1),
            "shoe\0".into(),
        ] {
            assert_eq!(new(wrong).unwrap_err().field(), Some("text"));
        }
        for fine in ["", "\"", "\u{1}", "\u{202e}", "a\nb"] {
            assert!(new(fine.into()).is_ok());
        }
    }

    #[test]
    fn debug_shows_nothing_that_was_typed() {
        let query = SearchQuery::new(TenantId::new("t").unwrap());
        let text = TextQuery::new("anna", TextMode::Phrase).unwrap();
        assert!(!format!("{:?}", query.with_text(text)).contains("anna"));
    }
}
