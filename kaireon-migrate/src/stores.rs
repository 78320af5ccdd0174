//! The stores that tenants can be on.

use std::collections::BTreeMap;
use std::sync::Arc;

use kaireon_core::{Effect, Error, ErrorKind, InteractionStore, Result};

use crate::Backend;

/// The stores that tenants of this process can be on, by name. A clone is the same set.
#[derive(Clone, Debug)]
pub struct Stores(Arc<BTreeMap<Backend, Arc<dyn InteractionStore>>>);

impl Stores {
    /// These stores.
    ///
    /// # Errors
    /// `Config` where two have one name, or there is none.
    pub fn new(stores: impl IntoIterator<Item = (Backend, Arc<dyn InteractionStore>)>) -> Result<Self> {
        let mut named = BTreeMap::new();
        for (name, store) in stores {
            if named.insert(name.clone(), store).is_some() {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("two stores are called {name}"),
                ));
            }
        }
        if named.is_empty() {
            return Err(Error::new(ErrorKind::Config, "there is no store to be on"));
        }
        Ok(Self(Arc::new(named)))
    }

    /// The store of a name.
    ///
    /// # Errors
    /// `Config`, not applied, where this process has none of that name.
    pub fn get(&self, name: &Backend) -> Result<&Arc<dyn InteractionStore>> {
        self.0.get(name).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!("the tenant is on {name}, which this process was not given"),
            )
            .with_effect(Effect::NotApplied)
        })
    }

    /// Every store, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Backend, &Arc<dyn InteractionStore>)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use kaireon_core::memory::MemoryStore;

    use super::*;

    #[test]
    fn names_are_unique_and_an_unknown_one_is_said() {
        let store = || -> Arc<dyn InteractionStore> { Arc::new(MemoryStore::new()) };
        let name = |name| Backend::new(name).unwrap();
        assert_eq!(Stores::new([]).unwrap_err().kind(), ErrorKind::Config);
        let twice = Stores::new([(name("a"), store()), (name("a"), store())]).unwrap_err();
        assert!(twice.to_string().contains("two stores are called a"), "{twice}");
        let stores = Stores::new([(name("a"), store()), (name("b"), store())]).unwrap();
        assert!(stores.get(&name("b")).is_ok());
        let unknown = stores.get(&name("c")).unwrap_err();
        assert_eq!(
            (unknown.kind(), unknown.effect(), unknown.is_transient()),
            (ErrorKind::Config, Effect::NotApplied, false)
        );
    }
}
