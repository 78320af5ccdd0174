//! A TCP proxy that breaks connections on purpose: cuts, half-open connections, delay, bandwidth, refusals.
//!
//! [`Proxy`] listens on a loopback port and forwards to a server. What it does wrong is said in three ways:
//!
//! - a [`Link`] per direction, for every connection at once: delay, bandwidth, bytes that vanish or wait;
//! - [`Proxy::cut`] and [`Proxy::intake`]: end what is connected, refuse what connects;
//! - a [`Rule`], armed once: when one connection's bytes reach a count, or when a **message of the protocol**
//!   passes, that connection is cut before or after it, held, delayed, or left half-open.
//!
//! Messages are what a [`Framing`] makes of a direction's bytes; [`PostgresFraming`] knows those of PostgreSQL. So
//! the three ways in which a connection is lost around `COMMIT` are three rules:
//!
//! ```
//! use kaireon_testkit::proxy::Direction::{ToClient, ToServer};
//! use kaireon_testkit::proxy::{Cut, Rule, postgres};
//!
//! // Not committed: the server never reads it.
//! Rule::on(ToServer, postgres::statement("COMMIT")).cut_before(Cut::Reset);
//! // Committed, and the caller cannot know.
//! Rule::on(ToClient, postgres::command_complete("COMMIT")).cut_before(Cut::Reset);
//! // Committed, and the caller knows.
//! Rule::on(ToClient, postgres::command_complete("COMMIT"))
//!     .then(ToClient, postgres::ready_for_query())
//!     .cut_after(Cut::Fin);
//! ```
//!
//! A rule is armed with [`Proxy::arm`], and the [`Armed`] that this returns is awaited to know that it fired: a test
//! whose fault never happened must not pass.

mod close;
mod connection;
mod framing;
mod handle;
mod link;
pub mod postgres;
mod pump;
mod registry;
mod rule;

pub use framing::{Direction, Frame, Framing, Unframed};
pub use handle::{Intake, Proxy};
pub use link::{Flow, Link};
pub use postgres::PostgresFraming;
pub use rule::{Armed, Cut, Rule, When};
