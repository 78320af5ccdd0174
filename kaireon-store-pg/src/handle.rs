//! One user of a store: how its records come to the writers, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kaireon_core::store::{Epoch, Origin};
use kaireon_core::{Error, Result};

use crate::BACKEND;
use crate::measure::PoolMeter;
use crate::outbox::Lanes;
use crate::shared::{RENUMBERINGS, Shared, renumbered_again};
use crate::sweeper::Sweeper;
use crate::write::{Answer, Op, SharedOp, Terms, Writers, waves};

/// One user of a store: a pool and its writers.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    writers: Writers,
    pub(crate) lanes: Lanes,
    meter: PoolMeter,
    sweeper: Sweeper,
    closed: AtomicBool,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let writers = Writers::start(&shared);
        Self {
            lanes: Lanes::new(&shared),
            meter: PoolMeter::start(&shared),
            sweeper: Sweeper::start(&shared),
            shared,
            writers,
            closed: AtomicBool::new(false),
        }
    }

    /// Refuses what comes after a disconnect.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::disconnected(BACKEND, operation));
        }
        Ok(())
    }

    pub(crate) fn terms(&self, origin: Origin, epoch: Epoch) -> Terms {
        Terms {
            origin,
            epoch,
            now: self.shared.now(),
        }
    }

    pub(crate) async fn disconnect(&self) {
        self.closed.store(true, Ordering::Release);
        self.writers.close();
        self.lanes.close();
        self.meter.close();
        self.sweeper.close();
        self.writers.ended().await;
        self.shared.client.close().await;
    }

    /// Writes one operation.
    pub(crate) async fn write(&self, op: Op) -> Result<Answer> {
        let mut op = Arc::new(op);
        for _ in 0..RENUMBERINGS {
            match self.writers.submit(Arc::clone(&op)).await? {
                Answer::Renumbered => op = Arc::new(self.renumbered(&op).await?),
                answer => return Ok(answer),
            }
        }
        Err(renumbered_again())
    }

    /// Writes operations, those of one key in their order.
    pub(crate) async fn write_all(&self, ops: Vec<Op>) -> Vec<Result<Answer>> {
        let mut ops: Vec<SharedOp> = ops.into_iter().map(Arc::new).collect();
        let mut answers = self.write_waves(ops.clone()).await;
        for _ in 1..RENUMBERINGS {
            let is_left = |&at: &usize| matches!(answers[at], Ok(Answer::Renumbered));
            let left: Vec<usize> = (0..ops.len()).filter(is_left).collect();
            if left.is_empty() {
                break;
            }
            let (mut some, mut places) = (Vec::new(), Vec::new());
            for at in left {
                match self.renumbered(&ops[at]).await {
                    Ok(op) => {
                        ops[at] = Arc::new(op);
                        some.push(Arc::clone(&ops[at]));
                        places.push(at);
                    }
                    Err(error) => answers[at] = Err(error),
                }
            }
            for (at, answer) in places.into_iter().zip(self.write_waves(some).await) {
                answers[at] = answer;
            }
        }
        let told = |answer| match answer {
            Ok(Answer::Renumbered) => Err(renumbered_again()),
            answer => answer,
        };
        answers.into_iter().map(told).collect()
    }

    /// The operation under the number that its tenant has now.
    async fn renumbered(&self, op: &Op) -> Result<Op> {
        self.shared.forget_tenant(op.value.tenant(), op.who.0);
        let tenant = self.shared.tenant(op.value.tenant()).await?;
        Ok(op.renumbered(tenant.number))
    }

    async fn write_waves(&self, ops: Vec<SharedOp>) -> Vec<Result<Answer>> {
        let mut waves = waves(&ops);
        if waves.len() == 1 {
            return self.writers.submit_all(ops).await;
        }
        let mut answers: Vec<Option<Result<Answer>>> = ops.iter().map(|_| None).collect();
        for wave in waves.drain(..) {
            let some = wave.iter().map(|&at| Arc::clone(&ops[at])).collect();
            for (at, answer) in wave.into_iter().zip(self.writers.submit_all(some).await) {
                answers[at] = Some(answer);
            }
        }
        answers.into_iter().flatten().collect()
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}
