//! Every wrong environment, and what is said of it.

use std::error::Error as _;
use std::ffi::OsString;

use kaireon::core::ErrorKind;
use kaireon::core::memory::MemoryStore;
use kaireon::{Config, Infra, Problem, Problems};

use crate::support::{all_of, config};

async fn problems(vars: &[(&str, &str)]) -> Vec<Problem> {
    let error = match config(vars).start().await {
        Ok(infra) => panic!("{vars:?} started: {}", infra.startup()),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<Problems>());
    source
        .expect("the source lists the problems")
        .iter()
        .cloned()
        .collect()
}

/// An environment with one fault, the variable that is named, and words that the fault is told in.
type Wrong = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static [&'static str],
);

#[tokio::test]
async fn each_wrong_environment_is_told_by_its_variable() {
    const MEMORY: (&str, &str) = ("INTERACTION_STORE", "memory");
    let table: &[Wrong] = &[
        // Unknown values, with the allowed ones.
        (
            &[("INTERACTION_STORE", "mysql")],
            "INTERACTION_STORE",
            &["unknown value `mysql`", "allowed:", "memory"],
        ),
        (
            &[MEMORY, ("EVENT_PUBLISHER", "rabbitmq")],
            "EVENT_PUBLISHER",
            &["unknown value `rabbitmq`", "in-process"],
        ),
        (
            &[MEMORY, ("SEARCH_INDEX", "solr")],
            "SEARCH_INDEX",
            &["unknown value `solr`", "memory"],
        ),
        (
            &[MEMORY, ("CACHE_STORE", "memcached")],
            "CACHE_STORE",
            &["unknown value `memcached`", "in-process"],
        ),
        // Known values whose adapter is not compiled in, with the feature.
        (
            &[("INTERACTION_STORE", "dynamodb")],
            "INTERACTION_STORE",
            &["not compiled in", "`dynamodb`"],
        ),
        (
            &[("INTERACTION_STORE", "scylla")],
            "INTERACTION_STORE",
            &["not compiled in", "`scylla`"],
        ),
        (
            &[("INTERACTION_STORE", "cassandra")],
            "INTERACTION_STORE",
            &["not compiled in", "`cassandra`"],
        ),
        (
            &[("INTERACTION_STORE", "keyspaces")],
            "INTERACTION_STORE",
            &["not compiled in", "`keyspaces`"],
        ),
        #[cfg(not(feature = "redis"))]
        (
            &[
                MEMORY,
                ("EVENT_PUBLISHER", "redis"),
                ("REDIS_URL", "redis://cache"),
            ],
            "EVENT_PUBLISHER",
            &["not compiled in", "`redis`"],
        ),
        (
            &[
                MEMORY,
                ("EVENT_PUBLISHER", "redis-streams"),
                ("REDIS_URL", "redis://cache"),
            ],
            "EVENT_PUBLISHER",
            &["not compiled in", "`redis`"],
        ),
        (
            &[MEMORY, ("EVENT_PUBLISHER", "kafka")],
            "EVENT_PUBLISHER",
            &["not compiled in", "`kafka`"],
        ),
        (
            &[MEMORY, ("EVENT_PUBLISHER", "redpanda")],
            "EVENT_PUBLISHER",
            &["not compiled in", "`kafka`"],
        ),
        (
            &[MEMORY, ("EVENT_PUBLISHER", "msk")],
            "EVENT_PUBLISHER",
            &["not compiled in", "`kafka`"],
        ),
        (
            &[MEMORY, ("EVENT_PUBLISHER", "aws_msk")],
            "EVENT_PUBLISHER",
            &["not compiled in", "`kafka`"],
        ),
        (
            &[MEMORY, ("EVENT_PUBLISHER", "kinesis")],
            "EVENT_PUBLISHER",
            &["not compiled in", "`kinesis`"],
        ),
        (
            &[MEMORY, ("EVENT_PUBLISHER", "eventbridge")],
            "EVENT_PUBLISHER",
            &["not compiled in", "`eventbridge`"],
        ),
        (
            &[MEMORY, ("SEARCH_INDEX", "tantivy")],
            "SEARCH_INDEX",
            &["not compiled in", "`tantivy`"],
        ),
        (
            &[MEMORY, ("SEARCH_INDEX", "opensearch")],
            "SEARCH_INDEX",
            &["not compiled in", "`opensearch`"],
        ),
        #[cfg(not(feature = "redis"))]
        (
            &[
                MEMORY,
                ("CACHE_STORE", "redis"),
                ("REDIS_URL", "rediss://cache:6380"),
            ],
            "CACHE_STORE",
            &["not compiled in", "`redis`"],
        ),
        // Malformed variables, also where nothing reads them yet.
        (
            &[MEMORY, ("DATABASE_URL", "db.example")],
            "DATABASE_URL",
            &["is not a url"],
        ),
        (
            &[MEMORY, ("DATABASE_URL", "postgres://db:port/x")],
            "DATABASE_URL",
            &["port"],
        ),
        (
            &[MEMORY, ("DATABASE_URL", "postgres://")],
            "DATABASE_URL",
            &["names no host"],
        ),
        (
            &[MEMORY, ("REDIS_URL", "redis:cache")],
            "REDIS_URL",
            &["lacks `//`"],
        ),
        (
            &[MEMORY, ("REDIS_URL", "rediss://:pw@:6379")],
            "REDIS_URL",
            &["names no host"],
        ),
        (
            &[MEMORY, ("KAIREON_EVENTS_MAX_PENDING", "0")],
            "KAIREON_EVENTS_MAX_PENDING",
            &["number from 1"],
        ),
        // What a backend reads for itself is judged before anything is opened.
        (
            &[MEMORY, ("KAIREON_CACHE_MAX_BYTES", "1 GB")],
            "KAIREON_CACHE_MAX_BYTES",
            &["number of bytes"],
        ),
        (
            &[MEMORY, ("KAIREON_CACHE_MAX_BYTES", "1000")],
            "KAIREON_CACHE_MAX_BYTES",
            &["no room for two of the largest entries"],
        ),
        (
            &[MEMORY, ("KAIREON_CACHE_MAX_VALUE_BYTES", "0")],
            "KAIREON_CACHE_MAX_VALUE_BYTES",
            &["is zero"],
        ),
    ];
    for (vars, place, words) in table {
        let found = problems(vars).await;
        assert_eq!(found.len(), 1, "{vars:?}: {found:?}");
        assert_eq!(found[0].place, *place, "{vars:?}");
        for word in *words {
            assert!(found[0].what.contains(word), "{vars:?}: {}", found[0]);
        }
    }
}

