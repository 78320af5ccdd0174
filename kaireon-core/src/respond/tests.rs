//! Answers against the in-memory store.

use super::*;
use crate::memory::MemoryStore;
use crate::store::{Erasure, ErasureId, HistoryQuery};
use crate::{CampaignId, ChannelId, CreativeId, DecisionFields, DecisionFlowKey, OfferId, PlacementId};

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

fn recommendation() -> RecommendationId {
    RecommendationId::new("r").unwrap()
}

fn ranked(rank: u32) -> RankedOffer {
    let mut offer = RankedOffer::new(
        rank,
        OfferId::new(format!("o{rank}")).unwrap(),
        CreativeId::new(format!("k{rank}")).unwrap(),
        ChannelId::new("web").unwrap(),
    );
    offer.campaign = Some(CampaignId::new("spring").unwrap());
    offer.placement = Some(PlacementId::new("top").unwrap());
    offer
}

async fn store() -> (MemoryStore, CustomerId) {
    let store = MemoryStore::new();
    let customer = CustomerId::new("anna").unwrap();
    let decision = DecisionFields {
        id: recommendation(),
        tenant: tenant(),
        customer: customer.clone(),
        flow: DecisionFlowKey::new("home").unwrap(),
        offers: vec![ranked(1), ranked(2)],
        timestamp: SystemClock.now(),
        attributes: Attributes::default(),
    };
    let decision = Decision::new(decision, &SystemClock).unwrap();
    store.record_decision(decision).await.unwrap();
    (store, customer)
}

fn click(rank: u32) -> Response {
    Response::new(tenant(), (recommendation(), rank), InteractionType::Click)
}

#[tokio::test]
async fn a_recommendation_and_a_rank_become_an_interaction() {
    let (store, customer) = store().await;
    let response = click(2);
    let recorded = respond(&store, response.clone()).await.unwrap();
    assert_eq!(recorded, Recorded::new(response.id.clone()));
    let page = store
        .history(HistoryQuery::new(tenant(), customer.clone()))
        .await
        .unwrap();
    let row = &page.items[0];
    assert_eq!(
        (
            row.offer.as_str(),
            row.creative.as_str(),
            row.channel.as_str(),
            row.rank
        ),
        ("o2", "k2", "web", Some(2))
    );
    assert_eq!(row.campaign, ranked(2).campaign);
    assert_eq!(row.placement, ranked(2).placement);
    assert_eq!(row.recommendation, Some(recommendation()));
    assert_eq!(
        (row.outcome.as_str(), row.classification),
        ("click", Classification::Positive)
    );
    // The same response again, under its own id and key.
    assert!(!respond(&store, response).await.unwrap().is_new());
}

#[tokio::test]
async fn what_does_not_resolve_is_refused_and_records_nothing() {
    let (store, customer) = store().await;
    for rank in [0, 3] {
        let error = respond(&store, click(rank)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidInput, Some("rank"))
        );
    }
    let mut other = click(1);
    other.customer = Some(CustomerId::new("bert").unwrap());
    let error = respond(&store, other).await.unwrap_err();
    assert_eq!(error.field(), Some("customer_id"));
    let unknown = RecommendationId::new("unknown").unwrap();
    let unknown = Response::new(tenant(), (unknown, 1), InteractionType::Click);
    assert_eq!(
        respond(&store, unknown).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let mut foreign = click(1);
    foreign.tenant = TenantId::new("u").unwrap();
    assert_eq!(
        respond(&store, foreign).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let page = store
        .history(HistoryQuery::new(tenant(), customer))
        .await
        .unwrap();
    assert!(page.items.is_empty());
}

#[tokio::test]
async fn an_erased_recommendation_cannot_be_answered() {
    let (store, customer) = store().await;
    let erasure = Erasure {
        tenant: tenant(),
        customer,
        id: ErasureId::fresh(),
    };
    store.erase_customer(erasure).await.unwrap();
    assert_eq!(
        respond(&store, click(1)).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}
