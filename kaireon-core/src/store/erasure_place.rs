//! The places besides the store that an erasure goes through.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Erasure, Generation};
use crate::Result;

/// A place besides the store that may hold something of a customer: an archive, an export of the host's, a service that
/// copies events.
///
/// Whoever erases a customer asks the store first, because what is copied from it after its tombstone no longer holds the
/// customer, and then every place, under the generation of the store's receipt. The counts stand in that receipt, so that
/// there is one for all places.
#[async_trait]
pub trait ErasurePlace: fmt::Debug + Send + Sync {
    /// Under what its count stands in the receipt (`archive`): 1 to 256 bytes, and the same in every process. Two places of
    /// one name are counted together.
    fn place(&self) -> &str;

    /// Removes everything of the customer that was accepted under a lower generation, and whatever has none; returns how many
    /// things that were. What is accepted under this generation or a higher one may stay.
    ///
    /// A second call under the same [`Erasure::id`] goes on with what was interrupted. It may count what the first one removed
    /// again, or not.
    ///
    /// # Errors
    /// Those of the place. Its part of the erasure is then not done, and is asked for again under the same id.
    ///
    /// # Dropped futures
    /// What was removed stays so; the next call goes on.
    async fn erase_customer(&self, request: &Erasure, generation: Generation) -> Result<u64>;
}

#[async_trait]
impl<T: ErasurePlace + ?Sized> ErasurePlace for Arc<T> {
    fn place(&self) -> &str {
        (**self).place()
    }

    async fn erase_customer(&self, request: &Erasure, generation: Generation) -> Result<u64> {
        (**self).erase_customer(request, generation).await
    }
}

const _: fn(&dyn ErasurePlace) = |_| {};
