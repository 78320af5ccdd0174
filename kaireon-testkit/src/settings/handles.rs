//! Handles, restarts, and the end of one.

use kaireon_core::settings::{SettingEntry, SettingsQuery, TrailQuery};
use kaireon_core::{Effect, Error, ErrorKind};

use super::SettingsFixture;
use super::fixture::{done, of_tenant, present, says, tenant, write};
use crate::suite::declared_away;

/// Settings, trails and the count.
pub async fn everything_is_there_after_a_restart(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    let can = store.capabilities();
    if !can.persistent {
        declared_away(&can.backend, "persistent");
        return;
    }
    let writes = [write(1, 0), write(2, 1), of_tenant("b", 3, 0)];
    for write in &writes {
        done(&store, write.clone()).await;
    }
    store.disconnect().await.unwrap();
    let again = fixture.open().await;
    assert_eq!(present(&again, "acme").await, Some((says(2), 2)));
    assert_eq!(again.changes().await.unwrap(), 3);
    let page = again.trail(TrailQuery::new(tenant("acme"))).await.unwrap();
    let [first, second, _] = writes.clone();
    assert_eq!(
        page.items,
        [SettingEntry::of(second.clone()), SettingEntry::of(first)]
    );
    assert_eq!(
        done(&again, second).await.0,
        2,
        "a retry after the restart is still one"
    );
    assert_eq!(done(&again, write(4, 2)).await.0, 3);
    let listed = again.settings(SettingsQuery::default()).await.unwrap();
    assert_eq!(listed.items.len(), 2);
}

/// A second disconnect is no error.
pub async fn after_disconnect_every_call_is_unavailable_and_not_applied(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    done(&store, write(1, 0)).await;
    store.disconnect().await.unwrap();
    store.disconnect().await.unwrap();
    let mut errors: Vec<Error> = Vec::new();
    errors.extend(store.setting(&tenant("acme")).await.err());
    errors.extend(store.swap(write(2, 1)).await.err());
    errors.extend(store.settings(SettingsQuery::default()).await.err());
    errors.extend(store.trail(TrailQuery::new(tenant("acme"))).await.err());
    errors.extend(store.changes().await.err());
    assert_eq!(errors.len(), 5, "every call fails");
    for error in errors {
        let facts = (error.kind(), error.effect(), error.is_transient());
        assert_eq!(
            facts,
            (ErrorKind::Unavailable, Effect::NotApplied, false),
            "{error}"
        );
    }
}

/// `Unsupported` where there is none.
pub async fn ping_agrees_with_the_capabilities(fixture: &dyn SettingsFixture) {
    let store = fixture.open().await;
    match store.ping().await {
        Ok(()) => assert!(store.capabilities().ping),
        Err(error) => {
            assert_eq!(
                (error.kind(), store.capabilities().ping),
                (ErrorKind::Unsupported, false)
            );
        }
    }
}
