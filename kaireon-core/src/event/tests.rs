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
        let kept = kept.replace("\"kept\"", &serde_json::Value::from(wrong).to_string());
        assert!(serde_json::from_str::<Event>(&kept).is_err());
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
