//! Tenants never see each other, whatever they are called.

use kaireon_core::store::{HistoryQuery, RecordBatch, Recorded, ScanQuery, SummaryQuery};
use kaireon_core::{CustomerId, Interaction, InteractionId, TenantId};

use crate::StoreFixture;
use crate::world::{Built, Need, World, fold, newest_first, noon};

/// Names that look like each other's keys, prefixes, or parts of a path.
fn awkward(world: &World<'_>) -> Vec<TenantId> {
    let base = world.tenant.as_str();
    let long = |end: &str| {
        let fill = 256 - base.len() - end.len();
        format!("{base}{}{end}", "l".repeat(fill))
    };
    let names = [
        base.to_owned(),
        format!("{base}a"),
        format!("{base}ab"),
        format!("{base}abc"),
        format!("{base}/"),
        format!("{base}/a"),
        format!("{base}:"),
        format!("{base}:a"),
        format!("{base}."),
        format!("{base}..%"),
        format!("{base}_"),
        format!("{base}|a"),
        format!("{base} "),
        format!("{base}\u{fffd}"),
        format!("{base}\u{10ffff}"),
        format!("{base}é"),
        format!("{base}e\u{301}"),
        format!("{base}'; --"),
        format!("{base}\\"),
        format!("{base}A"),
        long("a"),
        long("b"),
        format!("{base}{}", "l".repeat(10)),
    ];
    names
        .into_iter()
        .map(|name| TenantId::new(name).unwrap())
        .collect()
}

/// Tenants with awkward names each have their own history, summaries and scan.
pub async fn tenants_with_awkward_names_have_data_of_their_own(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let tenants = awkward(&world);
    let mut all: Vec<Vec<Interaction>> = Vec::new();
    for (n, tenant) in tenants.iter().enumerate() {
        let event = |k: usize| {
            let event = world.event_of(tenant, "anna").offer(format!("offer-{n}"));
            event.timestamp(noon(i64::try_from(k).unwrap())).built()
        };
        let events: Vec<_> = (0..=n % 4).map(event).collect();
        let recorded = world
            .store
            .record_events(RecordBatch::live(events.clone()))
            .await
            .unwrap();
        assert!(recorded.into_values().unwrap().iter().all(Recorded::is_new));
        all.push(events);
    }
    for (tenant, events) in tenants.iter().zip(&all) {
        assert_eq!(
            world.summaries_of(tenant, "anna").await,
            fold(events),
            "summaries of {tenant}"
        );
        if world.can.history {
            let query = HistoryQuery::new(tenant.clone(), world.customer("anna"));
            assert_eq!(
                world.history_by(query, 2).await,
                newest_first(events),
                "history of {tenant}"
            );
        }
        if world.can.scan {
            let found = world.scan(tenant, 2).await;
            assert_eq!(found.len(), events.len(), "scan of {tenant}");
            assert!(found.iter().all(|found| found.value.tenant == *tenant));
        }
    }
}

/// Tenant and customer are two names: where their texts run together alike, they are still two pairs.
pub async fn tenant_and_customer_are_not_run_together(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let mut pairs = Vec::new();
    for separator in ["", "/", ":", "|", ".", "#", "-", "\u{fffd}", "x"] {
        // (t, s+x) against (t+s, x), with both orders of what is between.
        let longer = format!("{}{separator}", world.tenant);
        pairs.push((
            world.tenant.to_string(),
            format!("{separator}{}", world.mark("c")),
        ));
        pairs.push((longer, world.mark("c")));
    }
    pairs.sort();
    pairs.dedup();
    let name = |(tenant, customer): &(String, String)| {
        (TenantId::new(tenant).unwrap(), CustomerId::new(customer).unwrap())
    };
    let mut all = Vec::new();
    for (n, pair) in pairs.iter().map(name).enumerate() {
        let event = world.event_of(&pair.0, "c").offer(format!("offer-{n}")).built();
        let event = event.edited(|fields| fields.customer = pair.1.clone()).unwrap();
        world.record(&event).await;
        all.push((pair, event));
    }
    for ((tenant, customer), event) in all {
        let query = SummaryQuery::new(tenant.clone(), customer.clone());
        assert_eq!(
            world.store.get_summaries(query).await.unwrap(),
            fold(std::slice::from_ref(&event))
        );
        if world.can.history {
            let query = HistoryQuery::new(tenant, customer);
            assert_eq!(world.history_by(query, 10).await, [event]);
        }
    }
}

