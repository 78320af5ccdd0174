//! What the PostgreSQL store must do: the suite of every store on a real server, what only a server can get wrong, and
//! what becomes of records when it fails.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "suite/fixture.rs"]
mod fixture;
#[path = "suite/hosts.rs"]
mod hosts;
#[path = "suite/numbers.rs"]
mod numbers;
#[path = "suite/outbox.rs"]
mod outbox;
#[path = "suite/server.rs"]
mod server;
#[path = "suite/servers.rs"]
mod servers;
#[path = "suite/settings.rs"]
mod settings;
#[path = "suite/tables.rs"]
mod tables;

// What becomes of records when connections, sessions and servers fail: each fault for real. It is made by a proxy that
// knows the protocol's messages, or on a server of the test's own; what is asserted is looked up on the server, over
// connections that no fault touches.
#[path = "faults/again.rs"]
mod again;
#[path = "faults/bytes.rs"]
mod bytes;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/commit.rs"]
mod commit;
#[path = "faults/connections.rs"]
mod connections;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/erased.rs"]
mod erased;
#[path = "faults/fence.rs"]
mod fence;
#[path = "faults/isolation.rs"]
mod isolation;
#[path = "faults/kill.rs"]
mod kill;
#[path = "faults/locks.rs"]
mod locks;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/place.rs"]
mod place;
#[path = "faults/pool.rs"]
mod pool;
#[path = "faults/read_only.rs"]
mod read_only;
#[path = "faults/refused.rs"]
mod refused;
#[path = "faults/session.rs"]
mod session;
#[path = "faults/silence.rs"]
mod silence;
#[path = "faults/standby.rs"]
mod standby;
#[path = "faults/table.rs"]
mod table;

use std::sync::Arc;
use std::time::Duration;

use kaireon_core::InteractionStore;
use kaireon_core::wrap::{ConcurrencyLimit, Retry, RetryPolicy, Timeout, Trace};
use kaireon_testkit::Wrapped;

use crate::fixture::{Fixture, PGBOUNCER, PGBOUNCER_NEW, POSTGRES_18};

fn every_wrapper(store: Arc<dyn InteractionStore>) -> Arc<dyn InteractionStore> {
    let boxed = Box::new(store) as Box<dyn InteractionStore>;
    let attempt = Timeout::new(ConcurrencyLimit::new(boxed, 64), Duration::from_secs(30));
    Arc::new(Trace::new(Retry::new(attempt, RetryPolicy::default())))
}

mod postgres {
    kaireon_testkit::store_suite!(crate::Fixture::new(), needs = "postgres: set KAIREON_TEST_PG_URL");
    kaireon_testkit::store_model!(crate::Fixture::new(), needs = "postgres: set KAIREON_TEST_PG_URL");
}

mod postgres_18 {
    kaireon_testkit::store_suite!(
        crate::Fixture::on(crate::POSTGRES_18),
        needs = "postgres-18: set KAIREON_TEST_PG18_URL"
    );
}

mod behind_pgbouncer {
    kaireon_testkit::store_suite!(
        crate::Fixture::on(crate::PGBOUNCER),
        needs = "pgbouncer: set KAIREON_TEST_PGBOUNCER_URL"
    );
}

mod behind_pgbouncer_new {
    kaireon_testkit::store_suite!(
        crate::Fixture::on(crate::PGBOUNCER_NEW),
        needs = "pgbouncer-new: set KAIREON_TEST_PGBOUNCER_NEW_URL"
    );
}

mod through_every_wrapper {
    kaireon_testkit::store_suite!(
        crate::Wrapped(crate::Fixture::new(), crate::every_wrapper),
        needs = "postgres: set KAIREON_TEST_PG_URL"
    );
}
