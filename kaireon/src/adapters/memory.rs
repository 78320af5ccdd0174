//! Backends in the memory of this process: for tests, and for what needs no disk. All is lost at its end.

use std::sync::Arc;

use kaireon_core::InteractionStore;
use kaireon_core::memory::{MemorySearch, MemoryStore};
use kaireon_core::search::SearchIndex;

use super::{Adapter, Connect};

pub(super) static STORE: Adapter<dyn InteractionStore> = Adapter {
    names: &["memory"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |_| Vec::new(),
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(|_| {
        Box::pin(async { Ok(Arc::new(MemoryStore::new()) as Arc<dyn InteractionStore>) })
    }),
};

pub(super) static SEARCH: Adapter<dyn SearchIndex> = Adapter {
    names: &["memory"],
    needs: &[],
    stand_in: None,
    offered_by: None,
    check: |_| Vec::new(),
    place: |_| String::new(),
    shared: false,
    tables: None,
    connect: Connect::With(|_| Box::pin(async { Ok(Arc::new(MemorySearch::new()) as Arc<dyn SearchIndex>) })),
};
