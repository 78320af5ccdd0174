//! Every statement of the store, filled for one schema.

use std::sync::Arc;

use kaireon_connect::postgres::Schema;
use sqlx::AssertSqlSafe;

use crate::client::Bound;

/// A statement of ours on one schema.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    text: Arc<str>,
    prepared: bool,
}

impl Statement {
    /// `prepared` says whether the connections keep prepared statements.
    pub(crate) fn new(schema: &Schema, prepared: bool, text: &'static str) -> Self {
        Self {
            text: schema.fill(text).into(),
            prepared,
        }
    }

    /// The statement, to bind arguments to. Nothing but the checked name of the schema was put into our own text.
    pub(crate) fn query(&self) -> Bound {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.text))).persistent(self.prepared)
    }
}

macro_rules! statements {
    ($($name:ident)*) => {
        /// The statements, each from the file of its name.
        #[derive(Debug)]
        pub(crate) struct Sql {
            $(pub(crate) $name: Statement,)*
        }

        impl Sql {
            pub(crate) fn new(schema: &Schema, prepared: bool) -> Self {
                Self {
                    $($name: Statement::new(
                        schema,
                        prepared,
                        include_str!(concat!("sql/", stringify!($name), ".sql")),
                    ),)*
                }
            }
        }
    };
}

statements! {
    open
    open_waiting
    enter_customers
    leave_customers
    read_tombstones
    enter_dedupe
    read_dedupe
    write
    enter_decisions
    enter_outbox
    enter_closed
    read_closed
    put_closed
    raise
    find_tenant
    confirm_tenant
    enter_tenant
    read_customer
    read_summaries
    history
    scan
    scan_decisions
    decision
    tombstones
    fence
    lock_fence
    raise_fence
    set_watermark
    hold_customer
    present_stone
    raise_stone
    take_customer
    note_erasing
    find_receipt
    enter_receipt
    left
    erasing
    erasing_free
    sweep_history
    sweep_decisions
    sweep_closed
    hold_range
    sweep_dead
    sweep_outbox
    swept
    count_receipt
    finish_receipt
    forget_dedupe
    purge_history
    purge_decisions
    outbox_fetch
    outbox_settle
    outbox_lock
    outbox_ranges
    outbox_relays
    outbox_destination
    outbox_lead
    outbox_expel
    outbox_readers
    outbox_hand_over
    outbox_die
    outbox_live
    outbox_bury
    outbox_release
    outbox_leave
    outbox_save
    outbox_cursors
    outbox_status
    outbox_backlog
    outbox_dead_letters
    outbox_replay
    outbox_lanes
    outbox_set_lanes
    outbox_change_lanes
    outbox_ring
    outbox_holder
    outbox_recall
    outbox_recall_done
    outbox_still_holds
    signals
}
