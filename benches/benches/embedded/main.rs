//! `embedded.*`: the embedded store against fjall alone, with the same rows and the same durability.

mod ours;
mod raw;

use std::path::Path;
use std::time::{Duration, Instant};

use kaireon_benches::workload::{Draw, Workload};
use kaireon_benches::{Figure, Goal, Rounds, Side, callers, caught_up, median};
use kaireon_core::store::SummaryQuery;

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime")
}

/// A ratio of two sides, in the direction in which more is better or worse as the goal says.
fn report(id: String, goal: Goal, runs: Vec<f64>, [raw, ours]: [f64; 2], note: String) {
    let value = median(&runs);
    Figure {
        id,
        value,
        unit: "×",
        goal,
        raw: Some(raw),
        ours: Some(ours),
        runs,
        note,
    }
    .print();
}

/// Commits so many events of the draw, so many at a time, on the raw side.
fn raw_events(
    raw: &mut raw::Raw,
    random: &mut fastrand::Rng,
    draw: Draw,
    events: u64,
    at_once: u64,
) -> Duration {
    let commits: Vec<Vec<u64>> = (0..events.div_ceil(at_once))
        .map(|_| (0..at_once).map(|_| draw.customer(random)).collect())
        .collect();
    let begun = Instant::now();
    for customers in &commits {
        raw.commit(customers);
    }
    raw.catch_up();
    begun.elapsed() + caught_up()
}

/// The figures of one draw on a preloaded pair of databases.
fn of_draw(rounds: &mut Rounds, draw: Draw, folder: &Path) {
    let id = |figure: &str| format!("embedded.{figure}/{}", draw.as_str());
    let figures = ["bulk", "record_64", "record_1"];
    if !figures.iter().any(|figure| rounds.settings.wants(&id(figure))) {
        return;
    }
    let runtime = runtime();
    let preload = rounds.settings.scale(1_000_000, 20_000);
    let dir = folder.join(draw.as_str());
    let raw_dir = folder.join(format!("{}-raw", draw.as_str()));

    let store = runtime.block_on(ours::open(&dir));
    runtime.block_on(ours::preload(&store, draw, preload));
    runtime
        .block_on(store.disconnect())
        .expect("the disk takes writes");
    drop(store);
    let shapes = raw::shapes(&dir);
    let row = |name: &str| shapes[name].key_bytes + shapes[name].value_bytes();
    let sizes = format!(
        "bytes of a row: history {}, dedupe {}, outbox {}, customer {}",
        row("history"),
        row("dedupe"),
        row("outbox"),
        row("customers")
    );
    let mut raw = raw::Raw::open(&raw_dir, shapes);
    let mut random = fastrand::Rng::with_seed(2);
    let _ = raw_events(&mut raw, &mut random, draw, preload, 1_000);
    let store = runtime.block_on(ours::open(&dir));
    let mut workload = Workload::new(draw, 2);
    let mut recorded = preload;

    if rounds.settings.wants(&id("bulk")) {
        let times = rounds.settings.rounds(3);
        let mut measured: [Side; 2] = std::array::from_fn(|_| Side::default());
        for round in 0..times {
            let mut sides: [&mut kaireon_benches::Measure<'_>; 2] = [
                &mut |batches| {
                    let events = batches * 1_000;
                    raw_events(&mut raw, &mut random, draw, events, 1_000)
                },
                &mut |batches| {
                    recorded += batches * 1_000;
                    let batches = callers::batches(&mut workload, batches);
                    runtime.block_on(callers::bulk(&store, batches)) + caught_up()
                },
            ];
            rounds.round(&format!("{}/{round}", id("bulk")), 200, &mut sides, &mut measured);
        }
        let [raw_side, our_side] = &measured;
        let rate = |side: &Side| 1_000.0 / side.median();
        let note = format!("events/s, batches of 1,000, two in flight; fdatasync on; {sizes}");
        let goal = Goal::Reach("≥ 0.8 × and ≥ 100k events/s");
        report(
            id("bulk"),
            goal,
            raw_side.over(our_side),
            [rate(raw_side), rate(our_side)],
            note,
        );
    }
    for (figure, callers, goal, slice) in [
        ("record_64", 64, Goal::Reach("≥ 20"), 6_400),
        ("record_1", 1, Goal::Reach("≤ 1.15"), 400),
    ] {
        if !rounds.settings.wants(&id(figure)) {
            continue;
        }
        let [raw_side, our_side] = rounds.interleave(
            &id(figure),
            5,
            slice,
            [
                &mut |events| {
                    // The raw side is slow where each event is flushed alone: a share of the events is enough.
                    let share = events.min(400);
                    let took = raw_events(&mut raw, &mut random, draw, share, 1);
                    #[allow(clippy::cast_precision_loss, reason = "few events")]
                    took.mul_f64(events as f64 / share as f64)
                },
                &mut |events| {
                    recorded += events;
                    let events = workload
                        .by_ref()
                        .take(usize::try_from(events).unwrap_or_default())
                        .collect();
                    runtime.block_on(callers::one_by_one(&store, callers, events)) + caught_up()
                },
            ],
        );
        let rates = [1.0 / raw_side.median(), 1.0 / our_side.median()];
        let runs = if callers == 1 {
            our_side.over(&raw_side)
        } else {
            raw_side.over(&our_side)
        };
        let note = format!(
            "events/s with {callers} caller(s), each waiting for its own durable answer; raw is a durable commit of the \
             same keys per event"
        );
        report(id(figure), goal, runs, rates, note);
    }
    runtime
        .block_on(store.disconnect())
        .expect("the disk takes writes");
    drop(store);
    assert_eq!(
        raw::shapes(&dir)["history"].rows,
        recorded,
        "ours left a row for each event"
    );
    assert_eq!(raw.history_rows(), raw.written(), "raw left a row for each event");
}

