//! Settings on disk: the suite, and what becomes of a log that was torn, damaged or killed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use kaireon_core::settings::{SettingVersion, SettingWrite, SettingsStore, Swapped, TrailQuery};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{Effect, ErrorKind, TenantId};
use kaireon_store_embedded::FileSettings;
use kaireon_testkit::settings::SettingsFixture;
use kaireon_testkit::suite::block_on;
use tokio::sync::Mutex;

use crate::disk::Mount;

const PLACE: &str = "KAIREON_SETTINGS_PLACE";

/// A directory, and the handles that were given out.
struct Fixture(tempfile::TempDir, Mutex<Vec<FileSettings>>);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), Mutex::default())
    }
}

#[async_trait]
impl SettingsFixture for Fixture {
    async fn open(&self) -> Arc<dyn SettingsStore> {
        let mut handles = self.1.lock().await;
        let mut live = None;
        for handle in &*handles {
            if handle.ping().await.is_ok() {
                live = Some(handle.open_again());
            }
        }
        let handle = match live {
            Some(handle) => handle,
            None => FileSettings::open(self.0.path().join("settings")).await.unwrap(),
        };
        handles.push(handle.clone());
        Arc::new(handle)
    }
}

mod suite {
    kaireon_testkit::settings_suite!(super::Fixture::new());
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn write(number: u64) -> SettingWrite {
    let document = format!("{{\"number\":{number}}}");
    let expected = SettingVersion(number - 1);
    SettingWrite::new(tenant(), expected, document, "ops", "a test", SystemClock.now())
}

/// A log of so many swaps, closed.
async fn filled(directory: &Path, swaps: u64) -> PathBuf {
    let settings = FileSettings::open(directory).await.unwrap();
    for number in 1..=swaps {
        let swapped = settings.swap(write(number)).await.unwrap();
        assert_eq!(swapped, Swapped::Done(SettingVersion(number)));
    }
    settings.disconnect().await.unwrap();
    directory.join("settings.log")
}

async fn version(directory: &Path) -> u64 {
    let settings = FileSettings::open(directory).await.unwrap();
    let found = settings.setting(&tenant()).await.unwrap().unwrap().version.0;
    let trail = settings.trail(TrailQuery::new(tenant())).await.unwrap().items;
    assert_eq!(trail.len() as u64, found, "the trail has every version");
    settings.disconnect().await.unwrap();
    found
}

#[tokio::test]
async fn a_swap_that_a_crash_tore_is_cut_off_wherever_it_tore() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("settings");
    let log = filled(&directory, 3).await;
    let whole = fs::read(&log).unwrap();
    let begin = whole[..whole.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    for cut in begin..whole.len() {
        for tail in [&[][..], &[0; 40]] {
            fs::write(&log, [&whole[..cut], tail].concat()).unwrap();
            assert_eq!(version(&directory).await, 2, "cut at {cut}");
            assert_eq!(fs::read(&log).unwrap(), whole[..begin], "nothing is left of it");
        }
    }
    let settings = FileSettings::open(&directory).await.unwrap();
    assert_eq!(
        settings.swap(write(3)).await.unwrap(),
        Swapped::Done(SettingVersion(3))
    );
}

#[tokio::test]
async fn damage_before_other_swaps_is_an_error_and_changes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("settings");
    let log = filled(&directory, 3).await;
    let whole = fs::read(&log).unwrap();
    let lines: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').collect();
    for at in (0..lines[2]).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&log, &damaged).unwrap();
        let error = FileSettings::open(&directory).await.unwrap_err();
        let expected = if at <= lines[0] {
            ErrorKind::Config
        } else {
            ErrorKind::Corrupt
        };
        assert_eq!(error.kind(), expected, "bit of byte {at}");
        assert_eq!(fs::read(&log).unwrap(), damaged);
    }
    // A line that is not there is one too.
    let gap = [&whole[..=lines[1]], &whole[lines[2] + 1..]].concat();
    fs::write(&log, gap).unwrap();
    assert_eq!(
        FileSettings::open(&directory).await.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

#[tokio::test]
async fn a_directory_has_one_opener() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("settings");
    let settings = FileSettings::open(&directory).await.unwrap();
    let error = FileSettings::open(&directory).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let second = settings.open_again();
    settings.disconnect().await.unwrap();
    assert!(second.changes().await.is_ok(), "each handle ends by itself");
    second.disconnect().await.unwrap();
    FileSettings::open(&directory).await.unwrap();
}

/// The child: swaps without end, and says what was acknowledged.
async fn swap_until_killed(directory: &Path) {
    let settings = FileSettings::open(directory).await.unwrap();
    let present = settings.setting(&tenant()).await.unwrap();
    let mut number = present.map_or(0, |present| present.version.0);
    loop {
        number += 1;
        let swapped = settings.swap(write(number)).await.unwrap();
        assert_eq!(swapped, Swapped::Done(SettingVersion(number)));
        println!("swapped {number};");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    if let Ok(directory) = std::env::var(PLACE) {
        block_on(swap_until_killed(Path::new(&directory)));
    }
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("settings");
    let mut acknowledged = 0_u64;
    for kill in 0..8_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "settings::nothing_acknowledged_is_lost_when_the_process_is_killed",
            ])
            .args(["--nocapture", "--test-threads=1"])
            .env(PLACE, &directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let until = acknowledged + 5 + 13 * kill;
        for line in lines {
            let line = line.unwrap();
            let said = line
                .rsplit_once("swapped ")
                .and_then(|(_, number)| number.strip_suffix(';'));
            if let Some(number) = said {
                acknowledged = number.parse().unwrap();
            }
            if acknowledged >= until {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let found = block_on(version(&directory));
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "{found} swaps are there of {acknowledged} that were acknowledged and one under way"
        );
        acknowledged = found;
    }
}

#[tokio::test]
#[ignore = "needs root: mounts a small file system"]
async fn root_a_full_disk_loses_nothing_acknowledged_and_reads_go_on() {
    let mount = Mount::of(1);
    let directory = mount.dir();
    let settings = FileSettings::open(&directory).await.unwrap();
    let long = |number| SettingWrite {
        document: format!("\"{}\"", "x".repeat(60_000)).into(),
        ..write(number)
    };
    let mut acknowledged = 0;
    let error = loop {
        match settings.swap(long(acknowledged + 1)).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(acknowledged > 5);
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::StorageFull, Effect::Unknown)
    );
    let refused = settings.swap(write(acknowledged + 1)).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.effect()),
        (ErrorKind::Unavailable, Effect::NotApplied)
    );
    let present = settings.setting(&tenant()).await.unwrap().unwrap();
    assert_eq!(present.version, SettingVersion(acknowledged));
    let trail = settings.trail(TrailQuery::new(tenant())).await.unwrap().items;
    assert_eq!(trail.len() as u64, acknowledged);
    settings.disconnect().await.unwrap();

    mount.remount("size=4m");
    assert_eq!(
        version(&directory).await,
        acknowledged,
        "what was torn is not there"
    );
    let again = FileSettings::open(&directory).await.unwrap();
    let swapped = again.swap(long(acknowledged + 1)).await.unwrap();
    assert_eq!(swapped, Swapped::Done(SettingVersion(acknowledged + 1)));
    again.disconnect().await.unwrap();
}
