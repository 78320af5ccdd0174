//! What a rule says, and how one learns that it fired.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::framing::Direction;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In order: both sides read the end of the stream, after what was forwarded to them before.
    Fin,
    /// By force: both sides meet a reset. What was forwarded and not yet read may be lost, depending on the system;
    /// on Linux it is read first.
    Reset,
}

/// A fault that happens once, to the first connection that meets its condition.
///
/// Begins with [`Rule::on`] or [`Rule::after_bytes`]; [`Proxy::arm`](super::Proxy::arm) puts it in force.
pub struct Rule {
    pub(super) steps: Vec<Step>,
    pub(super) action: Action,
}

/// The condition of a rule whose action is still to be said.
#[must_use = "a condition does nothing until an action is said and the rule is armed"]
pub struct When {
    steps: Vec<Step>,
}

/// What must pass on one connection before the next step, or the action.
pub(super) struct Step {
    pub(super) direction: Direction,
    pub(super) what: What,
}

/// Whether a message is the one that is waited for.
type Condition = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

pub(super) enum What {
    Message(Condition),
    Bytes(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    CutBefore(Cut),
    CutAfter(Cut),
    Withhold,
    Hold,
    Delay(Duration),
}

impl Rule {
    /// When a message in `direction` satisfies the condition. The condition is shown the message's bytes as they are
    /// on the wire; those of PostgreSQL are in [`postgres`](super::postgres).
    pub fn on(direction: Direction, message: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> When {
        When { steps: Vec::new() }.then(direction, message)
    }

    /// When a connection has carried `bytes` in `direction`, counted from where it was as the rule was armed. What
    /// arrives in one piece is divided there: "before" and "after" are then the two sides of that byte.
    pub fn after_bytes(direction: Direction, bytes: u64) -> When {
        let what = What::Bytes(bytes);
        When {
            steps: vec![Step { direction, what }],
        }
    }
}

impl When {
    /// And after that, on the same connection, another message.
    pub fn then(
        mut self,
        direction: Direction,
        message: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let what = What::Message(Box::new(message));
        self.steps.push(Step { direction, what });
        self
    }

    /// The message is not forwarded, and both sides of the connection end.
    pub fn cut_before(self, how: Cut) -> Rule {
        self.rule(Action::CutBefore(how))
    }

    /// The message is forwarded, then both sides of the connection end.
    pub fn cut_after(self, how: Cut) -> Rule {
        self.rule(Action::CutAfter(how))
    }

    /// The message vanishes, and so does all that follows it in its direction; the connection stays open.
    pub fn withhold(self) -> Rule {
        self.rule(Action::Withhold)
    }

    /// The message, and what follows it in its direction, waits until [`Armed::release`].
    pub fn hold(self) -> Rule {
        self.rule(Action::Hold)
    }

    /// The message, and what follows it in its direction, is forwarded so much later.
    pub fn delay(self, delay: Duration) -> Rule {
        self.rule(Action::Delay(delay))
    }

    fn rule(self, action: Action) -> Rule {
        let Self { steps } = self;
        Rule { steps, action }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("steps", &self.steps)
            .field("action", &self.action)
            .finish()
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When").field("steps", &self.steps).finish()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Message(_) => write!(f, "a message {:?}", self.direction),
            What::Bytes(bytes) => write!(f, "{bytes} bytes {:?}", self.direction),
        }
    }
}

/// A rule in force. Dropping it leaves the rule in force, and lets go what it holds.
#[derive(Debug)]
#[must_use = "a fault that nobody awaits may not have happened"]
pub struct Armed {
    pub(super) id: u64,
    pub(super) fired: watch::Receiver<bool>,
    pub(super) release: watch::Sender<bool>,
    pub(super) registry: Arc<super::registry::Registry>,
}

impl Armed {
    /// Waits until the rule has done what it says: the connection is cut, the message held, withheld or forwarded
    /// late.
    ///
    /// # Panics
    ///
    /// When the proxy goes away before that: then it never happens.
    ///
    /// # Dropped futures
    ///
    /// Nothing is lost; it can be called again.
    pub async fn fired(&self) {
        let mut fired = self.fired.clone();
        let done = fired.wait_for(|fired| *fired).await.map(|_| ());
        done.expect("the proxy went away before the rule fired");
    }

    /// Whether it has.
    pub fn has_fired(&self) -> bool {
        *self.fired.borrow()
    }

    /// Lets go what [`When::hold`] holds; at once, if nothing is held yet.
    pub fn release(&self) {
        self.release.send_replace(true);
    }

    /// Takes the rule out of force and says whether it had not fired.
    pub fn disarm(self) -> bool {
        self.registry.remove(self.id)
    }
}
