//! What reads run on.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::PgConnection;

use super::shelf::{Kept, Shelf};
use super::unit::PgUnit;

/// A connection for reads. It derefs to the driver's connection.
#[derive(Debug)]
pub struct PgReader(pub(super) Reader);

#[derive(Debug)]
pub(super) enum Reader {
    Connection(Kept, Arc<Shelf>),
    Unit(PgUnit),
}

impl Deref for PgReader {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.0 {
            Reader::Connection(kept, _) => kept.connection(),
            Reader::Unit(unit) => unit.raw(),
        }
    }
}

impl DerefMut for PgReader {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.0 {
            Reader::Connection(kept, _) => kept.connection_mut(),
            Reader::Unit(unit) => unit.raw_mut(),
        }
    }
}

impl PgReader {
    /// Leaves the connection to the next reader as it is, where it is one of the pool's own; a transaction is rolled
    /// back. Only for one whose last answer was whole and no error.
    ///
    /// It is given back to the pool when nobody reads for a moment, and when the pool has no other left.
    pub fn rest(self) {
        if let Reader::Connection(kept, shelf) = self.0 {
            shelf.put(kept);
        }
    }

    /// Closes the connection instead of giving it back. For one that did not answer, or keeps a statement that no
    /// longer fits.
    pub fn discard(self) {
        match self.0 {
            Reader::Connection(kept, _) => kept.discard(),
            Reader::Unit(unit) => unit.discard(),
        }
    }
}
