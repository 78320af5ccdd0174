//! What is read page by page: rows, decisions and tombstones.

use futures_util::future::BoxFuture;
use kaireon_core::digest::Digest;
use kaireon_core::store::{
    Accepted, Generation, HistoryCursor, HistoryQuery, Page, ScanCursor, ScanQuery, StoreCapabilities,
    Tombstone, TombstoneQuery,
};
use kaireon_core::time::Timestamp;
use kaireon_core::wire::{put_decision, put_interaction};
use kaireon_core::{
    CustomerId, Decision, Interaction, InteractionId, InteractionStore, RecommendationId, Result, TenantId,
};

use super::report::{Kind, Name};

/// Where a row is found again on either side.
pub(super) trait Place: Clone + Send + Sync + 'static {
    /// What is found there.
    type Found: PartialEq + Send;

    fn put(&self, out: &mut Vec<u8>);
    fn name(&self) -> Name;
    /// Looks some of them up, in their order.
    fn look<'a>(
        places: &'a [Self],
        store: &'a dyn InteractionStore,
        tenant: &'a TenantId,
    ) -> BoxFuture<'a, Result<Vec<Option<Self::Found>>>>;
}

/// A row of a kind.
pub(super) trait Row: Send + 'static {
    const KIND: Kind;
    /// How many places one look is for.
    const LOOKS: usize;
    /// Whether a look at a place does not tell the generation, so that only a pass over the rows does.
    const HIDES_GENERATION: bool;
    type Place: Place;

    fn has(can: &StoreCapabilities) -> bool;
    fn page(
        store: &dyn InteractionStore,
        tenant: TenantId,
        cursor: Option<ScanCursor>,
    ) -> BoxFuture<'_, Result<Page<Self, ScanCursor>>>
    where
        Self: Sized;
    fn customer(&self) -> Option<&CustomerId>;
    fn timestamp(&self) -> Option<Timestamp>;
    fn generation(&self) -> Generation;
    fn place(&self) -> Self::Place;
    /// What the rows of one range have in common: the customer, and the day where there is one.
    fn put_range(&self, out: &mut Vec<u8>);
    /// All of it but the generation.
    fn put(&self, out: &mut Vec<u8>);
}

fn put_day(out: &mut Vec<u8>, customer: &CustomerId, at: Timestamp) {
    out.extend_from_slice(&at.timestamp_millis().div_euclid(86_400_000).to_le_bytes());
    out.extend_from_slice(customer.as_str().as_bytes());
}

#[derive(Clone)]
pub(super) struct InteractionPlace {
    customer: CustomerId,
    timestamp: Timestamp,
    id: InteractionId,
    tie: u64,
}

impl Place for InteractionPlace {
    type Found = Interaction;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.timestamp_millis().to_le_bytes());
        out.extend_from_slice(&self.tie.to_le_bytes());
        for text in [self.id.as_str(), self.customer.as_str()] {
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn name(&self) -> Name {
        Name::Interaction(self.id.clone())
    }

    fn look<'a>(
        places: &'a [Self],
        store: &'a dyn InteractionStore,
        tenant: &'a TenantId,
    ) -> BoxFuture<'a, Result<Vec<Option<Interaction>>>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(places.len());
            for place in places {
                found.push(place.row(store, tenant).await?);
            }
            Ok(found)
        })
    }
}

impl InteractionPlace {
    /// The row at this place of the customer's history.
    async fn row(&self, store: &dyn InteractionStore, tenant: &TenantId) -> Result<Option<Interaction>> {
        let mut query = HistoryQuery {
            from: Some(self.timestamp),
            until: self
                .timestamp
                .checked_add_signed(chrono::TimeDelta::milliseconds(1)),
            ..HistoryQuery::new(tenant.clone(), self.customer.clone())
        };
        loop {
            let page = store.history(query.clone()).await?;
            let found = page
                .items
                .into_iter()
                .find(|row| row.id == self.id && HistoryCursor::tie_of(&row.idempotency_key) == self.tie);
            match (found, page.next) {
                (None, Some(next)) => query.cursor = Some(next),
                (found, _) => return Ok(found),
            }
        }
    }
}

impl Row for Accepted<Interaction> {
    const KIND: Kind = Kind::Interactions;
    const LOOKS: usize = 1;
    const HIDES_GENERATION: bool = true;
    type Place = InteractionPlace;

    fn has(can: &StoreCapabilities) -> bool {
        can.scan && can.history
    }

