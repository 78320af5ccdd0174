//! A process that backfills is killed with SIGKILL at random instants, on embedded stores and a folder.

use std::io::{BufRead, BufReader};
use std::num::NonZeroU32;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;

use kaireon_migrate::BackfillState;
use kaireon_store_embedded::FileSettings;

use super::server::Server;
use super::*;

const PLACE: &str = "KAIREON_BACKFILL_KILLS_PLACE";
const SCHEMA: &str = "KAIREON_BACKFILL_KILLS_SCHEMA";

const COUNT: u64 = 1_500;
const ROWS: u64 = COUNT + COUNT / 5;

/// What a process opens.
struct Process {
    stores: [Arc<dyn InteractionStore>; 2],
    archive: Archive,
    settings: Arc<dyn SettingsStore>,
    migrator: Migrator,
}

impl Process {
    /// To PostgreSQL where there is a server, else to an embedded store.
    async fn open(place: &Path, server: Option<&Server>) -> Self {
        let source = embedded(&place.join("old")).await;
        let target = match server {
            Some(server) => server.store().await,
            None => embedded(&place.join("new")).await,
        };
        let archive = archive_in(&place.join("archive")).await;
        let settings: Arc<dyn SettingsStore> =
            Arc::new(FileSettings::open(place.join("settings")).await.unwrap());
        let switch = switch_of(&settings, &source, &target);
        Self {
            stores: [source, target],
            archive,
            settings,
            migrator: Migrator::new(switch),
        }
    }

    fn backfiller(&self) -> Backfiller {
        let config = BackfillConfig {
            owner: "the backfiller".to_owned(),
            ..config()
        };
        Backfiller::new(self.migrator.clone(), self.archive.clone(), config)
    }

    async fn close(self) {
        for store in self.stores {
            store.disconnect().await.unwrap();
        }
        self.settings.disconnect().await.unwrap();
    }
}

/// Backfills until the process is killed.
async fn live(place: &Path, server: Option<&Server>) {
    let process = Process::open(place, server).await;
    println!("ready");
    let backfiller = process.backfiller();
    let known = backfiller.progress(&tenant()).await.unwrap();
    if known.is_none_or(|progress| progress.state != BackfillState::Complete) {
        let report = backfiller.run(&tenant()).await.unwrap();
        assert!(report.completed.is_some(), "{report:?}");
    }
    std::future::pending::<()>().await;
}

/// Waits until the child is at it. What it says later is read as well, so that it is not held up.
fn is_ready(child: &mut Child, output: ChildStdout) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            // Nobody listens any more once it is ready.
            let _ = tell.send(line);
        }
    });
    let mut said = Vec::new();
    loop {
        match told.recv_timeout(Duration::from_secs(120)) {
            // The harness leaves its own line open.
            Ok(line) if line.ends_with("ready") => return,
            Ok(line) => said.push(line),
            Err(error) => {
                let _ = child.kill();
                panic!("the child is not ready, {error}: {said:?}, {:?}", child.wait());
            }
        }
    }
}

