//! A server that keeps what it reads and says what it is told to.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use kaireon_testkit::proxy::{Framing, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Far above what anything takes: a test that hangs is to say where.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy, its server, and how to connect through it.
pub(crate) struct Between {
    pub(crate) proxy: Proxy,
    listener: TcpListener,
}

/// One connection: both ends in the hands of the test.
pub(crate) struct Ends {
    pub(crate) client: Peer,
    pub(crate) server: Peer,
}

pub(crate) struct Peer(TcpStream);

impl Between {
    pub(crate) async fn new<F: Framing + Default + 'static>() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let proxy = Proxy::start::<F>(upstream).await.unwrap();
        Self { proxy, listener }
    }

    pub(crate) async fn connect(&self) -> Ends {
        let client = within(TcpStream::connect(self.proxy.address())).await.unwrap();
        let (server, _) = within(self.listener.accept()).await.unwrap();
        Ends {
            client: Peer(client),
            server: Peer(server),
        }
    }
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within(self.0.write_all(bytes)).await.unwrap();
    }

    /// Reads exactly what is expected.
    pub(crate) async fn expect(&mut self, expected: &[u8]) {
        let mut read = vec![0; expected.len()];
        within(self.0.read_exact(&mut read)).await.unwrap();
        assert_eq!(read, expected);
    }

    /// Everything up to the end of the stream, and how it ended.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut read = Vec::new();
        let ended = within(self.0.read_to_end(&mut read)).await.map(|_| ());
        (read, ended)
    }

    /// Ends the stream in this direction.
    pub(crate) async fn finish(&mut self) {
        within(self.0.shutdown()).await.unwrap();
    }

    /// Whether nothing comes for a while; an end would be something.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        timeout(Duration::from_millis(100), self.0.read(&mut byte))
            .await
            .is_err()
    }

    pub(crate) async fn expect_reset(&mut self) {
        let (read, ended) = self.rest().await;
        assert_eq!(
            (read, ended.unwrap_err().kind()),
            (vec![], io::ErrorKind::ConnectionReset)
        );
    }

    pub(crate) async fn expect_end(&mut self) {
        let (read, ended) = self.rest().await;
        ended.unwrap();
        assert_eq!(read, b"");
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it took too long")
}
