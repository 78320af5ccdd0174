//! Compare-and-set.

use std::sync::Arc;

use kaireon_core::settings::{MAX_DOCUMENT_BYTES, MAX_TEXT_BYTES, SettingVersion, SettingWrite, Swapped};
use kaireon_core::{ChangeId, Effect, ErrorKind};

use super::SettingsFixture;
use super::fixture::{done, of_tenant, present, says, tenant, write};
use crate::world::together;

/// A tenant without a setting has none; the first is set over no version.
pub async fn a_first_setting_is_version_one(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    assert_eq!(store.setting(&tenant("acme")).await.unwrap(), None);
    assert_eq!(store.swap(write(1, 3)).await.unwrap(), Swapped::Lost(None));
    assert_eq!(done(&store, write(1, 0)).await, SettingVersion(1));
    assert_eq!(present(&store, "acme").await, Some((says(1), 1)));
}

/// Who expects another version changes nothing, and is told what is there.
pub async fn a_setting_is_replaced_only_by_who_saw_it(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    done(&store, write(1, 0)).await;
    assert_eq!(done(&store, write(2, 1)).await, SettingVersion(2));
    for expected in [0, 1, 3, 900] {
        let Swapped::Lost(Some(found)) = store.swap(write(3, expected)).await.unwrap() else {
            panic!("a swap over version {expected} was done where version 2 is");
        };
        assert_eq!((&*found.document, found.version.0), (says(2).as_str(), 2));
        assert_eq!(present(&store, "acme").await, Some((says(2), 2)));
    }
    assert_eq!(done(&store, write(3, 2)).await, SettingVersion(3));
}

/// A write whose answer was lost is sent again, through any handle.
pub async fn the_same_swap_again_is_done_once(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let other = fixture.open().await;
    done(&store, write(1, 0)).await;
    let second = write(2, 1);
    for handle in [&store, &store, &other] {
        assert_eq!(done(handle, second.clone()).await, SettingVersion(2));
    }
    assert_eq!(store.changes().await.unwrap(), 2);
}

/// It was done, whatever came behind it.
pub async fn the_same_swap_again_is_done_also_behind_others(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let first = write(1, 0);
    done(&store, first.clone()).await;
    for version in 1..4_u32 {
        done(&store, write(version + 1, u64::from(version))).await;
    }
    assert_eq!(done(&store, first).await, SettingVersion(1));
    assert_eq!(present(&store, "acme").await, Some((says(4), 4)));
    assert_eq!(store.changes().await.unwrap(), 4);
}

/// A reused id is told apart from a retry.
pub async fn an_id_used_for_another_document_conflicts(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let first = write(1, 0);
    done(&store, first.clone()).await;
    let other = SettingWrite {
        document: says(9).into(),
        ..first
    };
    let error = store.swap(other).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Conflict, Effect::NotApplied)
    );
    assert_eq!(present(&store, "acme").await, Some((says(1), 1)));
}

/// The others are told of the one that was.
pub async fn of_concurrent_swaps_over_one_version_one_is_done(fixture: &dyn SettingsFixture) {
    let handles = [fixture.open().await, fixture.open().await];
    for round in 0..10_u64 {
        let contender = |task: usize| {
            let store = Arc::clone(&handles[task % 2]);
            let number = u32::try_from(task).unwrap();
            async move { (number, store.swap(write(number, round)).await.unwrap()) }
        };
        let ended = together((0..8).map(contender)).await;
        let winners: Vec<_> = ended
            .iter()
            .filter(|(_, ended)| *ended == Swapped::Done(SettingVersion(round + 1)))
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(winners.len(), 1, "one of the eight is done: {ended:?}");
        for (number, ended) in ended.iter().filter(|(number, _)| *number != winners[0]) {
            let Swapped::Lost(Some(found)) = ended else {
                panic!("{number} was not told that it lost: {ended:?}");
            };
            assert_eq!(
                (&*found.document, found.version.0),
                (says(winners[0]).as_str(), round + 1)
            );
        }
        assert_eq!(
            present(&handles[1], "acme").await,
            Some((says(winners[0]), round + 1))
        );
    }
}

