//! A store of your own in under 150 lines: the four methods that every store must have, and the suite that tells
//! whether they keep the contract.
//!
//! `cargo run --example custom_store` uses it; `cargo test -p kaireon-examples --example custom_store` holds it
//! against the specification.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kaireon::core::store::{Recorded, StoreCapabilities, SummaryQuery};
use kaireon::core::time::{Clock, SystemClock};
use kaireon::core::{
    CustomerId, Dimension, Effect, Error, ErrorKind, IdempotencyKey, Interaction, InteractionStore, Period,
    Result, Stats, Summary, TenantId, groups,
};
use kaireon::{Config, Infra};

type Group = (TenantId, CustomerId, Dimension, String, Period);

/// What the store keeps: the first interaction under each key, and the folded summaries.
#[derive(Debug, Default)]
struct Notes {
    keys: HashMap<(TenantId, IdempotencyKey), Interaction>,
    summaries: BTreeMap<Group, Stats>,
}

/// A handle on a notebook; handles of one notebook share its notes.
#[derive(Debug, Default)]
struct Notebook {
    notes: Arc<Mutex<Notes>>,
    closed: AtomicBool,
}

impl Notebook {
    const NAME: &str = "notebook";

    fn notes(&self, operation: &'static str) -> Result<MutexGuard<'_, Notes>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Unavailable, "the notebook is closed")
                .with_backend(Self::NAME)
                .with_operation(operation)
                .with_effect(Effect::NotApplied));
        }
        // No change is left half-made by a panic: there is none in between.
        Ok(self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl InteractionStore for Notebook {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::minimal(Self::NAME)
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        kaireon::core::time::check(event.timestamp, SystemClock.now())?;
        let mut notes = self.notes("record_event")?;
        let key = (event.tenant.clone(), event.idempotency_key.clone());
        if let Some(first) = notes.keys.get(&key) {
            return match first.same_identity(&event) {
                true => Ok(Recorded::Duplicate(first.id.clone())),
                false => {
                    Err(Error::conflict("the key was used for another interaction").with_backend(Self::NAME))
                }
            };
        }
        for (dimension, value, period) in groups(&event) {
            let group = (
                event.tenant.clone(),
                event.customer.clone(),
                dimension,
                value.to_owned(),
                period,
            );
            notes
                .summaries
                .entry(group)
                .or_default()
                .merge(&Stats::of(&event));
        }
        let id = event.id.clone();
        notes.keys.insert(key, event);
        Ok(Recorded::New(id))
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        let notes = self.notes("get_summaries")?;
        let of_customer = notes
            .summaries
            .iter()
            .filter(|((tenant, customer, ..), _)| *tenant == query.tenant && *customer == query.customer);
        let mut summaries: Vec<_> = of_customer
            .map(|((_, _, dimension, value, period), stats)| {
                Summary::new(*dimension, value.as_str().into(), *period, stats.clone())
            })
            .filter(|summary| query.matches(summary))
            .collect();
        summaries.sort_by(Summary::read_order);
        Ok(summaries)
    }

    async fn disconnect(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut config = Config::from_env();
    config.interaction_store = Some(Notebook::NAME.to_owned());
    let infra = Infra::builder()
        .config(config)
        .register_store(Notebook::NAME, |_config| async { Ok(Notebook::default()) })
        .build()
        .await?;
    println!("{}", infra.startup());

    let shown = Interaction::builder("acme", "customer-7")
        .offer("shoes")
        .creative("banner")
        .channel("web")
        .idempotency_key("request-81")
        .build()?;
    let first = infra.store().record_event(shown.clone()).await?;
    let again = infra.store().record_event(shown.clone()).await?;
    assert!(first.is_new() && !again.is_new() && first.id() == again.id());
    println!("recorded once, recognised once");

    let query = SummaryQuery::new(shown.tenant.clone(), shown.customer.clone());
    for summary in infra.store().get_summaries(query).await?.iter().take(3) {
        println!(
            "{:?} {}, {}: {} shown",
            summary.dimension, summary.value, summary.period, summary.stats.impressions
        );
    }
    println!(
        "shut down: {}",
        infra.shutdown(std::time::Duration::from_secs(5)).await
    );
    Ok(())
}

#[cfg(test)]
mod suite {
    use super::*;

    #[derive(Default)]
    struct Place(Arc<Mutex<Notes>>);

    #[async_trait]
    impl kaireon_testkit::StoreFixture for Place {
        async fn open(&self) -> Arc<dyn InteractionStore> {
            Arc::new(Notebook {
                notes: Arc::clone(&self.0),
                closed: AtomicBool::new(false),
            })
        }
    }

    kaireon_testkit::store_suite!(Place::default());
}
