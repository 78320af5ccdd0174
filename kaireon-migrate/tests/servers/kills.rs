//! A host that is killed (SIGKILL) at random instants, in every state of a migration and inside every transition. The next one
//! goes on.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kaireon_core::time::SystemClock;
use kaireon_core::{InteractionStore, TenantId};
use kaireon_migrate::{Phase, Settings, TenantSetting};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::child::{Answer, Child, Order, serve_if_child};
use super::host::{Host, LONG, Plan, lanes};
use super::judge::{are_same, judge};
use super::ledger::Ledger;
use super::place::{FIRST, Place};
use super::taken::Taken;
use crate::switch::{NAMES, name};

const LOAD: Order = Order::Load {
    writers: 4,
    readers: 4,
    rest_ms: 100,
};

/// What is gone through, in its order; the way ends with one of the last two.
const STATES: [Phase; 5] = [
    Phase::DualWrite,
    Phase::Backfilling,
    Phase::Verifying,
    Phase::Ready,
    Phase::CutOver,
];

/// What a host was killed inside of.
const TRANSITIONS: [&str; 8] = [
    "start",
    "begin_backfill",
    "complete_backfill",
    "pass_gate",
    "draining",
    "open",
    "roll_back",
    "finalise",
];

/// So slowly a backfill goes whose host is killed while it is at it.
const ROWS_A_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// How many kills there are to be.
#[derive(Clone, Copy)]
struct Wanted {
    in_state: u64,
    inside: u64,
    /// Of those, on one way at most.
    on_a_way: u64,
}

struct Killer {
    test: String,
    wanted: Wanted,
    plan: Plan,
    ledger: Ledger,
    settings: Settings,
    /// A second handle on the store that is a server.
    server: Arc<dyn InteractionStore>,
    random: fastrand::Rng,
    /// How long a step took that nobody was killed at.
    usual: BTreeMap<Taken, Duration>,
    in_state: BTreeMap<&'static str, u64>,
    inside: BTreeMap<&'static str, u64>,
}

impl Killer {
    async fn new(test: String, wanted: Wanted, folder: &std::path::Path, seed: u64) -> Self {
        let plan = Plan {
            settings: Place::on(FIRST),
            read_deadline: Duration::from_secs(2),
            compared: 0.5,
            // What a process noted that was killed is soon no evidence any more.
            max_age: Duration::from_secs(60),
            ..Plan::new(folder, [Place::Folder(folder.join("data")), Place::on(FIRST)])
        };
        let first = TenantSetting::single(name(NAMES[0]), lanes());
        Self {
            test,
            wanted,
            ledger: Ledger::at(folder),
            settings: Settings::new(plan.settings.settings().await, first),
            server: plan.places[1].open(Arc::new(SystemClock)).await,
            plan,
            random: fastrand::Rng::with_seed(seed),
            usual: BTreeMap::new(),
            in_state: STATES.map(|state| (state.as_str(), 0)).into(),
            inside: TRANSITIONS.map(|inside| (inside, 0)).into(),
        }
    }

    fn tenant(&self) -> &TenantId {
        &self.plan.tenant
    }

    async fn setting(&self) -> TenantSetting {
        self.settings.read(self.tenant()).await.unwrap().setting
    }

    /// A host with callers, which has ended what the last one was in the midst of.
    async fn host(&self) -> Child {
        let mut child = Child::begin(&self.test, &self.plan).await;
        child.ask(LOAD).await;
        child
    }