/// Each adds one to what it read, and tries again when it lost: every one is counted.
pub async fn concurrent_writers_who_read_again_lose_nothing(fixture: &dyn SettingsFixture) {
    let handles = [fixture.open().await, fixture.open().await];
    done(&handles[0], write(0, 0)).await;
    let adder = |task: usize| {
        let store = Arc::clone(&handles[task % 2]);
        async move {
            for _ in 0..5 {
                loop {
                    let found = store.setting(&tenant("acme")).await.unwrap().unwrap();
                    let said: serde_json::Value = serde_json::from_str(&found.document).unwrap();
                    let number = u32::try_from(said["number"].as_u64().unwrap()).unwrap();
                    let next = write(number + 1, found.version.0);
                    if matches!(store.swap(next).await.unwrap(), Swapped::Done(_)) {
                        break;
                    }
                }
            }
        }
    };
    together((0..6).map(adder)).await;
    assert_eq!(present(&handles[0], "acme").await, Some((says(30), 31)));
    assert_eq!(handles[1].changes().await.unwrap(), 31);
}

/// Names of every script, length and look.
pub async fn tenants_have_settings_of_their_own(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let long = "x".repeat(256);
    let names = [
        "acme",
        "ACME",
        "acme ",
        "acme/..",
        "größe ☃",
        "a",
        "aa",
        "%61",
        "a.json",
        &long,
    ];
    for (number, name) in (0..).zip(names) {
        assert_eq!(present(&store, name).await, None, "{name:?}");
        assert_eq!(done(&store, of_tenant(name, number, 0)).await, SettingVersion(1));
    }
    for (number, name) in (0..).zip(names) {
        assert_eq!(present(&store, name).await, Some((says(number), 1)), "{name:?}");
    }
}

/// Nothing of it is kept.
pub async fn what_is_out_of_bounds_is_invalid_input_naming_the_field(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let sound = || write(1, 0);
    let long = format!("\"{}\"", "x".repeat(MAX_DOCUMENT_BYTES - 1));
    let text = "x".repeat(MAX_TEXT_BYTES + 1);
    for (wrong, field) in [
        (
            SettingWrite {
                document: "".into(),
                ..sound()
            },
            "document",
        ),
        (
            SettingWrite {
                document: "{".into(),
                ..sound()
            },
            "document",
        ),
        (
            SettingWrite {
                document: "{} {}".into(),
                ..sound()
            },
            "document",
        ),
        (
            SettingWrite {
                document: long.into(),
                ..sound()
            },
            "document",
        ),
        (
            SettingWrite {
                author: String::new(),
                ..sound()
            },
            "author",
        ),
        (
            SettingWrite {
                author: "a\0b".into(),
                ..sound()
            },
            "author",
        ),
        (
            SettingWrite {
                reason: text,
                ..sound()
            },
            "reason",
        ),
        (
            SettingWrite {
                reason: "a\nb".into(),
                ..sound()
            },
            "reason",
        ),
        (
            SettingWrite {
                expected: SettingVersion(u64::MAX),
                ..sound()
            },
            "expected",
        ),
    ] {
        let error = store.swap(wrong).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidInput, Some(field))
        );
    }
    assert_eq!(present(&store, "acme").await, None);
    assert_eq!(store.changes().await.unwrap(), 0);
}

/// Byte for byte, also where it is as long as may be, and whatever JSON may hold.
pub async fn the_longest_document_comes_back(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let longest = format!("\"{}\"", "☃".repeat((MAX_DOCUMENT_BYTES - 2) / 3));
    let odd = "{ \"b\": 1.50, \"a\": \"\\u0000 \\ud83d\\ude00 ' \\\\ \",\n\t\"a\": 1e400 }";
    for (version, document) in (0..).zip([longest.as_str(), odd, "null"]) {
        let text = "x".repeat(MAX_TEXT_BYTES);
        let write = SettingWrite {
            id: ChangeId::new("c".repeat(256)).unwrap(),
            document: document.into(),
            author: text.clone(),
            reason: text,
            ..write(1, version)
        };
        done(&store, write).await;
        assert_eq!(present(&store, "acme").await.unwrap().0, document);
    }
}
