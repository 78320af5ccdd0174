//! The publisher's suite on every kind of Redis, and what only that one promises.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

#[path = "redis/commands.rs"]
mod commands;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/fixture.rs"]
mod fixture;
#[path = "redis/refused.rs"]
mod refused;

mod on_one_server {
    kaireon_testkit::publisher_suite!(
        crate::fixture::OnRedis::server(),
        needs = "needs redis: set KAIREON_TEST_REDIS_URL"
    );
}
mod by_tls {
    kaireon_testkit::publisher_suite!(
        crate::fixture::OnRedis::tls(),
        needs = "needs redis: set KAIREON_TEST_REDIS_URL"
    );
}
mod with_what_upstash_documents {
    kaireon_testkit::publisher_suite!(
        crate::fixture::OnRedis::restricted(),
        needs = "needs redis: set KAIREON_TEST_REDIS_URL"
    );
}
mod on_a_cluster {
    kaireon_testkit::publisher_suite!(
        crate::fixture::OnRedis::cluster(),
        needs = "needs redis-cluster: set KAIREON_TEST_REDIS_CLUSTER_URL"
    );
}
mod under_sentinel {
    kaireon_testkit::publisher_suite!(
        crate::fixture::OnRedis::sentinel(),
        needs = "needs redis-sentinel: set KAIREON_TEST_REDIS_SENTINEL_URL"
    );
}
mod wrapped {
    use crate::fixture::{OnRedis, wrapped};

    kaireon_testkit::publisher_suite!(
        kaireon_testkit::Wrapped(OnRedis::server(), wrapped),
        needs = "needs redis: set KAIREON_TEST_REDIS_URL"
    );
}
