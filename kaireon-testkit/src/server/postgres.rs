//! A PostgreSQL server of a test's own.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::disk::{Disk, OnDisk};
use super::owner::{Owner, said};
use super::place::{ATTEMPTS, PATIENCE, free_port, new_folder};

/// What a client says first: version 3.0, user and database, both `postgres`.
const GREETING: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// In order: connections are ended with an error, and everything is written.
    Fast,
    /// All of its processes are killed (SIGKILL): the next start recovers from the log.
    Kill,
}

/// A PostgreSQL server that nobody else uses, with one superuser `postgres` who needs no password, on 127.0.0.1.
///
/// It keeps its data and its port over [`stop`](Self::stop) and [`restart`](Self::restart). Dropping it kills it and
/// removes its folder. `fsync` and `synchronous_commit` are on, as they are unless one says otherwise.
#[derive(Debug)]
pub struct PostgresServer {
    pub(super) programs: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) data: PathBuf,
    pub(super) owner: Owner,
    pub(super) port: u16,
    process: Option<Child>,
}

impl PostgresServer {
    /// Makes a new cluster with the programs of this folder and starts it; `settings` are lines of `postgresql.conf`.
    /// Root runs it as the user `postgres` or `nobody`.
    ///
    /// # Errors
    ///
    /// When the programs are not there or fail, with what they said; when the server does not take connections
    /// within two minutes.
    ///
    /// # Dropped futures
    ///
    /// What was started is killed, and a folder in the system's temporary one may be left.
    pub async fn start(programs: impl Into<PathBuf>, settings: &[(&str, &str)]) -> io::Result<Self> {
        let mut server = Self::new(programs).await?;
        server.initialize(settings, None).await?;
        server.begin().await?;
        Ok(server)
    }

    /// As [`start`](Self::start), with a part of its files on a small disk. Its log of writes comes in segments of one
    /// mebibyte, so that a few of them fit.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    ///
    /// # Dropped futures
    ///
    /// As for [`start`](Self::start).
    pub async fn start_on(
        disk: &Disk,
        part: OnDisk,
        programs: impl Into<PathBuf>,
        settings: &[(&str, &str)],
    ) -> io::Result<Self> {
        let mut server = Self::new(programs).await?;
        server.owner.give(disk.folder()).await?;
        let log = match part {
            OnDisk::Data => {
                server.data = disk.folder().join("data");
                server.folder.join("log")
            }
            OnDisk::Log => disk.folder().join("log"),
        };
        server.initialize(settings, Some(&log)).await?;
        server.begin().await?;
        Ok(server)
    }

    /// A server that is not there yet, in a new folder.
    pub(super) async fn new(programs: impl Into<PathBuf>) -> io::Result<Self> {
        let owner = Owner::not_root().await?;
        let folder = new_folder("postgres")?;
        owner.give(&folder).await?;
        Ok(Self {
            programs: programs.into(),
            data: folder.join("data"),
            folder,
            owner,
            port: 0,
            process: None,
        })
    }

    /// Starts it for the first time, on a port that is free.
    pub(super) async fn begin(&mut self) -> io::Result<()> {
        let mut attempt = 1;
        loop {
            self.port = free_port()?;
            match self.restart().await {
                Err(_) if attempt < ATTEMPTS && self.log()?.contains("could not bind") => attempt += 1,
                begun => return begun,
            }
        }
    }

    /// Where it is: user and database `postgres`, without TLS. The same after a restart.
    pub fn url(&self) -> String {
        let Self { port, .. } = self;
        format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    /// Its address without a scheme, as [`Proxy::start`](crate::proxy::Proxy::start) takes it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again on the same port and data, and returns when it takes connections, recovery included. One that
    /// runs, and may be beginning anew after a crash of its own, is waited for.
    ///
    /// # Errors
    ///
    /// When it ends instead, or does not take connections within two minutes; with the end of its log.
    ///
    /// # Dropped futures
    ///
    /// It may run, and may not take connections yet.
    pub async fn restart(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if !self.runs()? {
                self.spawn()?;
            }
            match self.await_answer(deadline).await {
                // After a kill the dying processes still hold its memory for a moment.
                Err(_) if Instant::now() < deadline && self.log()?.contains("still in use") => {
                    sleep(Duration::from_millis(100)).await;
                }
                answered => return answered,
            }
        }
    }

