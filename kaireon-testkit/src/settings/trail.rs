//! Everything that a setting ever was.

use kaireon_core::ErrorKind;
use kaireon_core::settings::{SettingEntry, SettingVersion, SettingWrite, TrailQuery};
use kaireon_core::store::MAX_PAGE;

use super::SettingsFixture;
use super::fixture::{done, of_tenant, says, tenant, write};

/// An entry is the write as it was asked for.
pub async fn a_trail_has_every_setting_newest_first_with_who_and_why(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let mut expected = Vec::new();
    for version in 0..5_u32 {
        let write = write(version + 10, u64::from(version));
        expected.insert(0, SettingEntry::of(write.clone()));
        done(&store, write).await;
    }
    done(&store, of_tenant("acme-2", 1, 0)).await;
    let page = store.trail(TrailQuery::new(tenant("acme"))).await.unwrap();
    assert_eq!((page.items, page.next), (expected, None));
    let none = store.trail(TrailQuery::new(tenant("nobody"))).await.unwrap();
    assert!(none.items.is_empty() && none.next.is_none());
}

/// Each entry once, whatever is set meanwhile.
pub async fn a_trail_is_read_in_pages(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    for version in 0..7_u32 {
        done(&store, write(version, u64::from(version))).await;
    }
    for limit in [1, 3, 7, MAX_PAGE] {
        let present = store.setting(&tenant("acme")).await.unwrap().unwrap().version.0;
        let mut query = TrailQuery {
            limit,
            ..TrailQuery::new(tenant("acme"))
        };
        let mut versions = Vec::new();
        loop {
            let page = store.trail(query.clone()).await.unwrap();
            assert!(!page.items.is_empty() && page.items.len() <= usize::try_from(limit).unwrap());
            versions.extend(page.items.iter().map(|entry| entry.setting.version.0));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
            if versions.len() == 1 {
                done(&store, write(99, present)).await;
            }
        }
        assert_eq!(
            versions,
            (1..=present).rev().collect::<Vec<_>>(),
            "pages of {limit}"
        );
    }
    for limit in [0, MAX_PAGE + 1] {
        let query = TrailQuery {
            limit,
            ..TrailQuery::new(tenant("acme"))
        };
        let error = store.trail(query).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidInput, Some("limit"))
        );
    }
}

/// The trail is what was, not what was asked for.
pub async fn what_was_lost_or_refused_leaves_no_entry(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let first = write(1, 0);
    for write in [first.clone(), first.clone(), write(2, 0), write(3, 7)] {
        store.swap(write).await.unwrap();
    }
    let other = SettingWrite {
        document: says(8).into(),
        ..first.clone()
    };
    store.swap(other).await.unwrap_err();
    store
        .swap(SettingWrite {
            author: String::new(),
            ..write(4, 1)
        })
        .await
        .unwrap_err();
    let page = store.trail(TrailQuery::new(tenant("acme"))).await.unwrap();
    assert_eq!(page.items, [SettingEntry::of(first)]);
    assert_eq!(page.items[0].setting.version, SettingVersion(1));
}
