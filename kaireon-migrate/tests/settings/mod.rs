//! Settings that several change at once, and whose answers are lost.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kaireon_core::memory::MemorySettings;
use kaireon_core::outbox::LaneSet;
use kaireon_core::settings::{
    Setting, SettingEntry, SettingVersion, SettingWrite, SettingsCapabilities, SettingsQuery, Swapped,
    TrailQuery,
};
use kaireon_core::store::{Epoch, Page};
use kaireon_core::time::{Timestamp, from_millis};
use kaireon_core::{Effect, Error, ErrorKind, Result, SettingsStore, TenantId};
use kaireon_migrate::{
    Backend, Change, DualWrite, Missing, Phase, Policy, Refused, Replication, Settings, Step, TenantSetting,
};

fn name(backend: &str) -> Backend {
    Backend::new(backend).unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn now() -> Timestamp {
    from_millis(1_700_000_000_000).unwrap()
}

fn over(store: impl SettingsStore + 'static) -> Settings {
    Settings::new(
        Arc::new(store),
        TenantSetting::single(name("embedded"), LaneSet::NONE),
    )
}

fn asked(step: Step, author: &str) -> Change {
    Change::new(step, author, "a test", now()).unwrap()
}

fn start(target: &str) -> Change {
    let step = Step::Start {
        target: name(target),
        dual_write: DualWrite::Async,
        policy: Policy::default(),
    };
    asked(step, target)
}

fn measure(lag_ms: u64) -> Change {
    let replication = Replication {
        at: now(),
        lag: Duration::from_millis(lag_ms),
        dead_letters: 0,
    };
    asked(Step::Replicated { replication }, "relay")
}

fn why(error: &Error) -> &Refused {
    error.source().and_then(|source| source.downcast_ref()).unwrap()
}

#[tokio::test]
async fn a_change_is_kept_with_who_and_why_and_a_refused_one_is_not() {
    let store = MemorySettings::new();
    let settings = over(store.open_again());
    let first = settings.read(&tenant()).await.unwrap();
    assert_eq!(
        (first.version, first.setting.phase),
        (SettingVersion::NONE, Phase::Single)
    );
    let made = settings.change(&tenant(), &start("postgresql")).await.unwrap();
    assert_eq!(settings.read(&tenant()).await.unwrap(), made);
    let refused = settings
        .change(&tenant(), &asked(Step::CutOver, "me"))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.kind(), refused.effect()),
        (ErrorKind::Conflict, Effect::NotApplied)
    );
    assert!(why(&refused).missing.contains(&Missing::Backfill));
    let trail = store.trail(TrailQuery::new(tenant())).await.unwrap().items;
    assert_eq!(trail.len(), 1);
    assert_eq!(
        (trail[0].author.as_str(), trail[0].reason.as_str()),
        ("postgresql", "a test")
    );
    assert_eq!(trail[0].id, made.setting.last.unwrap().change.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_operators_who_start_at_once_one_does() {
    for _ in 0..20 {
        let settings = over(MemorySettings::new());
        let operator = |number: u32| {
            let settings = settings.clone();
            let change = start(&format!("store-{number}"));
            tokio::spawn(async move { settings.change(&tenant(), &change).await })
        };
        let (mut made, mut refused) = (Vec::new(), 0);
        for operator in (0..8).map(operator).collect::<Vec<_>>() {
            match operator.await.unwrap() {
                Ok(known) => made.push(known),
                Err(error) => {
                    assert!(matches!(why(&error).missing[..], [Missing::Phase { .. }]));
                    refused += 1;
                }
            }
        }
        assert_eq!((made.len(), refused), (1, 7));
        assert_eq!(settings.read(&tenant()).await.unwrap(), made[0]);
        assert_eq!(made[0].setting.epoch, Epoch(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_that_do_not_exclude_each_other_are_all_made() {
    let store = MemorySettings::new();
    let settings = over(store.open_again());
    settings.change(&tenant(), &start("postgresql")).await.unwrap();
    let measuring = |number: u64| {
        let settings = settings.clone();
        tokio::spawn(async move { settings.change(&tenant(), &measure(number)).await.unwrap() })
    };
    for measuring in (0..24).map(measuring).collect::<Vec<_>>() {
        measuring.await.unwrap();
    }
    let trail = store.trail(TrailQuery::new(tenant())).await.unwrap().items;
    let lags: std::collections::BTreeSet<_> = trail[..24]
        .iter()
        .map(|entry| TenantSetting::from_json(&entry.setting.document).unwrap())
        .map(|setting| setting.migration.unwrap().evidence.replication.unwrap().lag)
        .collect();
    assert_eq!((trail.len(), lags.len()), (25, 24));
}

/// Does what it is asked, and loses every answer to the first so many swaps.
#[derive(Debug)]
struct Forgetful(MemorySettings, AtomicU32);

#[async_trait]
impl SettingsStore for Forgetful {
    fn capabilities(&self) -> SettingsCapabilities {
        self.0.capabilities()
    }

    async fn setting(&self, tenant: &TenantId) -> Result<Option<Setting>> {
        self.0.setting(tenant).await
    }

    async fn swap(&self, write: SettingWrite) -> Result<Swapped> {
        let swapped = self.0.swap(write).await?;
        let left = self
            .1
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(Error::new(ErrorKind::Unavailable, "the answer was lost")),
            Err(_) => Ok(swapped),
        }
    }

    async fn settings(&self, query: SettingsQuery) -> Result<Page<(TenantId, Setting), TenantId>> {
        self.0.settings(query).await
    }

    async fn trail(&self, query: TrailQuery) -> Result<Page<SettingEntry, SettingVersion>> {
        self.0.trail(query).await
    }

    async fn changes(&self) -> Result<u64> {
        self.0.changes().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_made_once() {
    let store = MemorySettings::new();
    let settings = over(Forgetful(store.open_again(), AtomicU32::new(2)));
    let change = start("postgresql");
    let lost = settings.change(&tenant(), &change).await.unwrap_err();
    assert_eq!(lost.effect(), Effect::Unknown);
    let known = settings.change(&tenant(), &change).await.unwrap();
    assert_eq!(
        (known.version, known.setting.epoch),
        (SettingVersion(1), Epoch(1))
    );

    // Twice rolled back would be another step where the first led: while draining it opens the old store again.
    let back = asked(Step::RollBack, "me");
    assert_eq!(
        settings.change(&tenant(), &back).await.unwrap_err().effect(),
        Effect::Unknown
    );
    settings.change(&tenant(), &start("dynamodb")).await.unwrap();
    let after = settings.change(&tenant(), &back).await.unwrap();
    assert_eq!(after.setting.phase, Phase::DualWrite, "what came behind it stays");
    assert_eq!(store.changes().await.unwrap(), 3);
}

#[tokio::test]
async fn what_is_no_setting_is_corrupt_and_stays() {
    let store = MemorySettings::new();
    let write = SettingWrite::new(
        tenant(),
        SettingVersion::NONE,
        "{\"format\":1}",
        "me",
        "a test",
        now(),
    );
    store.swap(write).await.unwrap();
    let settings = over(store.open_again());
    for error in [
        settings.read(&tenant()).await.unwrap_err(),
        settings
            .change(&tenant(), &start("postgresql"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    assert_eq!(store.changes().await.unwrap(), 1);
}
