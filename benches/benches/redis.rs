//! `redis.*`: cache, publisher, limiter and breaker against the bare client on the same server.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kaireon_benches::{Figure, Goal, Rounds, median};
use kaireon_cache::{RedisCache, RedisCacheConfig};
use kaireon_core::breaker::{Admission, BreakerConfig, CallResult, CircuitBreaker};
use kaireon_core::cache::{CacheKey, CacheStore, SetOptions};
use kaireon_core::limiter::{LimitKey, RateLimit, RateLimiter};
use kaireon_core::{Event, EventPublisher, Interaction, InteractionId, TenantId};
use kaireon_events::{RedisPublisher, RedisPublisherConfig};
use redis::aio::MultiplexedConnection;

/// How many callers share the connection of each side.
const CALLERS: [usize; 2] = [1, 64];

/// How many keys are read and written.
const KEYS: u64 = 10_000;

const TTL: Duration = Duration::from_secs(600);

/// Of one key: none of these calls is refused for another's sake.
const LIMIT: RateLimit = RateLimit {
    limit: 1_000,
    window: Duration::from_secs(1),
};

/// What a script costs that does next to nothing, on one key as the limiter's.
const BARE_SCRIPT: &str = "return redis.call('INCR', KEYS[1])";

/// The two sides.
struct Sides {
    raw: MultiplexedConnection,
    cache: Arc<RedisCache>,
    publisher: Arc<RedisPublisher>,
    tenant: TenantId,
    prefix: String,
    event: Event,
}

impl Sides {
    async fn connect(url: &str) -> Self {
        let id = InteractionId::fresh().to_string();
        let prefix = format!("bench:{id}:");
        let client = redis::Client::open(url).expect("the url of the run");
        let config = RedisCacheConfig::from_url(url).with_key_prefix(prefix.clone());
        let builder = Interaction::builder("bench", "customer")
            .offer("offer")
            .creative("creative")
            .channel("web");
        Self {
            raw: client
                .get_multiplexed_async_connection()
                .await
                .expect("the server runs"),
            cache: Arc::new(RedisCache::connect(config).await.expect("the server runs")),
            publisher: Arc::new(
                RedisPublisher::connect(RedisPublisherConfig::from_url(url))
                    .await
                    .expect("the server runs"),
            ),
            tenant: TenantId::new("bench").expect("a valid tenant"),
            prefix,
            event: Event::interaction_recorded(&builder.build().expect("within the bounds")),
        }
    }

    fn key(&self, number: u64) -> CacheKey {
        CacheKey::new(&self.tenant, format!("key-{number}")).expect("a valid key")
    }
}

fn value() -> Bytes {
    Bytes::from_static(&[7; 100])
}

