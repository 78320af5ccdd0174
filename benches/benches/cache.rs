//! `cache.*`: hits against the bare cache crate, and how many fetches a stampede makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use kaireon_benches::{Figure, Goal, Measure, Rounds, Side, median};
use kaireon_cache::{InProcessCache, InProcessCacheConfig};
use kaireon_core::TenantId;
use kaireon_core::cache::{CacheKey, CacheStore, CacheStoreExt, FetchOptions, SetOptions};

/// As many as the workload of the store figures has customers; and so few that both maps fit into the processor's
/// caches, where a hit of the bare crate is cheapest.
const ENTRIES: [(usize, &str); 2] = [(100_000, ""), (10_000, "/10k_entries")];
const TTL: Duration = Duration::from_secs(3_600);

fn keys(entries: usize) -> Vec<CacheKey> {
    let tenant = TenantId::new("bench").expect("a valid tenant");
    (0..entries)
        .map(|n| CacheKey::new(&tenant, format!("entry-{n}")).expect("a valid key"))
        .collect()
}

/// On the heap, as what a host has read from somewhere: a static slice has no count of references, so a map that keeps
/// it neither holds the values nor counts a hit.
fn value() -> Bytes {
    Bytes::copy_from_slice(&[7; 100])
}

/// The order in which entries are read: the same on every side.
fn reads(seed: u64, entries: usize) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..65_536).map(|_| random.usize(0..entries)).collect()
}

type Bare = quick_cache::sync::Cache<Arc<str>, Bytes>;

/// A fresh map of the bare crate, filled in the order of the keys.
fn bare(keys: &[CacheKey]) -> Arc<Bare> {
    let cache = Bare::new(keys.len() * 2);
    for key in keys {
        cache.insert(Arc::from(key.as_str()), value());
    }
    Arc::new(cache)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Ours, fresh, filled in the order of the keys.
fn ours(keys: &[CacheKey]) -> Arc<dyn CacheStore> {
    let cache: Arc<dyn CacheStore> = Arc::new(
        InProcessCache::new(InProcessCacheConfig::default()).expect("the default configuration is valid"),
    );
    runtime().block_on(async {
        for key in keys {
            assert!(
                cache
                    .set(key, value(), SetOptions::ttl(TTL))
                    .await
                    .expect("within the bounds")
            );
        }
    });
    cache
}

/// Reads so many entries on each of some threads; the time of the slowest.
fn on_threads(threads: u64, reads_each: u64, entries: usize, read: &(impl Fn(usize) + Sync)) -> Duration {
    let go = |seed| {
        let order = reads(seed, entries);
        let begun = Instant::now();
        let mut left = reads_each;
        while left > 0 {
            for &entry in order.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                read(entry);
            }
            left = left.saturating_sub(order.len() as u64);
        }
        begun.elapsed()
    };
    if threads == 1 {
        return go(1);
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|seed| scope.spawn(move || go(seed + 1)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a reader does not panic"))
            .max()
            .unwrap_or_default()
    })
}

fn ratio(id: String, goal: Goal, raw: &Side, ours: &Side, note: &str) {
    let runs = ours.over(raw);
    Figure {
        id,
        value: median(&runs),
        unit: "×",
        goal,
        raw: Some(raw.median() * 1e9),
        ours: Some(ours.median() * 1e9),
        runs,
        note: format!("ns per hit; {note}"),
    }
    .print();
}

