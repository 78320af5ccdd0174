//! The suite on the plain store, which passes it, and on its broken variants, which do not.

mod bites;
mod crash;
mod flaws;

mod sound {
    kaireon_testkit::store_suite!(kaireon_testkit::broken::Fixture::sound());
    kaireon_testkit::store_model!(kaireon_testkit::broken::Fixture::sound());
}
