//! The suites of cache, limiter and breaker on the in-process backend, and what only that one promises.
#![cfg(feature = "in-process")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod suite {
    mod fixtures;
    mod late;
    mod own;

    mod cache {
        mod by_a_manual_clock {
            kaireon_testkit::cache_suite!(crate::suite::fixtures::Manual::cache());
        }
        mod by_the_machine_s_clock {
            kaireon_testkit::cache_suite!(crate::suite::fixtures::Machine::cache());
        }
        mod wrapped {
            use crate::suite::fixtures::{Manual, wrapped_cache};

            kaireon_testkit::cache_suite!(kaireon_testkit::Wrapped(Manual::cache(), wrapped_cache));
        }
    }

    mod limiter {
        mod by_a_manual_clock {
            kaireon_testkit::limiter_suite!(crate::suite::fixtures::Manual::limiter());
        }
        mod by_the_machine_s_clock {
            kaireon_testkit::limiter_suite!(crate::suite::fixtures::Machine::limiter());
        }
        mod wrapped {
            use crate::suite::fixtures::{Manual, wrapped_limiter};

            kaireon_testkit::limiter_suite!(kaireon_testkit::Wrapped(Manual::limiter(), wrapped_limiter));
        }
    }

    mod breaker {
        mod by_a_manual_clock {
            kaireon_testkit::breaker_suite!(crate::suite::fixtures::Manual::breaker());
        }
        mod by_the_machine_s_clock {
            kaireon_testkit::breaker_suite!(crate::suite::fixtures::Machine::breaker());
        }
        mod wrapped {
            use crate::suite::fixtures::{Manual, wrapped_breaker};

            kaireon_testkit::breaker_suite!(kaireon_testkit::Wrapped(Manual::breaker(), wrapped_breaker));
        }
    }
}
