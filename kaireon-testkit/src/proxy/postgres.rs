//! The messages of PostgreSQL's protocol, version 3.
//!
//! See "Message Formats" in PostgreSQL's documentation: after the first exchange a message is a byte that names it, a
//! length of four bytes that counts itself, and a body. The conditions here are for [`Rule::on`](super::Rule::on);
//! letters mean different messages in the two directions.

use super::framing::{Direction, Frame, Framing};

/// Codes in place of a protocol version, in messages that have no naming byte.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// Tells the messages of PostgreSQL apart, until the connection is encrypted; a client that should be read has
/// `sslmode=disable`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresFraming {
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The client's next message has no naming byte.
    #[default]
    Start,
    /// The client asked for encryption; one byte answers.
    Asked,
    /// Every message has a naming byte.
    Named,
    /// Encrypted, or no PostgreSQL at all.
    Opaque,
}

impl Framing for PostgresFraming {
    fn frame(&mut self, direction: Direction, bytes: &[u8]) -> Frame {
        match (self.phase, direction) {
            (Phase::Opaque, _) => Frame::Opaque,
            (Phase::Start, Direction::ToServer) => self.first(bytes),
            // Nobody who waits for the answer sends anything; it would be forwarded when the answer is there.
            (Phase::Asked, Direction::ToServer) => Frame::Incomplete,
            (Phase::Asked, Direction::ToClient) => self.answer(bytes),
            (Phase::Named, _) | (Phase::Start, Direction::ToClient) => self.named(bytes),
        }
    }
}

impl PostgresFraming {
    fn first(&mut self, bytes: &[u8]) -> Frame {
        // A handshake of TLS without asking first, as PostgreSQL 17 allows.
        if bytes[0] == 0x16 {
            return self.give_up();
        }
        let Some(length) = number(bytes, 0) else {
            return Frame::Incomplete;
        };
        // PostgreSQL itself takes no first message above 10,000 bytes.
        if !(8..=10_000).contains(&length) {
            return self.give_up();
        }
        let frame = whole(bytes, length as usize);
        if frame != Frame::Incomplete {
            self.phase = match number(bytes, 4) {
                Some(SSL_REQUEST | GSS_REQUEST) => Phase::Asked,
                _ => Phase::Named,
            };
        }
        frame
    }

    fn answer(&mut self, bytes: &[u8]) -> Frame {
        match bytes[0] {
            b'S' | b'G' => self.phase = Phase::Opaque,
            b'N' => self.phase = Phase::Start,
            // An error, from a server that does not know the question.
            _ => {
                self.phase = Phase::Named;
                return self.named(bytes);
            }
        }
        Frame::Message(1)
    }

    fn named(&mut self, bytes: &[u8]) -> Frame {
        match number(bytes, 1) {
            None => Frame::Incomplete,
            Some(length @ 4..=0x7fff_ffff) => whole(bytes, length as usize + 1),
            Some(_) => self.give_up(),
        }
    }

    fn give_up(&mut self) -> Frame {
        self.phase = Phase::Opaque;
        Frame::Opaque
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

fn whole(bytes: &[u8], length: usize) -> Frame {
    if bytes.len() < length {
        Frame::Incomplete
    } else {
        Frame::Message(length)
    }
}

/// Any message of this name: to the server `Q` query, `P` parse, `B` bind, `E` execute, `S` sync, `X` terminate; to
/// the client `C` command complete, `E` error, `Z` ready for query, `D` data row, `A` notification.
pub fn named(name: u8) -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    move |message| message.first() == Some(&name)
}

/// To the server: a query or a parse whose SQL contains `text`, in whatever case. An execute carries no SQL; it is
/// `statement(…)` and then [`named`]`(b'E')`.
pub fn statement(text: &str) -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    let text = text.to_ascii_uppercase().into_bytes();
    move |message| {
        let sql = match message.first() {
            Some(b'Q') => message.get(5..),
            // The name of the prepared statement comes first.
            Some(b'P') => message
                .get(5..)
                .and_then(|body| body.splitn(2, |&byte| byte == 0).nth(1)),
            _ => None,
        };
        let sql = sql.and_then(|sql| sql.split(|&byte| byte == 0).next());
        sql.is_some_and(|sql| contains(&sql.to_ascii_uppercase(), &text))
    }
}

/// To the server: a query by the simple protocol that is `text` and nothing else, in whatever case: a `COMMIT`, where
/// [`statement`] would also find `READ COMMITTED`.
pub fn query(text: &str) -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    let text = text.as_bytes().to_vec();
    move |message| {
        let sql = message.strip_prefix(b"Q").and_then(|rest| rest.get(4..));
        let sql = sql.and_then(|sql| sql.split(|&byte| byte == 0).next());
        sql.is_some_and(|sql| sql.trim_ascii().eq_ignore_ascii_case(&text))
    }
}

/// To the client: a command that is complete, by the beginning of its tag: `COMMIT`, `INSERT`, `INSERT 0 3`.
pub fn command_complete(tag: &str) -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    let tag = tag.as_bytes().to_vec();
    move |message| {
        message.first() == Some(&b'C') && message.get(5..).is_some_and(|body| body.starts_with(&tag))
    }
}

/// To the client: the server waits for the next query; what was asked before is answered.
pub fn ready_for_query() -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    named(b'Z')
}

/// To the client: an error of this SQLSTATE.
pub fn error(sqlstate: &str) -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    let field = format!("C{sqlstate}").into_bytes();
    move |message| {
        message.first() == Some(&b'E')
            && message
                .get(5..)
                .is_some_and(|body| body.split(|&byte| byte == 0).any(|found| found == field))
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}
