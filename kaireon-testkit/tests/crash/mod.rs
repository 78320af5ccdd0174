//! The crash driver on a store that keeps a journal, and on one that acknowledges before it writes.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::memory::MemoryStore;
use kaireon_core::store::{Accepted, Page, Recorded, ScanCursor, ScanQuery, StoreCapabilities, SummaryQuery};
use kaireon_core::{Interaction, InteractionStore, Result, Summary};
use kaireon_testkit::crash::Driver;

/// A store in memory with a journal, one interaction a line.
#[derive(Debug)]
struct Journaled {
    memory: MemoryStore,
    journal: Mutex<BufWriter<File>>,
    when: When,
}

/// When a line reaches the file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    BeforeTheAnswer,
    Later,
}

async fn open(place: PathBuf, when: When) -> Arc<dyn InteractionStore> {
    std::fs::create_dir_all(&place).unwrap();
    let file = place.join("journal");
    let journal = File::options()
        .create(true)
        .append(true)
        .read(true)
        .open(&file)
        .unwrap();
    let memory = MemoryStore::new();
    for line in BufReader::new(File::open(&file).unwrap()).lines() {
        // A torn last line was never acknowledged by the sound store.
        if let Ok(event) = serde_json::from_str::<Interaction>(&line.unwrap()) {
            memory.record_event(event).await.unwrap();
        }
    }
    Arc::new(Journaled {
        memory,
        journal: Mutex::new(BufWriter::with_capacity(1 << 16, journal)),
        when,
    })
}

#[async_trait]
impl InteractionStore for Journaled {
    fn capabilities(&self) -> StoreCapabilities {
        let mut can = StoreCapabilities::minimal("journal");
        (can.scan, can.persistent) = (true, true);
        can
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        let recorded = self.memory.record_event(event.clone()).await?;
        if recorded.is_new() {
            let mut journal = self.journal.lock().unwrap();
            writeln!(journal, "{}", serde_json::to_string(&event).unwrap()).unwrap();
            if self.when == When::BeforeTheAnswer {
                journal.flush().unwrap();
            }
        }
        Ok(recorded)
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.memory.get_summaries(query).await
    }

    async fn scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        self.memory.scan(query).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.journal.lock().unwrap().flush().unwrap();
        self.memory.disconnect().await
    }
}

fn drive(test: &str, when: When) -> kaireon_testkit::crash::Report {
    let place =
        std::env::temp_dir().join(format!("kaireon-crash-{}-{test}", std::process::id()).replace("::", "-"));
    let driver = Driver {
        test: test.to_owned(),
        cycles: 4,
        seed: 7,
        longest: Duration::from_millis(120),
    };
    let report = driver.run(&place, |place| open(place, when));
    let _ = std::fs::remove_dir_all(&place);
    report
}

#[test]
fn a_store_that_writes_before_it_answers_survives_its_kills() {
    let report = drive(
        "crash::a_store_that_writes_before_it_answers_survives_its_kills",
        When::BeforeTheAnswer,
    );
    assert_eq!(report.kills, 4);
    assert!(report.acknowledged >= 4 && report.found >= report.acknowledged);
}

#[test]
#[should_panic(expected = "was acknowledged and is lost")]
fn a_store_that_answers_before_it_writes_is_caught() {
    drive(
        "crash::a_store_that_answers_before_it_writes_is_caught",
        When::Later,
    );
}

#[test]
fn a_run_is_repeated_by_its_own_seed_or_by_that_of_the_soak_run() {
    let seed = |vars: &'static [(&'static str, &'static str)]| {
        let find = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        Driver::from_vars("a test", 1, find).seed
    };
    assert_eq!(seed(&[("KAIREON_SOAK_SEED", "7")]), 7);
    assert_eq!(
        seed(&[("KAIREON_SOAK_SEED", "7"), ("KAIREON_CRASH_SEED", "8")]),
        8
    );
}
