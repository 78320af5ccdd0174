//! Erasing a customer from every place.

use kaireon::Part;
use kaireon::core::cache::{CacheKey, SetOptions};
use kaireon::core::store::{Erasure, ErasureId, HistoryQuery};
use kaireon::core::{CustomerId, TenantId};

use crate::support::{in_memory, shown};

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

    let request = Erasure {
        tenant: tenant.clone(),
        customer: customer.clone(),
        id: ErasureId::new("ticket-1").unwrap(),
    };
    let erased = infra.erase_customer(request.clone()).await.unwrap();
    assert!(
        !erased.unsupported.contains(&Part::Cache),
        "{:?}",
        erased.unsupported
    );
    assert_eq!(erased.receipt.deleted["history"], 1);
    assert_eq!(erased.receipt.deleted["cache"], 1);
    assert!(infra.cache().get(&key).await.unwrap().is_none());
    assert!(infra.cache().get(&others).await.unwrap().is_some());
    let history = infra
        .store()
        .history(HistoryQuery::new(tenant, customer))
        .await
        .unwrap();
    assert!(history.items.is_empty());

    let again = infra.erase_customer(request).await.unwrap();
    assert_eq!(again.receipt.generation, erased.receipt.generation);
    assert_eq!(again.receipt.deleted["history"], 1);
    assert_eq!(again.receipt.deleted["cache"], 0);
}
