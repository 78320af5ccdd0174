//! Deliberately wrong indexes, by which the suite is shown to bite.
//!
//! Each is the in-memory reference behind a layer that alters one rule of it. Without a [`Flaw`] the layer changes
//! nothing, and the suite passes.

mod answer;
mod flaw;
mod index;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::memory::MemorySearch;
use kaireon_core::{SearchIndex, TenantId};
use parking_lot::Mutex;

pub use flaw::Flaw;
use index::Index;

use super::SearchFixture;

/// A place for an index with or without a flaw.
#[derive(Debug)]
pub struct Fixture {
    place: MemorySearch,
    flaw: Option<Flaw>,
    tenants: Arc<Mutex<BTreeSet<TenantId>>>,
}

impl Fixture {
    /// An index that keeps every rule.
    #[must_use]
    pub fn sound() -> Self {
        Self {
            place: MemorySearch::new(),
            flaw: None,
            tenants: Arc::default(),
        }
    }

    /// An index that breaks one.
    #[must_use]
    pub fn broken(flaw: Flaw) -> Self {
        Self {
            flaw: Some(flaw),
            ..Self::sound()
        }
    }
}

#[async_trait]
impl SearchFixture for Fixture {
    async fn open(&self) -> Arc<dyn SearchIndex> {
        let place = match self.flaw {
            Some(Flaw::ForgetsAtRestart) => MemorySearch::new(),
            _ => self.place.open_again(),
        };
        Arc::new(Index::new(place, self.flaw, Arc::clone(&self.tenants)))
    }
}
