//! Documents by their key, with their words.

use std::collections::BTreeMap;

use crate::TenantId;
use crate::search::{Analyzer, Document, DocumentId, EntityKind, Indexed, Word};

/// A document, cut into words.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) document: Document,
    pub(super) title: Vec<Word>,
    pub(super) body: Vec<Word>,
}

/// One index: what serves, or what is being filled beside it.
#[derive(Debug, Default)]
pub(super) struct Documents(BTreeMap<(TenantId, EntityKind, DocumentId), Entry>);

impl Documents {
    /// Takes a document in, unless the one in its place has a higher version.
    pub(super) fn put(&mut self, document: Document, analyzer: Analyzer) -> Indexed {
        let key = (
            document.tenant.clone(),
            document.kind.clone(),
            document.id.clone(),
        );
        let present = self.0.get(&key);
        if present.is_some_and(|present| present.document.version > document.version) {
            return Indexed::Outdated;
        }
        let entry = Entry {
            title: analyzer.words(&document.title),
            body: analyzer.words(&document.body),
            document,
        };
        self.0.insert(key, entry);
        Indexed::Written
    }

    /// Removes what is gone, and counts it.
    pub(super) fn remove(&mut self, gone: impl Fn(&Document) -> bool) -> u64 {
        let before = self.0.len();
        self.0.retain(|_, entry| !gone(&entry.document));
        (before - self.0.len()) as u64
    }

    /// The documents of a tenant.
    pub(super) fn of(&self, tenant: &TenantId) -> impl Iterator<Item = &Entry> {
        self.0
            .values()
            .filter(move |entry| entry.document.tenant == *tenant)
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }
}
