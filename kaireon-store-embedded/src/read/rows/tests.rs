use std::collections::HashMap;

use kaireon_core::store::ScanQuery;
use kaireon_core::{Interaction, InteractionStore, TenantId};

use crate::{EmbeddedConfig, EmbeddedStore, keys};

/// Two tenants whose customers' keys begin alike.
fn of_one_lead() -> [TenantId; 2] {
    let mut known: HashMap<[u8; 2], TenantId> = HashMap::new();
    for number in 0.. {
        let tenant = TenantId::new(format!("t{number}")).unwrap();
        if let Some(other) = known.insert(keys::tenant_lead(&tenant), tenant.clone()) {
            return [other, tenant];
        }
    }
    unreachable!("there are fewer leads than numbers")
}

async fn scanned(store: &EmbeddedStore, tenant: &TenantId) -> Vec<String> {
    let mut query = ScanQuery::new(tenant.clone());
    query.limit = 1;
    let mut seen = Vec::new();
    loop {
        let page = store.scan(query.clone()).await.unwrap();
        for item in page.items {
            assert_eq!(item.value.tenant, *tenant);
            seen.push(item.value.customer.as_str().to_owned());
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    seen.sort_unstable();
    seen
}

#[tokio::test]
async fn tenants_with_equal_hashes_see_their_own_rows_and_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(EmbeddedConfig::at(dir.path().join("data")))
        .await
        .unwrap();
    let [one, other] = of_one_lead();
    let mut customers: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    for tenant in [&one, &other] {
        for customer in &customers {
            let event = Interaction::builder(tenant.as_str(), customer.as_str())
                .offer("o")
                .creative("k")
                .channel("web")
                .build()
                .unwrap();
            store.record_event(event).await.unwrap();
        }
    }
    customers.sort_unstable();
    for tenant in [&one, &other] {
        assert_eq!(scanned(&store, tenant).await, customers);
    }
    store.disconnect().await.unwrap();
}
