use chrono::TimeDelta;
use kaireon_core::digest::{Digest, MasterKey};
use kaireon_core::event::Event;
use kaireon_core::outbox::{HostEvent, Lane, LaneSet, OutboxPayload, Position};
use kaireon_core::store::{Epoch, ErasureId, ErasureReceipt, Generation};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{
    Attributes, ChannelId, Classification, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey,
    Direction, Interaction, InteractionType, OfferId, Propensity, RankedOffer, RecommendationId, TenantId,
    Value,
};
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

use super::entry::Entry;
use super::*;

fn interactions() -> impl Strategy<Value = Interaction> {
    let texts = proptest::collection::vec("[a-zäß☃ -]{1,9}", 8);
    let options = any::<([bool; 6], Option<i64>, Option<u32>, u8, u8)>();
    (texts, options, any::<f64>()).prop_map(|(texts, (present, value, rank, class, kind), number)| {
        let mut builder = Interaction::builder(&texts[0], &texts[1])
            .offer(&texts[2])
            .creative(&texts[3])
            .channel(&texts[4]);
        if present[0] {
            builder = builder.placement(&texts[5]).id(&texts[6])
        }
        if present[1] {
            builder = builder.category(&texts[6]).outcome(&texts[7])
        }
        if present[2] {
            builder = builder.campaign(&texts[7]).direction(Direction::Outbound)
        }
        if present[3] {
            builder = builder.recommendation(&texts[5])
        }
        if present[4] {
            builder = builder.idempotency_key(&texts[6])
        }
        if present[5] && number.is_finite() {
            builder = builder.attributes(serde_json::json!({ "n": number, &texts[5]: [texts[6], null] }));
        }
        if let Some(value) = value {
            builder = builder.value(Value::from_micros(value))
        }
        if let Some(rank) = rank {
            builder = builder.rank(rank.max(1))
        }
        builder = match class % 3 {
            0 => builder.classification(Classification::Positive),
            1 => builder.classification(Classification::Negative),
            _ => builder.classification(Classification::Neutral),
        };
        let names = [
            "impression",
            "click",
            "dismiss",
            "accept",
            "convert",
            "complaint",
            "unsubscribe",
            "own type",
        ];
        let name = names[usize::from(kind) % names.len()];
        builder
            .interaction_type(InteractionType::parse(name).unwrap())
            .build()
            .unwrap()
    })
}

fn decision(offers: u32, propensity: Option<f64>) -> Decision {
    let ranked = (1..=offers).map(|rank| {
        let offer = OfferId::new(format!("o{rank}")).unwrap();
        let mut ranked = RankedOffer::new(
            rank,
            offer,
            CreativeId::new("k").unwrap(),
            ChannelId::new("web").unwrap(),
        );
        ranked.propensity = propensity.map(|propensity| Propensity::new(propensity).unwrap());
        ranked.campaign = (rank % 2 == 0).then(|| "c".try_into().unwrap());
        ranked
    });
    Decision::new(
        DecisionFields {
            id: RecommendationId::new("r").unwrap(),
            tenant: TenantId::new("t").unwrap(),
            customer: CustomerId::new("c").unwrap(),
            flow: DecisionFlowKey::new("f").unwrap(),
            offers: ranked.collect(),
            timestamp: SystemClock.now(),
            attributes: Attributes::from_value(serde_json::json!({ "a": 0.1 })).unwrap(),
        },
        &SystemClock,
    )
    .unwrap()
}

