//! The two ends of the queue.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::CoalesceConfig;
use super::state::{Items, Reply, Sleeper, Slot, State};
use crate::{Effect, Error, ErrorKind, Result};

/// Makes a queue; `backend` names the store in errors.
///
/// Items are `T`, their outcomes `R`. The submitter is cloned into whatever submits; the queue goes to the one
/// driver.
#[must_use]
pub fn queue<T, R>(backend: &'static str, config: CoalesceConfig) -> (Submitter<T, R>, Queue<T, R>) {
    let byte_room = config
        .max_queue_bytes
        .min(u32::MAX as usize)
        .min(Semaphore::MAX_PERMITS);
    let shared = Arc::new(Shared {
        backend,
        state: Mutex::new(State::new()),
        item_room: Arc::new(Semaphore::new(
            config.max_queue_items.clamp(1, Semaphore::MAX_PERMITS),
        )),
        byte_room: Arc::new(Semaphore::new(byte_room.max(1))),
        submitters: AtomicUsize::new(1),
        config,
    });
    (
        Submitter {
            shared: Arc::clone(&shared),
        },
        Queue { shared },
    )
}

struct Shared<T, R> {
    backend: &'static str,
    config: CoalesceConfig,
    state: Mutex<State<T, R>>,
    item_room: Arc<Semaphore>,
    byte_room: Arc<Semaphore>,
    submitters: AtomicUsize,
}

impl<T, R> Shared<T, R> {
    fn close(&self) {
        let sleeper = {
            let mut state = self.state.lock();
            state.closed = true;
            state.sleeper.take()
        };
        // Those who wait for room learn that there will be none.
        self.item_room.close();
        self.byte_room.close();
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    fn gone(&self) -> Error {
        Error::new(ErrorKind::Unavailable, "the store is closed")
            .with_backend(self.backend)
            .with_effect(Effect::NotApplied)
            .with_transient(false)
    }

    fn unanswered(&self) -> Error {
        Error::new(ErrorKind::Internal, "the writer ended before it answered")
            .with_backend(self.backend)
            .with_effect(Effect::Unknown)
    }

    /// Waits for room for so many items and bytes.
    async fn room(&self, items: usize, bytes: usize) -> Result<[OwnedSemaphorePermit; 2]> {
        let permits =
            |wanted: usize, most: usize| u32::try_from(wanted.clamp(1, most.max(1))).unwrap_or(u32::MAX);
        let items = permits(items, self.config.max_queue_items);
        let bytes = permits(bytes, self.config.max_queue_bytes);
        let (item_room, byte_room) = (&self.item_room, &self.byte_room);
        let at_once = || {
            let items = Arc::clone(item_room).try_acquire_many_owned(items).ok()?;
            let bytes = Arc::clone(byte_room).try_acquire_many_owned(bytes).ok()?;
            Some([items, bytes])
        };
        if let Some(room) = at_once() {
            return Ok(room);
        }
        let later = async {
            let items = Arc::clone(item_room).acquire_many_owned(items).await.ok()?;
            let bytes = Arc::clone(byte_room).acquire_many_owned(bytes).await.ok()?;
            Some([items, bytes])
        };
        match tokio::time::timeout(self.config.queue_wait, later).await {
            Ok(Some(room)) => Ok(room),
            Ok(None) => Err(self.gone()),
            Err(_) => Err(Error::new(ErrorKind::RateLimited, "the write queue stayed full")
                .with_backend(self.backend)
                .with_effect(Effect::NotApplied)),
        }
    }

    /// Queues a slot and wakes the driver; returns the slot's number.
    fn push(&self, slot: Slot<T, R>) -> Result<u64> {
        let (number, sleeper) = {
            let mut state = self.state.lock();
            if state.closed || state.driver_gone {
                return Err(self.gone());
            }
            (state.push(slot), state.sleeper.take())
        };
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
        Ok(number)
    }
}

/// The callers' end. Clones share the queue; when the last is dropped, the queue closes.
pub struct Submitter<T, R> {
    shared: Arc<Shared<T, R>>,
}

impl<T, R> Submitter<T, R> {
    /// Submits one item of about so many bytes, and waits for its outcome.
    ///
    /// # Errors
    /// The item's own error; `RateLimited` (not applied) when there was no room within `queue_wait`;
    /// `Unavailable` (not applied) when the queue is closed; `Internal` (effect unknown) when the driver ended.
    ///
    /// # Dropped futures
    /// An item that is still queued is withdrawn; one in a commit is committed.
    pub async fn submit(&self, item: T, bytes: usize) -> Result<R> {
        let room = self.shared.room(1, bytes).await?;
        let (reply, answer) = oneshot::channel();
        let slot = Slot {
            items: Items::One(item),
            bytes,
            reply: Reply::One(reply),
            _room: room,
        };
        let number = self.shared.push(slot)?;
        let withdrawal = Withdrawal {
            shared: &self.shared,
            number,
        };
        let outcome = answer.await;
        std::mem::forget(withdrawal);
        outcome.unwrap_or_else(|_| Err(self.shared.unanswered()))
    }