    /// Ends it and returns when it has ended; nothing if it has already. Its data stay.
    ///
    /// # Errors
    ///
    /// When it does not end within two minutes.
    ///
    /// # Dropped futures
    ///
    /// It may be ending.
    pub async fn stop(&mut self, how: Shutdown) -> io::Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        let Some(pid) = process.id() else {
            return Ok(());
        };
        match how {
            Shutdown::Fast => {
                said(Command::new("sh").args(["-c", "kill -s INT \"$1\"", "sh", &pid.to_string()])).await?;
            }
            Shutdown::Kill => {
                // The first process goes first: it would take the death of another for a crash and begin anew.
                let others = children_of(pid);
                process.start_kill()?;
                process.wait().await?;
                kill(&others);
            }
        }
        let ended = timeout(PATIENCE, process.wait()).await;
        ended.map_err(|_| io::Error::other("the server did not end"))??;
        Ok(())
    }

    async fn initialize(&self, settings: &[(&str, &str)], log: Option<&Path>) -> io::Result<()> {
        let mut initdb = self.owner.command(self.programs.join("initdb"));
        initdb
            .current_dir(&self.folder)
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
            ])
            // Only the new files of the cluster, whose loss in a power failure costs nothing.
            .arg("--no-sync")
            .arg("--pgdata")
            .arg(&self.data);
        if let Some(log) = log {
            initdb.arg("--wal-segsize=1").arg("--waldir").arg(log);
        }
        said(&mut initdb).await?;
        self.set(&[("listen_addresses", "127.0.0.1"), ("unix_socket_directories", "")])?;
        self.set(settings)
    }

    /// Adds settings to its configuration; the last one of a name counts.
    pub(super) fn set(&self, settings: &[(&str, &str)]) -> io::Result<()> {
        let path = self.data.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&path)?;
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        std::fs::write(&path, text)
    }

    fn runs(&mut self) -> io::Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    fn spawn(&mut self) -> io::Result<()> {
        let log = File::create(self.folder.join("server.log"))?;
        let mut server = self.owner.command(self.programs.join("postgres"));
        server
            .current_dir(&self.folder)
            .arg("-D")
            .arg(&self.data)
            .arg(format!("-cport={}", self.port))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // An interrupt at the terminal is the test's to answer.
            .process_group(0)
            .kill_on_drop(true);
        self.process = Some(server.spawn()?);
        Ok(())
    }

    async fn await_answer(&mut self, deadline: Instant) -> io::Result<()> {
        loop {
            if !self.runs()? {
                self.process = None;
                return Err(io::Error::other(format!("the server ended: {}", self.log()?)));
            }
            let Err(why) = takes_connections(self.port).await else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                let log = self.log()?;
                return Err(io::Error::other(format!("no connection: {why}; its log: {log}")));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn log(&self) -> io::Result<String> {
        std::fs::read_to_string(self.folder.join("server.log"))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let others = process.id().map(children_of).unwrap_or_default();
            // It may have ended by itself, which is as well.
            let _ = process.start_kill();
            kill(&others);
        }
        // Who is being killed may still write; what is left then is in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Only a request to authenticate is an answer: a server that recovers answers with an error.
async fn takes_connections(port: u16) -> io::Result<()> {
    let asked = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(GREETING).await?;
        match stream.read_u8().await? {
            b'R' => Ok(()),
            other => Err(io::Error::other(format!("it answered {:?}", char::from(other)))),
        }
    };
    let answered = timeout(Duration::from_secs(5), asked).await;
    answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The processes that this one started and that still run; each leads a group of its own, so no signal to a group
/// reaches them. Where the system does not list processes as files, they end by themselves when they notice that
/// the first one is gone.
fn children_of(pid: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = entries.filter_map(|entry| {
        let child = entry.file_name().to_str()?.parse().ok()?;
        (parent(&entry.path())? == pid).then_some(child)
    });
    children.collect()
}

/// Field 4 of `/proc/PID/stat`; the name in field 2 may hold blanks and brackets itself.
fn parent(process: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

fn kill(processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    let mut kill = std::process::Command::new("sh");
    kill.args(["-c", "kill -s KILL \"$@\" 2>/dev/null", "sh"]);
    kill.args(processes.iter().map(u32::to_string));
    // Those that ended meanwhile are no loss.
    let _ = kill.status();
}
