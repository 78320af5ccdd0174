//! The rules in force, and what they say of the next message.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::framing::Direction;
use super::rule::{Action, Armed, Cut, Rule, Step, What};

/// The rules in force, in the order in which they were armed.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<Rules>);

#[derive(Debug, Default)]
struct Rules {
    next_id: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    rule: Rule,
    /// Where each connection is that the rule has seen.
    progress: HashMap<u64, Progress>,
    fired: watch::Sender<bool>,
    release: watch::Receiver<bool>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    step: usize,
    /// What each direction had carried when the rule first looked at it.
    base: [Option<u64>; 2],
}

/// A piece of one direction of one connection that is about to be forwarded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passing<'a> {
    pub(super) connection: u64,
    pub(super) direction: Direction,
    pub(super) bytes: &'a [u8],
    /// Whether the bytes are one whole message.
    pub(super) is_message: bool,
    /// What the direction carried before.
    pub(super) carried: u64,
}

/// What becomes of it.
#[derive(Debug)]
pub(super) enum Verdict {
    Forward,
    /// So many of its bytes are forwarded, then the connection ends.
    Cut(usize, Cut, Fired),
    /// So many of its bytes are forwarded, and no more ever.
    Withhold(usize, Fired),
    /// So many of its bytes are forwarded, the rest once this is true or its sender is gone.
    Hold(usize, watch::Receiver<bool>, Fired),
    /// So many of its bytes are forwarded, the rest so much later.
    Delay(usize, Duration, Fired),
}

/// Tells who waits that a rule has done what it says.
#[derive(Debug)]
pub(super) struct Fired(watch::Sender<bool>);

impl Fired {
    pub(super) fn tell(self) {
        self.0.send_replace(true);
    }
}

impl Registry {
    pub(super) fn arm(self: &Arc<Self>, rule: Rule) -> Armed {
        let (fired, is_fired) = watch::channel(false);
        let (release, is_released) = watch::channel(false);
        let mut rules = self.0.lock();
        let id = rules.next_id;
        rules.next_id += 1;
        rules.entries.push(Entry {
            id,
            rule,
            progress: HashMap::new(),
            fired,
            release: is_released,
        });
        Armed {
            id,
            fired: is_fired,
            release,
            registry: Arc::clone(self),
        }
    }

    /// Takes a rule out of force and says whether it was.
    pub(super) fn remove(&self, id: u64) -> bool {
        let mut rules = self.0.lock();
        let before = rules.entries.len();
        rules.entries.retain(|entry| entry.id != id);
        rules.entries.len() != before
    }

    /// Takes all out of force; who waits for one of them learns that it will not come.
    pub(super) fn clear(&self) {
        self.0.lock().entries.clear();
    }

    /// Forgets a connection that ended.
    pub(super) fn forget(&self, connection: u64) {
        for entry in &mut self.0.lock().entries {
            entry.progress.remove(&connection);
        }
    }

    /// What the first rule says whose condition this completes; that rule is then no longer in force.
    pub(super) fn judge(&self, passing: Passing<'_>) -> Verdict {
        let mut rules = self.0.lock();
        let mut completed = None;
        for (place, entry) in rules.entries.iter_mut().enumerate() {
            // A second rule that this would complete as well waits for the next such message.
            if let Some(offset) = entry.advance(passing, completed.is_none()) {
                completed = Some((place, offset));
            }
        }
        match completed {
            None => Verdict::Forward,
            Some((place, offset)) => rules.entries.remove(place).verdict(passing.bytes.len(), offset),
        }
    }
}

impl Entry {
    /// Where in the piece the condition is complete, if it is: at its start for a message.
    fn advance(&mut self, passing: Passing<'_>, may_complete: bool) -> Option<usize> {
        let Passing {
            connection,
            direction,
            bytes,
            is_message,
            carried,
        } = passing;
        let progress = self.progress.entry(connection).or_default();
        let base = *progress.base[direction.index()].get_or_insert(carried);
        let Step {
            direction: wanted,
            what,
        } = self.rule.steps.get(progress.step)?;
        if *wanted != direction {
            return None;
        }
        let offset = match what {
            What::Message(is_it) => (is_message && is_it(bytes)).then_some(0)?,
            What::Bytes(wanted) => {
                let missing = (base + wanted).saturating_sub(carried);
                usize::try_from(missing)
                    .ok()
                    .filter(|&missing| missing <= bytes.len())?
            }
        };
        let is_last = progress.step + 1 == self.rule.steps.len();
        if !is_last {
            progress.step += 1;
        }
        (is_last && may_complete).then_some(offset)
    }

    fn verdict(self, whole: usize, offset: usize) -> Verdict {
        let fired = Fired(self.fired);
        let counts_bytes = matches!(
            self.rule.steps.last(),
            Some(Step {
                what: What::Bytes(_),
                ..
            })
        );
        match self.rule.action {
            Action::CutBefore(how) => Verdict::Cut(offset, how, fired),
            Action::CutAfter(how) => Verdict::Cut(if counts_bytes { offset } else { whole }, how, fired),
            Action::Withhold => Verdict::Withhold(offset, fired),
            Action::Hold => Verdict::Hold(offset, self.release, fired),
            Action::Delay(delay) => Verdict::Delay(offset, delay, fired),
        }
    }
}