    /// Submits items, each with about its number of bytes, which keep their order; outcomes in the same order.
    ///
    /// More than fit into one commit are divided over several; an item whose part found no room is `RateLimited`,
    /// not applied, as are those behind it.
    ///
    /// # Dropped futures
    /// Parts that are still queued are withdrawn; those in a commit are committed.
    pub async fn submit_all(&self, items: Vec<(T, usize)>) -> Vec<Result<R>> {
        let total = items.len();
        let mut parts = Vec::new();
        let mut refusal = None;
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let (part, bytes) = self.next_part(&mut items);
            let count = part.len();
            let room = match self.shared.room(count, bytes).await {
                Ok(room) => room,
                Err(error) => {
                    refusal = Some(error);
                    break;
                }
            };
            let (reply, answer) = oneshot::channel();
            let slot = Slot {
                items: Items::Many(part),
                bytes,
                reply: Reply::Many(reply),
                _room: room,
            };
            match self.shared.push(slot) {
                Ok(number) => parts.push((
                    count,
                    answer,
                    Withdrawal {
                        shared: &self.shared,
                        number,
                    },
                )),
                Err(error) => {
                    refusal = Some(error);
                    break;
                }
            }
        }
        let mut outcomes = Vec::with_capacity(total);
        for (count, answer, withdrawal) in parts {
            let answered = answer.await;
            std::mem::forget(withdrawal);
            match answered {
                Ok(part) => outcomes.extend(part),
                Err(_) => outcomes.extend((0..count).map(|_| Err(self.shared.unanswered()))),
            }
        }
        if let Some(error) = refusal {
            outcomes.resize_with(total, || Err(error.clone()));
        }
        outcomes
    }

    /// Cuts off as many items as fit into one commit and into the queue.
    fn next_part(&self, items: &mut std::iter::Peekable<std::vec::IntoIter<(T, usize)>>) -> (Vec<T>, usize) {
        let CoalesceConfig {
            max_batch_items,
            max_batch_bytes,
            max_queue_items,
            max_queue_bytes,
            ..
        } = self.shared.config;
        let most_items = max_batch_items.min(max_queue_items).max(1);
        let most_bytes = max_batch_bytes.min(max_queue_bytes);
        let mut part = Vec::with_capacity(items.len().min(most_items));
        let mut bytes = 0;
        while let Some((item, item_bytes)) = items
            .next_if(|(_, next)| part.is_empty() || (part.len() < most_items && bytes + next <= most_bytes))
        {
            bytes += item_bytes;
            part.push(item);
        }
        (part, bytes)
    }

    /// Takes no more items. What is queued is still committed. Idempotent.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl<T, R> Clone for Submitter<T, R> {
    fn clone(&self) -> Self {
        self.shared.submitters.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T, R> Drop for Submitter<T, R> {
    fn drop(&mut self) {
        if self.shared.submitters.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.close();
        }
    }
}

impl<T, R> fmt::Debug for Submitter<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter")
            .field("backend", &self.shared.backend)
            .finish_non_exhaustive()
    }
}

/// Takes a slot back when its caller goes away; forgotten once the caller has its answer.
struct Withdrawal<'a, T, R> {
    shared: &'a Shared<T, R>,
    number: u64,
}

impl<T, R> Drop for Withdrawal<'_, T, R> {
    fn drop(&mut self) {
        let slot = self.shared.state.lock().withdraw(self.number);
        // Outside the lock: dropping an item may run the host's code, and the room wakes waiters.
        drop(slot);
    }
}

