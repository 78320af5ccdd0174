//! What each documented body does, from where the tenant stands: the table of `docs/settings-api.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use kaireon::core::publisher::{PublisherCapabilities, Subscriber, Subscription};
use kaireon::core::{Error, ErrorKind, Event, EventPublisher, Result};
use kaireon::migrate::Asked;

use super::*;
use crate::switch::{keys, numbered, operator, record, tenant};

/// Fills the target and compares it, as the operator's process does.
async fn prepare(host: &Host) {
    let (acme, asked) = (tenant(), Asked::by("ops@example.com", "CHG-1207"));
    let operator = operator(&host.infra);
    operator.export(&acme).await.unwrap();
    assert!(operator.backfill(&acme, &asked).await.unwrap().complete);
    assert!(operator.verify(&acme, &asked).await.unwrap().clean);
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.body["error"].as_str()),
        (status, Some(code)),
        "{}",
        answer.body
    );
}

fn names(answer: &Answer, field: &str, allowed: Value) {
    refused(answer, 400, "invalid");
    assert_eq!(
        (answer.body["field"].as_str(), &answer.body["allowed"]),
        (Some(field), &allowed)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_moved_there_and_back_by_bodies_alone() {
    let host = Host::new().await;
    for number in 0..8 {
        record(&host.infra, number).await;
    }
    let at_first = host.setting().await;
    assert_eq!(
        body_of(&at_first),
        json!({ "backend": "memory", "dualWrite": false, "readFrom": "memory" })
    );
    assert_eq!(at_first["allowedBackends"], json!(["embedded", "memory"]));
    assert_eq!(
        (&at_first["phase"], &at_first["version"]),
        (&json!("single"), &json!(0))
    );

    let start = json!({ "backend": "embedded", "dualWrite": true, "readFrom": "memory", "reason": "CHG-1" });
    let started = host.put(start.clone()).await;
    assert_eq!(
        (started.status, &started.body["step"]),
        (StatusCode::OK, &json!("start"))
    );
    assert_eq!(started.body["warnings"], json!([]));
    assert_eq!(body_of(&started.body["setting"]), body_of(&start));
    // The same again is so already.
    let again = host.put(body_of(&host.setting().await)).await;
    assert_eq!(
        (again.status, &again.body["step"]),
        (StatusCode::OK, &Value::Null)
    );

    // Not before the gate is passed.
    let cut_over = json!({ "backend": "embedded", "dualWrite": false });
    let early = host.put(cut_over.clone()).await;
    refused(&early, 409, "refused");
    assert_eq!(early.body["canBeForced"], true);
    let missing: Vec<_> = early.body["missing"].as_array().unwrap().iter().collect();
    assert!(
        missing.iter().any(|missing| missing["missing"] == "backfill"),
        "{missing:?}"
    );
    prepare(&host).await;
    // A thousand live reads are asked for by default; force is recorded, with who and why.
    let forced =
        json!({ "backend": "embedded", "dualWrite": false, "force": true, "reason": "nobody reads here" });
    let moved = host.put(forced).await;
    assert_eq!(
        (moved.status, &moved.body["step"]),
        (StatusCode::OK, &json!("cut_over")),
        "{}",
        moved.body
    );
    assert_eq!(moved.body["setting"]["authority"], "embedded");
    assert!(!moved.body["overridden"].as_array().unwrap().is_empty());
    assert_eq!(
        host.changes().await[0],
        (
            "cut_over".to_owned(),
            "ops@example.com".to_owned(),
            "nobody reads here".to_owned()
        )
    );
    record(&host.infra, 8).await;
    let again = host.put(cut_over).await;
    assert_eq!(
        (again.status, &again.body["step"]),
        (StatusCode::OK, &Value::Null)
    );
    names(
        &host
            .put(json!({ "backend": "embedded", "dualWrite": true }))
            .await,
        "dualWrite",
        json!([false]),
    );

    let back = host
        .put(json!({ "backend": "memory", "dualWrite": false, "readFrom": "memory" }))
        .await;
    assert_eq!(
        (back.status, &back.body["step"]),
        (StatusCode::OK, &json!("roll_back")),
        "{}",
        back.body
    );
    assert_eq!(back.body["setting"]["phase"], "single");
    assert_eq!(keys(&host.infra.store()).await, numbered(0..9));
    let steps: Vec<_> = host.changes().await.into_iter().map(|(step, ..)| step).collect();
    for step in ["start", "cut_over", "roll_back"] {
        assert!(
            steps.iter().any(|taken| taken == step),
            "{step} is not in {steps:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_is_given_up_before_the_cut_over_and_reads_move_ahead_of_it() {
    let host = Host::new().await;
    record(&host.infra, 0).await;
    let dual = json!({ "backend": "embedded", "dualWrite": true });
    assert_eq!(host.put(dual.clone()).await.status, 200);
    // Reads go ahead only where writers wait, and the gate is passed.
    let ahead = json!({ "backend": "embedded", "dualWrite": true, "readFrom": "embedded" });
    let early = host.put(ahead.clone()).await;
    refused(&early, 409, "refused");
    let both = json!({ "backend": "embedded", "dualWrite": true, "readFrom": "embedded", "dualWriteMode": "strict" });
    let at_once = host.put(both).await;
    refused(&at_once, 400, "invalid");
    let strict = json!({ "backend": "embedded", "dualWrite": true, "dualWriteMode": "strict" });
    let waits = host.put(strict).await;
    assert_eq!(waits.body["step"], "set_dual_write");
    assert_eq!(waits.body["setting"]["migration"]["dualWriteMode"], "strict");
    prepare(&host).await;
    let mut forced = ahead.clone();
    forced["force"] = json!(true);
    let moved = host.put(forced).await;
    assert_eq!(moved.body["step"], "read_from", "{}", moved.body);
    let setting = host.setting().await;
    assert_eq!(
        (&setting["readFrom"], &setting["authority"]),
        (&json!("embedded"), &json!("memory"))
    );
    assert_eq!(body_of(&setting), ahead);
    let mut back = dual;
    back["readFrom"] = json!("memory");
    assert_eq!(host.put(back).await.body["step"], "read_from");
    // The inverse of the start.
    let given_up = host.put(json!({ "backend": "memory", "dualWrite": false })).await;
    assert_eq!(given_up.body["step"], "roll_back");
    assert_eq!(given_up.body["setting"]["phase"], "single");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_switch_takes_effect_at_once_and_warns_that_history_stays_behind() {
    let host = Host::new().await;
    record(&host.infra, 0).await;
    let direct = host
        .put(json!({ "backend": "embedded", "dualWrite": false, "readFrom": "embedded" }))
        .await;
    assert_eq!(
        (direct.status, &direct.body["step"]),
        (StatusCode::OK, &json!("switch_directly")),
        "{}",
        direct.body
    );
    assert!(
        direct.body["warnings"][0]
            .as_str()
            .unwrap()
            .contains("history stays")
    );
    assert_eq!(keys(&host.infra.store()).await, Vec::<String>::new());
    assert_eq!(host.setting().await["authority"], "embedded");
}

#[tokio::test]
async fn what_goes_with_no_step_names_its_field_and_what_it_may_be() {
    let host = Host::new().await;
    let all = json!(["embedded", "memory"]);
    for (body, field, allowed) in [
        (
            json!({ "backend": "dynamodb", "dualWrite": true }),
            "backend",
            all.clone(),
        ),
        (
            json!({ "backend": "embedded", "dualWrite": true, "readFrom": "x" }),
            "readFrom",
            all,
        ),
        (
            json!({ "backend": "memory", "dualWrite": true }),
            "dualWrite",
            json!([false]),
        ),
        (
            json!({ "backend": "embedded", "dualWrite": true, "readFrom": "embedded" }),
            "readFrom",
            json!(["memory"]),
        ),
        (
            json!({ "backend": "embedded", "dualWrite": false, "readFrom": "memory" }),
            "readFrom",
            json!(["embedded"]),
        ),
        (
            json!({ "backend": "memory", "dualWrite": false, "readFrom": "embedded" }),
            "readFrom",
            json!(["memory"]),
        ),
        (
            json!({ "backend": "embedded", "dualWrite": true, "dualWriteMode": "slow" }),
            "dualWriteMode",
            json!(["async", "best_effort", "strict"]),
        ),
    ] {
        names(&host.put(body).await, field, allowed);
    }
    assert_eq!(host.setting().await["version"], 0, "nothing was changed");
    assert_eq!(
        host.put(json!({ "backend": "embedded", "dualWrite": true }))
            .await
            .status,
        200
    );
    names(
        &host.put(json!({ "backend": "memory", "dualWrite": true })).await,
        "dualWrite",
        json!([false]),
    );
}

/// A stream that takes nothing as long as it is told to.
#[derive(Clone, Debug)]
struct Blocked(Arc<AtomicBool>);

#[async_trait]
impl EventPublisher for Blocked {
    fn capabilities(&self) -> PublisherCapabilities {
        PublisherCapabilities::minimal("blocked")
    }

    async fn publish(&self, _: Event) -> Result<()> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "as told")),
            false => Ok(()),
        }
    }

    async fn subscribe(&self, _: Subscription) -> Result<Subscriber> {
        Err(Error::unsupported("blocked", "subscribe"))
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_whose_lanes_are_not_empty_in_time_is_not_taken_and_the_store_is_open_again() {
    let directory = tempfile::tempdir().unwrap();
    let blocked = Blocked(Arc::new(AtomicBool::new(true)));
    let config = memory_and_embedded(directory.path()).with_event_publisher("blocked");
    let stream = blocked.clone();
    let builder = Infra::builder()
        .config(config)
        .register_publisher("blocked", move |_| {
            let stream = stream.clone();
            async move { Ok(stream) }
        });
    let host = Host::of(builder.build().await.unwrap(), directory);
    record(&host.infra, 0).await;
    let direct = json!({ "backend": "embedded", "dualWrite": false });
    refused(&host.put(direct.clone()).await, 409, "not_taken");
    assert_eq!(host.setting().await["authority"], "memory");
    record(&host.infra, 1).await;
    blocked.0.store(false, Ordering::SeqCst);
    crate::support::until("it is told", async || {
        host.put(direct.clone()).await.status == 200
    })
    .await;
    assert_eq!(host.setting().await["authority"], "embedded");
}
