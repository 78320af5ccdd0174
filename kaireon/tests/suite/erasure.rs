//! Erasing a customer from every place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use kaireon::core::cache::{CacheCapabilities, Flights};
use kaireon::core::cache::{CacheKey, SetOptions};
use kaireon::core::search::{Document, IndexBatch, SearchQuery, TextMode, TextQuery};
use kaireon::core::store::{Erasure, ErasureId, ErasurePlace, Generation, HistoryQuery};
use kaireon::core::{CacheStore, Error, ErrorKind, Result};
use kaireon::core::{CustomerId, TenantId};
use kaireon::{Infra, Part};

use crate::support::{config, in_memory, shown};

#[tokio::test]
async fn one_receipt_counts_every_place() {
    let infra = in_memory().await;
    let (tenant, customer) = (TenantId::new("acme").unwrap(), CustomerId::new("anna").unwrap());
    infra.store().record_event(shown("anna", "k")).await.unwrap();
    infra.store().record_event(shown("bert", "k2")).await.unwrap();
    let key = CacheKey::of_customer(&tenant, &customer, "profile").unwrap();
    infra
        .cache()
        .set(&key, "x".into(), SetOptions::default())
        .await
        .unwrap();
    let others = CacheKey::new(&tenant, "catalogue").unwrap();
    infra
        .cache()
        .set(&others, "y".into(), SetOptions::default())
        .await
        .unwrap();

    let document = Document::builder(&tenant, "note", "n1")
        .title("Anna likes wool")
        .customer(customer.clone());
    let indexed = infra
        .search()
        .index(IndexBatch::live([document.build().unwrap()]))
        .await
        .unwrap();
    indexed.into_values().unwrap();

    let of_nobody = Document::builder(&tenant, "note", "n2").title("Wool is warm");
    let indexed = infra
        .search()
        .index(IndexBatch::live([of_nobody.build().unwrap()]))
        .await
        .unwrap();
    indexed.into_values().unwrap();
    let found = async || {
        infra.search().refresh().await.unwrap();
        let query = SearchQuery {
            text: Some(TextQuery::new("wool", TextMode::AllWords).unwrap()),
            ..SearchQuery::new(tenant.clone())
        };
        let hits = infra.search().search(query).await.unwrap().hits;
        let mut ids: Vec<_> = hits.iter().map(|hit| hit.document.id.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(found().await, ["n1", "n2"]);

    let request = Erasure {
        tenant: tenant.clone(),
        customer: customer.clone(),
        id: ErasureId::new("ticket-1").unwrap(),
    };
    let erased = infra.erase_customer(request.clone()).await.unwrap();
    assert_eq!(erased.unsupported, []);
    assert_eq!(erased.receipt.deleted["search"], 1);
    assert_eq!(found().await, ["n2"]);
    assert_eq!(erased.receipt.deleted["history"], 1);
    assert_eq!(erased.receipt.deleted["cache"], 1);
    assert!(infra.cache().get(&key).await.unwrap().is_none());
    assert!(infra.cache().get(&others).await.unwrap().is_some());
    let history = infra
        .store()
        .history(HistoryQuery::new(tenant.clone(), customer))
        .await
        .unwrap();
    assert!(history.items.is_empty());

    let again = infra.erase_customer(request).await.unwrap();
    assert_eq!(again.receipt.generation, erased.receipt.generation);
    assert_eq!(again.receipt.deleted["history"], 1);
    assert_eq!(again.receipt.deleted["cache"], 0);
}

/// A copy that the host keeps, which is away at first.
#[derive(Debug, Default)]
struct Copies {
    asked: AtomicU32,
}

#[async_trait::async_trait]
impl ErasurePlace for Copies {
    fn place(&self) -> &'static str {
        "copies"
    }

    async fn erase_customer(&self, request: &Erasure, generation: Generation) -> Result<u64> {
        assert_eq!((request.customer.as_str(), generation), ("anna", Generation(1)));
        match self.asked.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::new(ErrorKind::Unavailable, "the copies are away")),
            _ => Ok(7),
        }
    }
}

#[tokio::test]
async fn a_place_of_the_hosts_own_is_in_the_receipt_and_one_that_fails_is_asked_again() {
    let copies = Arc::new(Copies::default());
    let infra = Infra::builder()
        .config(config(&[("INTERACTION_STORE", "memory")]))
        .erasure_place(Arc::clone(&copies))
        .build()
        .await
        .unwrap();
    infra.store().record_event(shown("anna", "k")).await.unwrap();
    let request = Erasure {
        tenant: TenantId::new("acme").unwrap(),
        customer: CustomerId::new("anna").unwrap(),
        id: ErasureId::new("ticket-1").unwrap(),
    };
    let refused = infra.erase_customer(request.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let erased = infra.erase_customer(request).await.unwrap();
    assert_eq!(erased.receipt.generation, Generation(1), "it is the same erasure");
    assert_eq!(
        (
            erased.receipt.deleted["history"],
            erased.receipt.deleted["copies"]
        ),
        (1, 7)
    );
    assert_eq!(copies.asked.load(Ordering::SeqCst), 2);
}

/// A cache that can do only what it must.
#[derive(Debug, Default)]
struct Forgetful(Flights);

#[async_trait::async_trait]
impl CacheStore for Forgetful {
    fn capabilities(&self) -> CacheCapabilities {
        CacheCapabilities::minimal("forgetful", 1_024)
    }

    async fn get(&self, _: &CacheKey) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn set(&self, _: &CacheKey, _: Bytes, _: SetOptions) -> Result<bool> {
        Ok(true)
    }

    async fn del(&self, _: &CacheKey) -> Result<bool> {
        Ok(false)
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }

    fn flights(&self) -> &Flights {
        &self.0
    }
}

#[tokio::test]
async fn a_part_that_cannot_erase_is_named_and_the_others_are_erased() {
    let infra = Infra::builder()
        .config(config(&[
            ("INTERACTION_STORE", "memory"),
            ("CACHE_STORE", "forgetful"),
        ]))
        .register_cache("forgetful", |_| async { Ok(Forgetful::default()) })
        .build()
        .await
        .unwrap();
    infra.store().record_event(shown("anna", "k")).await.unwrap();
    let request = Erasure {
        tenant: TenantId::new("acme").unwrap(),
        customer: CustomerId::new("anna").unwrap(),
        id: ErasureId::fresh(),
    };
    let erased = infra.erase_customer(request).await.unwrap();
    assert_eq!(erased.unsupported, [Part::Cache]);
    assert_eq!(erased.receipt.deleted["history"], 1);
    assert!(!erased.receipt.deleted.contains_key("cache"));
}
