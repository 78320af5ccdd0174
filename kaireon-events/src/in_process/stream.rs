//! What a subscriber reads.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use kaireon_core::Result;
use kaireon_core::publisher::{Acknowledge, Delivery, Signal};
use tokio::task::coop;
use tokio::time::{Sleep, sleep_until};

use super::queue::{Queue, Ready, Taken, Terms};
use super::registry::Registry;

/// One member of a queue. Dropping it leaves the queue.
pub(super) struct Member {
    registry: Arc<Registry>,
    queue: Arc<Queue>,
    /// The queue again, as deliveries carry it.
    acknowledge: Arc<dyn Acknowledge>,
    id: u32,
    terms: Terms,
    buffer: VecDeque<Ready>,
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Member {
    /// The stream of a member that has joined.
    pub(super) fn new(registry: Arc<Registry>, queue: Arc<Queue>, id: u32, terms: Terms) -> Self {
        let acknowledge: Arc<dyn Acknowledge> = Arc::<Queue>::clone(&queue);
        Self {
            registry,
            queue,
            acknowledge,
            id,
            terms,
            buffer: VecDeque::new(),
            timer: None,
            ended: false,
        }
    }
}

impl Stream for Member {
    type Item = Result<Signal>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // A subscriber that never runs dry must not keep its thread from everybody else.
        let budget = ready!(coop::poll_proceed(context));
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            let (taken, wakes) = this
                .queue
                .take(this.id, this.terms, &mut this.buffer, context.waker());
            wakes.wake();
            let signal = match taken {
                Taken::Delivery {
                    event,
                    attempt,
                    token,
                } => Signal::Delivery(Delivery::new(
                    event,
                    attempt,
                    Arc::clone(&this.acknowledge),
                    token,
                )),
                Taken::Lost(lost) => Signal::Lost(lost),
                Taken::Ended => {
                    this.ended = true;
                    return Poll::Ready(None);
                }
                Taken::Idle(None) => return Poll::Pending,
                Taken::Idle(Some(deadline)) => {
                    let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                    if timer.deadline() != deadline {
                        timer.as_mut().reset(deadline);
                    }
                    ready!(timer.as_mut().poll(context));
                    continue;
                }
            };
            budget.made_progress();
            return Poll::Ready(Some(Ok(signal)));
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.registry.leave(&self.queue, self.id);
    }
}