fn kills(test: &str, cycles: u64, rate: u32, server: impl Fn() -> Option<Server>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if let Ok(place) = std::env::var(PLACE) {
        let server = std::env::var(SCHEMA).ok().map(Server::of);
        runtime.block_on(live(Path::new(&place), server.as_ref()));
    }
    let owned = server();
    let server = owned.as_ref();
    let given = ["KAIREON_SOAK_SEED", "KAIREON_CRASH_SEED"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let seed = given.map_or_else(|| fastrand::u64(..1_000_000), |seed| seed.parse().unwrap());
    println!("KAIREON_CRASH_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    runtime.block_on(async {
        let process = Process::open(place, server).await;
        let source = &process.stores[0];
        let lanes = LaneSet::of(&[Lane::Archive, Lane::Publish]);
        source.outbox().unwrap().set_lanes(lanes).await.unwrap();
        fill(source, 0..COUNT).await;
        start(&process.migrator).await;
        export(&exporter_of(&process.archive, source)).await;
        let backfiller = process.backfiller();
        backfiller.begin(&tenant(), "test", "CHG-1").await.unwrap();
        backfiller
            .throttle(&tenant(), NonZeroU32::new(rate))
            .await
            .unwrap();
        process.close().await;
    });
    let (mut kept, mut in_the_midst) = (0, 0);
    let mut cycle = 0;
    // On a slow machine it takes longer until it is in the midst of it.
    while cycle < cycles || (in_the_midst == 0 && cycle < 4 * cycles) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                test,
                "--exact",
                "--nocapture",
                "--include-ignored",
                "--test-threads=1",
            ])
            .env(PLACE, place)
            .envs(server.map(|server| (SCHEMA, server.schema())))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        is_ready(&mut child, output);
        let longest = 400 * (1 + cycle / cycles);
        std::thread::sleep(Duration::from_millis(random.u64(0..longest)));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        // A child that panicked has no success either, and was not killed.
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&ended),
            Some(9),
            "cycle {cycle}: {ended}"
        );
        assert!(!ended.success(), "the child of cycle {cycle} ended by itself");
        runtime.block_on(async {
            let process = Process::open(place, server).await;
            let progress = process.backfiller().progress(&tenant()).await.unwrap();
            let rows_done = progress.map_or(0, |progress| progress.rows_done);
            assert!(
                rows_done >= kept,
                "cycle {cycle}: {rows_done} of {kept} rows that were done"
            );
            in_the_midst += u64::from(rows_done > kept && rows_done < ROWS);
            kept = rows_done;
            let applied = rows(process.stores[1].as_ref()).await.len() as u64;
            let decided = decisions(process.stores[1].as_ref()).await.len() as u64;
            assert!(applied + decided >= kept, "what is noted was applied");
            process.close().await;
        });
        cycle += 1;
    }
    assert!(in_the_midst > 0, "it was killed in the midst of it");
    runtime.block_on(async {
        let process = Process::open(place, server).await;
        let backfiller = process.backfiller();
        backfiller.throttle(&tenant(), None).await.unwrap();
        let known = backfiller.progress(&tenant()).await.unwrap();
        let complete = known.filter(|progress| progress.state == BackfillState::Complete);
        let progress = match complete {
            Some(progress) => progress,
            None => in_time(backfiller.run(&tenant())).await.unwrap().progress,
        };
        assert_eq!(progress.state, BackfillState::Complete);
        assert_eq!(progress.rows_done, ROWS, "each row counts once");
        is_equal(&process.stores[0], &process.stores[1]).await;
        println!(
            "kaireon-soak {{\"kills\": {cycle}, \"in_the_midst\": {in_the_midst}, \"rows\": {ROWS}, \"repeated\": {}, \"lost\": 0}}",
            progress.duplicates
        );
        process.close().await;
    });
    if let Some(server) = owned {
        runtime.block_on(server.drop_schema());
    }
}

#[test]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
fn a_backfill_of_postgresql_that_is_killed_goes_on_where_it_was() {
    kills(
        "backfill::kills::a_backfill_of_postgresql_that_is_killed_goes_on_where_it_was",
        8,
        1_200,
        || Some(Server::new()),
    );
}

#[test]
fn a_backfill_that_is_killed_goes_on_where_it_was() {
    kills(
        "backfill::kills::a_backfill_that_is_killed_goes_on_where_it_was",
        8,
        1_200,
        || None,
    );
}

#[test]
#[ignore = "soak: a hundred kills"]
fn a_backfill_that_is_killed_a_hundred_times_goes_on_where_it_was() {
    kills(
        "backfill::kills::a_backfill_that_is_killed_a_hundred_times_goes_on_where_it_was",
        100,
        100,
        || None,
    );
}
