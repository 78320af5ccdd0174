//! Readiness.

use std::sync::Arc;

use kaireon::core::memory::MemoryStore;
use kaireon::core::store::{Recorded, StoreCapabilities, SummaryQuery};
use kaireon::core::{Error, ErrorKind, Interaction, InteractionStore, Outbox, Result, Summary};
use kaireon::{Infra, Part, Status};
use kaireon_testkit::fault::{Fault, Faulty, Plan};

use crate::support::{LONG, OF_A_SWITCH, config, in_memory};

/// A store whose `ping` answers as told.
#[derive(Debug)]
struct Pinged(MemoryStore, Option<ErrorKind>);

#[async_trait::async_trait]
impl InteractionStore for Pinged {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::minimal("pinged")
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.0.record_event(event).await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.0.get_summaries(query).await
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        match self.1 {
            Some(kind) => Err(Error::new(kind, "as told")),
            None => std::future::pending().await,
        }
    }
}

async fn with_ping(answer: Option<ErrorKind>) -> Infra {
    Infra::builder()
        .config(config(&[("INTERACTION_STORE", "pinged")]))
        .register_store("pinged", move |_| async move {
            Ok(Pinged(MemoryStore::new(), answer))
        })
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn each_part_is_reported_and_all_up_is_ready() {
    let infra = in_memory().await;
    let health = infra.health().await;
    assert!(health.ready, "{health}");
    for part in Part::ALL.into_iter().filter(|part| !OF_A_SWITCH.contains(part)) {
        assert_eq!(health.part(part).unwrap().status, Status::Up, "{part}");
    }
    assert_eq!(health.part(Part::Relay).unwrap().backlog, Some(0));
}

#[tokio::test]
async fn a_part_that_is_down_shows_its_error_and_is_not_ready() {
    let health = with_ping(Some(ErrorKind::Unavailable)).await.health().await;
    assert!(!health.ready);
    let store = health.part(Part::Store).unwrap();
    assert_eq!(store.status, Status::Down);
    assert!(store.error.as_ref().unwrap().to_string().contains("as told"));
    let json = serde_json::to_value(&health).unwrap();
    assert_eq!(json["ready"], false);
    assert_eq!(json["parts"][0]["status"], "down");
    assert!(json["parts"][0]["error"].as_str().unwrap().contains("as told"));
}

#[tokio::test]
async fn a_part_without_a_sign_of_life_is_unknown_and_not_down() {
    let health = with_ping(Some(ErrorKind::Unsupported)).await.health().await;
    assert_eq!(health.part(Part::Store).unwrap().status, Status::Unknown);
    // It has no outbox either.
    assert_eq!(health.part(Part::Relay).unwrap().status, Status::Unknown);
    assert!(health.ready);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_hangs_is_down_after_two_seconds() {
    let infra = with_ping(None).await;
    let before = tokio::time::Instant::now();
    let health = infra.health().await;
    assert_eq!(before.elapsed().as_secs(), 2);
    assert_eq!(health.part(Part::Store).unwrap().status, Status::Down);
}

#[tokio::test]
async fn after_a_shutdown_nothing_is_ready() {
    let infra = in_memory().await;
    let _ = infra.shutdown(LONG).await;
    let health = infra.health().await;
    assert!(!health.ready);
    assert!(
        health.parts.iter().all(|part| part.status == Status::Down),
        "{health}"
    );
}

/// A store whose outbox does not say how a lane stands.
#[derive(Debug)]
struct Uncounted(MemoryStore);

#[async_trait::async_trait]
impl InteractionStore for Uncounted {
    fn capabilities(&self) -> StoreCapabilities {
        self.0.capabilities()
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.0.record_event(event).await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.0.get_summaries(query).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        let plan = Plan::script((0..100).map(|_| ("status", Fault::Hang)));
        Some(Arc::new(Faulty::new(self.0.outbox()?, plan)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_slow_to_count_makes_nothing_unready() {
    let builder = Infra::builder().config(config(&[("INTERACTION_STORE", "uncounted")]));
    let builder = builder.register_store("uncounted", |_| async { Ok(Uncounted(MemoryStore::new())) });
    let infra = builder.build().await.unwrap();
    let health = infra.health().await;
    let relay = health.part(Part::Relay).unwrap();
    assert_eq!((relay.status, relay.backlog), (Status::Unknown, None));
    assert!(health.ready, "{health}");
}
