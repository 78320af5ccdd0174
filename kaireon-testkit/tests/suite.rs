//! The suite on the plain store, which passes it, and on its broken variants, which do not.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod bites;
mod crash;
mod flaws;
mod proxy;
#[cfg(feature = "postgres-server")]
mod server;

mod sound {
    kaireon_testkit::store_suite!(kaireon_testkit::broken::Fixture::sound());
    kaireon_testkit::store_model!(kaireon_testkit::broken::Fixture::sound());
}