/// The driver's end. When it is dropped, what waits is answered with `Internal`, and nothing more is taken.
pub struct Queue<T, R> {
    shared: Arc<Shared<T, R>>,
}

impl<T, R> Queue<T, R> {
    /// Takes everything that waits, up to the bounds of a commit, or waits for the first item; `None` when the
    /// queue is closed and empty. For a thread of the driver's own.
    pub fn next_blocking(&mut self) -> Option<Batch<T, R>> {
        loop {
            {
                let mut state = self.shared.state.lock();
                if let Some(next) = self.poll_state(&mut state) {
                    drop(state);
                    return self.measured(next);
                }
                state.sleeper = Some(Sleeper::Thread(std::thread::current()));
            }
            std::thread::park();
        }
    }

    /// As [`next_blocking`](Self::next_blocking), for a task. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Batch<T, R>> {
        let next = poll_fn(|context| {
            let mut state = self.shared.state.lock();
            if let Some(next) = self.poll_state(&mut state) {
                return Poll::Ready(next);
            }
            state.sleeper = Some(Sleeper::Task(context.waker().clone()));
            Poll::Pending
        });
        self.measured(next.await)
    }

    /// Tells the recorder how many share a commit.
    #[allow(clippy::cast_precision_loss, reason = "a measurement is a float")]
    fn measured(&self, next: Option<Batch<T, R>>) -> Option<Batch<T, R>> {
        if let Some(batch) = &next {
            let backend = self.shared.backend;
            let items = batch.items.len() as f64;
            metrics::histogram!("kaireon.coalesce.items", "db.system.name" => backend).record(items);
        }
        next
    }

    /// `Some(None)` is the end, `None` means that nothing waits yet.
    fn poll_state(&self, state: &mut State<T, R>) -> Option<Option<Batch<T, R>>> {
        let CoalesceConfig {
            max_batch_items,
            max_batch_bytes,
            ..
        } = self.shared.config;
        let slots = state.take(max_batch_items, max_batch_bytes);
        if !slots.is_empty() {
            return Some(Some(Batch::of(slots)));
        }
        state.closed.then_some(None)
    }
}

impl<T, R> Drop for Queue<T, R> {
    fn drop(&mut self) {
        let slots = {
            let mut state = self.shared.state.lock();
            state.driver_gone = true;
            state.take_all()
        };
        self.shared.item_room.close();
        self.shared.byte_room.close();
        drop(slots);
    }
}

impl<T, R> fmt::Debug for Queue<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("backend", &self.shared.backend)
            .finish_non_exhaustive()
    }
}

/// What one commit consists of. Dropped without an answer (a panic in the driver), every caller gets `Internal`
/// with effect unknown.
#[must_use = "callers wait for an answer"]
pub struct Batch<T, R> {
    items: Vec<T>,
    replies: Vec<(usize, Reply<R>)>,
}

impl<T, R> Batch<T, R> {
    fn of(slots: Vec<Slot<T, R>>) -> Self {
        let mut items = Vec::with_capacity(slots.iter().map(|slot| slot.items.len()).sum());
        let mut replies = Vec::with_capacity(slots.len());
        for slot in slots {
            replies.push((slot.items.len(), slot.reply));
            match slot.items {
                Items::One(item) => items.push(item),
                Items::Many(many) => items.extend(many),
            }
        }
        Self { items, replies }
    }

    /// The items, in arrival order.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// Takes the items out, in arrival order; none are left.
    #[must_use]
    pub fn take_items(&mut self) -> Vec<T> {
        std::mem::take(&mut self.items)
    }

    /// Gives each item its outcome, in the order of the items. Callers who have gone away are passed over.
    pub fn answer(self, outcomes: Vec<Result<R>>) {
        let mut outcomes = outcomes.into_iter();
        for (count, reply) in self.replies {
            match reply {
                Reply::One(reply) => {
                    if let Some(outcome) = outcomes.next() {
                        let _ = reply.send(outcome);
                    }
                }
                Reply::Many(reply) => {
                    let part: Vec<_> = outcomes.by_ref().take(count).collect();
                    // A driver that answers too few has a defect; its callers must not take it for success.
                    if part.len() == count {
                        let _ = reply.send(part);
                    }
                }
            }
        }
    }
}

impl<T, R> fmt::Debug for Batch<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}