    fn instant(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.random.f64())
    }

    async fn kill_in_state(&mut self, child: Child) {
        child.kill().await;
        if let Some(count) = self.in_state.get_mut(self.setting().await.phase.as_str()) {
            *count += 1;
        }
    }

    async fn kill_inside(&mut self, child: Child, inside: &'static str) {
        child.kill().await;
        *self.inside.get_mut(inside).unwrap() += 1;
    }

    /// Kills hosts while the tenant stands where it does, as many as are still wanted.
    async fn in_state(&mut self, state: Phase) {
        let left = self.wanted.in_state.saturating_sub(self.in_state[state.as_str()]);
        for _ in 0..left.min(self.wanted.on_a_way) {
            let mut child = self.host().await;
            match state {
                Phase::Backfilling => {
                    child.ask(Order::Throttle(Some(ROWS_A_SECOND))).await;
                    drop(child.tell(Order::Take(Taken::Backfill)).await);
                }
                Phase::Verifying | Phase::CutOver => drop(child.tell(Order::Take(Taken::Compare)).await),
                _ => {}
            }
            sleep(self.instant(Duration::from_millis(400))).await;
            self.kill_in_state(child).await;
            assert_eq!(self.setting().await.phase, state, "nothing else was asked for");
        }
    }

    fn left_inside(&self, inside: &str) -> u64 {
        let left = self.wanted.inside.saturating_sub(self.inside[inside]);
        left.min(self.wanted.on_a_way)
    }

    /// Takes a step with hosts that are killed at it, as many as are still wanted, until it is taken.
    async fn through(&mut self, taken: Taken, to: Phase, inside: &'static str) {
        let mut left = self.left_inside(inside);
        loop {
            let mut child = self.host().await;
            if self.setting().await.phase == to {
                return self.kill_in_state(child).await;
            }
            if taken == Taken::Backfill {
                child.ask(Order::Throttle(None)).await;
            }
            let begun = Instant::now();
            let mut answer = child.tell(Order::Take(taken)).await;
            if left > 0 {
                let usual = self.usual.get(&taken).copied();
                let wait = self.instant(usual.unwrap_or(Duration::from_millis(20)));
                if timeout(wait, &mut answer).await.is_err() {
                    self.kill_inside(child, inside).await;
                    left -= 1;
                    continue;
                }
            } else {
                is_done(&mut child, answer).await;
            }
            self.usual.insert(taken, begun.elapsed());
            return self.kill_in_state(child).await;
        }
    }

    /// The same for the cut-over, in the midst of which there are two states: the old store closes, and the new one opens. The
    /// host that comes next ends it, so one is killed on each way.
    async fn cut_over(&mut self) {
        let closes = self.inside["draining"] <= self.inside["open"];
        let mut left = self.left_inside("draining").max(self.left_inside("open")).min(1);
        loop {
            let mut child = self.host().await;
            let setting = self.setting().await;
            if setting.phase == Phase::CutOver {
                return self.kill_in_state(child).await;
            }
            let opens = usize::from(setting.authority == name(NAMES[0]));
            match (left > 0, closes) {
                (true, true) => {
                    drop(child.tell(Order::Take(Taken::CutOver)).await);
                    self.await_phase(Phase::Draining).await;
                    // It lasts a little longer, for every process to learn of it.
                    sleep(self.instant(Duration::from_millis(200))).await;
                    self.kill_inside(child, "draining").await;
                }
                (true, false) => self.kill_while_it_opens(child, opens).await,
                (false, _) => {
                    let answer = child.tell(Order::Take(Taken::CutOver)).await;
                    is_done(&mut child, answer).await;
                    return self.kill_in_state(child).await;
                }
            }
            left = 0;
        }
    }

    /// Kills a host before the fence of the store that opens is raised, or as soon as it is.
    async fn kill_while_it_opens(&mut self, mut child: Child, opens: usize) {
        if opens == 1 && self.random.bool() {
            let before = self.server.fence(self.tenant()).await.unwrap().epoch;
            drop(child.tell(Order::Take(Taken::CutOver)).await);
            let begun = Instant::now();
            while self.server.fence(self.tenant()).await.unwrap().epoch == before {
                assert!(begun.elapsed() < LONG, "the other store does not open");
            }
        } else {
            child.ask(Order::HoldFence(opens)).await;
            drop(child.tell(Order::Take(Taken::CutOver)).await);
            child.ask(Order::AwaitHeldFence(opens)).await;
            sleep(self.instant(Duration::from_millis(20))).await;
        }
        self.kill_inside(child, "open").await;
    }

    async fn await_phase(&self, phase: Phase) {
        let begun = Instant::now();
        while self.setting().await.phase != phase {
            assert!(begun.elapsed() < LONG, "it does not come to {phase}");
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// From where no migration is under way to where none is.
    async fn way(&mut self, end: Taken) {
        for (taken, state, inside) in [
            (Taken::Start, Phase::DualWrite, "start"),
            (Taken::BeginBackfill, Phase::Backfilling, "begin_backfill"),
            (Taken::Backfill, Phase::Verifying, "complete_backfill"),
            (Taken::PassGate, Phase::Ready, "pass_gate"),
        ] {
            self.through(taken, state, inside).await;
            self.in_state(state).await;
        }
        self.cut_over().await;
        self.in_state(Phase::CutOver).await;
        self.look().await;
        match end {
            Taken::RollBack => self.through(end, Phase::Single, "roll_back").await,
            _ => self.through(end, Phase::Finalised, "finalise").await,
        }
    }

    /// Both sides are equal, and nothing is missing.
    async fn look(&self) {
        let host = Host::open(&self.plan).await;
        host.migrator.finish(self.tenant()).await.unwrap();
        // An erasure that was cut short, and whose caller is gone, is on one side until a comparison brings it to the other.
        host.verify().await.unwrap();
        let report = host.verify().await.unwrap();
        assert!(report.is_clean(), "{report:?}\n{}", host.standing().await);
        let equal = are_same(&host).await;
        let verdict = judge(&host, &self.ledger).await;
        println!("{verdict}, {equal} equal on both sides");
        println!("killed in {:?}, inside {:?}", self.in_state, self.inside);
        host.close().await;
    }

    fn is_enough(&self) -> bool {
        self.in_state.values().all(|&count| count >= self.wanted.in_state)
            && self.inside.values().all(|&count| count >= self.wanted.inside)
    }
}

async fn is_done(child: &mut Child, answer: oneshot::Receiver<Answer>) {
    assert_eq!(child.hear("take a step", answer).await, Answer::Done);
}

async fn kills(test: &str, wanted: Wanted) {
    let seed =
        std::env::var("KAIREON_SOAK_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("KAIREON_SOAK_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut killer = Killer::new(format!("servers::kills::{test}"), wanted, folder.path(), seed).await;
    let mut child = killer.host().await;
    // Enough for a backfill to be at it for a while.
    child.ask(Order::Progress(200)).await;
    child.kill().await;
    for end in [Taken::RollBack, Taken::Finalise].into_iter().cycle() {
        killer.way(end).await;
        if end == Taken::Finalise && killer.is_enough() {
            break;
        }
    }
    let host = Host::open(&killer.plan).await;
    let verdict = judge(&host, &killer.ledger).await;
    host.close().await;
    killer.server.disconnect().await.unwrap();
    killer.plan.remove().await;
    let mut counts = serde_json::Map::new();
    let sum: u64 = killer.in_state.values().chain(killer.inside.values()).sum();
    counts.insert("kills".to_owned(), sum.into());
    for (of, count) in killer.in_state.iter().chain(&killer.inside) {
        counts.insert((*of).to_owned(), (*count).into());
    }
    counts.insert("acknowledged".to_owned(), verdict.acknowledged.into());
    counts.insert("told".to_owned(), verdict.told.into());
    counts.insert("lost".to_owned(), 0.into());
    println!("kaireon-soak {}", serde_json::Value::Object(counts));
}

#[test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
fn a_host_that_is_killed_in_each_state_and_transition_is_followed_by_one_that_goes_on() {
    serve_if_child();
    let test = "a_host_that_is_killed_in_each_state_and_transition_is_followed_by_one_that_goes_on";
    let wanted = Wanted {
        in_state: 3,
        inside: 1,
        on_a_way: 1,
    };
    kaireon_testkit::suite::block_on(kills(test, wanted));
}

#[test]
#[ignore = "soak: fifty kills in each state and ten inside each transition"]
fn a_host_is_killed_fifty_times_in_each_state_and_ten_times_inside_each_transition() {
    serve_if_child();
    let test = "a_host_is_killed_fifty_times_in_each_state_and_ten_times_inside_each_transition";
    let wanted = Wanted {
        in_state: 50,
        inside: 10,
        on_a_way: 5,
    };
    kaireon_testkit::suite::block_on(kills(test, wanted));
}
