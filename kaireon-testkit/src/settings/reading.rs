//! What is read back.

use kaireon_core::settings::{SettingVersion, SettingsQuery};
use kaireon_core::store::MAX_PAGE;
use kaireon_core::{ErrorKind, TenantId};

use super::SettingsFixture;
use super::fixture::{done, of_tenant, present, says, write};

/// A swap that was done is seen at once, through whichever handle.
pub async fn a_setting_reads_through_every_handle_as_it_was_set(fixture: &dyn SettingsFixture) {
    let handles = [fixture.open().await, fixture.open().await];
    for version in 0..6_u32 {
        let writer = &handles[usize::try_from(version).unwrap() % 2];
        done(writer, write(version, u64::from(version))).await;
        for reader in &handles {
            assert_eq!(
                present(reader, "acme").await,
                Some((says(version), u64::from(version) + 1))
            );
        }
    }
}

/// By the bytes of their names, over pages of every size, and only the present setting of each.
pub async fn settings_are_listed_once_in_the_order_of_tenants(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let names = ["b", "a", "Z", "aa", "ä", "a b", "☃"];
    for (number, name) in (0..).zip(names) {
        done(&store, of_tenant(name, number, 0)).await;
        done(&store, of_tenant(name, number + 100, 1)).await;
    }
    let mut expected: Vec<_> = (100..)
        .zip(names)
        .map(|(number, name)| (TenantId::new(name).unwrap(), says(number)))
        .collect();
    expected.sort();
    for limit in [1, 2, 7, 8, MAX_PAGE] {
        let mut query = SettingsQuery { limit, cursor: None };
        let mut found = Vec::new();
        loop {
            let page = store.settings(query.clone()).await.unwrap();
            assert!(!page.items.is_empty() && page.items.len() <= usize::try_from(limit).unwrap());
            for (tenant, setting) in page.items {
                assert_eq!(setting.version, SettingVersion(2));
                found.push((tenant, setting.document.to_string()));
            }
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "pages of {limit}");
    }
    for limit in [0, MAX_PAGE + 1] {
        let error = store
            .settings(SettingsQuery { limit, cursor: None })
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidInput, Some("limit"))
        );
    }
}

/// Of all tenants, through every handle.
pub async fn changes_count_swaps_and_nothing_else(fixture: &dyn SettingsFixture) {
    let (store, other) = (fixture.open().await, fixture.open().await);
    assert_eq!(store.changes().await.unwrap(), 0);
    done(&store, of_tenant("a", 1, 0)).await;
    done(&other, of_tenant("b", 1, 0)).await;
    done(&store, of_tenant("b", 2, 1)).await;
    for handle in [&store, &other] {
        handle.swap(of_tenant("b", 3, 1)).await.unwrap();
        handle.setting(&TenantId::new("c").unwrap()).await.unwrap();
        assert_eq!(handle.changes().await.unwrap(), 3);
    }
}
