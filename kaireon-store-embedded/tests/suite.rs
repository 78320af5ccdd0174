//! What the embedded store must do: the suite of every store, and what only a directory can get wrong.

#[path = "suite/damage.rs"]
mod damage;
#[path = "suite/directory.rs"]
mod directory;
#[path = "suite/disk.rs"]
mod disk;
#[path = "suite/fixture.rs"]
mod fixture;

mod embedded {
    kaireon_testkit::store_suite!(crate::fixture::Fixture::new());
}
