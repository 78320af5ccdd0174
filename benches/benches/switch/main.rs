//! `switch.*`: the tenant switch against the stores that it is over, with the same rows and the same durability.
//!
//! `KAIREON_TEST_PG_URL` names the server of the PostgreSQL stores; `cargo xtask services up postgres` starts one.

mod backfill;
mod callers_p99;
mod dual;
mod exported;
mod places;
mod single;
mod verify;

use std::time::Duration;

use kaireon_benches::{Figure, Goal, Rounds, median};

use places::Engine;

/// A figure of rounds.
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
    pub(crate) runs: Vec<f64>,
    pub(crate) raw: Option<f64>,
    pub(crate) ours: f64,
    pub(crate) note: String,
}

/// Prints the median of the rounds.
pub(crate) fn report(taken: Taken) {
    let Taken {
        id,
        unit,
        goal,
        runs,
        raw,
        ours,
        note,
    } = taken;
    Figure {
        id,
        value: median(&runs),
        unit,
        goal,
        raw,
        ours: Some(ours),
        runs,
        note,
    }
    .print();
}

/// What all of them need.
pub(crate) struct Bench {
    pub(crate) rounds: Rounds,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) url: String,
}

impl Bench {
    /// Whether any of these is asked for.
    pub(crate) fn wants(&self, ids: &[String]) -> bool {
        ids.iter().any(|id| self.rounds.settings.wants(id))
    }
}

fn main() {
    let url = std::env::var("KAIREON_TEST_PG_URL").expect("KAIREON_TEST_PG_URL says where the server is");
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
    let mut bench = Bench {
        rounds: Rounds::new(Duration::from_secs(2)),
        runtime,
        url,
    };
    for target in Engine::BOTH {
        single::measure(&mut bench, target);
    }
    for target in Engine::BOTH {
        dual::measure(&mut bench, target);
    }
    for target in Engine::BOTH {
        verify::measure(&mut bench, target);
    }
    for target in Engine::BOTH {
        backfill::measure(&mut bench, target);
    }
    for target in Engine::BOTH {
        callers_p99::measure(&mut bench, target);
    }
}
