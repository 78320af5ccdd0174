//! How a switch is chosen, and everything that can be wrong with that.

use std::error::Error as _;

use async_trait::async_trait;
use kaireon::core::memory::MemoryStore;
use kaireon::core::store::{Recorded, StoreCapabilities};
use kaireon::core::{Error, ErrorKind, Interaction, Result, Summary};
use kaireon::{Problems, switch};

use super::*;
use crate::support::all_of;

/// A store without anything that a switch needs.
#[derive(Debug)]
struct Plain(MemoryStore);

#[async_trait]
impl InteractionStore for Plain {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::minimal("plain")
    }

    async fn record_event(&self, event: Interaction) -> Result<Recorded> {
        self.0.record_event(event).await
    }

    async fn get_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        self.0.get_summaries(query).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.0.disconnect().await
    }
}

fn places(error: &Error) -> Vec<(String, String)> {
    let problems = error
        .source()
        .and_then(|source| source.downcast_ref::<Problems>());
    let problems = problems.unwrap_or_else(|| panic!("{error} is no list of problems"));
    problems
        .iter()
        .map(|problem| (problem.place.clone(), problem.what.clone()))
        .collect()
}

/// Everything that is wrong with variables beside a good switch in memory, by the two ways of opening it.
async fn wrong(vars: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut config = config(&[
        ("INTERACTION_STORE", "memory"),
        ("KAIREON_SWITCH_STORES", "memory"),
        ("KAIREON_SETTINGS_STORE", "memory"),
        ("KAIREON_MASTER_KEY", KEY),
    ]);
    for (name, value) in vars {
        match *name {
            "INTERACTION_STORE" => config = config.with_interaction_store(*value),
            "DATABASE_URL" => config = config.with_database_url(*value),
            _ if value.is_empty() => drop(config.extra.remove(*name)),
            _ => config = config.with_variable(*name, *value),
        }
    }
    let alone = switch::open(&config).await.unwrap_err();
    assert!(!all_of(&alone).contains("hunter2"), "{}", all_of(&alone));
    let error = config.start().await.unwrap_err();
    assert!(!all_of(&error).contains("hunter2"), "{}", all_of(&error));
    assert_eq!(places(&alone), places(&error));
    places(&error)
}

