//! The machinery that makes one test per case; the lists of the cases use it.

/// One test of one case. Every suite's macro ends here.
///
/// Takes the attributes of the test in brackets, the case's name and path, the fixture, and what closes it.
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_test {
    ([$($attribute:tt)*] $name:ident, $case:path, $fixture:expr, $close:path) => {
        #[test]
        $($attribute)*
        fn $name() {
            $crate::suite::test(
                async { $fixture },
                |fixture| ::std::boxed::Box::pin($case(fixture)),
                |fixture| ::std::boxed::Box::pin($close(fixture)),
            );
        }
    };
}

/// Makes one test per case of the interaction store's suite.
///
/// The expression makes a fresh [`StoreFixture`](crate::StoreFixture); it is evaluated once per test, in an async
/// block. With `needs`, the tests are ignored and show why; they run under `--ignored`. The tests are named
/// after the cases: put two suites of one file into two modules.
///
/// ```
/// # async fn postgres() -> kaireon_testkit::broken::Fixture { kaireon_testkit::broken::Fixture::sound() }
/// mod sound {
///     kaireon_testkit::store_suite!(kaireon_testkit::broken::Fixture::sound());
/// }
/// mod on_postgres {
///     # use super::postgres;
///     kaireon_testkit::store_suite!(postgres().await, needs = "postgres: set KAIREON_TEST_PG_URL");
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_suite {
    ($fixture:expr $(,)?) => {
        $crate::__store_cases! { __store_tests ([] $fixture) }
    };
    ($fixture:expr, needs = $needs:literal $(,)?) => {
        $crate::__store_cases! { __store_tests ([#[ignore = $needs]] $fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ($setting:tt $($family:ident::$group:ident { $($case:ident)* })*) => {
        $($($crate::__store_test! { $setting $case, $crate::$family::$group::$case })*)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_test {
    (($attributes:tt $fixture:expr) $name:ident, $case:path) => {
        $crate::__suite_test! { $attributes $name, $case, $fixture, $crate::StoreFixture::close }
    };
}

/// The table of a list of cases; every suite's list of data is made with it.
#[doc(hidden)]
#[macro_export]
macro_rules! __case_table {
    (() $($family:ident::$group:ident { $($case:ident)* })*) => {
        &[$($($crate::suite::Case {
            group: stringify!($group),
            name: stringify!($case),
            run: |fixture| ::std::boxed::Box::pin($crate::$family::$group::$case(fixture)),
        },)*)*]
    };
}