/// Twelve summaries of one customer: three dimensions by four periods.
fn summaries(rounds: &mut Rounds, folder: &Path) {
    if !rounds.settings.wants("embedded.summaries") {
        return;
    }
    let runtime = runtime();
    let dir = folder.join("summaries");
    let preload = rounds.settings.scale(1_000_000, 20_000);
    let many = rounds.settings.scale(100_000, 2_000);
    let store = runtime.block_on(ours::open(&dir));
    runtime.block_on(ours::preload(&store, Draw::Uniform, preload));
    let few = runtime.block_on(ours::customer_with(&store, "few", 1));
    let much = runtime.block_on(ours::customer_with(&store, "much", many));
    runtime
        .block_on(store.disconnect())
        .expect("the disk takes writes");
    drop(store);
    let shapes = raw::shapes(&dir);
    let mut raw = raw::Raw::open(&folder.join("summaries-raw"), shapes);
    for chunk in Workload::new(Draw::Uniform, 1).customers(preload).chunks(1_000) {
        raw.commit(chunk);
    }
    raw.catch_up();
    let store = runtime.block_on(ours::open(&dir));
    let read = |queries: &[SummaryQuery], reads: u64| {
        runtime.block_on(async {
            let begun = Instant::now();
            for query in queries
                .iter()
                .cycle()
                .take(usize::try_from(reads).unwrap_or(usize::MAX))
            {
                let found = store
                    .get_summaries(query.clone())
                    .await
                    .expect("the disk can be read");
                assert_eq!(found.len(), 12);
            }
            begun.elapsed()
        })
    };
    let micros = |side: &Side| side.median() * 1e6;
    for draw in Draw::BOTH {
        // One of the first events of each customer that is drawn says which offer to ask for.
        let known = ours::known_queries(preload.min(200_000));
        let mut random = fastrand::Rng::with_seed(5);
        let drawn: Vec<u64> = (0..50_000).map(|_| draw.customer(&mut random)).collect();
        let drawn: Vec<u64> = drawn
            .into_iter()
            .filter(|customer| known.contains_key(customer))
            .collect();
        let queries: Vec<SummaryQuery> = drawn.iter().map(|customer| known[customer].clone()).collect();
        let [mut raw_at, mut our_at] = [0; 2];
        let [raw_side, our_side] = rounds.interleave(
            &format!("embedded.summaries/{}", draw.as_str()),
            9,
            2_000,
            [
                &mut |reads| {
                    let begun = Instant::now();
                    for _ in 0..reads {
                        raw_at = (raw_at + 1) % drawn.len();
                        assert!(std::hint::black_box(raw.read_customer(drawn[raw_at])) > 0);
                    }
                    begun.elapsed()
                },
                &mut |reads| {
                    let from = our_at;
                    our_at = (our_at + usize::try_from(reads).unwrap_or_default()) % queries.len();
                    read(&queries[from..], reads.min((queries.len() - from) as u64))
                        + read(&queries, reads.saturating_sub((queries.len() - from) as u64))
                },
            ],
        );
        let note =
            "µs; twelve summaries of a drawn customer against one raw point read of their row, not decoded"
                .into();
        let both = [micros(&raw_side), micros(&our_side)];
        let id = format!("embedded.summaries/{}", draw.as_str());
        report(id, Goal::Reach("≤ 1.2"), our_side.over(&raw_side), both, note);
    }
    let [few, much] = [few, much].map(|query| vec![query]);
    let hot = Workload::new(Draw::Uniform, 1).customers(1)[0];
    let [raw_side, few_side, much_side] = rounds.interleave(
        "embedded.summaries/hot",
        9,
        2_000,
        [
            &mut |reads| {
                let begun = Instant::now();
                for _ in 0..reads {
                    assert!(std::hint::black_box(raw.read_customer(hot)) > 0);
                }
                begun.elapsed()
            },
            &mut |reads| read(&few, reads),
            &mut |reads| read(&much, reads),
        ],
    );
    for (id, side) in [("hot_1_row", &few_side), ("hot_100000_rows", &much_side)] {
        let note = "µs; the same customer again and again: the raw read is then a look-up in memory that returns bytes, \
                    ours also builds twelve typed summaries of them";
        let both = [micros(&raw_side), micros(side)];
        let id = format!("embedded.summaries/{id}");
        report(id, Goal::Reach("≤ 1.2"), side.over(&raw_side), both, note.into());
    }
    let note = "100,000 rows of history (ours) against one (raw), the same twelve summaries".into();
    let both = [micros(&few_side), micros(&much_side)];
    report(
        "embedded.summaries/flat".into(),
        Goal::Reach("≤ 1.2"),
        much_side.over(&few_side),
        both,
        note,
    );
    runtime
        .block_on(store.disconnect())
        .expect("the disk takes writes");
}

fn main() {
    let mut rounds = Rounds::new(Duration::from_secs(3));
    let folder = tempfile::tempdir().expect("a temporary directory");
    for draw in Draw::BOTH {
        of_draw(&mut rounds, draw, folder.path());
    }
    summaries(&mut rounds, folder.path());
}
