//! The writers: each has a share of the customers, a queue, and a connection while it works.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_core::coalesce::{Queue, Submitter, queue};
use kaireon_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::commit::Committer;
use super::division::Division;
use super::op::{Answer, SharedOp};
use super::stragglers::Stragglers;
use super::unit::Held;
use crate::BACKEND;
use crate::error::Remedy;
use crate::shared::Shared;

/// How long an idle writer keeps its connection.
const KEEP: Duration = Duration::from_millis(500);

/// The writers of one handle.
pub(crate) struct Writers {
    submitters: Vec<Submitter<SharedOp, Answer>>,
    drivers: Mutex<Vec<JoinHandle<()>>>,
    stragglers: Arc<Stragglers>,
}

impl Writers {
    /// Starts them; within a runtime.
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let stragglers = Stragglers::new(Arc::clone(shared));
        let (mut submitters, mut drivers) = (Vec::new(), Vec::new());
        for _ in 0..shared.options.writers {
            let (submitter, waiting) = queue(BACKEND, shared.options.queue);
            let driver = Driver {
                committer: Committer::new(Arc::clone(shared)),
                stragglers: Arc::clone(&stragglers),
                wait: shared.options.write_wait,
            };
            submitters.push(submitter);
            drivers.push(tokio::spawn(driver.run(waiting)));
        }
        Self {
            submitters,
            drivers: Mutex::new(drivers),
            stragglers,
        }
    }

    /// Has one record written.
    pub(crate) async fn submit(&self, op: SharedOp) -> Result<Answer> {
        let writer = op.writer(self.submitters.len());
        let bytes = op.bytes();
        let answer = self.submitters[writer].submit(op, bytes).await?;
        answer.settled().await
    }

    /// Has records written; no two of them have one key. Outcomes in their order.
    pub(crate) async fn submit_all(&self, ops: Vec<SharedOp>) -> Vec<Result<Answer>> {
        let mut shares: Vec<Vec<(SharedOp, usize)>> = self.submitters.iter().map(|_| Vec::new()).collect();
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(ops.len());
        for op in ops {
            let writer = op.writer(shares.len());
            places.push((writer, shares[writer].len()));
            let bytes = op.bytes();
            shares[writer].push((op, bytes));
        }
        let submitted = self
            .submitters
            .iter()
            .zip(shares)
            .map(|(submitter, share)| submitter.submit_all(share));
        let mut answers: Vec<Vec<Option<Result<Answer>>>> = all(submitted.collect())
            .await
            .into_iter()
            .map(|share| share.into_iter().map(Some).collect())
            .collect();
        let mut outcomes = Vec::with_capacity(places.len());
        for (writer, place) in places {
            outcomes.push(match answers[writer][place].take() {
                Some(Ok(answer)) => answer.settled().await,
                Some(Err(error)) => Err(error),
                None => Err(Error::new(ErrorKind::Internal, "a writer answered too little")),
            });
        }
        outcomes
    }

    /// Takes no more records.
    pub(crate) fn close(&self) {
        for submitter in &self.submitters {
            submitter.close();
        }
    }

    /// Returns when everything that was taken is answered. Several may wait.
    pub(crate) async fn ended(&self) {
        let drivers = std::mem::take(&mut *self.drivers.lock());
        for driver in drivers {
            let _ = driver.await;
        }
        self.stragglers.ended().await;
    }
}

/// Awaits all of a few futures, side by side.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

struct Driver {
    committer: Committer,
    stragglers: Arc<Stragglers>,
    /// How long a batch is divided.
    wait: Duration,
}

impl Driver {
    async fn run(mut self, mut waiting: Queue<SharedOp, Answer>) {
        loop {
            let next = if self.committer.is_resting() {
                waiting.next().await
            } else {
                match tokio::time::timeout(KEEP, waiting.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.committer.rest();
                        continue;
                    }
                }
            };
            let Some(mut batch) = next else { return };
            let ops = batch.take_items();
            let answers = self.write(&ops).await;
            batch.answer(answers);
            // The callers who were just answered have their next record ready at once, if this task lets them: else the
            // first of them would be a commit of its own, and all others wait for it.
            if ops.len() > 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Commits what waits, divided where a part of it must not hinder the rest.
    async fn write(&mut self, ops: &[SharedOp]) -> Vec<Result<Answer>> {
        let mut answers: Vec<Option<Result<Answer>>> = ops.iter().map(|_| None).collect();
        let mut parts: Vec<Range<usize>> = Vec::new();
        parts.push(0..ops.len());
        let mut division = Division::new(self.wait);
        while let Some(part) = parts.pop() {
            let (places, some) = self.pass_over_held(ops, part, &mut answers);
            if some.is_empty() {
                continue;
            }
            if let Some(error) = division.over(Instant::now()) {
                for place in places {
                    answers[place] = Some(Err(error.clone()));
                }
                continue;
            }
            match self.committer.commit(&some, Held::Skip).await {
                Ok(done) => {
                    let now = Instant::now();
                    for ((place, op), answer) in places.into_iter().zip(some).zip(done.answers) {
                        answers[place] = Some(answer.unwrap_or_else(|| Ok(self.stragglers.take(op, now))));
                    }
                }
                Err(stopped) => match (stopped.remedy, some.len()) {
                    (Remedy::Leave, 1) => {
                        let since = division.stopped(&stopped.error, Instant::now());
                        let op = some.into_iter().next();
                        answers[places[0]] = op.map(|op| Ok(self.stragglers.take(op, since)));
                    }
                    (Remedy::Leave | Remedy::Divide, 2..) if division.goes_on(Instant::now()) => {
                        division.stopped(&stopped.error, Instant::now());
                        let middle = places[places.len() / 2];
                        let (first, last) = (places[0], places[places.len() - 1] + 1);
                        // The earlier half is on top.
                        parts.push(middle..last);
                        parts.push(first..middle);
                    }
                    _ => {
                        for place in places {
                            answers[place] = Some(Err(stopped.error.clone()));
                        }
                    }
                },
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Err(super::stragglers::unjudged())))
            .collect()
    }

    /// The operations of a part that do not have to go behind others of a customer who is waited for.
    fn pass_over_held(
        &self,
        ops: &[SharedOp],
        part: Range<usize>,
        answers: &mut [Option<Result<Answer>>],
    ) -> (Vec<usize>, Vec<SharedOp>) {
        let (mut places, mut some) = (Vec::with_capacity(part.len()), Vec::with_capacity(part.len()));
        let nobody = self.stragglers.is_empty();
        for place in part {
            if answers[place].is_some() {
                continue;
            }
            let op = Arc::clone(&ops[place]);
            if !nobody && self.stragglers.has(&op.who) {
                answers[place] = Some(Ok(self.stragglers.take(op, Instant::now())));
            } else {
                places.push(place);
                some.push(op);
            }
        }
        (places, some)
    }
}
