//! The one writer: a thread of its own that takes everything that waits as the next commit.
//!
//! The engine's commits flush under one lock, so more writers would only take turns. A [`Unit`] is one commit in
//! the making: operations are checked and staged in arrival order, each seeing what those before it staged, and
//! one that fails stages nothing. The thread ([`Writer`]) commits the unit with one flush and answers everybody.

mod drive;
mod erase;
mod lanes;
mod op;
mod record;
mod unit;

pub(crate) use drive::Writer;
pub(crate) use op::{Answer, DecisionOp, Op, RecordOp, Removal, Terms};
pub(crate) use unit::{Raised, Unit};
