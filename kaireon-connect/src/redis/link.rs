//! One server as callers see it: a connection that is opened when it is needed, and opened anew when it broke.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::dial::Live;
use super::fault::RedisFault;

/// How long a failed attempt stands for those who come after it, at first and at most: callers are answered at once
/// meanwhile, and a server that comes back is found within the longer one.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

type Outcome = Option<Result<Arc<Live>, RedisFault>>;

/// Opens a connection to wherever the server is now.
type Open = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Live, RedisFault>> + Send>> + Send + Sync>;

/// A connection to one place.
pub(crate) struct Link {
    open: Open,
    state: Mutex<State>,
}

enum State {
    /// Nobody has asked yet, or the last connection is of no use any more.
    Idle,
    Open(Arc<Live>),
    /// Somebody is opening one; whoever comes waits for the same.
    Opening(watch::Receiver<Outcome>),
    /// It is not to be opened any more.
    Closed,
    /// It failed, and is not tried again for a moment.
    Failed {
        fault: RedisFault,
        until: Instant,
        pause: Duration,
    },
}

impl Link {
    pub(crate) fn new(open: Open) -> Arc<Self> {
        Arc::new(Self {
            open,
            state: Mutex::new(State::Idle),
        })
    }

    /// The connection, opened if need be. What fails was not sent.
    ///
    /// # Dropped futures
    /// The connection is opened all the same, for whoever comes next.
    pub(crate) async fn live(self: &Arc<Self>) -> Result<Arc<Live>, RedisFault> {
        let mut opening = {
            let mut state = self.state.lock();
            match &*state {
                State::Open(live) if live.is_open() => return Ok(Arc::clone(live)),
                State::Opening(opening) => opening.clone(),
                State::Closed => return Err(RedisFault::closed()),
                State::Failed { fault, until, .. } if Instant::now() < *until => return Err(fault.clone()),
                _ => {
                    let pause = match &*state {
                        State::Failed { pause, .. } => (*pause * 2).min(LONGEST_PAUSE),
                        _ => PAUSE,
                    };
                    let (told, opening) = watch::channel(None);
                    *state = State::Opening(opening.clone());
                    tokio::spawn(Arc::clone(self).begin(told, pause));
                    opening
                }
            }
        };
        let outcome = opening.wait_for(Option::is_some).await;
        match outcome.ok().and_then(|outcome| outcome.clone()) {
            Some(outcome) => outcome,
            // The runtime is going down with the task.
            None => Err(RedisFault::unavailable("no connection was opened")),
        }
    }

    async fn begin(self: Arc<Self>, told: watch::Sender<Outcome>, pause: Duration) {
        // Whatever ends this task leaves nobody waiting for it.
        let abandoned = Abandoned(&self);
        let opened = (self.open)().await.map(Arc::new);
        let next = match &opened {
            Ok(live) => State::Open(Arc::clone(live)),
            Err(fault) => State::Failed {
                fault: fault.clone(),
                until: Instant::now() + pause,
                pause,
            },
        };
        abandoned.0.settle(next);
        std::mem::forget(abandoned);
        told.send_replace(Some(opened));
    }

    /// Does not use this connection again, unless it was replaced already. Those who wait for answers on it still get
    /// them.
    pub(crate) fn forget(&self, live: &Arc<Live>) {
        let mut state = self.state.lock();
        if matches!(&*state, State::Open(current) if Arc::ptr_eq(current, live)) {
            *state = State::Idle;
        }
    }

    /// Ends an attempt.
    fn settle(&self, next: State) {
        let mut state = self.state.lock();
        if matches!(&*state, State::Opening(_)) {
            *state = next;
        }
    }

    /// Closes what is open once those who wait for answers on it have them, and opens nothing more.
    pub(crate) fn close(&self) {
        *self.state.lock() = State::Closed;
    }
}

/// An attempt that ends without an outcome.
struct Abandoned<'a>(&'a Link);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.0.settle(State::Idle);
    }
}
