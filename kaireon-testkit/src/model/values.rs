//! What the numbers of an operation stand for.

use chrono::TimeDelta;
use kaireon_core::store::{Epoch, Generation, Origin, Record, RecordBatch};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    Attributes, ChannelId, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey, Interaction,
    InteractionType, OfferId, RankedOffer, RecommendationId, TenantId, Value,
};

use super::operation::{Choice, Item};
use crate::world::{Built, at};

pub(super) const NAMED: &str = "a short name is an id";

pub(super) fn tenant(number: u8) -> TenantId {
    TenantId::new(["t", "tt"][usize::from(number)]).expect(NAMED)
}

pub(super) fn customer(number: u8) -> CustomerId {
    CustomerId::new(["anna", "tanna", "bert"][usize::from(number)]).expect(NAMED)
}

pub(super) fn offer(number: u8) -> OfferId {
    OfferId::new(format!("o{number}")).expect(NAMED)
}

/// Days around the edge of an ISO year, three in the morning and late at night.
pub(super) fn time(day: u8) -> Timestamp {
    at("2024-12-20T00:00:00Z") + TimeDelta::hours(i64::from(day) * 11)
}

/// The number of a time before every row, and before 1970.
pub(super) const BEFORE_ALL: u8 = u8::MAX;

/// What a purge or a history may begin or end at.
pub(super) fn bound(day: u8) -> Timestamp {
    match day {
        BEFORE_ALL => at("1969-12-31T23:59:59.999Z"),
        day => time(day),
    }
}

pub(super) fn interaction(item: Item) -> Interaction {
    let Item {
        tenant: whose,
        customer: who,
        key,
        id,
        offer: what,
        kind,
        value,
        day,
        generation: _,
    } = item;
    let kind = ["impression", "click", "convert", "dismiss", "page_view"][usize::from(kind)];
    let built = Interaction::builder(tenant(whose), customer(who))
        .id(format!("i{id}"))
        .offer(offer(what))
        .creative(format!("c{}", what % 2))
        .channel("web")
        .rank(u32::from(id) + 1)
        .interaction_type(InteractionType::parse(kind).expect(NAMED))
        .idempotency_key(format!("k{key}"))
        .timestamp(time(day));
    match value {
        Some(value) => built.value(Value::from_micros(value)).built(),
        None => built.built(),
    }
}

pub(super) fn decision(choice: Choice) -> Decision {
    let Choice {
        tenant: whose,
        customer: who,
        id,
        offers,
        day,
        generation: _,
    } = choice;
    let ranked = |rank: u8| {
        let channel = ChannelId::new("web").expect(NAMED);
        RankedOffer::new(
            u32::from(rank),
            offer(rank),
            CreativeId::new("c").expect(NAMED),
            channel,
        )
    };
    let fields = DecisionFields {
        id: recommendation(id),
        tenant: tenant(whose),
        customer: customer(who),
        flow: DecisionFlowKey::new("f").expect(NAMED),
        offers: (1..=offers).map(ranked).collect(),
        timestamp: time(day),
        attributes: Attributes::default(),
    };
    Decision::restore(fields).expect("a model's decision is within the bounds")
}

pub(super) fn recommendation(number: u8) -> RecommendationId {
    RecommendationId::new(format!("r{number}")).expect(NAMED)
}

pub(super) fn batch<T>(values: Vec<(T, u8)>, origin: Origin, epoch: u8) -> RecordBatch<T> {
    let record = |(value, generation)| Record {
        value,
        generation: (origin != Origin::Live).then_some(Generation(u32::from(generation))),
    };
    RecordBatch {
        records: values.into_iter().map(record).collect(),
        origin,
        epoch: Epoch(u64::from(epoch)),
    }
}
