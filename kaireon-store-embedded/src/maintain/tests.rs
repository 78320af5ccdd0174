use kaireon_core::store::{Erasure, ErasureId, HistoryQuery, SummaryQuery};
use kaireon_core::{CustomerId, ErrorKind, Interaction, InteractionStore, TenantId};

use crate::client::{Change, Engine, Space};
use crate::codec::own_of;
use crate::{EmbeddedConfig, EmbeddedStore, keys};

fn event(key: &str) -> Interaction {
    let shown = Interaction::builder("t", "anna")
        .offer("o")
        .creative("k")
        .channel("web");
    shown.idempotency_key(key).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_whose_value_and_rows_are_damaged_is_erased_and_starts_anew() {
    let (tenant, customer) = (TenantId::new("t").unwrap(), CustomerId::new("anna").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::at(folder.path().join("store"));
    let store = EmbeddedStore::open(config.clone()).await.unwrap();
    store.record_event(event("one")).await.unwrap();
    store.record_event(event("two")).await.unwrap();
    store.disconnect().await.unwrap();
    drop(store);
    {
        let engine = std::sync::Arc::new(Engine::open(&config.data_dir.join("db"), &config).unwrap());
        let key = keys::customer(&tenant, &customer);
        let value = engine.get(Space::Customers, &key).unwrap().unwrap();
        let packed = own_of(&value).unwrap().2.len();
        let row = engine
            .view()
            .prefix(Space::History, &[])
            .next()
            .unwrap()
            .unwrap()
            .0;
        let damage: Vec<Change> = vec![
            // What the generation is read from stands.
            (
                Space::Customers,
                key.into(),
                Some([&value[..value.len() - packed], &[0xff; 9]].concat().into()),
            ),
            (Space::History, row, Some([0xff; 9].into())),
        ];
        engine.commit(damage).unwrap().show();
        Engine::close(engine, std::time::Duration::from_secs(60)).unwrap_or_else(|_| panic!("it is in use"));
    }
    let store = EmbeddedStore::open(config).await.unwrap();
    let summaries = || store.get_summaries(SummaryQuery::new(tenant.clone(), customer.clone()));
    let history = || store.history(HistoryQuery::new(tenant.clone(), customer.clone()));
    assert_eq!(summaries().await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(history().await.unwrap_err().kind(), ErrorKind::Corrupt);
    let request = Erasure {
        tenant: tenant.clone(),
        customer: customer.clone(),
        id: ErasureId::fresh(),
    };
    let receipt = store.erase_customer(request).await.unwrap();
    assert_eq!(receipt.deleted.get("history"), Some(&2));
    assert_eq!(summaries().await.unwrap(), []);
    assert_eq!(history().await.unwrap().items, []);
    assert!(store.record_event(event("three")).await.unwrap().is_new());
    assert_eq!(history().await.unwrap().items.len(), 1);
    store.disconnect().await.unwrap();
}
