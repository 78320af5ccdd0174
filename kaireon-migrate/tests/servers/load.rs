//! Callers of a host: who write, read and erase until they are stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kaireon_core::store::{Erasure, ErasureId, HistoryQuery};
use kaireon_core::time::Clock;
use kaireon_core::{CustomerId, Interaction, InteractionStore};
use tokio::task::JoinSet;

use super::host::{Host, LONG, in_time};
use super::ledger::{ERASED, Ledger, Piece, Writer};

/// How many callers there are, and how long each rests between two calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Callers {
    pub(crate) writers: u64,
    pub(crate) readers: u64,
    pub(crate) rest: Duration,
}

/// What callers met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) written: AtomicU64,
    pub(crate) read: AtomicU64,
    /// Errors, each of which a retry has cured.
    pub(crate) retried: AtomicU64,
}

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    pub(crate) met: Arc<Met>,
    tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Caller {
    host: Host,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    met: Arc<Met>,
    rest: Duration,
}

impl Load {
    pub(crate) fn begin(host: &Host, ledger: &Arc<Ledger>, callers: Callers) -> Self {
        let (stop, met) = (Arc::new(AtomicBool::new(false)), Arc::new(Met::default()));
        let caller = Caller {
            host: host.clone(),
            ledger: Arc::clone(ledger),
            stop: Arc::clone(&stop),
            met: Arc::clone(&met),
            rest: callers.rest,
        };
        let mut tasks = JoinSet::new();
        let known = ledger.acknowledged();
        for writer in 0..callers.writers {
            let process = host.plan.process;
            let writer = Writer { process, writer };
            let next = known.get(&writer).map_or(0, |highest| highest + 1);
            tasks.spawn(caller.clone().write(writer, next));
        }
        for reader in 0..callers.readers {
            tasks.spawn(caller.clone().read(reader));
        }
        tasks.spawn(caller.erase());
        Self { stop, met, tasks }
    }

    /// Waits until so many more records are acknowledged.
    pub(crate) async fn progress(&self, more: u64) {
        let until = self.met.written.load(Ordering::SeqCst) + more;
        let written = async {
            while self.met.written.load(Ordering::SeqCst) < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        in_time("the writing of more", written).await;
    }

    /// Stops them; what one of them panicked with, this one does.
    pub(crate) async fn end(mut self) -> Arc<Met> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        self.met
    }
}

impl Caller {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    async fn write(self, writer: Writer, mut number: u64) {
        // Apart from each other, or all of them come at once again and again.
        tokio::time::sleep(self.rest.mul_f64((writer.writer % 16) as f64 / 16.0)).await;
        while self.goes_on() {
            let piece = Piece { writer, number };
            self.record(piece).await;
            self.ledger.acknowledge(piece);
            self.met.written.fetch_add(1, Ordering::SeqCst);
            number += 1;
            tokio::time::sleep(self.rest).await;
        }
    }

    /// Records, and sends again what was not acknowledged, as a caller does.
    async fn record(&self, piece: Piece) {
        let tenant = self.host.tenant();
        match piece.is_decision() {
            true => {
                let decision = piece.decision(tenant);
                self.insist(|| self.host.switch.record_decision(decision.clone()))
                    .await;
            }
            false => {
                let event = piece.interaction(tenant, self.host.clock.now());
                self.insist(|| self.host.switch.record_event(event.clone())).await;
            }
        }
    }

    async fn insist<T, F>(&self, call: impl Fn() -> F) -> T
    where
        F: Future<Output = kaireon_core::Result<T>>,
    {
        let begun = Instant::now();
        loop {
            match call().await {
                Ok(answer) => return answer,
                Err(error) => {
                    assert!(error.is_transient(), "a caller is refused for good: {error:?}");
                    assert!(begun.elapsed() < LONG, "no retry cures it: {error:?}");
                    self.met.retried.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Reads customers: at least what was acknowledged before, and what was read before.
    async fn read(self, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut seen: BTreeMap<CustomerId, BTreeSet<String>> = BTreeMap::new();
        while self.goes_on() {
            let acknowledged = self.ledger.acknowledged();
            let drawn = random.usize(..acknowledged.len().max(1));
            if let Some((&writer, &number)) = acknowledged.iter().nth(drawn) {
                // Most often whom is just written to.
                let back = if random.u8(..4) == 0 {
                    number
                } else {
                    10.min(number)
                };
                let piece = Piece {
                    writer,
                    number: number - random.u64(..=back),
                };
                let customer = piece.customer();
                let due = piece.of_its_customer().filter(|piece| !piece.is_decision());
                let due: BTreeSet<String> = due.map(Piece::key).collect();
                let found = self.history(&customer).await;
                let before = seen.entry(customer).or_default();
                before.extend(due);
                let missing: Vec<_> = before.difference(&found).collect();
                assert!(
                    missing.is_empty(),
                    "{missing:?} was acknowledged or read before, and is not read now"
                );
                before.extend(found);
                self.met.read.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(self.rest).await;
        }
    }

    async fn history(&self, customer: &CustomerId) -> BTreeSet<String> {
        let query = HistoryQuery {
            limit: 1_000,
            ..HistoryQuery::new(self.host.tenant().clone(), customer.clone())
        };
        let page = self.insist(|| self.host.switch.history(query.clone())).await;
        assert!(page.next.is_none());
        let keys = page.items.iter();
        keys.map(|row| row.idempotency_key.as_str().to_owned()).collect()
    }

    /// Records for customers of its own and erases them.
    async fn erase(self) {
        let process = self.host.plan.process;
        while self.goes_on() {
            let customer = format!("{ERASED}{process}-{}", kaireon_core::InteractionId::fresh());
            for _ in 0..3 {
                let shown = Interaction::builder(self.host.tenant().as_str(), &customer)
                    .offer("shoes")
                    .creative("banner")
                    .channel("web");
                let event = shown.timestamp(self.host.clock.now()).build().unwrap();
                self.insist(|| self.host.switch.record_event(event.clone())).await;
            }
            let customer = CustomerId::new(customer).unwrap();
            let request = Erasure {
                tenant: self.host.tenant().clone(),
                customer: customer.clone(),
                id: ErasureId::fresh(),
            };
            self.insist(|| self.host.switch.erase_customer(request.clone()))
                .await;
            assert!(
                self.history(&customer).await.is_empty(),
                "an erased customer is read"
            );
            self.ledger.acknowledge_erasure(&customer);
            tokio::time::sleep(5 * self.rest).await;
        }
    }
}
