//! One server as callers see it: a connection that is opened when it is needed, and opened anew when it broke.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::dial::Live;
use super::fault::RedisFault;

/// How long a failed attempt stands for those who come after it, at first and at most: callers are answered at once
/// meanwhile, and a server that comes back is found within the longer one. As long, a connection is kept whose server
/// is of little use: it may be of some, as a replica is to those who read.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A connection that was kept for so long says nothing about how soon the next one is to be left.
const LASTING: Duration = Duration::from_secs(1);

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
    Idle { pause: Duration },
    Open {
        live: Arc<Live>,
        since: Instant,
        /// What is waited where it turns out to be of no use.
        pause: Duration,
    },
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
            state: Mutex::new(State::Idle { pause: PAUSE }),
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
                State::Open { live, .. } if live.is_open() => return Ok(Arc::clone(live)),
                // It ended before anybody had an answer by it, and nobody was waiting for one.
                State::Open { live, pause, .. } if !live.has_answered() => {
                    let (fault, pause) = (useless(), *pause);
                    *state = failed(fault.clone(), pause);
                    return Err(fault);
                }
                State::Opening(opening) => opening.clone(),
                State::Closed => return Err(RedisFault::closed()),
                State::Failed { fault, until, .. } if Instant::now() < *until => return Err(fault.clone()),
                _ => {
                    let pause = match &*state {
                        State::Failed { pause, .. } => longer(*pause),
                        State::Idle { pause } => *pause,
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
            Ok(live) => {
                live.hand_out();
                State::Open {
                    live: Arc::clone(live),
                    since: Instant::now(),
                    pause,
                }
            }
            Err(fault) => failed(fault.clone(), pause),
        };
        abandoned.0.settle(next);
        std::mem::forget(abandoned);
        told.send_replace(Some(opened));
    }

    /// Does not use this connection again, unless it was replaced already: it broke. Those who wait for answers on it
    /// still get them. One that never answered is followed by a pause.
    pub(crate) fn forget(&self, live: &Arc<Live>) {
        let mut state = self.state.lock();
        if let State::Open {
            live: current, pause, ..
        } = &*state
            && Arc::ptr_eq(current, live)
        {
            *state = match live.has_answered() {
                true => State::Idle { pause: PAUSE },
                false => failed(useless(), *pause),
            };
        }
    }

    /// As [`forget`](Self::forget), of a connection that works to a server that is of no use: another one may be at
    /// the same address. What was opened just now is kept for a pause, so that a server that stays so is not met anew
    /// for every call.
    pub(crate) fn leave(&self, live: &Arc<Live>) {
        let mut state = self.state.lock();
        if let State::Open {
            live: current,
            since,
            pause,
        } = &*state
            && Arc::ptr_eq(current, live)
            && since.elapsed() >= *pause
        {
            let pause = match since.elapsed() < LASTING {
                true => longer(*pause),
                false => PAUSE,
            };
            *state = State::Idle { pause };
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

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

fn failed(fault: RedisFault, pause: Duration) -> State {
    State::Failed {
        fault,
        until: Instant::now() + pause,
        pause,
    }
}

fn useless() -> RedisFault {
    RedisFault::unavailable("the connection ended before anything was answered")
}

/// An attempt that ends without an outcome.
struct Abandoned<'a>(&'a Link);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.0.settle(State::Idle { pause: PAUSE });
    }
}
