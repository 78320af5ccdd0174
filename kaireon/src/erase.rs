//! Erasing a customer from every place that may hold something of them.

use kaireon_core::search::SearchIndex;
use kaireon_core::store::{Erasure, ErasurePlace, ErasureReceipt};
use kaireon_core::{CacheStore, InteractionStore, Result};

use crate::report::Part;

/// What was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a part may have kept what it has of the customer"]
#[non_exhaustive]
pub struct Erased {
    /// The store's receipt, with the counts of `search`, `cache` and every further place added.
    pub receipt: ErasureReceipt,
    /// Parts whose backend cannot erase a customer. What they hold of the customer stays until the host removes it
    /// or it expires.
    pub unsupported: Vec<Part>,
}

pub(crate) async fn erase(
    request: Erasure,
    store: &dyn InteractionStore,
    (search, cache): (&dyn SearchIndex, &dyn CacheStore),
    places: &[&dyn ErasurePlace],
) -> Result<Erased> {
    let Erasure { tenant, customer, .. } = &request;
    // The tombstone first: what is indexed or cached from the store after it no longer holds the customer.
    let mut receipt = store.erase_customer(request.clone()).await?;
    let mut unsupported = Vec::new();
    if search.capabilities().erasure {
        receipt.add("search", search.erase_customer(tenant, customer).await?);
    } else {
        unsupported.push(Part::Search);
    }
    if cache.capabilities().erasure {
        receipt.add("cache", cache.erase_customer(tenant, customer).await?);
    } else {
        unsupported.push(Part::Cache);
    }
    for place in places {
        let erased = place.erase_customer(&request, receipt.generation).await?;
        receipt.add(place.place(), erased);
    }
    Ok(Erased { receipt, unsupported })
}
