//! Waiting until deferred work is done.

use std::time::{Duration, Instant};

/// For how long this process must have used no processor before its deferred work counts as done.
const QUIET: Duration = Duration::from_millis(60);

/// The longest wait; a process that never rests is measured with what it does for ever.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits until flushes and compactions in the background have caught up, and says how long they took: until the
/// last moment at which this process used a processor.
///
/// Linux counts in ticks of 10 ms (`/proc/self/stat`), which is the error of the answer.
///
/// # Panics
/// Where there is no `/proc`.
#[must_use]
pub fn caught_up() -> Duration {
    let begun = Instant::now();
    let (mut last, mut busy_until) = (ticks(), Duration::ZERO);
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET && begun.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_millis(5));
        let now = ticks();
        if now != last {
            last = now;
            busy_until = begun.elapsed();
            quiet_since = Instant::now();
        }
    }
    busy_until
}

/// User and system time of this process, in ticks.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("linux has /proc");
    // The second field, the name in brackets, may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap_or_default()).sum()
}
