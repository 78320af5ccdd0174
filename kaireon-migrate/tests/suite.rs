//! The tests of the tenant switch.

mod advise;
mod backfill;
mod operate;
mod properties;
mod rehearse;
mod servers;
mod settings;
mod simulation;
mod switch;
mod verify;
