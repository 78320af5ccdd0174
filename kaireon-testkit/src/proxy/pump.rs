//! One direction of one connection: reads, delays, splits, asks the rules, forwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::pending;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::framing::{Direction, Frame, Framing};
use super::handle::Shared;
use super::link::{Flow, Link};
use super::registry::{Fired, Passing, Verdict};
use super::rule::Cut;

/// How much is read at once, and how many such pieces wait at most.
const PIECE_BYTES: usize = 16 * 1024;
const PIECES: usize = 256;

/// The connection ends, and by which rule.
pub(super) struct End {
    pub(super) how: Cut,
    pub(super) fired: Option<Fired>,
}

impl End {
    /// As one side ended it.
    fn by_peer() -> Self {
        Self {
            how: Cut::Reset,
            fired: None,
        }
    }
}

/// What was read, and when it may go on.
enum Arrival {
    Bytes(Instant, Bytes),
    Reset,
}

pub(super) struct Pump<'a> {
    shared: &'a Arc<Shared>,
    framing: &'a Mutex<Box<dyn Framing>>,
    links: watch::Receiver<[Link; 2]>,
    connection: u64,
    direction: Direction,
    /// Arrived and not yet judged.
    buffer: BytesMut,
    carried: u64,
    is_withheld: bool,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        framing: &'a Mutex<Box<dyn Framing>>,
        connection: u64,
        direction: Direction,
    ) -> Self {
        Self {
            shared,
            framing,
            links: shared.links.subscribe(),
            connection,
            direction,
            buffer: BytesMut::new(),
            carried: 0,
            is_withheld: false,
        }
    }

    /// Runs until the sender closed and all of it was forwarded, or until the connection has to end.
    pub(super) async fn run(mut self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> Result<(), End> {
        let (sender, arrivals) = mpsc::channel(PIECES);
        let (links, direction) = (self.links.clone(), self.direction);
        let read = async {
            read_all(from, direction, &links, sender).await;
            pending::<()>().await;
        };
        tokio::select! {
            () = read => Ok(()),
            written = self.write_all(arrivals, to) => written,
        }
    }

    async fn write_all(
        &mut self,
        mut arrivals: mpsc::Receiver<Arrival>,
        to: &mut OwnedWriteHalf,
    ) -> Result<(), End> {
        while let Some(arrival) = arrivals.recv().await {
            match arrival {
                Arrival::Bytes(due, bytes) => {
                    sleep_until(due).await;
                    self.buffer.extend_from_slice(&bytes);
                    self.pass_messages(to).await?;
                }
                Arrival::Reset if self.vanishes().await => pending().await,
                Arrival::Reset => return Err(End::by_peer()),
            }
        }
        // Half a message, which will not become whole.
        let rest = self.buffer.split().freeze();
        if !rest.is_empty() {
            self.pass(rest, false, to).await?;
        }
        if self.vanishes().await {
            pending().await
        }
        // The other side may have gone meanwhile, and is told nothing then.
        let _ = to.shutdown().await;
        Ok(())
    }

    async fn pass_messages(&mut self, to: &mut OwnedWriteHalf) -> Result<(), End> {
        while !self.buffer.is_empty() {
            let frame = self.framing.lock().frame(self.direction, &self.buffer);
            let (length, is_message) = match frame {
                Frame::Incomplete => return Ok(()),
                // A framing that answers out of bounds must not stop the stream.
                Frame::Message(length) => (length.clamp(1, self.buffer.len()), true),
                Frame::Opaque => (self.buffer.len(), false),
            };
            let bytes = self.buffer.split_to(length).freeze();
            self.pass(bytes, is_message, to).await?;
        }
        Ok(())
    }

    async fn pass(&mut self, bytes: Bytes, is_message: bool, to: &mut OwnedWriteHalf) -> Result<(), End> {
        if self.vanishes().await {
            return Ok(());
        }
        let verdict = self.shared.registry.judge(Passing {
            connection: self.connection,
            direction: self.direction,
            bytes: &bytes,
            is_message,
            carried: self.carried,
        });
        match verdict {
            Verdict::Forward => self.forward(&bytes, to).await,
            Verdict::Cut(first, how, fired) => {
                self.forward(&bytes[..first], to).await?;
                let fired = Some(fired);
                Err(End { how, fired })
            }
            Verdict::Withhold(first, fired) => {
                self.forward(&bytes[..first], to).await?;
                self.is_withheld = true;
                fired.tell();
                Ok(())
            }
            Verdict::Hold(first, mut release, fired) => {
                self.forward(&bytes[..first], to).await?;
                fired.tell();
                // An error says that the holder is gone, who then lets go.
                let _ = release.wait_for(|released| *released).await;
                self.forward(&bytes[first..], to).await
            }
            Verdict::Delay(first, delay, fired) => {
                self.forward(&bytes[..first], to).await?;
                sleep(delay).await;
                self.forward(&bytes[first..], to).await?;
                fired.tell();
                Ok(())
            }
        }
    }

    /// Whether bytes vanish now; waits while they wait.
    async fn vanishes(&mut self) -> bool {
        if self.is_withheld {
            return true;
        }
        loop {
            match self.links.borrow_and_update()[self.direction.index()].flow {
                Flow::Forward => return false,
                Flow::Swallow => return true,
                Flow::Stall => {}
            }
            if self.links.changed().await.is_err() {
                // The proxy is gone, and this connection goes with it.
                pending::<()>().await;
            }
        }
    }

    async fn forward(&mut self, mut bytes: &[u8], to: &mut OwnedWriteHalf) -> Result<(), End> {
        while !bytes.is_empty() {
            let rate = self.links.borrow()[self.direction.index()].bytes_per_second;
            let (slice, pause) = slice(bytes, rate);
            if to.write_all(slice).await.is_err() {
                return self.receiver_is_gone();
            }
            self.carried += slice.len() as u64;
            self.shared.carried[self.direction.index()].fetch_add(slice.len() as u64, Ordering::Relaxed);
            bytes = &bytes[slice.len()..];
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        Ok(())
    }

    /// Where the other direction is half-open, the sender must not learn that the receiver went away.
    fn receiver_is_gone(&mut self) -> Result<(), End> {
        let opposite = self.direction.opposite();
        if self.links.borrow()[opposite.index()].flow == Flow::Swallow {
            self.is_withheld = true;
            return Ok(());
        }
        Err(End::by_peer())
    }
}

/// Reads until the sender ends; what it sends later than the receiver takes waits in the channel.
async fn read_all(
    from: &mut OwnedReadHalf,
    direction: Direction,
    links: &watch::Receiver<[Link; 2]>,
    sender: mpsc::Sender<Arrival>,
) {
    loop {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let arrival = match from.read_buf(&mut piece).await {
            Ok(0) => return,
            Ok(_) => {
                let delay = links.borrow()[direction.index()].delay;
                Arrival::Bytes(Instant::now() + delay, piece.freeze())
            }
            Err(_) => Arrival::Reset,
        };
        let is_last = matches!(arrival, Arrival::Reset);
        if sender.send(arrival).await.is_err() || is_last {
            return;
        }
    }
}

/// What is written at once under a bound, and how long it takes: 20 ms' worth, or a byte.
fn slice(bytes: &[u8], rate: Option<u64>) -> (&[u8], Duration) {
    let Some(rate) = rate.map(|rate| rate.max(1)) else {
        return (bytes, Duration::ZERO);
    };
    let most = usize::try_from((rate / 50).max(1)).unwrap_or(usize::MAX);
    let slice = &bytes[..bytes.len().min(most)];
    let nanos = slice.len() as u64 * 1_000_000_000 / rate;
    (slice, Duration::from_nanos(nanos))
}
