//! Records of customers whom another transaction holds: they wait here, so that nobody else's do.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_core::{Effect, Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot, watch};

use super::commit::Committer;
use super::op::{Answer, SharedOp, Who};
use super::unit::Held;
use crate::error::Remedy;
use crate::shared::Shared;

/// How many of a customer's records go into one transaction.
const PART: usize = 256;

/// How many customers are waited for at a time, each with a connection.
const WAITING: usize = 2;

struct Waiter {
    op: SharedOp,
    since: Instant,
    reply: oneshot::Sender<Result<Answer>>,
}

/// Who waits, by customer.
pub(super) struct Stragglers {
    shared: Arc<Shared>,
    held: Mutex<HashMap<Who, VecDeque<Waiter>>>,
    turns: Semaphore,
    /// How many customers are waited for.
    count: watch::Sender<usize>,
}

impl Stragglers {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            held: Mutex::default(),
            turns: Semaphore::new(WAITING),
            count: watch::Sender::new(0),
        })
    }

    /// Whether others of the customer's records wait already: the ones that come after go behind them.
    pub(super) fn has(&self, who: &Who) -> bool {
        self.held.lock().contains_key(who)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.held.lock().is_empty()
    }

    /// Has a record wait for its customer, as it did since then.
    pub(super) fn take(self: &Arc<Self>, op: SharedOp, since: Instant) -> Answer {
        let (reply, answer) = oneshot::channel();
        let who = op.who;
        let waiter = Waiter { op, since, reply };
        let mut held = self.held.lock();
        let first = !held.contains_key(&who);
        held.entry(who).or_default().push_back(waiter);
        drop(held);
        if first {
            self.count.send_modify(|count| *count += 1);
            let this = Arc::clone(self);
            tokio::spawn(async move {
                this.wait_for(who).await;
                this.count.send_modify(|count| *count -= 1);
            });
        }
        Answer::Later(answer)
    }

    /// Returns when nobody waits any more.
    pub(super) async fn ended(&self) {
        // The sender lives as long as we do.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    async fn wait_for(&self, who: Who) {
        let mut committer = Committer::new(Arc::clone(&self.shared));
        while let Some(part) = self.next_part(&who) {
            let ops: Vec<SharedOp> = part.iter().map(|waiter| Arc::clone(&waiter.op)).collect();
            let outcome = {
                // Many customers may wait, as behind a locked table: nobody's turn comes too late to be told so.
                let until = part.iter().map(|waiter| waiter.since + self.bound()).min();
                let until = until.unwrap_or_else(Instant::now).into();
                let Ok(_turn) = tokio::time::timeout_at(until, self.turns.acquire()).await else {
                    self.give_back(who, part).await;
                    continue;
                };
                let outcome = committer.commit(&ops, Held::Wait).await;
                committer.rest();
                outcome
            };
            match outcome {
                Ok(done) => {
                    for (waiter, answer) in part.into_iter().zip(done.answers) {
                        let _ = waiter.reply.send(answer.unwrap_or_else(|| Err(held_too_long())));
                    }
                }
                Err(stopped) if stopped.remedy == Remedy::Leave => self.give_back(who, part).await,
                // One at fault must not fail those beside it.
                Err(stopped) if stopped.remedy == Remedy::Divide && part.len() > 1 => {
                    for waiter in part {
                        // Each try may be as long as a statement may be.
                        if waiter.since.elapsed() >= self.bound().saturating_mul(2) {
                            let _ = waiter.reply.send(Err(stopped.error.clone()));
                            continue;
                        }
                        let one = committer.commit(&[Arc::clone(&waiter.op)], Held::Wait).await;
                        let answer = one.map_err(|stopped| stopped.error).and_then(|mut done| {
                            done.answers
                                .pop()
                                .flatten()
                                .unwrap_or_else(|| Err(held_too_long()))
                        });
                        let _ = waiter.reply.send(answer);
                    }
                }
                Err(stopped) => {
                    for waiter in part {
                        let _ = waiter.reply.send(Err(stopped.error.clone()));
                    }
                }
            }
        }
    }

    fn bound(&self) -> Duration {
        self.shared.options.write_wait
    }

    /// The oldest records of a customer whose callers still wait; at none, the customer is no longer waited for.
    fn next_part(&self, who: &Who) -> Option<Vec<Waiter>> {
        let mut held = self.held.lock();
        let waiting = held.get_mut(who)?;
        waiting.retain(|waiter| !waiter.reply.is_closed());
        if waiting.is_empty() {
            held.remove(who);
            return None;
        }
        let count = waiting.len().min(PART);
        Some(waiting.drain(..count).collect())
    }

    /// Puts records back that are to wait on; those that have waited too long are told so.
    async fn give_back(&self, who: Who, part: Vec<Waiter>) {
        let bound = self.bound();
        let mut again = VecDeque::with_capacity(part.len());
        for waiter in part {
            if waiter.since.elapsed() < bound {
                again.push_back(waiter);
            } else {
                let _ = waiter.reply.send(Err(held_too_long()));
            }
        }
        {
            let mut held = self.held.lock();
            let behind = held.entry(who).or_default();
            again.append(behind);
            *behind = again;
        }
        tokio::time::sleep(self.shared.options.lock_wait).await;
    }
}

fn held_too_long() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "another transaction held the customer all the time",
    )
    .with_effect(Effect::NotApplied)
}

/// Stands for a verdict that is still to come, and is always replaced.
pub(super) fn unjudged() -> Error {
    Error::new(ErrorKind::Internal, "a record was not judged")
}
