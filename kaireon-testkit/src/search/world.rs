//! What a case works with: an index, a tenant of its own, and short ways to say what happens to them.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::sync::Arc;

use kaireon_core::search::Document;
use kaireon_core::search::{
    DocumentBuilder, EntityKind, Facet, FieldName, Filter, Fuzziness, Highlighting, HistogramInterval, Hit,
    IndexBatch, Indexed, Keyword, RebuildName, RebuildStep, SearchCapabilities, SearchQuery, SearchResults,
    Span, TextMode, TextQuery, TotalCount,
};
use kaireon_core::time::Timestamp;
use kaireon_core::{CustomerId, Error, ErrorKind, InteractionId, Result, SearchIndex, TenantId, Value};

use super::SearchFixture;
use crate::suite;

/// Something that a backend may declare away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Fuzzy,
    Highlights,
    Facets,
    Erasure,
    Rebuild,
    Persistent,
}

/// A case's world.
pub(super) struct World<'f> {
    pub(super) fixture: &'f dyn SearchFixture,
    pub(super) index: Arc<dyn SearchIndex>,
    pub(super) can: SearchCapabilities,
    pub(super) tenant: TenantId,
    marker: String,
}

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a short name is an id")
}

pub(super) fn kind(name: &str) -> EntityKind {
    EntityKind::new(name).expect("a short name is an id")
}

pub(super) fn field(name: &str) -> FieldName {
    FieldName::new(name).expect("a case's field has a name")
}

pub(super) fn number(text: &str) -> Value {
    text.parse().expect("a case's number is a decimal")
}

/// A condition on a keyword field.
pub(super) fn any_of<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    let keyword = |value| Keyword::new(value).expect("a short text is a keyword");
    Filter::Keyword {
        field: field(name),
        any_of: values.into_iter().map(keyword).collect(),
    }
}

pub(super) fn numbers(name: &str, range: Span<Value>) -> Filter {
    Filter::Number {
        field: field(name),
        range,
    }
}

pub(super) fn dates(name: &str, range: Span<Timestamp>) -> Filter {
    Filter::Date {
        field: field(name),
        range,
    }
}

/// Checks a total: exactly so many, or a bound that is not above it.
pub(super) fn check_total(total: TotalCount, expected: usize) {
    let expected = u64::try_from(expected).expect("a case is small");
    match total {
        TotalCount::Exact(total) => assert_eq!(total, expected, "an exact total is exact"),
        TotalCount::AtLeast(bound) => assert!(bound <= expected, "a lower bound is not above the total"),
    }
}

/// The ids of hits, in their order.
pub(super) fn ids(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.document.id.to_string()).collect()
}

impl<'f> World<'f> {
    pub(super) async fn open(fixture: &'f dyn SearchFixture) -> Self {
        let index = fixture.open().await;
        let run = suite::run_number();
        Self {
            fixture,
            can: index.capabilities(),
            index,
            tenant: tenant(&format!("tenant-{run}-{}", InteractionId::fresh())),
            marker: suite::marker(run),
        }
    }

    /// Another tenant of this case.
    pub(super) fn neighbour(&self) -> TenantId {
        tenant(&format!("{}-2", self.tenant))
    }

    /// A name that no log, measurement or error may tell.
    pub(super) fn mark(&self, name: &str) -> String {
        format!("{}{name}", self.marker)
    }

    pub(super) fn customer(&self, name: &str) -> CustomerId {
        CustomerId::new(self.mark(name)).expect("a short name is an id")
    }

    /// An offer.
    pub(super) fn doc(&self, id: &str) -> DocumentBuilder {
        Document::builder(&self.tenant, "offer", id)
    }

    /// Sends documents of which each must be tried and taken.
    pub(super) async fn send(&self, documents: impl IntoIterator<Item = DocumentBuilder>) -> Vec<Indexed> {
        let documents: Vec<_> = documents
            .into_iter()
            .map(|document| document.build().expect("a case's document is within the bounds"))
            .collect();
        self.send_as(IndexBatch::live(documents)).await
    }

    pub(super) async fn send_as(&self, batch: IndexBatch) -> Vec<Indexed> {
        let outcome = self.index.index(batch).await.expect("a batch is tried");
        outcome
            .into_values()
            .expect("a document within the bounds is taken")
    }

    pub(super) async fn refresh(&self) {
        self.index.refresh().await.expect("an index is refreshed");
    }

    /// Indexes documents that must be written, and makes them visible.
    pub(super) async fn put(&self, documents: impl IntoIterator<Item = DocumentBuilder>) {
        let written = self.send(documents).await;
        assert!(
            written.iter().all(|indexed| *indexed == Indexed::Written),
            "a first version of a document is written"
        );
        self.refresh().await;
    }

    /// Indexes documents with these titles, whose ids are their titles.
    pub(super) async fn put_titles(&self, titles: &[&str]) {
        self.put(titles.iter().map(|title| self.doc(title).title(*title)))
            .await;
    }

    /// Everything of the tenant, by its order.
    pub(super) fn query(&self) -> SearchQuery {
        SearchQuery {
            limit: 1_000,
            ..SearchQuery::new(self.tenant.clone())
        }
    }

    pub(super) fn text(&self, text: &str, mode: TextMode) -> SearchQuery {
        self.query()
            .with_text(TextQuery::new(text, mode).expect("a case's text is within the bounds"))
    }

