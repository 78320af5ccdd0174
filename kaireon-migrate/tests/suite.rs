//! The tests of the tenant switch.

mod properties;
mod settings;
mod switch;
