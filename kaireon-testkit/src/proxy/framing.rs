//! Where a message ends.

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the one who connected to the proxy.
    ToServer,
    /// From the server that the proxy forwards to.
    ToClient,
}

impl Direction {
    pub(super) fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }

    pub(super) fn opposite(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// What a [`Framing`] finds at the start of the bytes that have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The message is not whole yet; it is asked again when more bytes are there.
    Incomplete,
    /// A whole message of so many bytes, at least one and at most those that were shown.
    Message(usize),
    /// From here on this direction has no messages that can be told apart, as once it is encrypted. The bytes are
    /// forwarded as they come and counted, and no rule about messages is asked.
    Opaque,
}

/// Splits the bytes of one connection into messages.
///
/// There is one for each connection, and it sees both directions, because what a server's bytes mean may depend on
/// what the client asked for. A message is held back until it is whole, so it should not be unbounded.
pub trait Framing: Send {
    /// Looks at what has arrived in `direction` and was not yet forwarded; `bytes` is never empty.
    fn frame(&mut self, direction: Direction, bytes: &[u8]) -> Frame;
}

/// No protocol: whatever arrives together is taken for a message. What arrives together is chance, so rules should
/// count bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unframed;

impl Framing for Unframed {
    fn frame(&mut self, _direction: Direction, bytes: &[u8]) -> Frame {
        Frame::Message(bytes.len())
    }
}
