//! Requests that are not meant well, and several at once.

use super::*;

async fn invalid(host: &Host, body: &str) -> Value {
    let answer = host.put_as("ops@example.com", None, body.to_owned()).await;
    assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    answer.body
}

#[tokio::test]
async fn bodies_that_are_no_setting_are_refused_and_change_nothing() {
    let host = Host::new().await;
    for body in [
        "",
        "null",
        "[]",
        "\"embedded\"",
        "{",
        "{\"backend\":\"embedded\",\"dualWrite\":true} {}",
        "{\"backend\":\"embedded\",\"dualWrite\":true,}",
        "\u{feff}{\"backend\":\"embedded\",\"dualWrite\":true}",
    ] {
        assert!(invalid(&host, body).await.get("field").is_none(), "{body}");
    }
    let deep = format!("{{\"backend\":{}", "[".repeat(5_000));
    invalid(&host, &deep).await;
    for (body, field) in [
        (r#"{"dualWrite":true}"#, "backend"),
        (r#"{"backend":"embedded"}"#, "dualWrite"),
        (r#"{"backend":null,"dualWrite":true}"#, "backend"),
        (r#"{"backend":["embedded"],"dualWrite":true}"#, "backend"),
        (r#"{"backend":"embedded","dualWrite":"true"}"#, "dualWrite"),
        (r#"{"backend":"embedded","dualWrite":1}"#, "dualWrite"),
        (
            r#"{"backend":"embedded","dualWrite":true,"force":"yes"}"#,
            "force",
        ),
        (
            r#"{"backend":"embedded","dualWrite":true,"readFrom":null}"#,
            "readFrom",
        ),
        (r#"{"backend":"embedded","dualWrite":true,"reason":""}"#, "reason"),
        (
            r#"{"backend":"embedded","dualWrite":true,"reason":"a\nb"}"#,
            "reason",
        ),
        (
            r#"{"backend":"embedded","dualWrite":true,"dualWriteMode":true}"#,
            "dualWriteMode",
        ),
        (r#"{"backend":"embedded","dualWrite":true,"drain":1}"#, "drain"),
        (r#"{"backend":"embedded","dual_write":true}"#, "dual_write"),
        (
            r#"{"backend":"memory","backend":"embedded","dualWrite":true}"#,
            "backend",
        ),
        (
            r#"{"backend":"embedded","dualWrite":false,"dualWrite":true}"#,
            "dualWrite",
        ),
    ] {
        assert_eq!(invalid(&host, body).await["field"], field, "{body}");
    }
    let long = format!(
        r#"{{"backend":"embedded","dualWrite":true,"reason":"{}"}}"#,
        "x".repeat(1_025)
    );
    assert_eq!(invalid(&host, &long).await["field"], "reason");
    // What could be a secret in the wrong place is not repeated.
    let secret = invalid(&host, r#"{"postgres://shop:hunter2@db":1}"#).await;
    assert!(!secret.to_string().contains("hunter2"), "{secret}");
    assert_eq!(host.setting().await["version"], 0);
}

#[tokio::test]
async fn types_and_lengths_that_are_not_taken_are_told_apart() {
    let host = Host::new().await;
    let good = r#"{"backend":"embedded","dualWrite":true}"#;
    for types in [
        &[][..],
        &["text/plain"],
        &["application/x-www-form-urlencoded"],
        &["application/jsonp"],
        &["application/json", "text/plain"],
    ] {
        let mut request = request("PUT", SETTING_PATH);
        for kind in types {
            request = request.header("content-type", *kind);
        }
        let answer = host.send(request.body(Body::from(good)).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["error"]),
            (415, &json!("not_json")),
            "{types:?}"
        );
    }
    let long = format!("{good}{}", " ".repeat(16 << 10));
    let answer = host.put_as("ops@example.com", None, long).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["error"]),
        (413, &json!("too_long"))
    );
    assert_eq!(host.setting().await["version"], 0);
    let kind = request("PUT", SETTING_PATH).header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(host.send(kind.body(Body::from(good)).unwrap()).await.status, 200);
}

#[tokio::test]
async fn who_may_look_may_not_change_and_sees_its_own_tenant_alone() {
    let host = Host::new().await;
    let good = json!({ "backend": "embedded", "dualWrite": true }).to_string();
    let answer = host.put_as("reader", None, good.clone()).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["error"]),
        (403, &json!("forbidden"))
    );
    assert_eq!(host.put_as("ops@example.com", None, good).await.status, 200);
    let other = Request::builder()
        .uri(SETTING_PATH)
        .header("x-user", "reader")
        .header("x-tenant", "other");
    let other = host.send(other.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (&other.body["tenant"], &other.body["phase"]),
        (&json!("other"), &json!("single"))
    );
    // An author that cannot be kept is no author.
    let long = host
        .put_as(
            &"x".repeat(1_025),
            None,
            json!({ "backend": "memory", "dualWrite": false }).to_string(),
        )
        .await;
    assert_eq!(
        (long.status.as_u16(), &long.body["field"]),
        (400, &json!("author"))
    );
}

#[tokio::test]
async fn parameters_of_a_trail_are_checked() {
    let host = Host::new().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("before=x", "before"),
        ("before=18446744073709551615", "before"),
        ("after=1", "after"),
    ] {
        let answer = host.get(&format!("{TRAIL_PATH}?{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["field"].as_str()),
            (400, Some(field)),
            "{query}"
        );
    }
    assert_eq!(host.get(TRAIL_PATH).await.body["entries"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_bodies_at_once_one_wins_and_the_others_are_told_what_changed() {
    for round in 0..10 {
        let host = Host::new().await;
        // Of one setting: a start, and a direct switch.
        let start = json!({ "backend": "embedded", "dualWrite": true, "reason": "the start" }).to_string();
        let direct = json!({ "backend": "embedded", "dualWrite": false, "reason": "the switch" }).to_string();
        let seen = host.get(SETTING_PATH).await.headers["etag"]
            .to_str()
            .unwrap()
            .to_owned();
        let (one, two) = tokio::join!(
            host.put_as("one", Some(&seen), start),
            host.put_as("two", Some(&seen), direct)
        );
        let (won, lost) = match one.status == StatusCode::OK {
            true => (("one", one), two),
            false => (("two", two), one),
        };
        assert_eq!(won.1.status, 200, "round {round}: {}", won.1.body);
        assert_eq!(
            (lost.status.as_u16(), &lost.body["error"]),
            (409, &json!("changed")),
            "{}",
            lost.body
        );
        assert!(
            lost.body["changed"]["version"].as_u64() > Some(0),
            "{}",
            lost.body
        );
        let by = host.changes().await;
        let of_lost: Vec<_> = by.iter().filter(|(_, author, _)| author != won.0).collect();
        assert!(of_lost.is_empty(), "the loser changed something: {by:?}");
    }
}

#[tokio::test]
async fn a_body_of_a_setting_that_is_no_more_is_refused_and_measures_are_no_change() {
    let host = Host::new().await;
    let etag = |answer: &Answer| answer.headers["etag"].to_str().unwrap().to_owned();
    let start = json!({ "backend": "embedded", "dualWrite": true }).to_string();
    let first = etag(&host.get(SETTING_PATH).await);
    let started = host.put_as("one", Some(&first), start.clone()).await;
    assert_eq!(started.status, 200);
    let late = host.put_as("two", Some(&first), start).await;
    assert_eq!(
        (late.status.as_u16(), &late.body["changed"]["author"]),
        (409, &json!("one")),
        "{}",
        late.body
    );
    let seen = etag(&started);
    let migrator = host.infra.tenant_switch().unwrap().migrator();
    migrator.measure(&crate::switch::tenant()).await.unwrap();
    assert_ne!(
        etag(&host.get(SETTING_PATH).await),
        seen,
        "a measure is a version"
    );
    let back = json!({ "backend": "memory", "dualWrite": false }).to_string();
    for wrong in ["1", "\"x\"", "W/\"1\""] {
        let answer = host.put_as("two", Some(wrong), back.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["field"]),
            (400, &json!("If-Match")),
            "{wrong}"
        );
    }
    let answer = host.put_as("two", Some("\"99\""), back.clone()).await;
    assert_eq!(answer.status, 409, "of a version that is not there yet");
    assert_eq!(host.put_as("two", Some(&seen), back).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_no_move_half_way() {
    let host = Host::new().await;
    for number in 0..8 {
        crate::switch::record(&host.infra, number).await;
    }
    let direct = json!({ "backend": "embedded", "dualWrite": false }).to_string();
    let going = tokio::time::timeout(
        std::time::Duration::from_millis(20),
        host.put_as("ops@example.com", None, direct),
    );
    assert!(going.await.is_err(), "it was done before the client went away");
    crate::support::until("it is done without its client", async || {
        let setting = host.setting().await;
        setting["phase"] != "draining" && setting["authority"] == "embedded"
    })
    .await;
}
