//! Durable on `Ok`, shown from outside: with strace, by a cut of the journal, and by killing the process.
//!
//! A SIGKILL keeps what the kernel holds in memory. So the system calls of a writing child are recorded: every
//! acknowledgement must follow a finished `fdatasync` of all that was written to the journal before. Then a copy
//! of the directory is cut back to what was synced, as a loss of power would, and opened.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use kaireon_core::{InteractionStore, Result};
use kaireon_store_embedded::{EmbeddedConfig, EmbeddedStore};

use crate::fixture::event;

const PLACE: &str = "KAIREON_EMBEDDED_DURABILITY";
const TASKS: usize = 8;
const EVENTS: usize = 40;

async fn open(directory: PathBuf) -> Arc<dyn InteractionStore> {
    Arc::new(EmbeddedStore::open(EmbeddedConfig::at(directory)).await.unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let test = "durability::nothing_acknowledged_is_lost_when_the_process_is_killed";
    let parent = tempfile::tempdir().unwrap();
    kaireon_testkit::crash::Driver::from_env(test, 8).run(&parent.path().join("data"), open);
}

#[test]
#[ignore = "soak: a hundred and twenty kills"]
fn a_hundred_kills_lose_and_double_nothing() {
    let test = "durability::a_hundred_kills_lose_and_double_nothing";
    let parent = tempfile::tempdir().unwrap();
    let driver = kaireon_testkit::crash::Driver::from_env(test, 120);
    let seed = driver.seed;
    let report = driver.run(&parent.path().join("data"), open);
    // A run that loses or doubles anything has panicked.
    println!(
        "kaireon-soak {{\"seed\": {seed}, \"kills\": {}, \"acknowledged\": {}, \"found\": {}, \"repeated\": {}, \"lost\": 0, \"doubled\": 0}}",
        report.kills, report.acknowledged, report.found, report.repeated
    );
}

/// The child: writes from several tasks, and says what was acknowledged.
async fn write(directory: &Path) -> Result<()> {
    let store = EmbeddedStore::open(EmbeddedConfig::at(directory)).await?;
    let task = |task: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..EVENTS {
                let key = format!("evt-{task}-{number};");
                store.record_event(event("c", &key)).await.unwrap();
                println!("ack {key}");
            }
        })
    };
    for task in (0..TASKS).map(task).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    // Nothing is closed in order.
    std::process::abort();
}

pub(crate) fn install_strace() {
    let works = |program: &str, arguments: &[&str]| {
        let command = Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .status();
        command.is_ok_and(|status| status.success())
    };
    if !works("strace", &["-V"]) {
        let installed = works("apt-get", &["update"]) && works("apt-get", &["install", "-y", "strace"]);
        assert!(installed, "strace is missing and could not be installed");
    }
}

/// What strace saw of the journal.
#[derive(Default)]
struct Seen {
    written: u64,
    synced: u64,
    syncs: u64,
    /// Per thread, what had been written when its unfinished sync began.
    syncing: HashMap<String, u64>,
    /// Per thread, the keys of its unfinished write.
    writing: HashMap<String, Vec<String>>,
    /// Up to where the journal must be synced for a key.
    needed: HashMap<String, u64>,
    acknowledged: Vec<String>,
}

impl Seen {
    fn line(&mut self, line: &str) {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else {
            return;
        };
        let (thread, call) = (thread.to_owned(), call.trim_start());
        let unfinished = call.ends_with("<unfinished ...>");
        let result = || call.rsplit("= ").next()?.parse::<u64>().ok();
        if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
            if call.contains(".jnl>") && unfinished {
                self.syncing.insert(thread, self.written);
            } else if call.contains(".jnl>") {
                self.sync(self.written, result());
            }
        } else if call.starts_with("<... fdatasync") || call.starts_with("<... fsync") {
            if let Some(written) = self.syncing.remove(&thread) {
                self.sync(written, result());
            }
        } else if call.starts_with("write(") && call.contains(".jnl>") {
            let keys = keys_in(call);
            if unfinished {
                self.writing.insert(thread, keys);
            } else {
                self.write(keys, result());
            }
        } else if call.starts_with("<... write") {
            if let Some(keys) = self.writing.remove(&thread) {
                self.write(keys, result());
            }
        } else if call.contains("\"ack evt-") {
            for key in keys_in(call) {
                let needed = *self
                    .needed
                    .get(&key)
                    .unwrap_or_else(|| panic!("{key} was never written: {call:.300}"));
                assert!(
                    self.synced >= needed,
                    "{key} was acknowledged before its bytes were synced"
                );
                self.acknowledged.push(key);
            }
        }
    }

    fn write(&mut self, keys: Vec<String>, length: Option<u64>) {
        self.written += length.expect("a write to the journal succeeds");
        for key in keys {
            self.needed.insert(key, self.written);
        }
    }

    fn sync(&mut self, written: u64, result: Option<u64>) {
        assert_eq!(result, Some(0), "a sync of the journal succeeds");
        self.synced = self.synced.max(written);
        self.syncs += 1;
    }
}

/// The keys of the child's events in what a call writes.
fn keys_in(call: &str) -> Vec<String> {
    let keys = call.split("evt-").skip(1).filter_map(|rest| rest.split_once(';'));
    keys.map(|(key, _)| format!("evt-{key};")).collect()
}

#[test]
#[ignore = "needs root: traces system calls, and installs strace where there is none"]
fn every_ok_follows_a_finished_fdatasync_and_a_loss_of_power_keeps_it() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    };
    if let Some(directory) = std::env::var_os(PLACE) {
        runtime().block_on(write(Path::new(&directory))).unwrap();
        return;
    }
    install_strace();
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let trace = parent.path().join("trace");
    let name = "durability::every_ok_follows_a_finished_fdatasync_and_a_loss_of_power_keeps_it";
    let status = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-s",
            "20000",
            "-e",
            "trace=write,pwrite64,writev,fdatasync,fsync",
            "-o",
        ])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(PLACE, &directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success(), "the child ends by abort");
    let mut seen = Seen::default();
    for line in fs::read_to_string(&trace).unwrap().lines() {
        let other_write = line.contains(".jnl>") && (line.contains("writev(") || line.contains("pwrite64("));
        assert!(
            !other_write,
            "the journal is written in a way that is not understood here"
        );
        seen.line(line);
    }
    assert_eq!(seen.acknowledged.len(), TASKS * EVENTS);
    assert!(seen.syncs > EVENTS as u64, "{} syncs", seen.syncs);

    // Whatever was not synced is lost with the power.
    let journal = directory.join("db/0.jnl");
    let file = OpenOptions::new().write(true).open(journal).unwrap();
    file.set_len(seen.synced).unwrap();
    drop(file);
    runtime().block_on(async {
        let store = EmbeddedStore::open(EmbeddedConfig::at(directory)).await.unwrap();
        for key in &seen.acknowledged {
            let again = store.record_event(event("c", key)).await.unwrap();
            assert!(!again.is_new(), "{key} was acknowledged and is lost");
        }
        store.disconnect().await.unwrap();
    });
}
