//! Writing: operations are judged in arrival order, folded here, and leave in a constant number of statements.

mod closed;
mod commit;
mod division;
mod drive;
mod ids;
mod judge;
mod leave;
mod op;
mod record_in;
mod seats;
mod stragglers;
mod unit;

pub(crate) use closed::{dimension, period, period_number};
pub(crate) use drive::Writers;
pub(crate) use leave::{OutboxRow, enter_outbox, tie};
pub(crate) use op::{Answer, Op, SharedOp, Terms, Value, Who};
pub(crate) use record_in::{record_in, waves};
pub(crate) use seats::{Wanted, generation, lanes_of, packed_of};
pub(crate) use unit::{Failure, draw_generations};
