//! What the benches of this package share: interleaved rounds of a raw and a kaireon side, and the figure that is
//! made of them.
//!
//! Absolute figures are noisy where two cores are shared, so every figure is a ratio taken within one round, and
//! the median of several rounds. Within a round the sides take turns in short slices, under criterion's sampling.

pub mod callers;
mod caught_up;
mod figure;
mod rounds;
pub mod workload;

pub use caught_up::caught_up;
pub use figure::{Figure, Goal};
pub use rounds::{Measure, Rounds, Settings, Side, median};