/// Ids of 256 bytes and of any script are kept apart and come back whole.
pub async fn ids_of_every_script_and_length_are_kept_apart(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let mark = world.mark("");
    let long = |end: &str| format!("{mark}{}{end}", "ü".repeat((256 - mark.len() - end.len()) / 2));
    let names = [
        format!("{mark}a"),
        format!("{mark}ab"),
        format!("{mark}a/b"),
        format!("{mark}a:b"),
        mark.clone(),
        format!("{mark} "),
        format!("{mark}客户"),
        format!("{mark}عميل"),
        format!("{mark}👩‍👩‍👧"),
        format!("{mark}e\u{301}"),
        format!("{mark}é"),
        format!("{mark}\u{10ffff}"),
        format!("{mark}%00"),
        format!("{mark}\\0"),
        format!("{mark}\u{200b}"),
        long("a"),
        long("b"),
    ];
    let mut events = Vec::new();
    for name in &names {
        let event = world.event("x").offer(name).channel(name).id(name).built();
        let event = event
            .edited(|fields| fields.customer = CustomerId::new(name).unwrap())
            .unwrap();
        world.record(&event).await;
        events.push(event);
    }
    for event in events {
        let query = SummaryQuery::new(world.tenant.clone(), event.customer.clone());
        assert_eq!(
            world.store.get_summaries(query).await.unwrap(),
            fold(std::slice::from_ref(&event))
        );
        if world.can.history {
            let query = HistoryQuery::new(world.tenant.clone(), event.customer.clone());
            assert_eq!(world.history_by(query, 1).await, [event]);
        }
    }
}

/// A batch of several tenants gives each its own.
pub async fn a_batch_of_several_tenants_reaches_each(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    let tenants = &awkward(&world)[..6];
    let event = |n: usize| {
        let event = world.event_of(&tenants[n % 6], "anna").built();
        // One key for all of them: keys are a tenant's own.
        let key = world.key(&format!("shared-{}", n / 6));
        event
            .edited(|fields| (fields.idempotency_key, fields.id) = (key.clone(), InteractionId::fresh()))
            .unwrap()
    };
    let events: Vec<_> = (0..24).map(event).collect();
    world.record_all(&events).await;
    for tenant in tenants {
        let mine: Vec<_> = events
            .iter()
            .filter(|event| event.tenant == *tenant)
            .cloned()
            .collect();
        assert_eq!(world.summaries_of(tenant, "anna").await, fold(&mine));
    }
}

/// A cursor of one tenant's scan shows nothing of that tenant to another.
pub async fn a_cursor_of_another_tenant_shows_nothing_of_it(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Scan]).await {
        return;
    }
    let other = TenantId::new(format!("{}a", world.tenant)).unwrap();
    for tenant in [&world.tenant, &other] {
        for n in 0..6 {
            world
                .record(&world.event_of(tenant, "anna").timestamp(noon(n)).built())
                .await;
        }
    }
    let query = ScanQuery {
        limit: 2,
        ..ScanQuery::new(world.tenant.clone())
    };
    let cursor = world.store.scan(query).await.unwrap().next;
    assert!(cursor.is_some(), "there is more");
    let query = ScanQuery {
        cursor,
        ..ScanQuery::new(other.clone())
    };
    // It may refuse the cursor, or read on in its own tenant.
    match world.store.scan(query).await {
        Ok(page) => assert!(
            page.items.iter().all(|found| found.value.tenant == other),
            "only rows of the tenant that asks"
        ),
        Err(error) => assert_eq!(error.field(), Some("cursor"), "{error}"),
    }
}

/// Erasure, purge and fence of one tenant do not reach a neighbour, nor one that its name begins.
pub async fn erasure_purge_and_fence_stay_within_their_tenant(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Erasure, Need::Purge, Need::Fence]).await {
        return;
    }
    let neighbours = [
        format!("{}a", world.tenant),
        world.tenant.as_str()[..world.tenant.as_str().len() - 1].to_owned(),
    ];
    let mut kept = Vec::new();
    for name in &neighbours {
        let tenant = TenantId::new(name).unwrap();
        let event = world.event_of(&tenant, "anna").built();
        world.record(&event).await;
        kept.push((tenant, event));
    }
    world.record(&world.event("anna").built()).await;
    world.erase("anna", "ticket-1").await;
    world.purge(noon(86_400_000)).await;
    let epoch = kaireon_core::store::Epoch(9);
    let request = kaireon_core::store::FenceRequest {
        tenant: world.tenant.clone(),
        epoch,
        lanes: None,
    };
    world.store.raise_fence(request).await.unwrap();
    for (tenant, event) in kept {
        let next = world.event_of(&tenant, "anna").timestamp(noon(1)).built();
        world.record(&next).await;
        assert_eq!(
            world.summaries_of(&tenant, "anna").await,
            fold(&[event, next]),
            "{tenant} is left alone"
        );
    }
}
