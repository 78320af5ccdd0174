//! The tests of the tenant switch.

mod backfill;
mod properties;
mod settings;
mod simulation;
mod switch;
mod verify;
