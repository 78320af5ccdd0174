//! What becomes of records when connections, sessions and servers fail: each fault for real, on a real server.
//!
//! A fault is made by a proxy that knows the protocol's messages, or on a server of the test's own. What is asserted is
//! looked up on the server, over connections that no fault touches.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

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
#[path = "faults/session.rs"]
mod session;
#[path = "faults/silence.rs"]
mod silence;
#[path = "faults/standby.rs"]
mod standby;
#[path = "faults/table.rs"]
mod table;