    pub(super) fn fuzzy(&self, text: &str) -> SearchQuery {
        let text = TextQuery::new(text, TextMode::AllWords).expect("a case's text is within the bounds");
        self.query().with_text(text.with_fuzziness(Fuzziness::OneTypo))
    }

    pub(super) async fn search(&self, query: SearchQuery) -> SearchResults {
        let results = self
            .index
            .search(query)
            .await
            .expect("a query within the bounds is answered");
        let mut seen = BTreeSet::new();
        for hit in &results.hits {
            assert!(
                seen.insert((hit.document.kind.clone(), hit.document.id.clone())),
                "a page holds a document once"
            );
        }
        results
    }

    /// The ids that a query finds, in their order; all must fit on one page.
    pub(super) async fn found(&self, query: SearchQuery) -> Vec<String> {
        let results = self.search(query).await;
        assert_eq!(results.next, None, "what fits on one page has no other");
        check_total(results.total, results.hits.len());
        ids(&results.hits)
    }

    /// Checks what a query finds, in whatever order.
    pub(super) async fn finds(&self, query: SearchQuery, expected: &[&str]) {
        let shown = format!("{:?}", query.text.as_ref().map(TextQuery::text));
        let mut found = self.found(query).await;
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "what {shown} finds");
    }

    /// Checks what the words of a text find.
    pub(super) async fn words_find(&self, text: &str, expected: &[&str]) {
        self.finds(self.text(text, TextMode::AllWords), expected).await;
    }

    /// The hits of a query, page by page.
    pub(super) async fn pages(&self, mut query: SearchQuery, limit: u32) -> Vec<Hit> {
        let mut hits = Vec::new();
        query.limit = limit;
        loop {
            let results = self.search(query.clone()).await;
            let most = usize::try_from(limit).expect("a limit fits");
            assert!(results.hits.len() <= most, "a page holds at most its limit");
            hits.extend(results.hits);
            assert!(hits.len() < 100_000, "the pages of a search end");
            match results.next {
                Some(next) => query.cursor = Some(next),
                None => return hits,
            }
        }
    }

    /// Checks that a call was refused so, and that its error says nothing personal.
    pub(super) fn refused<T: Debug>(&self, result: Result<T>, kind: ErrorKind) -> Error {
        let Err(error) = result else {
            panic!("the call succeeded where {kind} was expected");
        };
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        assert_eq!(texts[0].lines().count(), 1, "an error is one line: {}", texts[0]);
        let mut source = StdError::source(&error);
        while let Some(inner) = source {
            texts.push(format!("{inner} {inner:?}"));
            source = inner.source();
        }
        for text in texts {
            assert!(
                !text.contains(&self.marker),
                "an error tells personal data: {text}"
            );
        }
        assert_eq!(error.kind(), kind, "{error}");
        error
    }

    /// Checks that a query is refused, and for what.
    pub(super) async fn refuses(&self, query: SearchQuery, field: &str) {
        let error = self.refused(self.index.search(query).await, ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some(field), "{error}");
    }

    /// Whether the backend has this. What it declares away is printed, and must answer `Unsupported`.
    pub(super) async fn can(&self, need: Need) -> bool {
        let declared = match need {
            Need::Fuzzy => self.can.fuzzy,
            Need::Highlights => self.can.highlights,
            Need::Facets => self.can.facets,
            Need::Erasure => self.can.erasure,
            Need::Rebuild => self.can.rebuild,
            Need::Persistent => self.can.persistent,
        };
        if !declared {
            suite::declared_away(&self.can.backend, &format!("{need:?}").to_lowercase());
            self.check_unsupported(need).await;
        }
        declared
    }

    async fn check_unsupported(&self, need: Need) {
        let unsupported = ErrorKind::Unsupported;
        match need {
            Need::Fuzzy => {
                self.refused(self.index.search(self.fuzzy("shoe")).await, unsupported);
            }
            Need::Highlights => {
                let query = SearchQuery {
                    highlighting: Highlighting::Fragments {
                        per_field: 1,
                        max_bytes: 100,
                    },
                    ..self.text("shoe", TextMode::AllWords)
                };
                self.refused(self.index.search(query).await, unsupported);
            }
            Need::Facets => {
                let query = self.query().with_facet(Facet::DateHistogram {
                    field: field("begins"),
                    interval: HistogramInterval::Day,
                    limit: 1,
                });
                self.refused(self.index.search(query).await, unsupported);
            }
            Need::Erasure => {
                let customer = self.customer("anna");
                let erased = self.index.erase_customer(&self.tenant, &customer).await;
                self.refused(erased, unsupported);
                // What could not be erased is not taken in.
                let document = self.doc("o").customer(customer).build().unwrap();
                let indexed = self.index.index(IndexBatch::live([document])).await.unwrap();
                self.refused(indexed.into_values(), unsupported);
            }
            Need::Rebuild => {
                let name = RebuildName::new("unsupported").unwrap();
                self.refused(
                    self.index.rebuild(RebuildStep::Begin(name.clone())).await,
                    unsupported,
                );
                let document = self.doc("o").build().unwrap();
                let batch = IndexBatch::rebuild(name, [document]);
                self.refused(self.index.index(batch).await, unsupported);
            }
            Need::Persistent => {}
        }
    }
}
