//! Backends of the host's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kaireon::core::memory::MemoryStore;
use kaireon::core::{Error, ErrorKind};
use kaireon::{Config, Infra};

use crate::support::{config, is_new, shown};

#[tokio::test]
async fn a_registered_store_is_a_value_of_its_variable_and_gets_the_configuration() {
    let place = MemoryStore::new();
    let mine = place.clone();
    let infra = Infra::builder()
        .config(config(&[
            ("INTERACTION_STORE", "Shop"),
            ("KAIREON_SHOP_REGION", "north"),
        ]))
        .register_store("shop", move |config: Config| {
            let mine = mine.clone();
            async move {
                assert_eq!(config.extra["KAIREON_SHOP_REGION"], "north");
                Ok(mine)
            }
        })
        .build()
        .await
        .unwrap();
    assert_eq!(infra.startup().store.backend, "shop");
    assert!(is_new(&infra, "c", "k").await);
    // It went into the host's own store.
    use kaireon::core::InteractionStore;
    assert!(!place.record_event(shown("c", "k")).await.unwrap().is_new());
}

#[tokio::test]
async fn a_registered_name_is_among_the_allowed_values() {
    let error = Infra::builder()
        .config(config(&[("INTERACTION_STORE", "shopp")]))
        .register_store("shop", |_| async { Ok(MemoryStore::new()) })
        .build()
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("memory, ") && error.contains(", shop)"), "{error}");
}

#[tokio::test]
async fn a_factory_is_called_only_when_it_is_chosen_and_its_error_is_handed_on() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let builder = |value: &str| {
        let counted = Arc::clone(&counted);
        Infra::builder()
            .config(config(&[("INTERACTION_STORE", value)]))
            .register_store("shop", move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                async { Err::<MemoryStore, _>(Error::new(ErrorKind::Unauthorized, "the shop is closed")) }
            })
    };
    assert!(builder("memory").build().await.is_ok());
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let error = builder("shop").build().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.context()),
        (ErrorKind::Unauthorized, "the shop is closed")
    );
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