proptest! {
    #[test]
    fn interactions_go_round(interaction in interactions(), generation in any::<u32>()) {
        let mut out = Vec::new();
        put_interaction(&mut out, &interaction);
        prop_assert_eq!(&interaction_of(&out).unwrap(), &interaction);
        let payload = OutboxPayload::Interaction(interaction);
        let (mut out, now) = (Vec::new(), SystemClock.now());
        put_entry(&mut out, Generation(generation), now, &payload);
        let entry = entry_of(&out).unwrap();
        prop_assert_eq!(&entry, &Entry { generation: Generation(generation), enqueued_at: now, payload });
        let mut dead = Vec::new();
        put_dead(&mut dead, &out, "no such topic", now + TimeDelta::seconds(1));
        let place = (3, Position(9));
        let letter = dead_of(&dead, Lane::Archive, place).unwrap();
        prop_assert_eq!(letter.entry, entry.at(Lane::Archive, place));
        prop_assert_eq!(letter.reason, "no such topic");
    }

    #[test]
    fn a_changed_byte_is_an_error_or_a_value_and_never_a_panic(
        interaction in interactions(), at in any::<proptest::sample::Index>(), byte in any::<u8>()
    ) {
        let mut out = Vec::new();
        put_entry(&mut out, Generation(1), SystemClock.now(), &OutboxPayload::Interaction(interaction));
        let at = at.index(out.len());
        out[at] = byte;
        let _ = entry_of(&out);
        out.truncate(at);
        let _ = entry_of(&out);
        let mut out = Vec::new();
        put_decision(&mut out, &decision(3, Some(0.3)));
        let at = at % out.len();
        out[at] = byte;
        let _ = decision_of(&out);
    }

    #[test]
    fn no_bytes_are_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Some(first) = bytes.first_mut() { *first = VERSION }
        let _ = (Head::decode(&bytes), Settings::decode(&bytes), Dedupe::decode(&bytes), Birth::decode(&bytes));
        let _ = (StoredReceipt::decode(&bytes), Pending::decode(&bytes), generation_of(&bytes));
    }
}

#[test]
fn decisions_go_round() {
    for decision in [
        decision(0, None),
        decision(3, Some(0.1)),
        decision(1_000, Some(1.0)),
    ] {
        let mut out = Vec::new();
        put_decision(&mut out, &decision);
        assert_eq!(decision_of(&out).unwrap(), decision);
    }
}

#[test]
fn host_events_go_round() {
    let payload = OutboxPayload::Host(HostEvent {
        tenant: TenantId::new("t").unwrap(),
        customer: None,
        event: Event::new("model.updated.v1", &serde_json::json!({ "n": 1.5 })).unwrap(),
    });
    let (mut out, now) = (Vec::new(), SystemClock.now());
    put_entry(&mut out, Generation::ZERO, now, &payload);
    assert_eq!(entry_of(&out).unwrap().payload, payload);
}

#[test]
fn what_a_store_keeps_of_itself_goes_round() {
    let head = Head {
        sequence: u64::MAX,
        position: 7,
        lanes: LaneSet::of(&Lane::ALL),
        waiting: [1, 2, 3],
        dead: [4, 5, u64::MAX],
    };
    assert_eq!(Head::decode(&head.encode()).unwrap(), head);
    for lanes in [None, Some(LaneSet::NONE)] {
        let settings = Settings {
            epoch: Epoch(9),
            lanes,
            watermark_ms: lanes.map(|_| -5),
            erasures: lanes.is_some(),
        };
        assert_eq!(Settings::decode(&settings.encode()).unwrap(), settings);
    }
    for own_key in [None, Some(MasterKey::new([3; 32]))] {
        let birth = Birth {
            incarnation: 5,
            check_value: Digest::from_bytes([1; 16]),
            own_key,
        };
        assert_eq!(Birth::decode(&birth.encode()).unwrap(), birth);
    }
    let dedupe = Dedupe {
        content: Digest::from_bytes([2; 16]),
        arrived_ms: 1,
        id: "i",
    };
    let mut out = Vec::new();
    dedupe.encode(&mut out);
    assert_eq!(Dedupe::decode(&out).unwrap(), dedupe);
    let mut receipt = ErasureReceipt::new(
        ErasureId::new("ticket").unwrap(),
        Generation(2),
        SystemClock.now(),
    );
    receipt.add("history", 3);
    let stored = StoredReceipt {
        receipt,
        finished: true,
    };
    assert_eq!(StoredReceipt::decode(&stored.encode()).unwrap(), stored);
    let pending = Pending {
        below: Generation(3),
        customer: vec![1, 2],
    };
    assert_eq!(Pending::decode(&pending.encode()).unwrap(), pending);
}
