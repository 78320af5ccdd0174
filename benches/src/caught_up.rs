//! Waiting until deferred work is done.

use std::time::{Duration, Instant};

/// For how long this process must have used no processor before its deferred work counts as done: longer than a store
/// waits before it takes up work that it has put off.
const QUIET: Duration = Duration::from_millis(60);

/// Less than this in that time is the waiting itself.
const NOTHING: Duration = Duration::from_millis(2);

/// The longest wait; a process that never rests is measured with what it does for ever.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits until folds, flushes and compactions in the background have caught up, and says how much processor time they
/// used: what they would have taken one after the other, without the pauses in which a store waits for more.
#[must_use]
pub fn caught_up() -> Duration {
    let begun = Instant::now();
    let before = used();
    let mut last = before;
    loop {
        std::thread::sleep(QUIET);
        let now = used();
        if now - last < NOTHING || begun.elapsed() > LONGEST {
            return last - before;
        }
        last = now;
    }
}

/// What this process has used, with the threads that have ended: a sum over those that still run would go back when one
/// ends.
fn used() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).expect("a process has used no less than nothing")
}