#[cfg(not(feature = "postgres"))]
#[tokio::test]
async fn postgresql_without_its_feature_is_told_with_the_feature() {
    for name in ["pg", "postgres", "PostgreSQL"] {
        let found = problems(&[
            ("INTERACTION_STORE", name),
            ("DATABASE_URL", "postgres://db/kaireon"),
        ])
        .await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "INTERACTION_STORE");
        let words = format!("`{name}` is not compiled in: turn on the feature `postgres`");
        assert!(found[0].what.contains(&words), "{}", found[0]);
    }
}

#[tokio::test]
async fn a_missing_variable_is_told_with_who_needs_it() {
    let found = problems(&[("INTERACTION_STORE", "pg"), ("SEARCH_INDEX", "pg")]).await;
    let missing: Vec<_> = found
        .iter()
        .filter(|problem| problem.place == "DATABASE_URL")
        .collect();
    assert_eq!(missing.len(), 1, "one variable, told once: {found:?}");
    assert!(
        missing[0].what.contains("missing; `postgresql` needs it"),
        "{}",
        missing[0]
    );
}

#[tokio::test]
async fn a_url_of_another_scheme_is_a_fault_only_where_it_is_needed() {
    let mine = [("INTERACTION_STORE", "memory"), ("DATABASE_URL", "mysql://shop")];
    assert!(config(&mine).start().await.is_ok());
    let found = problems(&[("INTERACTION_STORE", "pg"), ("DATABASE_URL", "mysql://shop")]).await;
    assert!(
        found
            .iter()
            .any(|problem| problem.place == "DATABASE_URL" && problem.what.contains("`postgres://`"))
    );
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let wrong = [
        ("INTERACTION_STORE", "mysql"),
        ("EVENT_PUBLISHER", "kafka"),
        ("SEARCH_INDEX", "solr"),
        ("CACHE_STORE", "redis"),
        ("DATABASE_URL", "nonsense"),
    ];
    let error = config(&wrong).start().await.unwrap_err();
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    for variable in [
        "INTERACTION_STORE",
        "EVENT_PUBLISHER",
        "SEARCH_INDEX",
        #[cfg(not(feature = "redis"))]
        "CACHE_STORE",
        "REDIS_URL",
        "DATABASE_URL",
    ] {
        assert!(line.contains(variable), "{variable} is not in: {line}");
    }
}

