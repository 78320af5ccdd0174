//! The machinery of the suites of publisher, cache, limiter, breaker and settings.

/// One test per case of a list, for a fixture and what closes it.
#[doc(hidden)]
#[macro_export]
macro_rules! __family_tests {
    (($attributes:tt $fixture:expr, $close:path)
        $($family:ident::$group:ident { $($case:ident)* })*) => {
        $($($crate::__suite_test! { $attributes $case, $crate::$family::$group::$case, $fixture, $close })*)*
    };
}

/// Makes one test per case of the publisher's suite, as [`store_suite!`](crate::store_suite) does for stores. The
/// expression makes a fresh [`PublisherFixture`](crate::publisher::PublisherFixture).
#[macro_export]
macro_rules! publisher_suite {
    ($fixture:expr $(,)?) => {
        $crate::__publisher_cases! { __family_tests ([] $fixture, $crate::publisher::PublisherFixture::close) }
    };
    ($fixture:expr, needs = $needs:literal $(,)?) => {
        $crate::__publisher_cases! { __family_tests
        ([#[ignore = $needs]] $fixture, $crate::publisher::PublisherFixture::close) }
    };
}

/// Makes one test per case of the cache's suite, as [`store_suite!`](crate::store_suite) does for stores. The
/// expression makes a fresh [`CacheFixture`](crate::cache::CacheFixture).
#[macro_export]
macro_rules! cache_suite {
    ($fixture:expr $(,)?) => {
        $crate::__cache_cases! { __family_tests ([] $fixture, $crate::cache::CacheFixture::close) }
    };
    ($fixture:expr, needs = $needs:literal $(,)?) => {
        $crate::__cache_cases! { __family_tests
        ([#[ignore = $needs]] $fixture, $crate::cache::CacheFixture::close) }
    };
}

/// Makes one test per case of the limiter's suite, as [`store_suite!`](crate::store_suite) does for stores. The
/// expression makes a fresh [`LimiterFixture`](crate::limiter::LimiterFixture).
#[macro_export]
macro_rules! limiter_suite {
    ($fixture:expr $(,)?) => {
        $crate::__limiter_cases! { __family_tests ([] $fixture, $crate::limiter::LimiterFixture::close) }
    };
    ($fixture:expr, needs = $needs:literal $(,)?) => {
        $crate::__limiter_cases! { __family_tests
        ([#[ignore = $needs]] $fixture, $crate::limiter::LimiterFixture::close) }
    };
}

/// Makes one test per case of the breaker's suite, as [`store_suite!`](crate::store_suite) does for stores. The
/// expression makes a fresh [`BreakerFixture`](crate::breaker::BreakerFixture).
#[macro_export]
macro_rules! breaker_suite {
    ($fixture:expr $(,)?) => {
        $crate::__breaker_cases! { __family_tests ([] $fixture, $crate::breaker::BreakerFixture::close) }
    };
    ($fixture:expr, needs = $needs:literal $(,)?) => {
        $crate::__breaker_cases! { __family_tests
        ([#[ignore = $needs]] $fixture, $crate::breaker::BreakerFixture::close) }
    };
}

/// Makes one test per case of the settings store's suite, as [`store_suite!`](crate::store_suite) does for stores. The
/// expression makes a fresh [`SettingsFixture`](crate::settings::SettingsFixture).
#[macro_export]
macro_rules! settings_suite {
    ($fixture:expr $(,)?) => {
        $crate::__settings_cases! { __family_tests ([] $fixture, $crate::settings::SettingsFixture::close) }
    };
    ($fixture:expr, needs = $needs:literal $(,)?) => {
        $crate::__settings_cases! { __family_tests
        ([#[ignore = $needs]] $fixture, $crate::settings::SettingsFixture::close) }
    };
}
