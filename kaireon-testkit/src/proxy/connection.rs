//! One connection, from its acceptance to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc};

use super::close::{Sockets, refuse};
use super::framing::{Direction, Framing};
use super::handle::Shared;
use super::pump::{End, Pump};
use super::rule::Cut;

/// An order to end, and by whose loss it is known to be obeyed.
pub(super) type CutOrder = (Cut, mpsc::Sender<()>);

/// Forwards between `client` and the server until one of them, a rule or an order ends it.
pub(super) async fn serve(
    shared: Arc<Shared>,
    id: u64,
    framing: Box<dyn Framing>,
    client: TcpStream,
    mut orders: broadcast::Receiver<CutOrder>,
) {
    let _open = Open::new(&shared, id);
    let upstream = shared.upstream.lock().clone();
    let connected = tokio::select! {
        connected = TcpStream::connect(&upstream) => connected,
        order = orders.recv() => {
            refuse(client);
            drop(order);
            return;
        }
    };
    let Ok(server) = connected else {
        return refuse(client);
    };
    // Small messages are what databases send, and a delay is the proxy's to make.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let framing = Mutex::new(framing);
    let mut sockets = Sockets::new(client, server);
    let Sockets { client, server } = &mut sockets;
    let pump = |direction| Pump::new(&shared, &framing, id, direction);
    let to_server = pump(Direction::ToServer).run(&mut client.0, &mut server.1);
    let to_client = pump(Direction::ToClient).run(&mut server.0, &mut client.1);
    let both = async { tokio::try_join!(to_server, to_client) };
    let (how, fired, order) = tokio::select! {
        ended = both => match ended {
            Ok(_) => return,
            Err(End { how, fired }) => (how, fired, None),
        },
        order = orders.recv() => match order {
            Ok((how, obeyed)) => (how, None, Some(obeyed)),
            // Nobody can give orders any more.
            Err(_) => return,
        },
    };
    let tell = || {
        drop(order);
        if let Some(fired) = fired {
            fired.tell();
        }
    };
    sockets.end(how, tell).await;
}

/// Counts the connection while it lives, however it ends.
struct Open<'a> {
    shared: &'a Shared,
    id: u64,
}

impl<'a> Open<'a> {
    fn new(shared: &'a Shared, id: u64) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Self { shared, id }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.shared.registry.forget(self.id);
    }
}