/// So many calls of so many callers at once; how long they took together.
async fn by<F, Fut>(callers: usize, calls: u64, call: F) -> Duration
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers as u64)
        .map(|caller| {
            let call = call.clone();
            tokio::spawn(async move {
                for number in (caller..calls).step_by(callers) {
                    call(number).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller does not panic");
    }
    begun.elapsed()
}

/// What a figure is called, is to reach, and says of itself.
struct Named {
    id: String,
    goal: Goal,
    note: &'static str,
}

/// Measures both sides in turns: calls a second of ours over those of the bare client.
fn measure<R, O, RFut, OFut>(
    rounds: &mut Rounds,
    runtime: &tokio::runtime::Runtime,
    named: Named,
    callers: usize,
    raw: R,
    ours: O,
) where
    R: Fn(u64) -> RFut + Clone + Send + 'static,
    O: Fn(u64) -> OFut + Clone + Send + 'static,
    RFut: Future<Output = ()> + Send,
    OFut: Future<Output = ()> + Send,
{
    let Named { id, goal, note } = named;
    if !rounds.settings.wants(&id) {
        return;
    }
    let slice = callers as u64 * 64;
    let [raw, ours] = rounds.interleave(
        &id,
        5,
        slice,
        [
            &mut |calls| runtime.block_on(by(callers, calls, raw.clone())),
            &mut |calls| runtime.block_on(by(callers, calls, ours.clone())),
        ],
    );
    let runs = raw.over(&ours);
    Figure {
        id,
        value: median(&runs),
        unit: "×",
        goal,
        raw: Some(1.0 / raw.median()),
        ours: Some(1.0 / ours.median()),
        runs,
        note: format!("calls/s, {callers} callers; {note}"),
    }
    .print();
}

fn get_set(rounds: &mut Rounds, runtime: &tokio::runtime::Runtime, sides: &Arc<Sides>, callers: usize) {
    let raw = {
        let sides = Arc::clone(sides);
        move |number: u64| {
            let (sides, mut connection) = (Arc::clone(&sides), sides.raw.clone());
            async move {
                let key = format!("{}raw-{}", sides.prefix, number / 2 % KEYS);
                if number.is_multiple_of(2) {
                    let mut set = redis::cmd("SET");
                    set.arg(key)
                        .arg(&value()[..])
                        .arg("PX")
                        .arg(TTL.as_secs() * 1_000);
                    let () = set.query_async(&mut connection).await.expect("the server runs");
                } else {
                    let mut get = redis::cmd("GET");
                    let found: Option<Vec<u8>> = get
                        .arg(key)
                        .query_async(&mut connection)
                        .await
                        .expect("the server runs");
                    std::hint::black_box(found);
                }
            }
        }
    };
    let ours = {
        let sides = Arc::clone(sides);
        move |number: u64| {
            let sides = Arc::clone(&sides);
            async move {
                let key = sides.key(number / 2 % KEYS);
                if number.is_multiple_of(2) {
                    let set = sides.cache.set(&key, value(), SetOptions::ttl(TTL)).await;
                    assert!(set.expect("the server runs"));
                } else {
                    std::hint::black_box(sides.cache.get(&key).await.expect("the server runs"));
                }
            }
        }
    };
    let named = Named {
        id: format!("redis.get_set/{callers}"),
        goal: Goal::Reach("≥ 0.95"),
        note: "half of them SET with a time to live and half GET, of 100 bytes; the bare client is the redis crate's \
               shared connection",
    };
    measure(rounds, runtime, named, callers, raw, ours);
}

fn publish(rounds: &mut Rounds, runtime: &tokio::runtime::Runtime, sides: &Arc<Sides>, callers: usize) {
    let raw = {
        let sides = Arc::clone(sides);
        move |_| {
            let (sides, mut connection) = (Arc::clone(&sides), sides.raw.clone());
            async move {
                let mut publish = redis::cmd("PUBLISH");
                publish
                    .arg(sides.event.event_type().as_str())
                    .arg(&sides.event.envelope()[..]);
                let heard: i64 = publish
                    .query_async(&mut connection)
                    .await
                    .expect("the server runs");
                std::hint::black_box(heard);
            }
        }
    };
    let ours = {
        let sides = Arc::clone(sides);
        move |_| {
            let sides = Arc::clone(&sides);
            async move {
                let published = sides.publisher.publish(sides.event.clone()).await;
                published.expect("the server runs");
            }
        }
    };
    let named = Named {
        id: format!("redis.publish/{callers}"),
        goal: Goal::Reach("≥ 0.9"),
        note: "PUBLISH of the envelope of an interaction, to nobody",
    };
    measure(rounds, runtime, named, callers, raw, ours);
}

/// A call of the bare client that one script on one key takes.
fn bare_script(
    runtime: &tokio::runtime::Runtime,
    sides: &Arc<Sides>,
) -> impl Fn(u64) -> futures_util::future::BoxFuture<'static, ()> + Clone + Send + 'static {
    let mut connection = sides.raw.clone();
    let hash: String = runtime.block_on(async {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(BARE_SCRIPT);
        load.query_async(&mut connection).await.expect("the server runs")
    });
    let (sides, hash): (_, Arc<str>) = (Arc::clone(sides), hash.into());
    move |_| {
        let (sides, hash, mut connection) = (Arc::clone(&sides), Arc::clone(&hash), sides.raw.clone());
        Box::pin(async move {
            let mut call = redis::cmd("EVALSHA");
            call.arg(&*hash).arg(1).arg(format!("{}bare", sides.prefix));
            let _: i64 = call.query_async(&mut connection).await.expect("the server runs");
        })
    }
}

fn limiter(rounds: &mut Rounds, runtime: &tokio::runtime::Runtime, sides: &Arc<Sides>, callers: usize) {
    let limits = sides.cache.limits();
    let key = LimitKey::new(&sides.tenant, "limit").expect("a valid key");
    let ours = move |_| {
        let (limits, key) = (limits.clone(), key.clone());
        async move {
            std::hint::black_box(limits.acquire(&key, LIMIT).await.expect("the server runs"));
        }
    };
    let named = Named {
        id: format!("redis.limiter/{callers}"),
        goal: Goal::None,
        note: "1,000 a second of one key; against an EVALSHA of INCR alone",
    };
    let raw = bare_script(runtime, sides);
    measure(rounds, runtime, named, callers, raw, ours);
}

fn breaker(rounds: &mut Rounds, runtime: &tokio::runtime::Runtime, sides: &Arc<Sides>, callers: usize) {
    let breakers = sides
        .cache
        .breakers(BreakerConfig::default())
        .expect("the default is valid");
    let ours = move |_| {
        let breakers = breakers.clone();
        async move {
            match breakers.admit("bench").await.expect("the server runs") {
                Admission::Admitted(admission) => breakers
                    .report("bench", admission, CallResult::Success)
                    .await
                    .expect("the server runs"),
                Admission::Refused(wait) => panic!("a closed breaker refused for {wait:?}"),
            }
        }
    };
    let named = Named {
        id: format!("redis.breaker/{callers}"),
        goal: Goal::None,
        note: "an admission and its report, both round trips; against one EVALSHA of INCR alone",
    };
    let raw = bare_script(runtime, sides);
    measure(rounds, runtime, named, callers, raw, ours);
}

fn main() {
    let url = std::env::var("KAIREON_TEST_REDIS_URL").expect("cargo xtask bench starts the server");
    let mut rounds = Rounds::new(Duration::from_secs(1));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let sides = Arc::new(runtime.block_on(Sides::connect(&url)));
    for callers in CALLERS {
        get_set(&mut rounds, &runtime, &sides, callers);
        publish(&mut rounds, &runtime, &sides, callers);
        limiter(&mut rounds, &runtime, &sides, callers);
        breaker(&mut rounds, &runtime, &sides, callers);
    }
    runtime.block_on(async {
        let mut bare = redis::cmd("DEL");
        bare.arg(format!("{}bare", sides.prefix));
        let _: i64 = bare
            .query_async(&mut sides.raw.clone())
            .await
            .expect("the server runs");
        // What else is left ends by its time to live.
        sides.publisher.disconnect().await.expect("it lets go");
        sides.cache.disconnect().await.expect("it lets go");
    });
}
