//! How fast a backfill goes: what the operator says, and what the target can take.

use std::future::pending;
use std::num::NonZeroU32;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::millis;

/// Whether a backfill goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// It does.
    #[default]
    Running,
    /// It stands still, and holds its place.
    Paused,
}

/// How fast a backfill may go, as an operator sets it. It is kept beside the archive, is looked at every second by whoever
/// runs the backfill, and holds over restarts and further attempts until it is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Whether it goes on; running by default.
    pub drive: Drive,
    /// How many rows a second are written, of all days together; no bound by default.
    pub max_rows_per_second: Option<NonZeroU32>,
    /// How long a write to the target may take. While one takes longer, writes become smaller, down to 16 rows, and rarer: each
    /// day that is under way spends down to 1/64 of its time on them, but rests no longer than 2 s behind one. While none does,
    /// they grow again. No bound by default.
    #[serde(rename = "target_latency_ms", default, with = "millis::optional")]
    pub target_latency: Option<Duration>,
}

/// The parts of its time and of its batches that a backfill may use at most.
const WHOLE: u32 = 64;

/// The longest rest between two writes.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// The fewest rows that are written at once on the target's behalf: below that, a write costs the same.
const FEWEST: usize = 16;

/// What share of its time a backfill spends on writing: halved while the target is slower than it should be, and grown by
/// a sixteenth while it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Governor {
    share: u32,
}

impl Default for Governor {
    fn default() -> Self {
        Self { share: WHOLE }
    }
}

impl Governor {
    /// Learns how long a write took; returns how long to rest behind it.
    fn observe(&mut self, took: Duration, target: Option<Duration>) -> Duration {
        self.share = match target {
            None => WHOLE,
            Some(target) if took > target => (self.share / 2).max(1),
            Some(_) => (self.share + WHOLE / 16).min(WHOLE),
        };
        (took * (WHOLE - self.share) / self.share).min(LONGEST_REST)
    }

    /// How many of so many rows are written at once.
    fn rows(self, most: usize) -> usize {
        (most * self.share as usize / WHOLE as usize)
            .max(FEWEST)
            .min(most)
    }
}

/// Whose turn it is.
#[derive(Debug)]
struct Turns {
    /// The last write under a rate: when it passed, of how many rows, and at which rate.
    last: Option<(Instant, u32, NonZeroU32)>,
    governor: Governor,
}

/// Lets writes pass at the pace that is set. All days of a backfill share one.
#[derive(Debug)]
pub(super) struct Throttle {
    pace: watch::Receiver<Pace>,
    turns: Mutex<Turns>,
}

impl Throttle {
    pub(super) fn new(pace: watch::Receiver<Pace>) -> Self {
        let turns = Turns {
            last: None,
            governor: Governor::default(),
        };
        Self {
            pace,
            turns: Mutex::new(turns),
        }
    }

    /// Waits until some of so many rows may be written, and says how many: at least one, and at a low rate few. Both the wait
    /// and the number go by the pace at its end, so that a change of it is felt at once.
    pub(super) async fn admit(&self, most: usize) -> usize {
        let mut pace = self.pace.clone();
        loop {
            let Pace {
                drive,
                max_rows_per_second,
                target_latency: _,
            } = *pace.borrow_and_update();
            let wait = match (drive, max_rows_per_second) {
                (Drive::Paused, _) => None,
                (Drive::Running, rate) => match self.take_turn(most, rate) {
                    Ok(rows) => return rows,
                    Err(wait) => Some(wait),
                },
            };
            tokio::select! {
                () = async { match wait { Some(wait) => sleep(wait).await, None => pending().await } } => {}
                changed = pace.changed() => if changed.is_err() {
                    // Whoever sets the pace has ended, and with it this backfill.
                    pending::<()>().await;
                },
            }
        }
    }

    /// Takes the turn if it is due, for how many rows; else says in how long it is.
    fn take_turn(&self, most: usize, rate: Option<NonZeroU32>) -> Result<usize, Duration> {
        let now = Instant::now();
        let mut turns = self.turns.lock();
        let governed = turns.governor.rows(most);
        let Some(rate) = rate else {
            turns.last = None;
            return Ok(governed.max(1));
        };
        if let Some((passed, rows, then)) = turns.last {
            // A higher rate shortens the wait; a lower one begins with the next write.
            let due = passed + Duration::from_secs(1) * rows / rate.max(then).get();
            if due > now {
                return Err(due - now);
            }
        }
        let rows = governed.min((rate.get() / 4) as usize).max(1);
        turns.last = Some((now, u32::try_from(rows).unwrap_or(u32::MAX), rate));
        Ok(rows)
    }

    /// Learns how long a write took, and rests where the target is to be spared.
    pub(super) async fn observe(&self, took: Duration) {
        let mut pace = self.pace.clone();
        let target = pace.borrow_and_update().target_latency;
        let rest = self.turns.lock().governor.observe(took, target);
        if !rest.is_zero() {
            tokio::select! {
                () = sleep(rest) => {}
                _ = pace.changed() => {}
            }
        }
    }
}

