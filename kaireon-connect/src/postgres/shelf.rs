//! Connections that readers leave for the next reader. The pool asks each that is given back for a sign of life, which
//! costs a round trip for every read; a connection whose last answer was whole needs none.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::answer::{Left, Waits, give_back};
use super::mark::Mark;

/// How long a connection lies here unused before the pool has it back, to count its idle time.
const REST: Duration = Duration::from_millis(500);

/// How often that is looked after, and whether somebody else needs a connection.
const LOOK: Duration = Duration::from_millis(100);

/// How long a connection is kept from the pool in all, which asks it for a sign of life then and ends those that are
/// beyond their lifetime.
const KEEP: Duration = Duration::from_secs(30);

/// Connections between two reads. Who holds the pool must be able to have them, so nothing is kept here that the pool
/// could not do without.
pub(super) struct Shelf {
    pool: PgPool,
    /// What was taken from the pool before is left to it.
    distrusted: Mark,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    resting: Vec<Resting>,
    /// Where connections are given back when this is dropped elsewhere: the pool spawns a task for each.
    runtime: Option<Handle>,
    watch: Option<JoinHandle<()>>,
    closed: bool,
}

struct Resting {
    kept: Kept,
    since: Instant,
}

/// A connection of the pool's, and since when it has not been there.
///
/// Dropped, it is given back, in bounded time.
pub(super) struct Kept {
    /// There until it is dropped.
    connection: Option<PoolConnection<Postgres>>,
    since: Instant,
    waits: Waits,
}

const HAS_CONNECTION: &str = "what is kept has its connection until it is dropped";

impl Kept {
    pub(super) fn new(connection: PoolConnection<Postgres>, waits: Waits) -> Self {
        Self {
            connection: Some(connection),
            since: Instant::now(),
            waits,
        }
    }

    pub(super) fn connection(&self) -> &PgConnection {
        self.connection.as_ref().expect(HAS_CONNECTION)
    }

    pub(super) fn connection_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(HAS_CONNECTION)
    }

    /// For who gives it back by other means.
    pub(super) fn into_connection(mut self) -> PoolConnection<Postgres> {
        self.connection.take().expect(HAS_CONNECTION)
    }

    /// Closes it instead of giving it back.
    pub(super) fn discard(mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            give_back(connection, Left::Clean, self.waits);
        }
    }
}

impl Shelf {
    pub(super) fn new(pool: PgPool, distrusted: Mark) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self {
            pool,
            distrusted,
            state,
        })
    }

    /// The connection that rested last.
    pub(super) fn take(&self) -> Option<Kept> {
        if self.pool.is_closed() {
            return None;
        }
        let Resting { kept, since } = self.state.lock().resting.pop()?;
        // Nobody looked after it, as where the whole process was stopped: the pool asks it for a sign of life.
        let is_fit = since.elapsed() < 2 * REST && !self.distrusted.is_behind(kept.since.elapsed());
        is_fit.then_some(kept)
    }

    /// Keeps a connection that is between two statements, or gives it back.
    pub(super) fn put(self: &Arc<Self>, kept: Kept) {
        let held = kept.since.elapsed();
        if held >= KEEP || self.distrusted.is_behind(held) || self.is_needed_elsewhere() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let since = Instant::now();
        state.resting.push(Resting { kept, since });
        if state.watch.as_ref().is_none_or(JoinHandle::is_finished) {
            let watch = watch(Arc::downgrade(self), self.pool.clone());
            state.watch = Some(runtime.spawn(watch));
            state.runtime = Some(runtime);
        }
    }

    /// Gives a connection back where the pool has none for a caller who is about to ask.
    pub(super) fn make_room(&self) {
        if self.is_needed_elsewhere() {
            drop(self.state.lock().resting.pop());
        }
    }

    /// Gives everything back and keeps nothing more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let resting = std::mem::take(&mut state.resting);
        drop(state);
        drop(resting);
    }

    /// Whether the pool has nothing left to give: somebody may be waiting.
    fn is_needed_elsewhere(&self) -> bool {
        let most = self.pool.options().get_max_connections();
        self.pool.is_closed() || (self.pool.num_idle() == 0 && self.pool.size() >= most)
    }

    /// Gives back what rested for long, and everything where others need it; whether something is left.
    fn look(&self) -> bool {
        let all = self.is_needed_elsewhere();
        let mut state = self.state.lock();
        let keep = |resting: &Resting| !all && resting.since.elapsed() < REST;
        let (left, gone) = std::mem::take(&mut state.resting).into_iter().partition(keep);
        state.resting = left;
        let left = !state.resting.is_empty();
        if !left {
            state.watch = None;
        }
        drop(state);
        drop::<Vec<_>>(gone);
        left
    }
}

async fn watch(shelf: Weak<Shelf>, pool: PgPool) {
    loop {
        // Who closes the pool waits for every connection of it.
        let _ = pool.close_event().do_until(tokio::time::sleep(LOOK)).await;
        match shelf.upgrade() {
            Some(shelf) if shelf.look() => {}
            _ => return,
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let State { resting, runtime, .. } = std::mem::take(self.state.get_mut());
        let _within = runtime.as_ref().map(Handle::enter);
        drop(resting);
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resting = self.state.lock().resting.len();
        f.debug_struct("Shelf").field("resting", &resting).finish()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
