//! What every cache gains on top of the contract.

use super::CacheStore;

/// How `get_or_fetch` behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchOptions {}

/// JSON values and single flight over any [`CacheStore`].
pub trait CacheStoreExt: CacheStore {
    /// Reads a value, or has it fetched by one of the callers.
    fn get_or_fetch(&self) {}
}

impl<C: CacheStore + ?Sized> CacheStoreExt for C {}
