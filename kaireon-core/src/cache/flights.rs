//! Single flight.

/// Where concurrent callers of one key meet.
#[derive(Debug, Default)]
pub struct Flights {}