#[tokio::test]
async fn every_wrong_variable_of_one_backend_is_told() {
    for (bytes, value_bytes) in [("1000", "0"), ("many", "more"), ("1000", "more"), ("many", "0")] {
        let vars = [
            ("INTERACTION_STORE", "memory"),
            ("KAIREON_CACHE_MAX_BYTES", bytes),
            ("KAIREON_CACHE_MAX_VALUE_BYTES", value_bytes),
            ("KAIREON_EVENTS_MAX_PENDING", "none"),
        ];
        let mut places: Vec<_> = problems(&vars)
            .await
            .into_iter()
            .map(|problem| problem.place)
            .collect();
        places.sort();
        assert_eq!(
            places,
            [
                "KAIREON_CACHE_MAX_BYTES",
                "KAIREON_CACHE_MAX_VALUE_BYTES",
                "KAIREON_EVENTS_MAX_PENDING"
            ],
            "{vars:?}"
        );
    }
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn nothing_is_opened_where_another_part_is_wrong() {
    let parent = tempfile::tempdir().unwrap();
    let place = parent.path().join("data");
    let found = problems(&[
        ("KAIREON_DATA_DIR", place.to_str().unwrap()),
        ("KAIREON_CACHE_MAX_BYTES", "1000"),
    ])
    .await;
    assert_eq!(found[0].place, "KAIREON_CACHE_MAX_BYTES");
    assert!(!place.exists());
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_wrong_url_hides_no_other_wrong_variable_of_postgresql() {
    let found = problems(&[
        ("INTERACTION_STORE", "pg"),
        ("DATABASE_URL", "postgres://db:port/x"),
        ("KAIREON_MASTER_KEY", "abc"),
        ("KAIREON_PG_SCHEMA", "no schema"),
    ])
    .await;
    let mut places: Vec<_> = found.iter().map(|problem| problem.place.as_str()).collect();
    places.sort_unstable();
    assert_eq!(
        places,
        ["DATABASE_URL", "KAIREON_MASTER_KEY", "KAIREON_PG_SCHEMA"],
        "{found:?}"
    );
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    const SECRET: &str = "hunter2";
    let in_the_wrong_place = "postgres://shop:hunter2@db/kaireon";
    for vars in [
        &[("DATABASE_URL", "postgres://shop:hunter2@db:port/kaireon")][..],
        &[("DATABASE_URL", "hunter2")],
        &[("REDIS_URL", "redis://:hunter2@:1")],
        &[("INTERACTION_STORE", in_the_wrong_place)],
        &[("EVENT_PUBLISHER", in_the_wrong_place)],
        &[("SEARCH_INDEX", in_the_wrong_place)],
        &[("CACHE_STORE", in_the_wrong_place)],
        &[
            ("INTERACTION_STORE", "pg"),
            ("DATABASE_URL", "mysql://shop:hunter2@db"),
        ],
        &[("INTERACTION_STORE", "pg"), ("DATABASE_URL", in_the_wrong_place)],
    ] {
        let config = config(vars);
        assert!(!format!("{config:?}").contains(SECRET), "{config:?}");
        let error = config.start().await.unwrap_err();
        assert!(!all_of(&error).contains(SECRET), "{}", all_of(&error));
    }
    let good = config(&[
        ("INTERACTION_STORE", "memory"),
        ("CACHE_STORE", "in-process"),
        ("DATABASE_URL", in_the_wrong_place),
        #[cfg(feature = "redis")]
        ("EVENT_PUBLISHER", "in-process"),
        ("REDIS_URL", "redis://:hunter2@cache"),
        ("KAIREON_SHOP_KEY", SECRET),
    ]);
    assert!(!format!("{good:?}").contains(SECRET), "{good:?}");
    let infra = good.start().await.unwrap();
    assert!(!format!("{infra:?} {}", infra.startup()).contains(SECRET));
}

#[cfg(unix)]
#[tokio::test]
async fn a_value_that_is_not_utf8_is_told_with_the_rest() {
    use std::os::unix::ffi::OsStringExt;

    let vars = [
        (
            OsString::from("INTERACTION_STORE"),
            OsString::from_vec(vec![0xff]),
        ),
        (OsString::from("SEARCH_INDEX"), OsString::from("solr")),
    ];
    let error = Config::from_vars(vars).start().await.unwrap_err().to_string();
    assert!(error.contains("INTERACTION_STORE: is not utf-8"), "{error}");
    assert!(error.contains("SEARCH_INDEX"), "{error}");
}

#[tokio::test]
async fn registered_names_are_checked_with_the_rest() {
    let builder = Infra::builder()
        .config(config(&[
            ("INTERACTION_STORE", "memory"),
            ("SEARCH_INDEX", "solr"),
        ]))
        .register_store("embedded", |_| async { Ok(MemoryStore::new()) })
        .register_store("", |_| async { Ok(MemoryStore::new()) })
        .register_store("my store", |_| async { Ok(MemoryStore::new()) })
        .register_store("twice", |_| async { Ok(MemoryStore::new()) })
        .register_store("Twice", |_| async { Ok(MemoryStore::new()) });
    let error = builder.build().await.unwrap_err().to_string();
    for part in [
        "5 problems",
        "`embedded` is the name of a built-in",
        "1 to 32 letters",
        "`twice` was registered twice",
        "solr",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[tokio::test]
async fn timeouts_and_attempts_of_zero_are_refused() {
    let mut wrong = config(&[("INTERACTION_STORE", "memory")]);
    wrong.calls.attempt_timeout = std::time::Duration::ZERO;
    wrong.calls.retry.max_attempts = 0;
    let error = wrong.start().await.unwrap_err().to_string();
    assert!(
        error.contains("calls.attempt_timeout: is zero") && error.contains("max_attempts: is zero"),
        "{error}"
    );
}

#[tokio::test]
async fn an_empty_variable_is_unset_and_case_does_not_matter() {
    let vars = [
        ("INTERACTION_STORE", "MEMORY"),
        ("EVENT_PUBLISHER", ""),
        ("REDIS_URL", " "),
    ];
    let startup = config(&vars).start().await.unwrap().startup();
    assert_eq!(startup.store.backend, "memory");
    assert_eq!(startup.events.backend, "in-process");
    assert!(
        startup.events.why.contains("EVENT_PUBLISHER is unset"),
        "{}",
        startup.events.why
    );
}

#[tokio::test]
async fn what_a_url_offers_but_is_not_compiled_in_is_said_and_passed_over() {
    let vars = [
        ("INTERACTION_STORE", "memory"),
        #[cfg(feature = "redis")]
        ("EVENT_PUBLISHER", "in-process"),
        ("CACHE_STORE", "in-process"),
        ("REDIS_URL", "redis://cache"),
        ("DATABASE_URL", "postgres://db/kaireon"),
    ];
    let startup = config(&vars).start().await.unwrap().startup();
    assert_eq!(startup.events.backend, "in-process");
    #[cfg(not(feature = "redis"))]
    assert!(
        startup
            .events
            .why
            .contains("REDIS_URL is set but `redis` is not compiled in"),
        "{startup}"
    );
    assert_eq!(startup.search.backend, "memory");
    assert!(
        startup
            .search
            .why
            .contains("DATABASE_URL is set but `pg` is not compiled in"),
        "{startup}"
    );
}