/// Tells whoever waits of a pace, if it is another one: a look that found the same ends nobody's rest.
pub(super) fn tell(pace: &watch::Sender<Pace>, found: Pace) {
    pace.send_if_modified(|known| std::mem::replace(known, found) != found);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(drive: Drive, rate: Option<u32>) -> Pace {
        Pace {
            drive,
            max_rows_per_second: rate.map(|rate| NonZeroU32::new(rate).unwrap()),
            target_latency: None,
        }
    }

    #[test]
    fn a_slow_target_is_spared_and_a_quick_one_is_not() {
        let (slow, quick) = (Duration::from_millis(40), Duration::from_millis(1));
        let target = Some(Duration::from_millis(10));
        let mut governor = Governor::default();
        assert_eq!(governor.observe(quick, target), Duration::ZERO);
        assert_eq!(governor.rows(1_000), 1_000);
        assert_eq!(governor.observe(slow, target), slow, "half of the time");
        assert_eq!(governor.rows(1_000), 500);
        for _ in 0..20 {
            assert!(governor.observe(slow, target) <= LONGEST_REST);
        }
        assert_eq!((governor.share, governor.rows(1_000)), (1, FEWEST));
        for _ in 0..16 {
            governor.observe(quick, target);
        }
        assert_eq!(governor.rows(1_000), 1_000, "it recovers");
        governor.observe(slow, target);
        assert_eq!(
            governor.observe(slow, None),
            Duration::ZERO,
            "nobody asks for it any more"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn rows_pass_at_the_rate_and_a_change_of_it_holds_at_once() {
        let (set, pace) = watch::channel(of(Drive::Running, Some(100)));
        let throttle = Throttle::new(pace);
        let begun = Instant::now();
        for _ in 0..9 {
            assert_eq!(throttle.admit(1_000).await, 25);
        }
        assert_eq!(begun.elapsed().as_millis() / 10, 200, "the first passes at once");
        set.send(of(Drive::Paused, None)).unwrap();
        let paused = Instant::now();
        let (rows, ()) = tokio::join!(throttle.admit(1_000), async {
            sleep(Duration::from_secs(60)).await;
            set.send(of(Drive::Running, None)).unwrap();
        });
        assert_eq!((paused.elapsed().as_secs(), rows), (60, 1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_also_holds_for_what_waits_already() {
        let (set, pace) = watch::channel(of(Drive::Paused, None));
        let throttle = Throttle::new(pace);
        let (rows, ()) = tokio::join!(throttle.admit(1_000), async {
            sleep(Duration::from_secs(1)).await;
            set.send(of(Drive::Running, Some(4))).unwrap();
        });
        assert_eq!(rows, 1, "and not what was asked for before the throttle");
        // Nor does a write that was large under a high rate hold up what comes under a low one.
        set.send(of(Drive::Running, Some(4_000))).unwrap();
        assert_eq!(throttle.admit(1_000).await, 1_000);
        set.send(of(Drive::Running, Some(1))).unwrap();
        let begun = Instant::now();
        assert_eq!(throttle.admit(1_000).await, 1);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_higher_rate_ends_the_wait_of_a_lower_one() {
        let (set, pace) = watch::channel(of(Drive::Running, Some(1)));
        let throttle = Throttle::new(pace);
        throttle.admit(1_000).await;
        let begun = Instant::now();
        let (rows, ()) = tokio::join!(throttle.admit(1_000), async {
            sleep(Duration::from_millis(10)).await;
            set.send(of(Drive::Running, Some(1_000))).unwrap();
        });
        assert_eq!((begun.elapsed().as_millis(), rows), (10, 250));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_finds_the_same_pace_ends_no_rest() {
        let target_latency = Some(Duration::from_millis(1));
        let spare = Pace {
            target_latency,
            ..of(Drive::Running, None)
        };
        let (set, pace) = watch::channel(spare);
        let throttle = Throttle::new(pace);
        let begun = Instant::now();
        tokio::join!(throttle.observe(Duration::from_millis(500)), async {
            sleep(Duration::from_millis(10)).await;
            tell(&set, spare);
        });
        assert_eq!(begun.elapsed().as_millis(), 500, "half of the time");
        let begun = Instant::now();
        tokio::join!(throttle.observe(Duration::from_millis(500)), async {
            sleep(Duration::from_millis(10)).await;
            tell(&set, of(Drive::Running, None));
        });
        assert_eq!(begun.elapsed().as_millis(), 10, "another one ends it");
    }

    #[test]
    fn a_pace_goes_round() {
        let pace = Pace {
            target_latency: Some(Duration::from_millis(15)),
            ..of(Drive::Paused, Some(7))
        };
        let json = serde_json::to_string(&pace).unwrap();
        assert_eq!(
            json,
            r#"{"drive":"paused","max_rows_per_second":7,"target_latency_ms":15}"#
        );
        assert_eq!(serde_json::from_str::<Pace>(&json).unwrap(), pace);
    }
}
