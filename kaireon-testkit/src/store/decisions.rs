//! Decisions: the recommendation id is the key; all else follows the rules of interactions.

use std::sync::Arc;

use kaireon_core::store::{Generation, RecordBatch, Recorded};
use kaireon_core::{
    Attributes, Decision, DecisionFields, DecisionFlowKey, ErrorKind, Propensity, RecommendationId, TenantId,
};

use crate::StoreFixture;
use crate::world::{Need, World, at, together};

async fn new(world: &World<'_>, decision: &Decision) {
    let recorded = world.store.record_decision(decision.clone()).await.unwrap();
    assert_eq!(recorded, Recorded::new(decision.id.clone()));
}

async fn find(world: &World<'_>, id: &str) -> Option<Decision> {
    world
        .store
        .decision(&world.tenant, &RecommendationId::new(id).unwrap())
        .await
        .unwrap()
}

/// A decision is found under its id as it was recorded; an unknown id finds nothing.
pub async fn a_decision_is_found_under_its_id(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions]).await {
        return;
    }
    let many = world.decision("many", "anna", 5);
    let none = world.decision("none", "anna", 0);
    new(&world, &many).await;
    new(&world, &none).await;
    assert_eq!(find(&world, "many").await, Some(many));
    assert_eq!(find(&world, "none").await, Some(none));
    for unknown in ["man", "many ", "Many"] {
        assert_eq!(find(&world, unknown).await, None);
    }
}

/// The same content again is a duplicate, also when it is built anew at another time.
pub async fn a_decision_again_is_a_duplicate(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions]).await {
        return;
    }
    let decision = world.decision("r", "anna", 3);
    new(&world, &decision).await;
    let later = decision
        .edited(|fields| fields.timestamp = at("2024-06-20T00:00:00Z"))
        .unwrap();
    for again in [decision.clone(), later] {
        let recorded = world.store.record_decision(again).await.unwrap();
        assert_eq!(recorded, Recorded::Duplicate(decision.id.clone()));
    }
    assert_eq!(
        find(&world, "r").await,
        Some(decision),
        "the first stays as it was"
    );
}

/// Any other content under a known id is a conflict, and the first stays.
pub async fn a_decision_with_a_reused_id_and_other_content_conflicts(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions]).await {
        return;
    }
    let decision = world.decision("r", "anna", 3);
    new(&world, &decision).await;
    let other = world.customer("bert");
    let edits: [&(dyn Fn(&mut DecisionFields) + Sync); 6] = [
        &|fields| fields.customer = other.clone(),
        &|fields| fields.flow = DecisionFlowKey::new("flow-2").unwrap(),
        &|fields| drop(fields.offers.pop()),
        &|fields| fields.offers[0].propensity = Some(Propensity::new(0.5).unwrap()),
        &|fields| fields.offers[1].rank = 9,
        &|fields| fields.attributes = Attributes::from_value(serde_json::json!({ "a": 1 })).unwrap(),
    ];
    for edit in edits {
        let changed = decision.edited(edit).unwrap();
        let error = world.refused(world.store.record_decision(changed).await, ErrorKind::Conflict);
        assert!(!error.is_transient());
    }
    assert_eq!(find(&world, "r").await, Some(decision));
}

/// Items of a batch of decisions are judged one by one, in their order.
pub async fn record_decisions_judges_each_item_in_order(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions]).await {
        return;
    }
    let (first, wrong) = (world.decision("r", "anna", 1), world.decision("r", "anna", 2));
    let last = world.decision("s", "anna", 1);
    let batch = RecordBatch::live([first.clone(), wrong, first.clone(), last.clone()]);
    let results = world.store.record_decisions(batch).await.unwrap().into_results();
    assert_eq!(results.len(), 4);
    assert_eq!(results[0].as_ref().unwrap(), &Recorded::new(first.id.clone()));
    assert_eq!(results[1].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(
        results[2].as_ref().unwrap(),
        &Recorded::Duplicate(first.id.clone())
    );
    assert_eq!(results[3].as_ref().unwrap(), &Recorded::new(last.id.clone()));
    assert_eq!(find(&world, "r").await, Some(first));
}

/// Of many callers with one decision at once, one is new.
pub async fn concurrent_retries_of_a_decision_record_once(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions]).await {
        return;
    }
    let handles = [Arc::clone(&world.store), world.second_handle().await];
    let decision = world.decision("r", "anna", 2);
    let call = |n: usize| {
        let (store, decision) = (Arc::clone(&handles[n % 2]), decision.clone());
        async move { store.record_decision(decision).await.unwrap().is_new() }
    };
    let answers = together((0..20).map(call)).await;
    assert_eq!(answers.into_iter().filter(|&new| new).count(), 1);
}

/// One recommendation id in two tenants is two decisions.
pub async fn one_recommendation_id_in_two_tenants_is_two_decisions(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions]).await {
        return;
    }
    let neighbour = TenantId::new(format!("{}-2", world.tenant)).unwrap();
    let (mine, theirs) = (
        world.decision("r", "anna", 1),
        world.decision_of(&neighbour, "r", "bert", 2),
    );
    new(&world, &mine).await;
    assert_eq!(world.store.decision(&neighbour, &mine.id).await.unwrap(), None);
    new(&world, &theirs).await;
    assert_eq!(find(&world, "r").await, Some(mine));
    assert_eq!(
        world.store.decision(&neighbour, &theirs.id).await.unwrap(),
        Some(theirs)
    );
}

/// A scan of decisions returns a tenant's exactly once, at any page size.
pub async fn scan_decisions_returns_a_whole_tenant_exactly_once(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions, Need::Scan]).await {
        return;
    }
    let decisions: Vec<_> = (0..40)
        .map(|n| world.decision(&format!("r{n}"), &format!("c{}", n % 7), n % 5))
        .collect();
    world
        .store
        .record_decisions(RecordBatch::live(decisions.clone()))
        .await
        .unwrap()
        .into_values()
        .unwrap();
    let neighbour = TenantId::new(format!("{}-2", world.tenant)).unwrap();
    new(&world, &world.decision_of(&neighbour, "r1", "c1", 1)).await;
    for limit in [1, 9, 40, 1_000] {
        let mut found = world.scan_decisions(&world.tenant, limit).await;
        found.sort_by(|left, right| left.value.id.cmp(&right.value.id));
        let mut expected = decisions.clone();
        expected.sort_by(|left, right| left.id.cmp(&right.id));
        assert!(found.iter().all(|found| found.generation == Generation::ZERO));
        assert_eq!(
            found.into_iter().map(|found| found.value).collect::<Vec<_>>(),
            expected,
            "pages of {limit}"
        );
    }
}

/// A decision is no interaction: it is in no history, no scan of interactions and no summary.
pub async fn decisions_do_not_mix_with_interactions(fixture: &dyn StoreFixture) {
    let world = World::open(fixture).await;
    if !world.can(&[Need::Decisions]).await {
        return;
    }
    new(&world, &world.decision("r", "anna", 3)).await;
    world.holds("anna", &[]).await;
    if world.can.scan {
        assert_eq!(world.scan(&world.tenant, 10).await, []);
    }
}
