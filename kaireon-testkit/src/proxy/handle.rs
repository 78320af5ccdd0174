//! The proxy as a test holds it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::close::refuse;
use super::connection::{CutOrder, serve};
use super::framing::{Direction, Framing};
use super::link::Link;
use super::registry::Registry;
use super::rule::{Armed, Cut, Rule};

/// What happens to who connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intake {
    /// The connection is forwarded.
    #[default]
    Accept,
    /// It is reset as soon as it is there.
    Reset,
    /// Nobody listens on the port.
    Refuse,
}

/// A listener on a loopback port that forwards to a server. Dropping it closes the port and every connection.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    intake: mpsc::Sender<(Intake, oneshot::Sender<io::Result<()>>)>,
    orders: broadcast::Sender<CutOrder>,
    task: JoinHandle<()>,
}

/// What the connections of a proxy have in common.
pub(super) struct Shared {
    pub(super) upstream: Mutex<String>,
    pub(super) links: watch::Sender<[Link; 2]>,
    pub(super) registry: Arc<Registry>,
    pub(super) carried: [AtomicU64; 2],
    pub(super) open: AtomicUsize,
    accepted: AtomicU64,
}

/// Makes the framing of each new connection.
type MakeFraming = Box<dyn Fn() -> Box<dyn Framing> + Send + Sync>;

impl Proxy {
    /// Listens on 127.0.0.1, on a port that the system chooses, and forwards to `upstream` (`host:port`). That
    /// server is looked for at each connection, so it may come later, go away and come again; while it is not there
    /// a connection is reset.
    ///
    /// `F` tells messages apart; [`Unframed`](super::Unframed) where rules only count bytes.
    ///
    /// # Errors
    ///
    /// When the system has no port to give.
    pub async fn start<F: Framing + Default + 'static>(upstream: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream.into()),
            links: watch::Sender::new([Link::default(); 2]),
            registry: Arc::default(),
            carried: Default::default(),
            open: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
        });
        let (intake, changes) = mpsc::channel(1);
        let (orders, _) = broadcast::channel(16);
        let acceptor = Acceptor {
            address,
            listener: Some(listener),
            intake: Intake::Accept,
            framing: Box::new(|| Box::new(F::default())),
            shared: Arc::clone(&shared),
            orders: orders.clone(),
        };
        Ok(Self {
            address,
            shared,
            intake,
            orders,
            task: tokio::spawn(acceptor.run(changes)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url` with its host and port replaced by the proxy's: `postgres://app:pw@db:5432/app` becomes
    /// `postgres://app:pw@127.0.0.1:40123/app`. What has no `://` is taken for a mere `host:port`.
    pub fn in_url(&self, url: &str) -> String {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), url),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let login = authority.rsplit_once('@').map(|(login, _)| format!("{login}@"));
        format!("{scheme}{}{}{tail}", login.unwrap_or_default(), self.address)
    }

    /// Sends connections that are made from now on to another server.
    pub fn redirect(&self, upstream: impl Into<String>) {
        *self.shared.upstream.lock() = upstream.into();
    }

    /// Changes one direction of every connection, those that exist included.
    pub fn set(&self, direction: Direction, link: Link) {
        self.shared
            .links
            .send_modify(|links| links[direction.index()] = link);
    }

    /// Puts a rule in force. It fires once; the first rule that was armed goes first where one message would
    /// complete two.
    pub fn arm(&self, rule: Rule) -> Armed {
        self.shared.registry.arm(rule)
    }

    /// Makes both links perfect, takes every rule out of force, and accepts again.
    ///
    /// # Errors
    ///
    /// As [`intake`](Self::intake).
    pub async fn heal(&self) -> io::Result<()> {
        self.shared.links.send_replace([Link::default(); 2]);
        self.shared.registry.clear();
        self.intake(Intake::Accept).await
    }

    /// Says what happens to who connects from now on; connections that exist go on. It is in force on return.
    ///
    /// # Errors
    ///
    /// When the port is to be opened again after [`Intake::Refuse`] and another process has taken it meanwhile.
    ///
    /// # Dropped futures
    ///
    /// The change may still take place.
    pub async fn intake(&self, intake: Intake) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        let ended = || io::Error::other("the proxy's task has ended");
        self.intake.send((intake, done)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Ends every connection that is there now and says how many. They are ended on return: both sides were sent the
    /// end of the stream or a reset.
    ///
    /// # Dropped futures
    ///
    /// They end all the same.
    pub async fn cut(&self, how: Cut) -> usize {
        let (obeyed, mut all) = mpsc::channel(1);
        let count = self.orders.send((how, obeyed)).unwrap_or(0);
        // Nothing is ever sent: it ends when the last connection has let go of its order.
        while all.recv().await.is_some() {}
        count
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// How many bytes were forwarded so far, over all connections.
    pub fn carried(&self, direction: Direction) -> u64 {
        self.shared.carried[direction.index()].load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("open", &self.open())
            .field("rules", &self.shared.registry)
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its connections are tasks of its set and go with it.
        self.task.abort();
        self.shared.registry.clear();
    }
}

struct Acceptor {
    address: SocketAddr,
    listener: Option<TcpListener>,
    intake: Intake,
    framing: MakeFraming,
    shared: Arc<Shared>,
    orders: broadcast::Sender<CutOrder>,
}

impl Acceptor {
    async fn run(mut self, mut changes: mpsc::Receiver<(Intake, oneshot::Sender<io::Result<()>>)>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                // Before accepting, so that a change is in force for all who come after it.
                biased;
                change = changes.recv() => {
                    let Some((intake, done)) = change else { return };
                    // Whoever asked may have gone.
                    let _ = done.send(self.change(intake).await);
                }
                Some(_) = connections.join_next() => {}
                accepted = accept(self.listener.as_ref()) => match accepted {
                    Ok(client) => self.take(client, &mut connections),
                    // Out of file descriptors, say: the next attempt would fail as fast.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                },
            }
        }
    }

    async fn change(&mut self, intake: Intake) -> io::Result<()> {
        if intake == Intake::Refuse {
            self.listener = None;
        } else if self.listener.is_none() {
            self.listener = Some(TcpListener::bind(self.address).await?);
        }
        self.intake = intake;
        Ok(())
    }

    fn take(&self, client: TcpStream, connections: &mut JoinSet<()>) {
        if self.intake == Intake::Reset {
            return refuse(client);
        }
        let id = self.shared.accepted.fetch_add(1, Ordering::Relaxed);
        let (shared, framing, orders) = (
            Arc::clone(&self.shared),
            (self.framing)(),
            self.orders.subscribe(),
        );
        connections.spawn(serve(shared, id, framing, client, orders));
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}
