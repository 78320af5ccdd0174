//! Faults on purpose: errors before and after the effect, delays, calls that never end, batches cut short.
//!
//! [`Faulty`] wraps a store or a publisher; a [`Plan`] says which call meets which fault, from a script or from a
//! seed. What a wrapper such as `Retry` promises is shown by running the suite through it, over `Faulty`.
//!
//! ```
//! # use kaireon_testkit::broken::Fixture;
//! # use kaireon_testkit::StoreFixture;
//! use kaireon_core::{Effect, Interaction, InteractionStore};
//! use kaireon_testkit::fault::{Fault, Faulty, Plan};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let store = Fixture::sound().open().await;
//! let plan = Plan::script([("record_event", Fault::After)]);
//! let store = Faulty::new(store, plan.clone());
//! let shown = Interaction::builder("acme", "c7").offer("shoes").creative("banner").channel("web").build()?;
//! // Recorded, but the answer was lost.
//! assert_eq!(store.record_event(shown.clone()).await.unwrap_err().effect(), Effect::Unknown);
//! assert!(!store.record_event(shown).await?.is_new());
//! assert_eq!(plan.made(), 1);
//! # Ok::<(), kaireon_core::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod outbox;
mod plan;
mod publisher;
mod store;

use std::future::{Future, pending};

use kaireon_core::store::{BatchOutcome, ItemOutcome};
use kaireon_core::{Effect, Error, ErrorKind, Result};

pub use plan::{Fault, Odds, Plan, Reach};

/// A backend some of whose calls fail as a plan says. Its capabilities are those of what it wraps.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    inner: S,
    plan: Plan,
}

impl<S> Faulty<S> {
    /// Lets the calls of `inner` meet the faults of the plan.
    pub fn new(inner: S, plan: Plan) -> Self {
        Self { inner, plan }
    }

    async fn meet<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        suffer(&self.plan, self.plan.next(operation), operation, call).await
    }

    /// A batch, which may also be cut: only its first items are sent, the others were not attempted.
    async fn meet_batch<I, T, F>(
        &self,
        operation: &'static str,
        mut items: Vec<I>,
        call: impl FnOnce(Vec<I>) -> F + Send,
    ) -> Result<BatchOutcome<T>>
    where
        I: Send,
        T: Send,
        F: Future<Output = Result<BatchOutcome<T>>> + Send,
    {
        let fault = self.plan.next(operation);
        let Some(Fault::Cut(at)) = fault else {
            return suffer(&self.plan, fault, operation, call(items)).await;
        };
        let left_out = items.len().saturating_sub(at);
        items.truncate(at);
        let mut outcomes = call(items).await?.into_items();
        outcomes.extend((0..left_out).map(|_| ItemOutcome::NotAttempted));
        Ok(BatchOutcome::from_items(outcomes))
    }
}

async fn suffer<T>(
    plan: &Plan,
    fault: Option<Fault>,
    operation: &'static str,
    call: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let error = |effect| {
        Error::new(ErrorKind::Unavailable, "a fault that was asked for")
            .with_operation(operation)
            .with_effect(effect)
    };
    match fault {
        None | Some(Fault::Cut(_)) => call.await,
        Some(Fault::Before) => Err(error(Effect::NotApplied)),
        Some(Fault::After) => {
            call.await?;
            Err(error(Effect::Unknown))
        }
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            call.await
        }
        Some(Fault::Hang) => pending().await,
        Some(Fault::Hold) => {
            plan.hold().await;
            call.await
        }
    }
}