#[tokio::test]
async fn each_variable_is_checked() {
    for (vars, place, word) in [
        (
            &[("KAIREON_SWITCH_STORES", "memory,")][..],
            "KAIREON_SWITCH_STORES",
            "empty name",
        ),
        (
            &[("KAIREON_SWITCH_STORES", "memory, Memory")],
            "KAIREON_SWITCH_STORES",
            "`memory` twice",
        ),
        (
            &[("KAIREON_SWITCH_STORES", "memory, mysql")],
            "KAIREON_SWITCH_STORES",
            "unknown value `mysql`",
        ),
        (
            &[("KAIREON_SWITCH_STORES", "memory, dynamodb")],
            "KAIREON_SWITCH_STORES",
            "no feature `dynamodb` yet",
        ),
        (
            &[("KAIREON_SWITCH_STORES", "memory, scylla")],
            "KAIREON_SWITCH_STORES",
            "no feature `scylla` yet",
        ),
        (
            &[("KAIREON_SWITCH_STORES", "memory, keyspaces")],
            "KAIREON_SWITCH_STORES",
            "no feature `keyspaces` yet",
        ),
        (
            &[("KAIREON_SWITCH_STORES", "memory, cassandra")],
            "KAIREON_SWITCH_STORES",
            "no feature `cassandra` yet",
        ),
        (
            &[("KAIREON_SWITCH_STORES", "embedded")],
            "INTERACTION_STORE",
            "`memory` is not among KAIREON_SWITCH_STORES (embedded)",
        ),
        (
            &[("KAIREON_SETTINGS_STORE", "redis")],
            "KAIREON_SETTINGS_STORE",
            "unknown value `redis`",
        ),
        (
            &[("KAIREON_SETTINGS_URL", "postgres://shop:hunter2@db")],
            "KAIREON_SETTINGS_URL",
            "`memory` has no database",
        ),
        (&[("KAIREON_MASTER_KEY", "")], "KAIREON_MASTER_KEY", "is missing"),
        (
            &[("KAIREON_MASTER_KEY", "hunter2")],
            "KAIREON_MASTER_KEY",
            "64 hexadecimal digits",
        ),
        (
            &[("KAIREON_ARCHIVE_URL", "/hunter2")],
            "KAIREON_ARCHIVE_URL",
            "`file:///`",
        ),
        (
            &[("KAIREON_ARCHIVE_URL", "gs://hunter2/a")],
            "KAIREON_ARCHIVE_URL",
            "`s3://`",
        ),
        (
            &[("KAIREON_SWITCH_READ_SAMPLE", "2")],
            "KAIREON_SWITCH_READ_SAMPLE",
            "from 0 to 1",
        ),
        (
            &[("KAIREON_SWITCH_READ_SAMPLE", "NaN")],
            "KAIREON_SWITCH_READ_SAMPLE",
            "from 0 to 1",
        ),
        (
            &[("KAIREON_SWITCH_READ_SAMPLE", "half")],
            "KAIREON_SWITCH_READ_SAMPLE",
            "from 0 to 1",
        ),
    ] {
        let found = wrong(vars).await;
        let [(at, what)] = &found[..] else {
            panic!("{vars:?}: {found:?}");
        };
        assert!(at == place && what.contains(word), "{vars:?}: {at}: {what}");
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn settings_on_postgresql_are_checked_as_well() {
    for (vars, place) in [
        (&[("KAIREON_SETTINGS_STORE", "postgresql")][..], "DATABASE_URL"),
        (
            &[
                ("KAIREON_SETTINGS_STORE", "pg"),
                ("KAIREON_SETTINGS_URL", "mysql://shop:hunter2@db"),
            ],
            "KAIREON_SETTINGS_URL",
        ),
        (
            &[
                ("KAIREON_SETTINGS_STORE", "pg"),
                ("KAIREON_SETTINGS_URL", "postgres://shop:hunter2@db:port"),
            ],
            "KAIREON_SETTINGS_URL",
        ),
        (
            &[
                ("KAIREON_SETTINGS_STORE", "pg"),
                ("DATABASE_URL", "postgres://db"),
                ("KAIREON_PG_SCHEMA", "no schema"),
            ],
            "KAIREON_PG_SCHEMA",
        ),
    ] {
        let found = wrong(vars).await;
        assert!(found.len() == 1 && found[0].0 == place, "{vars:?}: {found:?}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_switch_is_told_at_once() {
    let found = wrong(&[
        ("KAIREON_SWITCH_STORES", "embedded, dynamodb, mysql"),
        ("KAIREON_SETTINGS_STORE", "redis"),
        ("KAIREON_MASTER_KEY", ""),
        ("KAIREON_ARCHIVE_URL", "nonsense"),
        ("KAIREON_SWITCH_READ_SAMPLE", "all"),
    ])
    .await;
    let places: Vec<_> = found.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(
        places,
        [
            "KAIREON_SWITCH_STORES",
            "KAIREON_SWITCH_STORES",
            "KAIREON_SETTINGS_STORE",
            "KAIREON_MASTER_KEY",
            "KAIREON_SWITCH_READ_SAMPLE",
            "KAIREON_ARCHIVE_URL",
        ]
    );
}

#[tokio::test]
async fn an_operators_process_is_told_that_there_is_no_switch() {
    let error = switch::open(&config(&[("INTERACTION_STORE", "memory")]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Config, Some("KAIREON_SWITCH_STORES"))
    );
    let infra = config(&[("INTERACTION_STORE", "memory")]).start().await.unwrap();
    assert!(infra.tenant_switch().is_none());
}

#[tokio::test]
async fn a_start_says_what_it_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let infra = memory_and_embedded(directory.path()).start().await.unwrap();
    assert_eq!(
        infra.startup().store.to_string(),
        "switch (KAIREON_SWITCH_STORES: memory, embedded, memory where a tenant has no setting; settings embedded \
         (KAIREON_SETTINGS_STORE is unset))"
    );
    let tenants = infra.tenant_switch().unwrap();
    let allowed: Vec<_> = tenants.allowed().map(Backend::as_str).collect();
    assert_eq!(allowed, ["embedded", "memory"]);
    assert_eq!(tenants.default_backend().as_str(), "memory");
    assert!(tenants.archive().is_some());
    assert!(!format!("{tenants:?}{infra:?}").contains(KEY));
    assert!(!format!("{tenants:?}").contains("7, 7"));
    ended(infra).await;
}

#[tokio::test]
async fn a_registered_store_may_be_one_of_them_and_one_without_fences_may_not() {
    let key = kaireon::core::digest::MasterKey::new([7; 32]);
    let options = kaireon::core::memory::MemoryOptions::default().with_master_key(key);
    let shop = kaireon::core::memory::MemoryPlace::new(options);
    let good = config(&[
        ("INTERACTION_STORE", "memory"),
        ("KAIREON_SWITCH_STORES", "memory, Shop"),
        ("KAIREON_SETTINGS_STORE", "memory"),
        ("KAIREON_MASTER_KEY", KEY),
    ]);
    let builder = Infra::builder()
        .config(good.clone())
        .register_store("shop", move |_| {
            let shop = shop.clone();
            async move { Ok(shop.open()) }
        });
    let alone = builder.open_switch().await.unwrap();
    assert!(alone.allowed().any(|name| name.as_str() == "shop"));
    alone.disconnect().await.unwrap();
    let infra = builder.build().await.unwrap();
    record(&infra, 0).await;
    operator(&infra)
        .start(&tenant(), start("shop"), &asked())
        .await
        .unwrap();
    ended(infra).await;

    let builder = Infra::builder()
        .config(good)
        .register_store("shop", |_| async { Ok(Plain(MemoryStore::new())) });
    let error = builder.open_switch().await.unwrap_err();
    assert!(
        error.context().contains("shop cannot be a store of a switch"),
        "{error}"
    );
    let error = builder.build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn an_operators_process_runs_nothing_and_lets_go_of_what_it_had() {
    let directory = tempfile::tempdir().unwrap();
    let config = memory_and_embedded(directory.path()).with_interaction_store("embedded");
    let alone = switch::open(&config).await.unwrap();
    alone
        .operator()
        .start(&tenant(), start("memory"), &asked())
        .await
        .unwrap();
    let event = shown("c", "k");
    assert!(alone.switch_store().record_event(event).await.unwrap().is_new());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let outbox = alone.stores().get(&name("embedded")).unwrap().outbox().unwrap();
    for lane in [
        kaireon::core::outbox::Lane::Publish,
        kaireon::core::outbox::Lane::Replicate,
    ] {
        let status = outbox.status(lane).await.unwrap();
        assert_eq!(
            (status.backlog, status.relays),
            (1, 0),
            "{lane}: it waits for a host"
        );
    }
    alone.disconnect().await.unwrap();
    // What it opened is free, and goes on where it was.
    let infra = config.start().await.unwrap();
    assert_eq!(phase(&infra).await, Phase::DualWrite);
    ended(infra).await;
}

#[tokio::test]
async fn what_was_opened_is_let_go_where_the_rest_is_not_to_be_had() {
    let directory = tempfile::tempdir().unwrap();
    let good = memory_and_embedded(directory.path());
    let in_the_way = directory.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let archive = format!("file://{}/archive", in_the_way.display());
    let bad = good.clone().with_variable("KAIREON_ARCHIVE_URL", archive);
    for _ in 0..2 {
        assert_eq!(switch::open(&bad).await.unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(bad.clone().start().await.unwrap_err().kind(), ErrorKind::Config);
    }
    ended(good.start().await.unwrap()).await;
}
