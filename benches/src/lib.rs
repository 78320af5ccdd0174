//! What the benches of this package share: interleaved rounds of a raw and a kaireon side, and the figure that is
//! made of them.
//!
//! Absolute figures are noisy where two cores are shared, so every figure is a ratio taken within one round, and
//! the median of several rounds. Criterion samples each side of each round.

mod figure;
mod rounds;
pub mod workload;

pub use figure::{Figure, Goal};
pub use rounds::{Rounds, Settings, Side};
