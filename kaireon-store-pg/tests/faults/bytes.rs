//! Connections that are cut anywhere: after so many bytes, in either direction, under load.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kaireon_core::InteractionStore;
use kaireon_core::outbox::Lane;
use kaireon_core::relay::{Relay, RelayConfig};
use kaireon_store_pg::PgStore;
use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
use kaireon_testkit::proxy::{Cut, Rule};

use crate::kill::Load;
use crate::place::{LONG, Notes, Place, Tries};

/// SplitMix64: the same seed draws the same cuts.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A cut, and the most bytes that its connection still carries.
    fn cut(&mut self) -> Rule {
        // Many are within the first messages of a connection or a batch, some far behind them.
        let most = [64, 1_000, 20_000][usize::try_from(self.below(3)).unwrap()];
        let direction = [ToServer, ToClient][usize::try_from(self.below(2)).unwrap()];
        let how = [Cut::Fin, Cut::Reset][usize::try_from(self.below(2)).unwrap()];
        Rule::after_bytes(direction, 1 + self.below(most)).cut_before(how)
    }
}

/// The seed that is given, or one of this moment.
fn seed() -> u64 {
    match std::env::var("KAIREON_SOAK_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::try_from(since.as_millis()).unwrap()
        }
    }
}

async fn cut_again_and_again(seed: u64, cuts: u32) -> (usize, Tries) {
    println!("seed {seed}");
    let mut draws = Draws(seed);
    let place = Place::shared().await;
    let proxy = place.proxy().await;
    let mut config = place.through(&proxy);
    config.options.writers = 2;
    let store = PgStore::connect(config.clone()).await.unwrap();
    let relaying = PgStore::connect(config).await.unwrap();
    let notes = Notes::default();
    let config = RelayConfig {
        lease_ttl: Duration::from_secs(2),
        ..RelayConfig::new(Lane::Publish)
    };
    let relay = Relay::spawn(relaying.outbox().unwrap(), notes.clone(), config);
    let load = Load::of(16, &store);
    for _ in 0..cuts {
        let cut = proxy.arm(draws.cut());
        tokio::time::timeout(LONG, cut.fired()).await.unwrap();
        // Several cuts may meet one batch, but not all of them the same.
        load.progress(draws.below(12)).await;
    }
    let (events, tries) = load.stop().await;
    relay.drain(LONG).await.unwrap();
    notes.assert_in_order(&events);
    store.disconnect().await.unwrap();
    relaying.disconnect().await.unwrap();
    place.assert_exactly(&events, true).await;
    place.close().await;
    (events.len(), tries)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn connections_that_are_cut_after_random_bytes_lose_and_double_nothing() {
    let (records, tries) = cut_again_and_again(seed(), 60).await;
    println!("{records} records, {tries:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: three thousand cuts"]
async fn thousands_of_cuts_after_random_bytes_lose_and_double_nothing() {
    let (seed, cuts) = (seed(), 3_000);
    let (records, tries) = cut_again_and_again(seed, cuts).await;
    println!(
        "kaireon-soak {}",
        serde_json::json!({
            "seed": seed, "cuts": cuts, "acknowledged": records, "unknown": tries.unknown,
            "not_applied": tries.not_applied, "lost": 0, "doubled": 0,
        })
    );
}
