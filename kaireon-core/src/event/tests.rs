use super::*;

fn click() -> Interaction {
    Interaction::builder("acme", "c7")
        .id("i1")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .interaction_type(crate::InteractionType::Click)
        .timestamp("2026-04-30T12:00:00.123Z".parse().unwrap())
        .build()
        .unwrap()
}

#[test]
fn the_envelope_of_an_interaction_is_as_documented() {
    let expected = concat!(
        r#"{"id":"i1","type":"interaction.recorded.v1","timestamp":"2026-04-30T12:00:00.123Z","payload":"#,
        r#"{"tenantId":"acme","customerId":"c7","offerId":"shoes","creativeId":"banner","channelId":"web","#,
        r#""interactionType":"click","outcomeTypeKey":"click","campaignId":null,"recommendationId":null,"#,
        r#""timestamp":"2026-04-30T12:00:00.123Z"}}"#
    );
    assert_eq!(Event::interaction_recorded(&click()).envelope(), expected);
}

#[test]
fn an_envelope_goes_round_byte_for_byte() {
    let event = Event::interaction_recorded(&click());
    let back = Event::from_envelope(&event.envelope()).unwrap();
    assert_eq!(back.envelope(), event.envelope());
    assert_eq!(back.with_id("i2").unwrap().id(), "i2");
}

#[test]
fn ids_and_keys_of_events_are_bounded_as_identifiers() {
    let event = || Event::new("model.updated.v1", &7).unwrap();
    for wrong in [String::new(), "x".repeat(257), "a\nb".to_owned()] {
        let named = |result: Result<Event>| result.unwrap_err().field().map(str::to_owned);
        assert_eq!(named(event().with_id(&wrong)).as_deref(), Some("event_id"));
        assert_eq!(named(event().with_key(&wrong)).as_deref(), Some("event_key"));
        let envelope = serde_json::json!({"id": wrong, "type": "t", "timestamp": rfc3339(event().timestamp()), "payload": 7});
        assert_eq!(
            named(Event::from_envelope(envelope.to_string().as_bytes())).as_deref(),
            Some("event_id")
        );
        let kept = serde_json::to_string(&event().with_id("kept").unwrap()).unwrap();
        let kept = kept.replace("\"kept\"", &serde_json::Value::from(wrong.clone()).to_string());
        assert!(serde_json::from_str::<Event>(&kept).is_err());
        let kept = serde_json::to_string(&event().with_key("kept").unwrap()).unwrap();
        let kept = kept.replace("\"kept\"", &serde_json::Value::from(wrong.clone()).to_string());
        assert!(serde_json::from_str::<Event>(&kept).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_longest_id_type_and_key_of_an_event_are_taken_and_kept() {
    let longest = "x".repeat(256);
    let event = Event::new(&longest, &7)
        .unwrap()
        .with_id(&longest)
        .unwrap()
        .with_key(&longest)
        .unwrap();
    let kept = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<Event>(&kept).unwrap(), event);
    assert_eq!(Event::from_envelope(&event.envelope()).unwrap().id(), longest);
}

#[test]
fn the_key_of_a_customer_is_kept_within_its_bounds() {
    let of = |tenant: &str, customer: &str| {
        let fields = |fields: &mut crate::InteractionFields| {
            fields.tenant = TenantId::new(tenant).unwrap();
            fields.customer = CustomerId::new(customer).unwrap();
        };
        Event::interaction_recorded(&click().edited(fields).unwrap())
    };
    let longest = "x".repeat(256);
    for event in [of("acme", "c7"), of(&longest, &longest)] {
        let kept = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&kept).unwrap(), event);
    }
    let kept = serde_json::to_value(of("acme", "c7")).unwrap();
    for wrong in [
        "acme\u{1f}",
        "\u{1f}c7",
        "acme\u{1f}c7\u{1f}",
        "acme\u{1f}c\n7",
        "acme\nc7",
    ] {
        let mut kept = kept.clone();
        kept["key"] = wrong.into();
        assert!(serde_json::from_value::<Event>(kept).is_err(), "{wrong:?}");
    }
}

fn made(offers: &[(u32, Option<f64>)]) -> Decision {
    let offer = |&(rank, propensity): &(u32, Option<f64>)| {
        let mut offer = crate::RankedOffer::new(
            rank,
            crate::OfferId::new(format!("offer-{rank}")).unwrap(),
            crate::CreativeId::new("banner").unwrap(),
            crate::ChannelId::new("web").unwrap(),
        );
        offer.propensity = propensity.map(|propensity| crate::Propensity::new(propensity).unwrap());
        offer
    };
    Decision::restore(crate::DecisionFields {
        id: crate::RecommendationId::new("r1").unwrap(),
        tenant: TenantId::new("acme").unwrap(),
        customer: CustomerId::new("c7").unwrap(),
        flow: crate::DecisionFlowKey::new("homepage").unwrap(),
        offers: offers.iter().map(offer).collect(),
        timestamp: "2026-04-30T12:00:00.123Z".parse().unwrap(),
        attributes: crate::Attributes::default(),
    })
    .unwrap()
}

#[test]
fn the_envelope_of_a_decision_is_as_documented() {
    let expected = |offers: &str| {
        let envelope = concat!(
            r#"{"id":"r1","type":"decision.made.v1","timestamp":"2026-04-30T12:00:00.123Z","payload":"#,
            r#"{"tenantId":"acme","customerId":"c7","recommendationId":"r1",OFFERS,"#,
            r#""decisionFlowKey":"homepage","timestamp":"2026-04-30T12:00:00.123Z"}}"#
        );
        envelope.replace("OFFERS", offers)
    };
    for (offers, told) in [
        (
            // The top offer is the one of the lowest rank, in whatever order they came.
            &[(3, Some(0.5)), (2, Some(0.25))][..],
            r#""offersReturned":2,"topOfferId":"offer-2","topPropensity":0.25"#,
        ),
        (
            &[(1, None)],
            r#""offersReturned":1,"topOfferId":"offer-1","topPropensity":null"#,
        ),
        (
            &[],
            r#""offersReturned":0,"topOfferId":null,"topPropensity":null"#,
        ),
    ] {
        let event = Event::decision_made(&made(offers));
        assert_eq!(event.envelope(), expected(told));
        // What an outbox kept says the same.
        let kept = serde_json::to_string(&event).unwrap();
        assert_eq!(
            serde_json::from_str::<Event>(&kept).unwrap().envelope(),
            expected(told)
        );
    }
}

#[test]
fn an_unreadable_payload_or_envelope_is_not_quoted() {
    let event = Event::interaction_recorded(&click());
    let wrong_shape = event.payload::<std::collections::BTreeMap<String, u32>>();
    let no_envelope = Event::from_envelope(br#"{"id": ["c7"], "type": "t"}"#);
    for error in [wrong_shape.unwrap_err(), no_envelope.unwrap_err()] {
        assert!(std::error::Error::source(&error).is_none());
        assert!(!format!("{error} {error:?}").contains("c7"), "{error:?}");
    }
}

#[test]
fn events_of_the_hosts_own_carry_any_payload() {
    let event = Event::new("model.updated.v1", &serde_json::json!({ "model": 7 })).unwrap();
    assert_eq!(event.payload::<serde_json::Value>().unwrap()["model"], 7);
    assert_eq!(Event::new("", &()).unwrap_err().field(), Some("event_type"));
    let kept = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<Event>(&kept).unwrap(), event);
}
