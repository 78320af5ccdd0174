//! Ending a connection so that both sides see what was asked for.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::rule::Cut;

/// Long enough for a peer that reads at all to see the end before its next write is refused.
const FAREWELL: Duration = Duration::from_secs(1);

/// The two halves of each of the two sockets.
pub(super) struct Sockets {
    pub(super) client: (OwnedReadHalf, OwnedWriteHalf),
    pub(super) server: (OwnedReadHalf, OwnedWriteHalf),
}

impl Sockets {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> Self {
        Self {
            client: client.into_split(),
            server: server.into_split(),
        }
    }

    /// Ends both sides; what was written before a [`Cut::Fin`] arrives.
    pub(super) async fn end(self, how: Cut, fired: impl FnOnce()) {
        let Self {
            mut client,
            mut server,
        } = self;
        match how {
            Cut::Reset => {
                for (read, write) in [client, server] {
                    // It fails only on a socket that is closed already.
                    let _ = AsRef::<TcpStream>::as_ref(&write).set_zero_linger();
                    // Dropping this half would send the end of the stream before the reset.
                    write.forget();
                    drop(read);
                }
                fired();
            }
            Cut::Fin => {
                // A side that is gone already needs no telling.
                let _ = client.1.shutdown().await;
                let _ = server.1.shutdown().await;
                fired();
                // Closing a socket that holds unread bytes sends a reset, which would overtake the end.
                let drained = async { tokio::join!(drain(&mut client.0), drain(&mut server.0)) };
                let _ = timeout(FAREWELL, drained).await;
            }
        }
    }
}

/// Resets a socket that is not yet split.
pub(super) fn refuse(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

async fn drain(half: &mut OwnedReadHalf) {
    let mut bytes = [0; 1024];
    while matches!(half.read(&mut bytes).await, Ok(1..)) {}
}
