//! A stream that remembers since when it has waited for an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Since when something was sent and nothing came.
#[derive(Debug)]
pub(crate) struct Silence {
    start: Instant,
    /// Milliseconds behind `start`, plus one; 0: nothing is awaited.
    since: AtomicU64,
}

impl Silence {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            since: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn sent(&self) {
        if self.since.load(Ordering::Relaxed) == 0 {
            self.since.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    fn heard(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// How long nothing has come.
    pub(crate) fn length(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis((self.now() + 1).saturating_sub(since)),
        }
    }
}

/// The stream.
pub(crate) struct Watched<S> {
    pub(crate) stream: S,
    pub(crate) silence: Arc<Silence>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.silence.heard();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.silence.sent();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn silence_begins_with_what_is_sent_and_ends_with_what_comes() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let silence = Silence::new();
        let mut stream = Watched {
            stream: ours,
            silence: Arc::clone(&silence),
        };
        assert_eq!(silence.length(), Duration::ZERO);
        stream.write_all(b"question").await.unwrap();
        while silence.length() < Duration::from_millis(20) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        theirs.write_all(b"answer").await.unwrap();
        stream.read_exact(&mut [0; 6]).await.unwrap();
        assert_eq!(silence.length(), Duration::ZERO);
    }
}
