//! The client: where a command goes, and what is done when it does not get there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use kaireon_core::{Effect, Error, Result};

use super::cluster::{Cluster, Node};
use super::command::RedisCommand;
use super::config::{RedisConnectConfig, RedisMode};
use super::dial::Dial;
use super::exchange::{call_each, call_one, too_late};
use super::fault::RedisFault;
use super::link::Link;
use super::mode::find_out;
use super::reply::RedisReply;
use super::sentinel::Sentinels;
use super::tls;
use super::url::{self, Address, Login, Target};

/// Redis, wherever it is. Clones share its connections: one to each server, on which the commands of all callers
/// follow each other without waiting.
#[derive(Clone)]
pub struct RedisClient(Arc<Inner>);

struct Inner {
    place: Place,
    reach: Reach,
    connect_timeout: Duration,
    command_timeout: Duration,
    closed: AtomicBool,
}

/// Where commands go.
pub(crate) enum Place {
    One(Node),
    Cluster(Arc<Cluster>),
}

/// How a connection apart from those is opened.
pub(crate) enum Reach {
    Standalone(Arc<Dial>, Address),
    Sentinel(Arc<Sentinels>),
    Cluster(Arc<Cluster>),
}

impl RedisClient {
    /// Finds out what is there, connects and logs in.
    ///
    /// # Errors
    /// All of them `NotApplied`, on the operation `connect`.
    /// - `Config`: a malformed URL or bound, a certificate that is not trusted, a database or a primary's name that
    ///   does not exist, a server that is not what the mode says;
    /// - `Unauthorized`: the login is refused;
    /// - `Unavailable`: nothing answers in `connect_timeout`; `RateLimited`: the server has no connection left.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn connect(config: RedisConnectConfig) -> Result<Self> {
        config.check().map_err(connecting)?;
        let target = url::parse(&config).map_err(connecting)?;
        if !target.passed_over.is_empty() {
            tracing::warn!(parameters = ?target.passed_over, "parameters of the redis url are passed over");
        }
        let opened = Self::open(&config, target).await;
        opened.map_err(connecting)
    }

    async fn open(config: &RedisConnectConfig, target: Target) -> Result<Self> {
        let RedisConnectConfig {
            sentinel_username,
            sentinel_password,
            ca_file,
            connect_timeout,
            command_timeout,
            ..
        } = config;
        let Target {
            mode,
            tls,
            login,
            nodes,
            database,
            master,
            passed_over: _,
        } = target;
        let tls = tls.then(|| tls::connector(ca_file.as_deref())).transpose()?;
        let dial = |login: Login, database: u32| Dial {
            tls: tls.clone(),
            login,
            database,
            connect_timeout: *connect_timeout,
            silence: *command_timeout,
        };
        let mode = match mode {
            RedisMode::Auto => find_out(&dial(login.clone(), database), &nodes).await?,
            mode => mode,
        };
        let (place, reach) = match mode {
            RedisMode::Cluster => {
                let cluster = Cluster::new(dial(login, 0), nodes.clone());
                (Place::Cluster(Arc::clone(&cluster)), Reach::Cluster(cluster))
            }
            RedisMode::Sentinel => {
                let sentinels = Arc::new(Sentinels {
                    dial: dial(
                        Login {
                            user: sentinel_username.clone().unwrap_or_default(),
                            password: sentinel_password.clone().unwrap_or_default(),
                        },
                        0,
                    ),
                    nodes: nodes.clone(),
                    master: master.unwrap_or_default(),
                    servers: dial(login, database),
                });
                let reach = Reach::Sentinel(Arc::clone(&sentinels));
                let link = Link::new(Box::new(move || {
                    let sentinels = Arc::clone(&sentinels);
                    Box::pin(async move { sentinels.open().await })
                }));
                (one(&nodes, link), reach)
            }
            _ => {
                let (dial, address) = (Arc::new(dial(login, database)), nodes[0].clone());
                let reach = Reach::Standalone(Arc::clone(&dial), address.clone());
                let link = Link::new(Box::new(move || {
                    let (dial, address) = (Arc::clone(&dial), address.clone());
                    Box::pin(async move { dial.open(&address).await })
                }));
                (one(&nodes, link), reach)
            }
        };
        let client = Self(Arc::new(Inner {
            place,
            reach,
            connect_timeout: *connect_timeout,
            command_timeout: *command_timeout,
            closed: AtomicBool::new(false),
        }));
        client
            .greet(*connect_timeout)
            .await
            .map_err(RedisFault::into_error)?;
        Ok(client)
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.0.reach
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    pub(crate) fn command_timeout(&self) -> Duration {
        self.0.command_timeout
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout
    }

    /// Has one connection opened, so that what is wrong is told now.
    async fn greet(&self, limit: Duration) -> Result<(), RedisFault> {
        let greeted = tokio::time::timeout(limit, async {
            let node = match &self.0.place {
                Place::One(node) => node.clone(),
                Place::Cluster(cluster) => {
                    cluster.refresh().await;
                    match cluster.primaries().first() {
                        Some(node) => node.clone(),
                        None => return Err(cluster.why().await),
                    }
                }
            };
            let live = node.link.live().await?;
            let answer = live.send(&redis::cmd("PING")).await?;
            match RedisReply::read(answer).map_err(|error| RedisFault::refused(&error)) {
                // Who may not greet may be allowed what is asked later.
                Err(fault) if fault.code() != Some("NOPERM") => Err(fault),
                _ => Ok(()),
            }
        });
        greeted
            .await
            .unwrap_or_else(|_| Err(RedisFault::late(Effect::NotApplied)))
    }

    /// Whether keys of different slots may not stand in one command.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.0.place, Place::Cluster(_))
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// By the table of the server's codes. A connection that broke, or an answer that did not come in time, is
    /// `Unavailable` or `Timeout`, with an unknown effect where the command may change something.
    ///
    /// # Dropped futures
    /// The command may be done.
    pub async fn call(&self, command: RedisCommand) -> Result<RedisReply, RedisFault> {
        let Place::One(node) = &self.0.place else {
            let mut answers = self.call_all(vec![command]).await;
            let no_answer = || Err(RedisFault::strange("a command got no answer"));
            return answers.pop().unwrap_or_else(no_answer);
        };
        if self.0.closed.load(Ordering::Acquire) {
            return Err(RedisFault::closed());
        }
        let sent = AtomicBool::new(false);
        let called = tokio::time::timeout(self.0.command_timeout, call_one(node, &command, &sent)).await;
        called.unwrap_or_else(|_| Err(too_late(&command, &sent)))
    }

    /// Sends commands, to each node those that are for it in one round trip, and returns their answers in their order.
    /// They are separate: some may be done and others not.
    ///
    /// # Errors
    /// Of each command, as for [`call`](Self::call).
    ///
    /// # Dropped futures
    /// Any of the commands may be done.
    pub async fn call_all(&self, commands: Vec<RedisCommand>) -> Vec<Result<RedisReply, RedisFault>> {
        if self.0.closed.load(Ordering::Acquire) {
            return commands.iter().map(|_| Err(RedisFault::closed())).collect();
        }
        let sent: Vec<AtomicBool> = commands.iter().map(|_| AtomicBool::new(false)).collect();
        let mut answers: Vec<_> = commands.iter().map(|_| None).collect();
        let all = call_each(&self.0.place, &commands, &sent, &mut answers);
        // What has no answer when the time is up is answered below.
        if tokio::time::timeout(self.0.command_timeout, all).await.is_err()
            && let Place::Cluster(cluster) = &self.0.place
        {
            cluster.look_later();
        }
        let each = answers.into_iter().zip(&commands).zip(&sent);
        each.map(|((answer, command), sent)| answer.unwrap_or_else(|| Err(too_late(command, sent))))
            .collect()
    }

    /// Asks for a sign of life: one server, or each primary of a cluster.
    ///
    /// # Errors
    /// As for [`call`](Self::call); of a cluster, those of the first node that gives none.
    pub async fn ping(&self) -> Result<(), RedisFault> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(RedisFault::closed());
        }
        let nodes = match &self.0.place {
            Place::One(node) => vec![node.clone()],
            Place::Cluster(cluster) => cluster.primaries(),
        };
        let asked = try_join_all(nodes.iter().map(|node| async {
            let live = node.link.live().await?;
            let answer = live.send(&redis::cmd("PING")).await;
            let answer = answer.inspect_err(|_| node.link.forget(&live))?;
            RedisReply::read(answer).map_err(|error| RedisFault::refused(&error))
        }));
        let asked = tokio::time::timeout(self.0.command_timeout, asked).await;
        let answered = asked.unwrap_or_else(|_| Err(RedisFault::late(Effect::Unknown)));
        answered.map(|_| ()).map_err(|fault| {
            if let Place::Cluster(cluster) = &self.0.place {
                cluster.look_later();
            }
            // A greeting changes nothing.
            fault.with_effect(Effect::NotApplied)
        })
    }

    /// Closes the connections once those who wait for answers on them have them. Later calls answer `Unavailable`, not
    /// applied. Idempotent.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        match &self.0.place {
            Place::One(node) => node.link.close(),
            Place::Cluster(cluster) => cluster.close(),
        }
    }
}

fn one(nodes: &[Address], link: Arc<Link>) -> Place {
    Place::One(Node {
        address: nodes[0].clone(),
        link,
    })
}

fn connecting(error: Error) -> Error {
    error.with_operation("connect")
}

impl fmt::Debug for RedisClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisClient")
            .field("is_cluster", &self.is_cluster())
            .field("closed", &self.0.closed.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
