//! The crash driver: a child process that writes is killed with SIGKILL at random instants, again and again.
//!
//! After each kill the parent opens the place and checks: what was acknowledged is there; nothing is there that
//! was not asked for, and nothing twice; a call whose answer the kill took is answered exactly when it is repeated;
//! summaries are the fold of the rows; every row is in the outbox or was told; what was settled stays settled; who
//! was erased stays erased. Then it goes on with the next child on the same place.
//!
//! The child is the test binary itself, started anew for one test:
//!
//! ```no_run
//! # async fn open_store(_: std::path::PathBuf) -> std::sync::Arc<dyn kaireon_core::InteractionStore> { todo!() }
//! // In tests/suite.rs:
//! // #[test]
//! fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
//!     let test = "nothing_acknowledged_is_lost_when_the_process_is_killed";
//!     let directory = std::env::temp_dir().join("a-directory-of-this-test");
//!     kaireon_testkit::crash::Driver::from_env(test, 12).run(&directory, open_store);
//! }
//! ```

mod check;
mod child;
mod log;
mod work;

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::InteractionStore;

use self::log::Log;
use crate::suite::block_on;

/// How many kills a run makes, where the variable is set.
pub const KILLS_VARIABLE: &str = "KAIREON_CRASH_KILLS";

/// The seed of a run's instants, where the variable is set: to repeat a run.
pub const SEED_VARIABLE: &str = "KAIREON_CRASH_SEED";

/// The seed of a soak run, which stands in where the variable above is not set.
const SOAK_SEED_VARIABLE: &str = "KAIREON_SOAK_SEED";

/// Set for the child alone: which cycle it is.
const CYCLE_VARIABLE: &str = "KAIREON_CRASH_CYCLE";

/// Set for the child alone: where it writes.
const PLACE_VARIABLE: &str = "KAIREON_CRASH_PLACE";

/// Kills a writing child again and again. Which instants are drawn follows from the seed, which a run prints.
#[derive(Clone, Debug)]
pub struct Driver {
    /// The full name of the test that calls [`run`](Driver::run): the child is started for it alone.
    pub test: String,
    /// How many kills.
    pub cycles: u32,
    /// From which the instants of the kills are drawn.
    pub seed: u64,
    /// The longest time that a child writes before it is killed.
    pub longest: Duration,
}

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Children that were killed while they wrote.
    pub kills: u32,
    /// Records that were acknowledged, by a child or to the parent's repetition.
    pub acknowledged: u64,
    /// Records that are there at the end; those of erased customers are not.
    pub found: u64,
    /// Calls whose answer a kill took, and which were repeated.
    pub repeated: u64,
}

impl Driver {
    /// So many kills unless `KAIREON_CRASH_KILLS` says otherwise, under the seed of `KAIREON_CRASH_SEED`, that of
    /// `KAIREON_SOAK_SEED`, or a fresh one.
    ///
    /// # Panics
    /// When one of the variables is no number.
    pub fn from_env(test: impl Into<String>, cycles: u32) -> Self {
        Self::from_vars(test, cycles, |name| std::env::var(name).ok())
    }

    /// As [`from_env`](Driver::from_env), from variables that are looked up by `variable`.
    ///
    /// # Panics
    /// As for `from_env`.
    pub fn from_vars(
        test: impl Into<String>,
        cycles: u32,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let number = |name: &str| {
            let value = variable(name)?;
            Some(
                value
                    .parse::<u64>()
                    .unwrap_or_else(|_| panic!("{name} is no number")),
            )
        };
        let cycles = number(KILLS_VARIABLE).map_or(cycles, |kills| u32::try_from(kills).unwrap_or(u32::MAX));
        Self {
            test: test.into(),
            cycles,
            seed: number(SEED_VARIABLE)
                .or_else(|| number(SOAK_SEED_VARIABLE))
                .unwrap_or_else(|| fastrand::u64(..1_000_000)),
            longest: Duration::from_millis(400),
        }
    }

    /// Runs the cycles on one place; in the child, writes until it is killed.
    ///
    /// `open` is called with the place in the child and, after each kill, in the parent. The store must have
    /// `scan` and be `persistent`; decisions, erasure and the outbox take part where it has them.
    ///
    /// # Panics
    /// With what was lost, doubled or left half done, and the seed.
    pub fn run<M>(self, place: &Path, open: impl Fn(PathBuf) -> M) -> Report
    where
        M: Future<Output = Arc<dyn InteractionStore>>,
    {
        if let (Some(cycle), Some(place)) =
            (std::env::var_os(CYCLE_VARIABLE), std::env::var_os(PLACE_VARIABLE))
        {
            let cycle = cycle
                .to_str()
                .and_then(|cycle| cycle.parse().ok())
                .expect("the parent sets a number");
            block_on(async { child::write_until_killed(&open(PathBuf::from(place)).await, cycle).await });
            unreachable!("a child writes until it is killed");
        }
        println!(
            "crash run of {} kills, {SEED_VARIABLE}={}",
            self.cycles, self.seed
        );
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut log = Log::default();
        let mut report = Report::default();
        for cycle in 0..self.cycles {
            let after = self.longest.mul_f64(random.f64());
            self.kill_one(place, cycle, after, &mut log);
            report.kills += 1;
            let checked = block_on(async {
                let store = open(place.to_path_buf()).await;
                let checked = check::check(&store, &mut log, cycle).await;
                store.disconnect().await.expect("a store disconnects");
                checked
            });
            report.found = checked.found;
            report.repeated += checked.repeated;
        }
        report.acknowledged = log.acknowledged();
        assert!(
            report.acknowledged > 0 || self.cycles == 0,
            "the children acknowledged nothing"
        );
        println!("{report:?}");
        report
    }

    /// Starts a child, lets it write for so long from its first acknowledgement on, kills it, and reads what it
    /// said to the end.
    fn kill_one(&self, place: &Path, cycle: u32, after: Duration, log: &mut Log) {
        let mut child = self.start(place, cycle);
        let output = child.stdout.take().expect("the child's output is piped");
        let (said, hear) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        // A child that never acknowledges anything is a failure of its own: it ended, or it hangs.
        let mut lines = Vec::new();
        loop {
            match hear.recv_timeout(Duration::from_secs(60)) {
                Ok(line) => lines.push(line),
                Err(error) => {
                    let _ = child.kill();
                    panic!("the child of cycle {cycle} acknowledged nothing: {error}; it said {lines:#?}");
                }
            }
            if lines.last().is_some_and(|line| log::is_acknowledgement(line)) {
                break;
            }
        }
        std::thread::sleep(after);
        // SIGKILL: the process has no say in it.
        child.kill().expect("a running child is killed");
        let ended = child.wait().expect("a killed child ends");
        assert!(!ended.success(), "the child of cycle {cycle} ended by itself");
        reader.join().expect("reading lines does not panic");
        lines.extend(hear.try_iter());
        for line in &lines {
            log.read(line);
        }
    }

    fn start(&self, place: &Path, cycle: u32) -> Child {
        let binary = std::env::current_exe().expect("a test binary knows where it lies");
        Command::new(binary)
            .args([
                &self.test,
                "--exact",
                "--nocapture",
                "--include-ignored",
                "--test-threads=1",
            ])
            .env(CYCLE_VARIABLE, cycle.to_string())
            .env(PLACE_VARIABLE, place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the test binary starts again")
    }
}
