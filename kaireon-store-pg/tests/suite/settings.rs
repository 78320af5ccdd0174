//! Settings on the server: the suite, directly and behind a pooler, and two processes that race.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::settings::{SettingVersion, SettingWrite, SettingsStore, Swapped, TrailQuery};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{InteractionId, TenantId};
use kaireon_store_pg::{PgSettings, PgSettingsConfig};
use kaireon_testkit::settings::SettingsFixture;
use kaireon_testkit::suite::block_on;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::Mutex;

use crate::fixture::{PGBOUNCER, POSTGRES, Server};

/// A schema of its own, and the handles that were given out.
struct Fixture {
    server: Server,
    schema: String,
    handles: Mutex<Vec<PgSettings>>,
}

impl Fixture {
    fn on(server: Server) -> Self {
        let id = InteractionId::fresh().to_string().replace('-', "");
        Self {
            server,
            schema: format!("kaireon_settings_{}", &id[12..]),
            handles: Mutex::default(),
        }
    }

    fn config(&self) -> PgSettingsConfig {
        PgSettingsConfig::at(self.server.url()).with_schema(&self.schema)
    }
}

#[async_trait]
impl SettingsFixture for Fixture {
    async fn open(&self) -> Arc<dyn SettingsStore> {
        PgSettings::migrate(&self.config()).await.unwrap();
        let settings = PgSettings::connect(self.config()).await.unwrap();
        self.handles.lock().await.push(settings.clone());
        Arc::new(settings)
    }

    async fn close(&self) {
        for handle in &*self.handles.lock().await {
            handle.disconnect().await.unwrap();
        }
        let mut connection = PgConnection::connect(&POSTGRES.url()).await.unwrap();
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema);
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

mod postgres {
    kaireon_testkit::settings_suite!(
        super::Fixture::on(super::POSTGRES),
        needs = "postgres: set KAIREON_TEST_PG_URL"
    );
}

mod behind_pgbouncer {
    kaireon_testkit::settings_suite!(
        super::Fixture::on(super::PGBOUNCER),
        needs = "pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"
    );
}

const RACE: &str = "KAIREON_SETTINGS_RACE";
const SWAPS: u64 = 60;

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

/// A process of the race: wins so many swaps, each over what it read, and says which.
async fn race(schema: &str) {
    let config = PgSettingsConfig::at(POSTGRES.url()).with_schema(schema);
    let settings = PgSettings::connect(config).await.unwrap();
    let (mut won, mut lost) = (0, 0);
    while won < SWAPS {
        let present = settings.setting(&tenant()).await.unwrap();
        let version = present.map_or(SettingVersion::NONE, |present| present.version);
        let document = format!("{{\"of\":{}}}", std::process::id());
        let write = SettingWrite::new(tenant(), version, document, "racer", "a race", SystemClock.now());
        match settings.swap(write).await.unwrap() {
            Swapped::Done(version) => {
                won += 1;
                println!("won {};", version.0);
            }
            Swapped::Lost(_) => lost += 1,
        }
    }
    println!("lost {lost};");
    settings.disconnect().await.unwrap();
    std::process::exit(0);
}

fn racer(schema: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "settings::of_two_processes_that_race_each_wins_its_own_versions",
        ])
        .args(["--include-ignored", "--nocapture", "--test-threads=1"])
        .env(RACE, schema)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
fn of_two_processes_that_race_each_wins_its_own_versions() {
    if let Ok(schema) = std::env::var(RACE) {
        block_on(race(&schema));
    }
    block_on(async {
        let fixture = Fixture::on(POSTGRES);
        let settings = fixture.open().await;
        let (versions, lost) = tokio::task::block_in_place(|| watch(&fixture.schema));
        assert_eq!(
            versions,
            (1..=2 * SWAPS).collect::<Vec<_>>(),
            "each version was won once"
        );
        assert!(lost > 0, "they met");
        let trail = settings.trail(TrailQuery::new(tenant())).await.unwrap().items;
        assert_eq!(trail.len() as u64, 2 * SWAPS);
        fixture.close().await;
    });
}

/// Runs the race; which versions were won, and how often one of the two lost.
fn watch(schema: &str) -> (Vec<u64>, u64) {
    let mut racers = [racer(schema), racer(schema)];
    let (mut versions, mut lost) = (Vec::new(), 0);
    for racer in &mut racers {
        let lines = BufReader::new(racer.stdout.take().unwrap()).lines();
        for line in lines.map(Result::unwrap) {
            let number = |word: &str| {
                let (_, number) = line.rsplit_once(word)?;
                number.strip_suffix(';')?.parse::<u64>().ok()
            };
            versions.extend(number("won "));
            lost += number("lost ").unwrap_or_default();
        }
        assert!(racer.wait().unwrap().success());
    }
    versions.sort_unstable();
    (versions, lost)
}
