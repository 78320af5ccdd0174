//! The suites of cache, limiter and breaker on every kind of Redis, and what only that one promises.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

#[path = "redis/breaker.rs"]
mod breaker;
#[path = "redis/children.rs"]
mod children;
#[path = "redis/commands.rs"]
mod commands;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/fixture.rs"]
mod fixture;
#[path = "redis/leases.rs"]
mod leases;
#[path = "redis/limiter.rs"]
mod limiter;
#[path = "redis/room.rs"]
mod room;

mod on_one_server {
    kaireon_testkit::cache_suite!(
        crate::fixture::OnRedis::server().await,
        needs = "needs redis: set KAIREON_TEST_REDIS_URL"
    );
}
mod by_tls {
    kaireon_testkit::cache_suite!(
        crate::fixture::OnRedis::tls().await,
        needs = "needs redis: set KAIREON_TEST_REDIS_URL"
    );
}
mod with_what_upstash_documents {
    kaireon_testkit::cache_suite!(
        crate::fixture::OnRedis::restricted().await,
        needs = "needs redis: set KAIREON_TEST_REDIS_URL"
    );
}
mod on_a_cluster {
    kaireon_testkit::cache_suite!(
        crate::fixture::OnRedis::cluster().await,
        needs = "needs redis-cluster: set KAIREON_TEST_REDIS_CLUSTER_URL"
    );
}
mod under_sentinel {
    kaireon_testkit::cache_suite!(
        crate::fixture::OnRedis::sentinel().await,
        needs = "needs redis-sentinel: set KAIREON_TEST_REDIS_SENTINEL_URL"
    );
}
mod wrapped {
    use crate::fixture::{OnRedis, wrapped};

    kaireon_testkit::cache_suite!(
        kaireon_testkit::Wrapped(OnRedis::server().await, wrapped),
        needs = "needs redis: set KAIREON_TEST_REDIS_URL"
    );
}

/// The same of the rate limiter.
mod limits {
    mod on_one_server {
        kaireon_testkit::limiter_suite!(
            crate::fixture::OnRedis::server().await,
            needs = "needs redis: set KAIREON_TEST_REDIS_URL"
        );
    }
    mod by_tls {
        kaireon_testkit::limiter_suite!(
            crate::fixture::OnRedis::tls().await,
            needs = "needs redis: set KAIREON_TEST_REDIS_URL"
        );
    }
    mod with_what_upstash_documents {
        kaireon_testkit::limiter_suite!(
            crate::fixture::OnRedis::restricted().await,
            needs = "needs redis: set KAIREON_TEST_REDIS_URL"
        );
    }
    mod on_a_cluster {
        kaireon_testkit::limiter_suite!(
            crate::fixture::OnRedis::cluster().await,
            needs = "needs redis-cluster: set KAIREON_TEST_REDIS_CLUSTER_URL"
        );
    }
    mod under_sentinel {
        kaireon_testkit::limiter_suite!(
            crate::fixture::OnRedis::sentinel().await,
            needs = "needs redis-sentinel: set KAIREON_TEST_REDIS_SENTINEL_URL"
        );
    }
    mod wrapped {
        use crate::fixture::{OnRedis, wrapped_limiter};

        kaireon_testkit::limiter_suite!(
            kaireon_testkit::Wrapped(OnRedis::server().await, wrapped_limiter),
            needs = "needs redis: set KAIREON_TEST_REDIS_URL"
        );
    }
}

/// And of the circuit breaker.
mod breakers {
    mod on_one_server {
        kaireon_testkit::breaker_suite!(
            crate::fixture::OnRedis::server().await,
            needs = "needs redis: set KAIREON_TEST_REDIS_URL"
        );
    }
    mod by_tls {
        kaireon_testkit::breaker_suite!(
            crate::fixture::OnRedis::tls().await,
            needs = "needs redis: set KAIREON_TEST_REDIS_URL"
        );
    }
    mod with_what_upstash_documents {
        kaireon_testkit::breaker_suite!(
            crate::fixture::OnRedis::restricted().await,
            needs = "needs redis: set KAIREON_TEST_REDIS_URL"
        );
    }
    mod on_a_cluster {
        kaireon_testkit::breaker_suite!(
            crate::fixture::OnRedis::cluster().await,
            needs = "needs redis-cluster: set KAIREON_TEST_REDIS_CLUSTER_URL"
        );
    }
    mod under_sentinel {
        kaireon_testkit::breaker_suite!(
            crate::fixture::OnRedis::sentinel().await,
            needs = "needs redis-sentinel: set KAIREON_TEST_REDIS_SENTINEL_URL"
        );
    }
    mod wrapped {
        use crate::fixture::{OnRedis, wrapped_breaker};

        kaireon_testkit::breaker_suite!(
            kaireon_testkit::Wrapped(OnRedis::server().await, wrapped_breaker),
            needs = "needs redis: set KAIREON_TEST_REDIS_URL"
        );
    }
}
