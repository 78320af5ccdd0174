//! The command, as a process.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod suite {
    mod alone;
    mod codes;
    mod kills;
    mod page;
    mod path;
    mod world;
}
