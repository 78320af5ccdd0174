//! A store of your own: `custom_store/json_lines.rs` is one, here it is used and held against the contract.
//!
//! - `cargo run -p kaireon-examples --example custom_store` registers it by a name, which then is a value of
//!   `INTERACTION_STORE`.
//! - `cargo test -p kaireon-examples --example custom_store` runs the suite of `kaireon-testkit` against it.

#[path = "custom_store/json_lines.rs"]
mod json_lines;

use std::error::Error;
use std::time::Duration;

use kaireon::core::Interaction;
use kaireon::core::store::SummaryQuery;
use kaireon::{Config, Infra};

use crate::json_lines::JsonLines;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::from_env();
    config.interaction_store = Some(json_lines::NAME.to_owned());
    let file = config.data_dir().join("interactions.jsonl");
    std::fs::create_dir_all(config.data_dir())?;
    let infra = Infra::builder()
        .config(config)
        .register_store(json_lines::NAME, move |_| JsonLines::open(file.clone()))
        .build()
        .await?;
    println!("store: {}", infra.startup().store);

    let shown = Interaction::builder("acme", "customer-7")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .idempotency_key("request-81")
        .build()?;
    let first = infra.store().record_event(shown.clone()).await?;
    let again = infra.store().record_event(shown.clone()).await?;
    assert!(!again.is_new() && again.id() == first.id());
    println!("recorded under {}, and recognised when it came again", first.id());

    let query = SummaryQuery::new(shown.tenant.clone(), shown.customer.clone());
    for summary in infra.store().get_summaries(query).await?.iter().take(3) {
        let (value, period, shown) = (&summary.value, summary.period, summary.stats.impressions);
        println!("{:?} {value} in {period}: {shown} shown", summary.dimension);
    }
    println!("shut down: {}", infra.shutdown(Duration::from_secs(5)).await);
    Ok(())
}

#[cfg(test)]
mod suite {
    use std::sync::Arc;

    use async_trait::async_trait;
    use kaireon::core::{CustomerId, InteractionStore, TenantId};
    use kaireon_testkit::StoreFixture;
    use tempfile::TempDir;
    use tokio::sync::Mutex;

    use super::*;

    /// A file of its own for each case.
    struct Place {
        folder: TempDir,
        handle: Mutex<Option<JsonLines>>,
    }

    impl Place {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().expect("the folder of temporary files can be written"),
                handle: Mutex::new(None),
            }
        }
    }

    #[async_trait]
    impl StoreFixture for Place {
        async fn open(&self) -> Arc<dyn InteractionStore> {
            let mut handle = self.handle.lock().await;
            // The file has one opener at a time: while a handle is live, that is the second one too.
            if let Some(live) = &*handle {
                let (tenant, customer) = (TenantId::new("t").unwrap(), CustomerId::new("c").unwrap());
                let answer = live.get_summaries(SummaryQuery::new(tenant, customer)).await;
                if answer.is_ok() {
                    return Arc::new(live.clone());
                }
            }
            let opened = JsonLines::open(self.folder.path().join("f")).await.unwrap();
            Arc::new(handle.insert(opened).clone())
        }
    }

    kaireon_testkit::store_suite!(Place::new());
}
