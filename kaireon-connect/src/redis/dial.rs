//! Opening one connection: TCP, TLS, login.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kaireon_core::Effect;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, Value};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::fault::RedisFault;
use super::reply::RedisReply;
use super::url::{Address, Login};
use super::watched::{Silence, Watched};

/// How connections are opened, whatever the address.
pub(crate) struct Dial {
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) login: Login,
    pub(crate) database: u32,
    pub(crate) connect_timeout: Duration,
    /// After how long without an answer a connection is closed.
    pub(crate) silence: Duration,
}

/// What carries a connection's bytes.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

/// An open connection, which any number of callers share.
pub(crate) struct Live {
    connection: MultiplexedConnection,
    ended: Arc<AtomicBool>,
    /// Whether anything was answered since it was handed out.
    answered: AtomicBool,
    driver: AbortHandle,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Dial {
    /// Opens a connection and logs in.
    pub(crate) async fn open(&self, address: &Address) -> Result<Live, RedisFault> {
        let opened = tokio::time::timeout(self.connect_timeout, self.open_unbounded(address)).await;
        opened.unwrap_or_else(|_| Err(RedisFault::late(Effect::NotApplied)))
    }

    async fn open_unbounded(&self, address: &Address) -> Result<Live, RedisFault> {
        let live = self.drive(self.reach(address).await?).await?;
        self.log_in(&live).await?;
        Ok(live)
    }

    /// Opens a socket, and TLS on it.
    pub(crate) async fn reach(&self, address: &Address) -> Result<Box<dyn Wire>, RedisFault> {
        let Address { host, port } = address;
        let unreachable = |error: io::Error| RedisFault::unreachable(&error);
        let stream = TcpStream::connect((host.as_str(), *port))
            .await
            .map_err(unreachable)?;
        // Commands are short and each is waited for.
        stream.set_nodelay(true).map_err(unreachable)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => {
                let name = ServerName::try_from(host.clone())
                    .map_err(|_| RedisFault::config("the host's name cannot be in a certificate"))?;
                Ok(Box::new(tls.connect(name, stream).await.map_err(unreachable)?))
            }
        }
    }

    /// Sets a task to carry commands and answers. It ends when nobody holds the connection, when the server closes
    /// it, and when the server has been silent for too long.
    async fn drive(&self, stream: Box<dyn Wire>) -> Result<Live, RedisFault> {
        let silence = Silence::new();
        let stream = Watched {
            stream,
            silence: Arc::clone(&silence),
        };
        // The bound on a call is the caller's; the login is sent by ourselves, so that its refusal keeps its code.
        let bounds = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        let nothing_to_say = RedisConnectionInfo::default().set_skip_set_lib_name();
        let opened = MultiplexedConnection::new_with_config(&nothing_to_say, stream, bounds).await;
        let (connection, carry) =
            opened.map_err(|error| RedisFault::broken(&error).with_effect(Effect::NotApplied))?;
        let ended = Arc::new(AtomicBool::new(false));
        let (limit, end) = (self.silence, Ended(Arc::clone(&ended)));
        let driver = tokio::spawn(async move {
            let _end = end;
            tokio::select! {
                () = carry => {}
                () = too_silent(&silence, limit) => {}
            }
        });
        Ok(Live {
            connection,
            ended,
            answered: AtomicBool::new(false),
            driver: driver.abort_handle(),
        })
    }

    async fn log_in(&self, live: &Live) -> Result<(), RedisFault> {
        let mut greeting = Vec::new();
        if self.login.is_needed() {
            let mut auth = redis::cmd("AUTH");
            if !self.login.user.is_empty() {
                auth.arg(&self.login.user);
            }
            auth.arg(&self.login.password);
            greeting.push(auth);
        }
        if self.database != 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(self.database);
            greeting.push(select);
        }
        if greeting.is_empty() {
            return Ok(());
        }
        // Nothing was asked for yet, so nothing can have been done.
        let answers = live.send_all(&greeting).await;
        for answer in answers.map_err(|fault| fault.with_effect(Effect::NotApplied))? {
            RedisReply::read(answer).map_err(|error| RedisFault::refused(&error))?;
        }
        Ok(())
    }
}

/// Tells that the task has ended, however it ended.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

async fn too_silent(silence: &Silence, limit: Duration) {
    // Often enough that nobody waits for much longer than the limit.
    let look = (limit / 8).max(Duration::from_millis(1));
    while silence.length() < limit {
        tokio::time::sleep(look).await;
    }
}

impl Live {
    /// Whether commands can still be sent.
    pub(crate) fn is_open(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }

    /// Whether it has been of use since it was [handed out](Self::hand_out).
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// What was answered so far was about the connection itself.
    pub(crate) fn hand_out(&self) {
        self.answered.store(false, Ordering::Relaxed);
    }

    /// Sends one command. What fails may have been done.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, RedisFault> {
        let mut connection = self.connection.clone();
        let sent = connection.send_packed_command(command).await;
        let answer = sent.map_err(|error| RedisFault::broken(&error))?;
        self.answered.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    /// Sends several in one round trip; each has its answer, in their order. What fails may have been done.
    pub(crate) async fn send_all(&self, commands: &[Cmd]) -> Result<Vec<Value>, RedisFault> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let mut connection = self.connection.clone();
        let sent = connection.req_packed_commands(&pipeline, 0, commands.len()).await;
        let answers = sent.map_err(|error| RedisFault::broken(&error))?;
        self.answered.store(true, Ordering::Relaxed);
        if answers.len() == commands.len() {
            Ok(answers)
        } else {
            Err(
                RedisFault::strange("the server gave more or fewer answers than it was asked for")
                    .with_effect(Effect::Unknown),
            )
        }
    }
}