    fn page(
        store: &dyn InteractionStore,
        tenant: TenantId,
        cursor: Option<ScanCursor>,
    ) -> BoxFuture<'_, Result<Page<Self, ScanCursor>>> {
        store.scan(ScanQuery {
            cursor,
            ..ScanQuery::new(tenant)
        })
    }

    fn customer(&self) -> Option<&CustomerId> {
        Some(&self.value.customer)
    }

    fn timestamp(&self) -> Option<Timestamp> {
        Some(self.value.timestamp)
    }

    fn generation(&self) -> Generation {
        self.generation
    }

    fn place(&self) -> InteractionPlace {
        let HistoryCursor { timestamp, id, tie } = HistoryCursor::after(&self.value);
        InteractionPlace {
            customer: self.value.customer.clone(),
            timestamp,
            id,
            tie,
        }
    }

    fn put_range(&self, out: &mut Vec<u8>) {
        put_day(out, &self.value.customer, self.value.timestamp);
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_interaction(out, &self.value);
    }
}

impl Place for RecommendationId {
    type Found = Decision;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }

    fn name(&self) -> Name {
        Name::Decision(self.clone())
    }

    fn look<'a>(
        places: &'a [Self],
        store: &'a dyn InteractionStore,
        tenant: &'a TenantId,
    ) -> BoxFuture<'a, Result<Vec<Option<Decision>>>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(places.len());
            for id in places {
                found.push(store.decision(tenant, id).await?);
            }
            Ok(found)
        })
    }
}

impl Row for Accepted<Decision> {
    const KIND: Kind = Kind::Decisions;
    const LOOKS: usize = 1;
    const HIDES_GENERATION: bool = true;
    type Place = RecommendationId;

    fn has(can: &StoreCapabilities) -> bool {
        can.scan && can.decisions
    }

    fn page(
        store: &dyn InteractionStore,
        tenant: TenantId,
        cursor: Option<ScanCursor>,
    ) -> BoxFuture<'_, Result<Page<Self, ScanCursor>>> {
        store.scan_decisions(ScanQuery {
            cursor,
            ..ScanQuery::new(tenant)
        })
    }

    fn customer(&self) -> Option<&CustomerId> {
        Some(&self.value.customer)
    }

    fn timestamp(&self) -> Option<Timestamp> {
        Some(self.value.timestamp)
    }

    fn generation(&self) -> Generation {
        self.generation
    }

    fn place(&self) -> RecommendationId {
        self.value.id.clone()
    }

    fn put_range(&self, out: &mut Vec<u8>) {
        put_day(out, &self.value.customer, self.value.timestamp);
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_decision(out, &self.value);
    }
}

impl Place for Digest {
    type Found = Generation;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn name(&self) -> Name {
        Name::Tombstone
    }

    /// There is no look at one of them, so all are read.
    fn look<'a>(
        places: &'a [Self],
        store: &'a dyn InteractionStore,
        tenant: &'a TenantId,
    ) -> BoxFuture<'a, Result<Vec<Option<Generation>>>> {
        Box::pin(async move {
            let at: std::collections::HashMap<_, _> = places.iter().zip(0..).collect();
            let mut found = vec![None; places.len()];
            let mut query = TombstoneQuery::new(tenant.clone());
            loop {
                let page = store.tombstones(query.clone()).await?;
                for stone in page.items {
                    if let Some(&place) = at.get(&stone.customer) {
                        found[place] = Some(stone.generation);
                    }
                }
                match page.next {
                    Some(next) => query.cursor = Some(next),
                    None => return Ok(found),
                }
            }
        })
    }
}

impl Row for Tombstone {
    const KIND: Kind = Kind::Tombstones;
    const LOOKS: usize = 10_000;
    const HIDES_GENERATION: bool = false;
    type Place = Digest;

    fn has(can: &StoreCapabilities) -> bool {
        can.erasure
    }

    fn page(
        store: &dyn InteractionStore,
        tenant: TenantId,
        cursor: Option<ScanCursor>,
    ) -> BoxFuture<'_, Result<Page<Self, ScanCursor>>> {
        store.tombstones(TombstoneQuery {
            cursor,
            ..TombstoneQuery::new(tenant)
        })
    }

    fn customer(&self) -> Option<&CustomerId> {
        None
    }

    fn timestamp(&self) -> Option<Timestamp> {
        None
    }

    fn generation(&self) -> Generation {
        self.generation
    }

    fn place(&self) -> Digest {
        self.customer
    }

    fn put_range(&self, out: &mut Vec<u8>) {
        self.customer.put(out);
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.customer.put(out);
    }
}
