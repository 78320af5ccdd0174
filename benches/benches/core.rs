//! `core.overhead`: what the three wrappers cost around an operation of 20 µs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kaireon_benches::{Figure, Goal, Rounds, Side, median};
use kaireon_core::store::{Recorded, StoreCapabilities, SummaryQuery};
use kaireon_core::wrap::{Retry, RetryPolicy, Timeout, Trace};
use kaireon_core::{Interaction, InteractionStore, Result, Summary};

const SPIN: Duration = Duration::from_micros(20);

/// Spins for 20 µs after one yield, as a driver does that waits once and then works.
#[derive(Debug)]
struct Spinning;

#[async_trait]
impl InteractionStore for Spinning {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::minimal("spinning")
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        tokio::task::yield_now().await;
        let begun = Instant::now();
        while begun.elapsed() < SPIN {
            std::hint::spin_loop();
        }
        Ok(Recorded::new(event.id.clone()))
    }

    async fn get_summaries(&self, _: SummaryQuery) -> Result<Vec<Summary>> {
        Ok(Vec::new())
    }

    async fn disconnect(&self) -> Result<()> {
        Ok(())
    }
}

fn wrapped() -> Arc<dyn InteractionStore> {
    Arc::new(Trace::new(Retry::new(
        Timeout::new(Spinning, Duration::from_secs(5)),
        RetryPolicy::default(),
    )))
}

fn event() -> Interaction {
    let builder = Interaction::builder("bench", "customer")
        .offer("offer")
        .creative("creative")
        .channel("web");
    builder.build().expect("within the bounds")
}

/// Calls the store so many times, one after the other.
fn call(
    runtime: &tokio::runtime::Runtime,
    store: &dyn InteractionStore,
    event: &Interaction,
    calls: u64,
) -> Duration {
    runtime.block_on(async {
        let begun = Instant::now();
        for _ in 0..calls {
            store
                .record_event(event.clone())
                .await
                .expect("spinning never fails");
        }
        begun.elapsed()
    })
}

fn measure(rounds: &mut Rounds, id: &str, times: usize) -> [Side; 2] {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let event = event();
    let bare: Arc<dyn InteractionStore> = Arc::new(Spinning);
    let ours = wrapped();
    // Slices of about a millisecond.
    rounds.interleave(
        id,
        times,
        50,
        [&mut |calls| call(&runtime, &bare, &event, calls), &mut |calls| {
            call(&runtime, &ours, &event, calls)
        }],
    )
}

fn report(id: &str, goal: Goal, [bare, ours]: &[Side; 2], note: &str) {
    let runs = ours.over(bare);
    Figure {
        id: id.to_owned(),
        value: median(&runs),
        unit: "×",
        goal,
        raw: Some(bare.median() * 1e6),
        ours: Some(ours.median() * 1e6),
        runs,
        note: format!("µs per call; {note}"),
    }
    .print();
}

fn main() {
    let mut rounds = Rounds::new(Duration::from_secs(1));
    if rounds.settings.wants("core.overhead") {
        let sides = measure(&mut rounds, "core.overhead", 9);
        report(
            "core.overhead",
            Goal::Reach("≤ 1.03"),
            &sides,
            "no subscriber, no recorder",
        );
    }
    if rounds.settings.wants("core.overhead/observed") {
        // From here on the process has both, so this comes last.
        let sink = tracing_subscriber::fmt()
            .json()
            .with_writer(std::io::sink)
            .with_max_level(tracing::Level::INFO);
        sink.init();
        let recorder = metrics_util::debugging::DebuggingRecorder::new();
        recorder.install().expect("no other recorder is installed");
        let sides = measure(&mut rounds, "core.overhead_observed", 5);
        let note = "JSON subscriber at level info into a sink, debugging recorder";
        report("core.overhead/observed", Goal::None, &sides, note);
    }
}