fn hits(rounds: &mut Rounds, entries: usize, variant: &str) {
    let keys = keys(entries);
    let times = rounds.settings.rounds(5);
    for threads in [1, 2] {
        let (peek, get) = (
            format!("cache.l1_hit/{threads}_threads{variant}"),
            format!("cache.get/{threads}_threads{variant}"),
        );
        let fetch = format!("cache.get_or_fetch_hit/{threads}_threads{variant}");
        if ![&peek, &get, &fetch].iter().any(|id| rounds.settings.wants(id)) {
            continue;
        }
        let mut measured: [Side; 4] = std::array::from_fn(|_| Side::default());
        for round in 0..times {
            // Fresh maps each round: where the allocator puts them moves a hit by half.
            // Filled under other objects than are looked up, on every side: a host makes its keys per request, and a
            // key that finds itself in the map saves reading a second text.
            let stored = &self::keys(entries);
            let (bare_cache, our_cache, get_cache) = (bare(stored), ours(stored), ours(stored));
            let fetch_cache = ours(&[]);
            fill_for_fetch(&fetch_cache, stored);
            let mut sides: [&mut Measure<'_>; 4] = [
                &mut |n| {
                    on_threads(threads, n, entries, &|entry| {
                        std::hint::black_box(bare_cache.get(keys[entry].as_str()).expect("a hit"));
                    })
                },
                &mut |n| {
                    on_threads(threads, n, entries, &|entry| {
                        std::hint::black_box(our_cache.peek(&keys[entry]).expect("a hit"));
                    })
                },
                &mut |n| {
                    on_threads(threads, n, entries, &|entry| {
                        let value = get_cache
                            .get(&keys[entry])
                            .now_or_never()
                            .expect("memory answers at once");
                        std::hint::black_box(value.expect("connected").expect("a hit"));
                    })
                },
                &mut |n| {
                    on_threads(threads, n, entries, &|entry| {
                        let fetch = || async { panic!("a hit fetches nothing") };
                        let value = fetch_cache.get_or_fetch(&keys[entry], FetchOptions::ttl(TTL), fetch);
                        let value = value.now_or_never().expect("a hit answers at once");
                        std::hint::black_box(value.expect("connected").expect("a hit"));
                    })
                },
            ];
            let name = format!("cache.hit/{threads}_threads{variant}/{round}");
            // Long slices: the sides' maps together do not fit into the processor's caches, and each is to be
            // measured warm.
            rounds.round(&name, 1 << 21, &mut sides, &mut measured);
        }
        let [raw, peeked, got, fetched] = measured;
        let setting = &format!(
            "{entries} entries with a TTL, uniform reads, through Arc<dyn CacheStore>; raw is quick_cache"
        );
        ratio(peek, Goal::Reach("≤ 1.5"), &raw, &peeked, setting);
        ratio(
            get,
            Goal::None,
            &raw,
            &got,
            "the boxed future of `get`, reported without a goal",
        );
        ratio(fetch, Goal::Reach("≤ 2"), &raw, &fetched, setting);
    }
}

/// `get_or_fetch` keeps its values under keys of its own: each entry is fetched once.
fn fill_for_fetch(cache: &Arc<dyn CacheStore>, keys: &[CacheKey]) {
    runtime().block_on(async {
        for key in keys {
            let fetched = cache.get_or_fetch(key, FetchOptions::ttl(TTL), || async { Ok(Some(value())) });
            assert!(fetched.await.expect("the fetch succeeds").is_some());
        }
    });
}

fn stampede(settings_rounds: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let tenant = TenantId::new("bench").expect("a valid tenant");
    let runs: Vec<f64> = (0..settings_rounds)
        .map(|round| {
            let cache: Arc<dyn CacheStore> = ours(&[]);
            let key = CacheKey::new(&tenant, format!("hot-{round}")).expect("a valid key");
            let fetches = Arc::new(AtomicU64::new(0));
            runtime.block_on(async {
                let callers = (0..1_000).map(|_| {
                    let (cache, key, fetches) = (Arc::clone(&cache), key.clone(), Arc::clone(&fetches));
                    tokio::spawn(async move {
                        let fetch = || async {
                            fetches.fetch_add(1, Ordering::Relaxed);
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            Ok(Some(value()))
                        };
                        cache.get_or_fetch(&key, FetchOptions::ttl(TTL), fetch).await
                    })
                });
                for caller in callers.collect::<Vec<_>>() {
                    let value = caller
                        .await
                        .expect("a caller does not panic")
                        .expect("the fetch succeeds");
                    assert_eq!(value.map(|value| value.len()), Some(100));
                }
            });
            u32::try_from(fetches.load(Ordering::Relaxed)).map_or(f64::NAN, f64::from)
        })
        .collect();
    Figure {
        id: "cache.stampede".into(),
        value: runs.iter().copied().fold(0.0, f64::max),
        unit: "fetches",
        goal: Goal::Reach("= 1"),
        raw: Some(1_000.0),
        ours: Some(runs.iter().copied().fold(0.0, f64::max)),
        runs,
        note: "fetches for 1,000 concurrent callers of one key; raw is a cache without single flight".into(),
    }
    .print();
}

fn main() {
    let mut rounds = Rounds::new(Duration::from_secs(4));
    for (entries, variant) in ENTRIES {
        hits(&mut rounds, entries, variant);
    }
    if rounds.settings.wants("cache.stampede") {
        stampede(rounds.settings.rounds(9));
    }
}
