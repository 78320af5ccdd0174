//! Which call meets which fault.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `Unavailable`, not applied: the backend was never asked.
    Before,
    /// `Unavailable`, unknown: it was applied, and the answer was lost. Where the backend itself refuses the
    /// call, its own error is told.
    After,
    /// It is asked so much later.
    Delay(Duration),
    /// It is never asked, and no answer comes.
    Hang,
    /// It is asked once [`Plan::release`] was called, which may be after whatever a test does meanwhile.
    Hold,
    /// Of a batch only so many items are sent; the others were not attempted. Nothing, to a call of one item.
    Cut(usize),
}

/// Which operations may lose their answer by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only those whose repetition gives the same answer: then a suite's expectations hold through `Retry`.
    SameAnswer,
    /// Also those that answer `Duplicate`, or count anew, when they are repeated.
    EveryOperation,
}

/// How likely each fault is, from 0 to 1, for one call.
#[derive(Clone, Copy, Debug)]
pub struct Odds {
    /// Of an error before the effect.
    pub before: f64,
    /// Of an error after the effect, where it may happen by `reach`.
    pub after: f64,
    /// Of a delay, up to `longest_delay`.
    pub delay: f64,
    /// Of a batch that is cut.
    pub cut: f64,
    /// The longest delay.
    pub longest_delay: Duration,
    /// Which operations may lose their answer.
    pub reach: Reach,
}

/// Operations whose repetition, after an answer that was lost, answers otherwise than the first would have.
const ANSWERS_ANEW: [&str; 8] = [
    "record_event",
    "record_events",
    "record_decision",
    "record_decisions",
    "purge_before",
    "append",
    "replay",
    "publish_batch",
];

/// Operations that nobody repeats: chance leaves them alone.
const LEFT_ALONE: [&str; 4] = ["ping", "wait", "disconnect", "subscribe"];

enum Source {
    Script(VecDeque<(&'static str, Fault)>),
    Chance(fastrand::Rng, Odds),
}

/// Which call meets which fault; clones share it.
#[derive(Clone)]
pub struct Plan(Arc<State>);

struct State {
    source: Mutex<Source>,
    /// What is met before what the source says.
    first: Mutex<VecDeque<(&'static str, Fault)>>,
    held: watch::Sender<usize>,
    released: watch::Sender<bool>,
    made: AtomicU64,
    stopped: AtomicBool,
    cut_off: AtomicBool,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("made", &self.made())
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// Faults for named operations: the next call of an operation meets the first fault that names it.
    pub fn script(faults: impl IntoIterator<Item = (&'static str, Fault)>) -> Self {
        Self::from_source(Source::Script(faults.into_iter().collect()))
    }

    /// Puts further faults behind those of a script; a plan of chance has no use for them.
    pub fn add(&self, faults: impl IntoIterator<Item = (&'static str, Fault)>) {
        if let Source::Script(script) = &mut *self.0.source.lock() {
            script.extend(faults);
        }
    }

    /// Faults by chance. The same seed makes the same faults in the same order of calls; `ping`, `wait`,
    /// `subscribe` and `disconnect`, which nobody repeats, are left alone.
    #[must_use]
    pub fn seeded(seed: u64, odds: Odds) -> Self {
        Self::from_source(Source::Chance(fastrand::Rng::with_seed(seed), odds))
    }

    fn from_source(source: Source) -> Self {
        Self(Arc::new(State {
            source: Mutex::new(source),
            first: Mutex::default(),
            held: watch::Sender::new(0),
            released: watch::Sender::new(false),
            made: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
        }))
    }

    /// How many faults were made: a run that made none showed nothing.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.0.made.load(Ordering::SeqCst)
    }

    /// Lets the next call of an operation meet this fault, before what script or chance say.
    pub fn meet_next(&self, operation: &'static str, fault: Fault) {
        self.0.first.lock().push_back((operation, fault));
    }

    /// Waits until so many calls have met [`Fault::Hold`].
    ///
    /// # Dropped futures
    /// Nothing is lost; it can be called again.
    pub async fn held(&self, count: usize) {
        // The plan has the sender, so it is there.
        let _ = self.0.held.subscribe().wait_for(|held| *held >= count).await;
    }

    /// Lets go every call that meets, or has met, [`Fault::Hold`].
    pub fn release(&self) {
        self.0.released.send_replace(true);
    }

    /// Until it is let go.
    pub(super) async fn hold(&self) {
        self.0.held.send_modify(|held| *held += 1);
        // The plan has the sender, so it is there.
        let _ = self.0.released.subscribe().wait_for(|released| *released).await;
    }

    /// While it is cut off, every call meets [`Fault::Before`]: nothing reaches the backend.
    pub fn cut_off(&self, is_cut_off: bool) {
        self.0.cut_off.store(is_cut_off, Ordering::SeqCst);
    }

    /// Makes no more faults from now on.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }

    /// The fault that this call meets.
    pub(super) fn next(&self, operation: &'static str) -> Option<Fault> {
        if self.0.stopped.load(Ordering::SeqCst) {
            return None;
        }
        if self.0.cut_off.load(Ordering::SeqCst) {
            self.0.made.fetch_add(1, Ordering::SeqCst);
            return Some(Fault::Before);
        }
        let first = named(&mut self.0.first.lock(), operation);
        let fault = first.or_else(|| match &mut *self.0.source.lock() {
            Source::Script(faults) => named(faults, operation),
            Source::Chance(random, odds) => by_chance(random, *odds, operation),
        });
        if fault.is_some() {
            self.0.made.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }
}

/// Takes the first fault that names the operation.
fn named(faults: &mut VecDeque<(&'static str, Fault)>, operation: &str) -> Option<Fault> {
    let place = faults.iter().position(|(name, _)| *name == operation);
    place
        .and_then(|place| faults.remove(place))
        .map(|(_, fault)| fault)
}

fn by_chance(random: &mut fastrand::Rng, odds: Odds, operation: &str) -> Option<Fault> {
    let Odds {
        before,
        after,
        delay,
        cut,
        longest_delay,
        reach,
    } = odds;
    if LEFT_ALONE.contains(&operation) {
        return None;
    }
    let drawn = random.f64();
    let loses = reach == Reach::EveryOperation || !ANSWERS_ANEW.contains(&operation);
    if drawn < before {
        return Some(Fault::Before);
    }
    if drawn < before + after {
        return loses.then_some(Fault::After);
    }
    if drawn < before + after + delay {
        return Some(Fault::Delay(longest_delay.mul_f64(random.f64())));
    }
    (drawn < before + after + delay + cut).then(|| Fault::Cut(random.usize(0..4)))
}
